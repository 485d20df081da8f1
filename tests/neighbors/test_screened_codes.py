"""A first pass over codes of 8 bits loses no film: the lists are those of the search without it, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret.neighbors import ExactSearch, exact_search
from graphret.neighbors.device_search import search_alike
from graphret.neighbors.screened_codes import ScreenedCodes

EVERYTHING, NOBODY = np.empty(0, np.bool_), np.empty(0, np.int32)


@st.composite
def archives(draw):
    """Codes of many shapes: few values and many ties, one dimension far above the others, films in order of kind."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, d = draw(st.integers(1, 300)), draw(st.sampled_from([1, 3, 16, 46, 200]))
    kind = draw(st.sampled_from(["ties", "normal", "one large", "sorted", "nearly alike"]))
    codes = rng.normal(size=(n + 4, d))
    if kind == "ties":
        codes = rng.integers(-1, 2, (n + 4, d)) * 1.0
    if kind == "one large":
        codes[:, 0] *= 1000
    if kind == "sorted":
        codes += 3 * rng.normal(size=(5, d))[np.sort(rng.integers(5, size=n + 4))]
    if kind == "nearly alike":
        codes = 1 + 1e-6 * codes
    codes[:, rng.integers(d)] *= draw(st.sampled_from([0, 1e-30, 1]))
    codes[~codes.any(axis=1)] = 1
    codes *= 10.0 ** rng.integers(-3, 4, (n + 4, 1))
    allowed = draw(st.none() | st.just(rng.random(n) < 0.8))
    lists = [np.sort(rng.choice(n, rng.integers(0, n + 1), replace=False)).astype(np.int32) for _ in range(4)]
    return codes[:n].astype(np.float32), codes[n:].astype(np.float32), draw(st.integers(1, n)), allowed, lists


@given(archives(), st.booleans(), st.integers(1, 4))
@settings(deadline=None, max_examples=150)
def test_lists_are_those_of_the_search_without_it(case, with_forbidden, n_queries):
    codes, queries, k, allowed, lists = case
    forbidden = lists[:n_queries] if with_forbidden else None
    plain = ExactSearch(codes).search(queries[:n_queries], k, allowed=allowed, forbidden=forbidden)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_search, "SCREEN_FROM", 0)  # whatever k is
        screened = ExactSearch(codes, screened=True)
        found = screened.search(queries[:n_queries], k, allowed=allowed, forbidden=forbidden)
    np.testing.assert_array_equal(found.neighbors, plain.neighbors)
    np.testing.assert_array_equal(found.similarities, plain.similarities)


@given(archives())
@settings(deadline=None, max_examples=50)
def test_no_product_is_off_by_more_than_the_error(case):
    codes, queries, _, _, _ = case
    unit = codes / np.sqrt(np.square(codes, dtype=np.float64).sum(axis=1, keepdims=True))
    query = queries[0] / np.sqrt(np.square(queries[0], dtype=np.float64).sum())
    screened = ScreenedCodes(codes, ExactSearch(codes).lengths)
    assert np.abs(screened.codes.astype(int)).max() <= 127
    assert np.abs(unit @ query - (screened.codes / screened.scales) @ query).max() <= screened.error + 1e-9


def test_few_films_are_left_and_none_is_lost():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(20_000, 48)).astype(np.float32)
    search = ExactSearch(codes)
    screened = ScreenedCodes(codes, search.lengths)
    for query in codes[:5] + 0.1 * rng.normal(size=(5, 48)).astype(np.float32):
        query /= np.sqrt(np.square(query).sum())
        found = screened.candidates(query, 100, EVERYTHING, NOBODY)
        assert (np.diff(found) > 0).all()
        assert 100 <= found.size < 400
        assert set(search.search(query[None], 100).neighbors[0].tolist()) <= set(found.tolist())


def test_a_query_where_no_film_has_a_value_worth_the_name():
    codes = np.ones((100, 3), np.float32)
    codes[:, 2] = np.linspace(0, 1e-35, 100)
    query = np.array([[0, 0, 1]], np.float32)
    found = ExactSearch(codes, screened=True).search(query, 3)
    np.testing.assert_array_equal(found.neighbors, ExactSearch(codes).search(query, 3).neighbors)


def test_films_that_may_not_come_take_no_place():
    codes = np.eye(3, dtype=np.float32)[np.arange(300) % 3] + np.float32(0.01)
    screened = ScreenedCodes(codes, ExactSearch(codes).lengths)
    query = codes[0] / np.sqrt(np.square(codes[0]).sum())
    nearest = np.arange(0, 300, 3)
    assert screened.candidates(query, 5, EVERYTHING, NOBODY).tolist() == nearest.tolist()
    allowed = np.ones(300, np.bool_)
    allowed[nearest[10:]] = False
    forbidden = nearest[3:20].astype(np.int32)
    some = set(screened.candidates(query, 5, allowed, forbidden).tolist())
    assert some >= set(nearest[:3].tolist())
    assert not some & set(forbidden.tolist())
    assert allowed[list(some)].all()
    assert len(some) == 203  # the three, and all that are alike behind them
    others = np.flatnonzero(np.arange(300) % 3)
    assert screened.candidates(query, 5, EVERYTHING, nearest.astype(np.int32)).tolist() == others.tolist()
    outside = np.array([-7, 4_000], np.int32)  # as a search without a first pass, it leaves such numbers alone
    assert screened.candidates(query, 5, EVERYTHING, outside).tolist() == nearest.tolist()


def test_only_few_queries_of_an_archive_that_is_large_for_them_are_screened(monkeypatch):
    asked = []
    candidates = ScreenedCodes.candidates
    monkeypatch.setattr(ScreenedCodes, "candidates", lambda *args: asked.append(args[2]) or candidates(*args))
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(640, 16)).astype(np.float32)
    search = search_alike(ExactSearch(rng.normal(size=(640, 3)).astype(np.float32)), codes)
    search.search(codes[:5], 10)
    search.search(codes[:1], 41)
    search.search(codes[:1], 10, allowed=np.arange(640) < 300)
    ExactSearch(codes).search(codes[:1], 10)
    assert asked == []
    search.search(codes[:4], 10)
    search.search(codes[:1], 40)
    assert asked == [10, 10, 10, 10, 40]
