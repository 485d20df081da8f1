"""Region growing of an index whose neighbours come by graph search: what is searched for, and what that changes."""

import numpy as np
import pytest

import graphret

N, K = 600, 12


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    rng = np.random.default_rng(0)
    codes = (rng.normal(size=(12, 16))[rng.integers(12, size=N)] + rng.normal(size=(N, 16))).astype(np.float32)
    return graphret.build(codes, out=tmp_path_factory.mktemp("grown"), k=K, search="graph")


@pytest.fixture(scope="module")
def asked():
    return np.random.default_rng(1).normal(size=(20, 16)).astype(np.float32)


def test_a_longer_list_begins_with_the_shorter_one(index, asked):
    """The edges of a query are those of one search, however many hits are asked for."""
    ten, many = (index.query(asked, k, ranking="region_growing", search="graph", fill=False) for k in (10, 150))
    for name in ("compared", "visited", "rescored"):
        assert getattr(ten.counts, name).tolist() == getattr(many.counts, name).tolist()
    assert ten.positions.tolist() == many.positions[:, :10].tolist()
    assert (many.positions >= 0).sum() > 10 * len(asked)


def test_short_lists_are_searched_for_again_and_that_is_counted(index, asked):
    asking = {"k": N, "ranking": "region_growing", "search": "graph"}
    grown, filled = index.query(asked, fill=False, **asking), index.query(asked, **asking)
    short = (grown.positions[:, -1] < 0).tolist()
    assert any(short)
    assert (filled.positions[:, -1] >= 0).all()
    assert (filled.counts.compared > grown.counts.compared).tolist() == short
    alone = [index.query(code, **asking).ids[0].tolist() for code in asked]
    assert filled.ids.tolist() == alone


def test_filled_up_are_the_nearest_that_may_come(index, asked):
    asking = {"k": 15, "where": {"id": [str(film) for film in range(0, N, 40)]}, "search": "graph"}
    hits = index.query(asked, ranking="region_growing", **asking)
    nearest = index.query(asked, ranking="nearest", **asking)
    for grown, near in zip(hits, nearest, strict=True):
        added = [hit.id for hit in grown if hit.source == "expansion"]
        rest = [hit.id for hit in near if hit.id not in added]
        assert [hit.id for hit in grown if hit.source == "fill"] == rest
