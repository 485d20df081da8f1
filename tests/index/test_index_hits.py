"""Hits: names, padding, reasons, JSON; and the face of the package."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphret
from graphret.index import Hit


def test_hits_are_a_list_of_lists(shared_index):
    hits = shared_index.query(["film001", "film002"], 4, ranking="nearest")
    assert len(hits) == 2
    assert hits.k == 4
    assert [len(one) for one in hits] == [4, 4]
    assert hits[1].query == hits[-1].query == "film002"
    first = hits[0][0]
    assert isinstance(first, Hit)
    assert first.id == hits.ids[0, 0] == shared_index.films.ids[first.position]
    assert first.position == hits.positions[0, 0]
    assert (first.rank, first.source) == (1, "search")
    assert first.community == hits.communities[0, 0] == shared_index.communities[first.position]
    assert first.similarity == round(float(hits.similarities[0, 0]), 6)
    assert first.score == first.similarity
    assert [hit.rank for hit in hits[0][1:]] == [2, 3, 4]
    assert hits[0][-1] == list(hits[0])[-1]
    assert "film" in repr(hits[0])
    with pytest.raises(IndexError, match="query 2: there are 2 queries"):
        hits[2]
    with pytest.raises(IndexError, match="hit 4: the query has 4 hits"):
        hits[0][4]


def test_padding(shared_index):
    hits = shared_index.query("film001", 6, where={"patient": "patient00"})
    assert sorted(hits.positions[0, :2].tolist()) == [0, 2]
    assert len(hits[0]) == 2
    for values, pad in (
        (hits.positions, -1),
        (hits.ids, ""),
        (hits.similarities, 0),
        (hits.scores, 0),
        (hits.sources, ""),
        (hits.communities, -1),
    ):
        assert (values[0, 2:] == pad).all()
    assert np.isnan(hits.gains[0, 2:]).all()


def test_why_of_region_growing(shared_index):
    hits = shared_index.query("film001", 10, ranking="region_growing")
    graph = shared_index.graph.to_scipy()
    names = {identity: row for row, identity in enumerate(shared_index.films.ids.tolist())}
    for row, hit in enumerate(hits[0]):
        why = hit.why
        assert (why.gain is None) == (hit.source == "fill")
        if why.gain is not None:
            assert why.gain == hits.gains[0, row]
        before = hits.positions[0, :row]
        linked = [int(film) for film in before if graph[hit.position, film] != 0]
        assert [names[identity] for identity, _ in why.earlier] == linked
        for identity, weight in why.earlier:
            assert weight == pytest.approx(graph[hit.position, names[identity]], abs=1e-6)
    assert hits[0][0].why.query_edge == pytest.approx(hits[0][0].similarity)


def test_why_of_nearest(shared_index):
    first = shared_index.query("film001", 3, ranking="nearest")[0][0]
    assert first.why.gain is None
    assert first.why.query_edge == pytest.approx(first.similarity)


@pytest.mark.parametrize("why", [False, True])
def test_hits_become_json(shared_index, why):
    hits = shared_index.query(["film001", shared_index.codes[2]], 3, ranking="region_growing")
    read = json.loads(json.dumps(hits.to_dicts(why=why), allow_nan=False))
    assert [entry["query"] for entry in read] == ["film001", ""]
    assert {entry["ranking"] for entry in read} == {"region_growing"}
    hit = read[0]["hits"][0]
    assert hit["id"] == hits.ids[0, 0]
    assert len(str(hit["similarity"])) <= 8
    assert ("why" in hit) == why
    assert [len(entry["hits"]) for entry in read] == [3, 3]


def test_every_name_of_the_face_is_there():
    for name in graphret.__all__:
        assert getattr(graphret, name) is not None
    assert set(graphret.__all__) <= set(dir(graphret))
    assert graphret.open is graphret.index.open
    with pytest.raises(AttributeError, match="has no attribute 'search'"):
        assert graphret.search


def test_asking_an_index_loads_no_torch(shared_index):
    """Codes need neither torch nor matplotlib, also not when they are searched."""
    code = (
        "import sys, graphret; heavy = {'torch', 'faiss', 'matplotlib'};"
        "before = heavy & set(sys.modules);"
        f"hits = graphret.open({str(shared_index.path)!r}).query('film001', 3, ranking='region_growing');"
        "print(sorted(before), sorted(heavy & set(sys.modules)), hits.ids[0].tolist())"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    expected = shared_index.query("film001", 3, ranking="region_growing").ids[0].tolist()
    assert done.stdout.strip() == f"[] [] {expected}"
