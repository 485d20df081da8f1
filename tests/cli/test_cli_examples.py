"""`graphret query --like --unlike`, and what it says where an archive has nothing similar."""

import numpy as np
import pytest

import graphret
from graphret.data import write_png


@pytest.fixture(scope="module")
def white(tmp_path_factory):
    path = tmp_path_factory.mktemp("white") / "white.png"
    write_png(path, np.ones((32, 32), dtype=np.float32))
    return path


@pytest.mark.parametrize("ranking", ["nearest", "region_growing"])
def test_examples_give_the_hits_of_python(run_json, workshop, ranking):
    index = graphret.open(workshop.index)
    like, unlike = index.films.paths[[3, 9]].tolist(), index.films.paths[[20]].tolist()
    call = ["query", workshop.index, "--like", like[0], "--like", like[1], "--unlike", unlike[0], "--ranking", ranking]
    document = run_json(*call, "-k", "6")
    expected = index.query_examples(like, unlike, 6, ranking=ranking)
    (answer,) = document["queries"]
    assert [hit["id"] for hit in answer["hits"]] == expected.ids[0].tolist()
    assert (document["like"], document["unlike"], document["unlike_weight"]) == (like, unlike, 0.15)
    assert answer["query"] == expected.queries[0]
    assert not set(index.films.ids[[3, 9, 20]]) & set(expected.ids[0])
    by_id = ["query", workshop.index, "--id", "-k", "6", "--ranking", ranking]
    for option, rows in (("--like", [3, 9]), ("--unlike", [20])):
        by_id += [part for row in rows for part in (option, index.films.ids[row])]
    assert [hit["id"] for hit in run_json(*by_id)["queries"][0]["hits"]] == expected.ids[0].tolist()
    heavy = index.query_examples(like, unlike, 6, ranking=ranking, negative_weight=0.9)
    weighed = run_json(*call, "-k", "6", "--unlike-weight", "0.9")["queries"][0]["hits"]
    assert [hit["id"] for hit in weighed] == heavy.ids[0].tolist()


def test_the_patients_of_examples_are_left_out(run_json, workshop):
    index = graphret.open(workshop.index)
    like = index.films.paths[[3, 9]].tolist()
    call = ["query", workshop.index, "--like", like[0], "--like", like[1], "-k", "200", "--exclude-same-patient"]
    found = {hit["id"] for hit in run_json(*call)["queries"][0]["hits"]}
    own = np.isin(index.films.patients, index.films.patients[[3, 9]])
    assert found == set(index.films.ids[~own])


def test_a_film_like_nothing_is_said_to_be(run, run_json, workshop, white):
    index = graphret.open(workshop.index)
    film = index.films.paths[5]
    rarest = float(index.query(white, 1).p_values[0])
    level = ["--alarm-level", str(rarest)]
    document = run_json("query", workshop.index, film, white, *level)
    usual, strange = document["queries"]
    assert document["alarm_level"] == strange["p_value"] == rarest < 0.5
    assert (usual["nothing_similar"], strange["nothing_similar"]) == (False, True)
    assert "nothing similar in this archive" in run("query", workshop.index, white, *level).out
    assert "nothing similar" not in run("query", workshop.index, film, *level).out


def test_a_level_that_cannot_be_reached_is_said(run, workshop, white):
    done = run("query", workshop.index, white, "--alarm-level", "0.0001")
    assert done.status == 0
    assert "never reached with so few films" in done.err
