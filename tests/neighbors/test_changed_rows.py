"""A kNN table that follows changes is the table of a search of all rows, as far as its lists go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import InvalidParameterError
from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.neighbors.changed_rows import list_lengths, refill_short_lists, with_rows_added, with_rows_removed


def coarse_codes(n, seed, d=4):
    """Few different values, so that many cosines are equal and ties are settled."""
    codes = np.random.default_rng(seed).integers(0, 3, (n, d)).astype(np.float32)
    codes[:, 0] += 1
    return codes


def assert_prefix(table, fresh):
    """Every list is the beginning of the list that a search of all rows finds."""
    for row, length in enumerate(list_lengths(table).tolist()):
        assert table.neighbors[row, :length].tolist() == fresh.neighbors[row, :length].tolist()
        assert table.similarities[row, :length].tolist() == fresh.similarities[row, :length].tolist()
        assert (table.neighbors[row, length:] == -1).all()
        assert (table.similarities[row, length:] == 0).all()


@settings(max_examples=40, deadline=None)
@given(
    n_old=st.integers(1, 40),
    n_new=st.integers(1, 30),
    k=st.integers(1, 12),
    seed=st.integers(0, 999),
    coarse=st.booleans(),
)
def test_added_rows_give_the_table_of_all_rows(n_old, n_new, k, seed, coarse):
    n = n_old + n_new
    codes = coarse_codes(n, seed) if coarse else np.random.default_rng(seed).random((n, 6), dtype=np.float32)
    grown = with_rows_added(nearest_neighbors(codes[:n_old], k, n_threads=1), ExactSearch(codes), k, n_threads=1)
    fresh = nearest_neighbors(codes, k, n_threads=1)
    assert np.array_equal(grown.neighbors, fresh.neighbors)
    assert np.array_equal(grown.similarities, fresh.similarities)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 40), k=st.integers(1, 15), seed=st.integers(0, 999), data=st.data())
def test_changes_in_any_order_keep_lists_right(n, k, seed, data):
    rng = np.random.default_rng(seed)
    codes = coarse_codes(n, seed)
    table = nearest_neighbors(codes, k, n_threads=1)
    for _ in range(data.draw(st.integers(1, 4))):
        if data.draw(st.booleans()):
            codes = np.concatenate([codes, coarse_codes(int(rng.integers(1, 9)), int(rng.integers(1000)))])
            table = with_rows_added(table, ExactSearch(codes), k, n_threads=1)
        else:
            kept = np.flatnonzero(rng.random(len(codes)) < 0.7)
            kept = kept if len(kept) else np.array([0])
            codes, table = codes[kept], with_rows_removed(table, kept)
        fresh = nearest_neighbors(codes, k, n_threads=1)
        assert table.neighbors.shape == fresh.neighbors.shape
        assert_prefix(table, fresh)
        table = refill_short_lists(table, ExactSearch(codes), k, n_threads=1)
        assert_prefix(table, fresh)
        width = min(k, len(codes) - 1)
        assert list_lengths(table).min(initial=width) >= width - int(0.1 * width)


def test_small_k_is_never_short():
    codes = coarse_codes(50, 0)
    table = with_rows_removed(nearest_neighbors(codes, 9), np.arange(0, 50, 2))
    refilled = refill_short_lists(table, ExactSearch(codes[::2]), 9)
    assert np.array_equal(refilled.neighbors, nearest_neighbors(codes[::2], 9).neighbors)


def test_more_rows_than_a_block(monkeypatch):
    from graphret.neighbors import rows_to_all

    monkeypatch.setattr(rows_to_all, "BLOCK", 7)
    monkeypatch.setattr(rows_to_all, "TILE", 13)
    monkeypatch.setattr(rows_to_all, "FEWEST", 2)
    codes = np.random.default_rng(3).random((90, 8), dtype=np.float32)
    grown = with_rows_added(nearest_neighbors(codes[:50], 6), ExactSearch(codes), 6)
    assert np.array_equal(grown.neighbors, nearest_neighbors(codes, 6).neighbors)


def test_threads_change_nothing():
    codes = np.random.default_rng(4).random((200, 8), dtype=np.float32)
    table = nearest_neighbors(codes[:150], 12)
    one, two = (with_rows_added(table, ExactSearch(codes), 12, n_threads=number) for number in (1, 2))
    assert np.array_equal(one.neighbors, two.neighbors)
    assert np.array_equal(one.similarities, two.similarities)


def test_k_is_checked():
    codes = np.eye(4, dtype=np.float32)
    table = nearest_neighbors(codes[:3], 2)
    with pytest.raises(InvalidParameterError, match="k"):
        with_rows_added(table, ExactSearch(codes), 0)


def test_a_row_that_is_alone_has_no_neighbours():
    nothing = nearest_neighbors(np.ones((2, 3), np.float32), 1)
    nothing = with_rows_removed(nothing, np.arange(0))
    table = with_rows_added(nothing, ExactSearch(np.ones((1, 3), np.float32)), 4)
    assert table.neighbors.shape == table.similarities.shape == (1, 0)
