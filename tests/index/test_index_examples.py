"""Several examples as one query, and the alarm "nothing similar", through an index."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

import graphret
from graphret._errors import CodesError, InvalidParameterError
from graphret.data import read_film
from graphret.index.examples import NEGATIVE_WEIGHT, combine
from graphret.index.manifest import MANIFEST, serialise

FILMS = ["film004", "film010", "film016"]


def unit(codes):
    codes = np.asarray(codes, dtype=np.float64)
    return codes / np.linalg.norm(codes, axis=-1, keepdims=True)


def rows(index, ids):
    return [index.films.ids.tolist().index(name) for name in ids]


@pytest.mark.parametrize("ranking", graphret.list_rankings(with_labels=True))
def test_every_ranking_answers_the_combined_code(shared_index, ranking):
    index = shared_index
    like, unlike = FILMS, ["film001", "film002"]
    hits = index.query_examples(like, unlike, 8, ranking=ranking)
    codes = unit(index.codes)
    query = codes[rows(index, like)].mean(axis=0) - NEGATIVE_WEIGHT * codes[rows(index, unlike)].mean(axis=0)
    by_hand = index.query(unit(query).astype(np.float32), 8, ranking=ranking, exclude={"id": [*like, *unlike]})
    assert hits.ids.tolist() == by_hand.ids.tolist()
    assert hits.ranking == ranking
    assert not {*like, *unlike} & set(hits.ids[0])


def test_one_example_is_the_query_itself(shared_index):
    for ranking in ("nearest", "region_growing"):
        alone = shared_index.query("film004", 9, ranking=ranking)
        for unlike in (None, []):
            examples = shared_index.query_examples("film004", unlike, 9, ranking=ranking)
            assert examples.ids.tolist() == alone.ids.tolist()
            assert examples.scores.tobytes() == alone.scores.tobytes()
            assert examples.p_values.tolist() == alone.p_values.tolist()


def test_ids_and_codes_are_the_same_examples(shared_index):
    codes = np.asarray(shared_index.codes)[rows(shared_index, FILMS)]
    expected = shared_index.query_examples(FILMS, ["film001"], 9)
    for like in (codes, list(codes), [FILMS[0], codes[1], FILMS[2]]):
        assert shared_index.query_examples(like, ["film001"], 9).ids.tolist() == expected.ids.tolist()


def test_files_films_and_ids_are_the_same_examples(film_index, film_table):
    like = [3, 8, 13]
    paths = film_table.paths[like].tolist()
    expected = film_index.query_examples(film_table.ids[like].tolist(), k=8)
    assert not set(film_table.ids[like]) & set(expected.ids[0])
    for what in (paths, [read_film(path) for path in paths], [paths[0], film_table.ids[8], read_film(paths[2])]):
        hits = film_index.query_examples(what, k=8)
        assert hits.ids.tolist() == expected.ids.tolist()


def test_negatives_push_away(shared_index):
    like, unlike = ["film004"], ["film010"]
    weights = (0, 0.3, 0.6, 0.9)
    found = [shared_index.query_examples(like, unlike, 10, negative_weight=weight).positions[0] for weight in weights]
    codes = unit(shared_index.codes)
    nearness = [float((codes[films] @ codes[10]).mean()) for films in found]
    assert nearness == sorted(nearness, reverse=True)
    assert nearness[-1] < nearness[0]


def test_the_patients_of_all_examples_are_left_out(shared_index):
    index = shared_index
    like, unlike = ["film004", "film010"], ["film016"]
    hits = index.query_examples(like, unlike, 80, exclude="patient")
    own = set(index.films.patients[rows(index, like + unlike)])
    assert len(own) == 3
    assert set(index.films.patients[hits.positions[0][hits.positions[0] >= 0]]) == set(index.films.patients) - own
    strange = np.asarray(index.codes[:1]) + np.float32(0.1)
    hits = index.query_examples(["film004", strange[0]], k=80, exclude="patient", patients=[None, "patient20"])
    assert not {"patient01", "patient20"} & set(index.films.patients[hits.positions[0][hits.positions[0] >= 0]])


def test_filters_hold_for_examples(shared_index):
    films = shared_index.films
    hits = shared_index.query_examples(
        FILMS, k=20, where={"view": "AP"}, exclude={"patient": ["patient05", "patient06"]}
    )
    found = hits.positions[0][hits.positions[0] >= 0]
    assert set(films.views[found]) == {"AP"}
    assert not {"patient05", "patient06"} & set(films.patients[found])


def test_combine_is_rocchio():
    rng = np.random.default_rng(0)
    like, unlike = rng.random((3, 5), dtype=np.float32), rng.random((2, 5), dtype=np.float32)
    expected = unit(unit(like).mean(axis=0) - 0.4 * unit(unlike).mean(axis=0))
    np.testing.assert_allclose(combine(like, unlike, 0.4), expected, atol=1e-6)
    np.testing.assert_allclose(combine(like * 9, unlike, 0.4), expected, atol=1e-6)  # lengths have no say


def test_wrong_examples_are_named(shared_index):
    with pytest.raises(InvalidParameterError, match="the list is empty"):
        shared_index.query_examples([])
    with pytest.raises(InvalidParameterError, match=r"negatives='film010'.*not among the positives"):
        shared_index.query_examples(FILMS, ["film010"])
    with pytest.raises(InvalidParameterError, match="negative_weight=-1"):
        shared_index.query_examples(FILMS, negative_weight=-1)
    with pytest.raises(InvalidParameterError, match="patient of query 1 is not known"):
        shared_index.query_examples(["film004", shared_index.codes[3] + 1], exclude="patient")
    code = np.asarray(shared_index.codes[5])
    with pytest.raises(CodesError, match="cancel each other out"):
        shared_index.query_examples([code * 2, code], [code + np.float32(1e-7)], negative_weight=1)


def test_p_values_of_an_index(shared_index, codes, described):
    index = shared_index
    cosine = unit(codes) @ unit(codes).T
    cosine[described.patients[:, None] == described.patients] = -1
    usual = np.sort(cosine.max(axis=1))
    hits = index.query(list(described.ids), 3, exclude="patient")
    expected = (1 + np.searchsorted(usual, cosine.max(axis=1) + 2e-6)) / (1 + len(usual))
    np.testing.assert_allclose(hits.p_values, expected, atol=1e-9)
    foreign = np.eye(8, dtype=np.float32)[:3]
    hits = index.query(list(foreign), 3, alarm_level=0.05)
    assert hits.p_values.tolist() == [1 / 91] * 3
    assert hits.nothing_similar.tolist() == [True] * 3
    assert index.query(list(foreign), 3).nothing_similar.tolist() == [False] * 3  # 1 % of 90 films cannot be told
    assert hits[0].nothing_similar is True
    document = hits.to_dicts()[0]
    assert (document["p_value"], document["nothing_similar"]) == (1 / 91, True)


@pytest.mark.parametrize("ranking", graphret.list_rankings())
def test_they_do_not_depend_on_ranking_filter_or_k(shared_index, ranking):
    expected = shared_index.query(FILMS, 10).p_values.tolist()
    assert shared_index.query(FILMS, 1, ranking=ranking).p_values.tolist() == expected
    assert shared_index.query(FILMS, 5, ranking=ranking, where={"view": "AP"}).p_values.tolist() == expected


def test_of_examples_the_best_counts(shared_index):
    foreign = np.eye(8, dtype=np.float32)
    usual = shared_index.query("film004", 5).p_values[0]
    mixed = shared_index.query_examples(["film004", foreign[0]], k=5, alarm_level=0.05)
    assert mixed.p_values.tolist() == [usual]
    strange = shared_index.query_examples([foreign[0], foreign[1]], k=5, alarm_level=0.05)
    assert strange.nothing_similar.tolist() == [True]


def test_an_index_that_was_built_without_it_searches_for_it(shared_index, codes, described, tmp_path):
    graphret.build(codes, films=described, out=tmp_path / "old", k=6)
    (manifest,) = (tmp_path / "old").glob(f"*/{MANIFEST}")
    content = json.loads(manifest.read_bytes())
    del content["novelty"]
    manifest.write_bytes(serialise(content))
    old = graphret.open(tmp_path / "old")
    np.testing.assert_allclose(old.novelty.similarities, shared_index.novelty.similarities, atol=2e-6)


def test_wrong_levels(shared_index):
    for level in (0, 1, -0.1, "low"):
        with pytest.raises(InvalidParameterError, match="alarm_level"):
            shared_index.query("film004", alarm_level=level)


def test_an_index_with_it_can_be_pickled(shared_index):
    assert shared_index.novelty.smallest == 1 / 91
    copy = pickle.loads(pickle.dumps(shared_index))  # noqa: S301
    assert copy.query("film004", 3).p_values.tolist() == shared_index.query("film004", 3).p_values.tolist()
