"""Films that float32 products put in another order than rounded cosines do: no scan may lose one to that."""

import numpy as np
import pytest

from graphret.neighbors import ExactSearch
from graphret.neighbors._kernels import _round_similarity, _scan_tile
from graphret.neighbors.exact_search import MARGIN, row_lengths
from graphret.neighbors.filling_table import FillingTable

K, N_FILMS = 5, 60


@pytest.fixture
def codes():
    """Films whose cosines to (1, 0) grow with their id, and all round up to 0.9: the smallest ids come first."""
    cosines = 0.9 - np.linspace(4e-7, 1e-7, N_FILMS)
    codes = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)
    assert N_FILMS > 2 * (K + MARGIN), "no search is sure because it holds all of them"
    assert (np.round(cosines, 6) == 0.9).all()
    assert (codes[:, 0] < np.float32(0.9)).all()
    return codes


@pytest.mark.parametrize("n_queries", [1, 8], ids=["scan", "matrix product"])
def test_a_search_looks_further_while_what_fell_out_may_be_equal(codes, n_queries):
    queries = np.tile(np.array([1, 0], np.float32), (n_queries, 1))
    found = ExactSearch(codes).search(queries, K, n_threads=1)
    assert found.neighbors.tolist() == [list(range(K))] * n_queries
    assert (found.similarities == np.float32(0.9)).all()


def test_a_scan_keeps_films_that_are_below_the_kth_by_rounding_only(codes):
    """The table has the last films so far; their rounded cosine is above the products of all."""
    table = FillingTable(np.concatenate([np.array([[1, 0]], np.float32), codes]), K, None)
    everybody = np.arange(N_FILMS + 1)
    candidates = np.tile(np.arange(N_FILMS + 1 - K, N_FILMS + 1, dtype=np.int32), (N_FILMS + 1, 1))
    table.settle(everybody, candidates, np.ones(N_FILMS + 1, np.float32))
    assert table.neighbors[0].tolist() == candidates[0].tolist()
    assert table.finish().neighbors[0].tolist() == list(range(1, K + 1))


@pytest.mark.parametrize(("below", "n_scanned"), [(3e-6, 1), (2e-5, 0)])
def test_a_row_is_scanned_when_others_may_reach_its_kth_by_rounding(codes, below, n_scanned):
    """Film 0 has its right neighbours; the bound for all others lies a little below the last of them."""
    table = FillingTable(np.concatenate([np.array([[1, 0]], np.float32), codes]), K, None)
    bounds = np.full(N_FILMS + 1, -np.inf, np.float32)
    bounds[0] = 0.9 - below
    candidates = np.tile(np.arange(N_FILMS + 1, dtype=np.int32), (N_FILMS + 1, 1))
    table.settle(np.arange(N_FILMS + 1), candidates, bounds)
    finished = table.finish()
    assert finished.n_scanned == n_scanned
    assert finished.neighbors[0].tolist() == list(range(1, K + 1))


def test_products_may_be_too_small_by_rounding():
    """A tile is ranked by its cosines, also where every product came out 4e-6 below the cosine."""
    cosines = 0.9 + np.array([0, 2, 1, 4, 3]) * 1e-6
    codes = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)
    codes = np.concatenate([np.array([[1, 0]], np.float32), codes])
    lengths = row_lengths(codes)
    products = (codes @ codes[:1].T).T - np.float32(4e-6)
    neighbors, similarities = np.full((1, 2), -1, np.int32), np.zeros((1, 2), np.float32)
    bounds = np.full(1, -np.inf, np.float32)
    rows, n_found = np.zeros(1, np.int64), np.zeros(1, np.int64)
    scales = np.ones(len(codes), np.float32)
    _scan_tile(products, scales, 0, rows, codes, lengths, bounds, neighbors, similarities, n_found)
    assert neighbors.tolist() == [[4, 5]]
    assert similarities[0].tolist() == [_round_similarity(0.900004), _round_similarity(0.900003)]
