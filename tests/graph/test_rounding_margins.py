"""Products in float32 only propose: films whose cosines are equal after rounding come in the order of their ids."""

import numpy as np
import pytest

from graphret.graph import NearestSearch, nearest_neighbors
from graphret.graph import knn as knn_module
from graphret.graph._kernels import _scan_tile

K = 3


def nearly_equal_films(n_near, n_far=30):
    """Films whose cosines to (1, 0) all round to 0.9 from below, the smaller id the lower; then far ones.

    Before rounding, those with the larger ids are nearer: whoever trusts products of float32 returns them.
    """
    cosines = 0.9 - np.linspace(4.5e-7, 1e-7, n_near)
    near = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)
    angles = np.linspace(1.5, 3.0, n_far)
    return np.concatenate([near, np.stack([np.cos(angles), np.sin(angles)], axis=1)]).astype(np.float32)


QUERY = np.array([[1, 0]], np.float32)


@pytest.mark.parametrize("n_queries", [1, 9])
@pytest.mark.parametrize("n_near", [5, 40])
def test_search_looks_again_where_rounding_could_swap_films(n_near, n_queries):
    found = NearestSearch(nearly_equal_films(n_near)).search(QUERY.repeat(n_queries, axis=0), K)
    assert found.neighbors.tolist() == [[0, 1, 2]] * n_queries
    assert (found.similarities == np.float32(0.9)).all()


@pytest.mark.parametrize("join_limit", [0, 10**9], ids=["join", "flat search"])
@pytest.mark.parametrize("n_near", [5, 40])
def test_table_looks_again_where_rounding_could_swap_films(n_near, join_limit, monkeypatch):
    monkeypatch.setattr(knn_module, "JOIN_LIMIT", join_limit)
    codes = np.concatenate([nearly_equal_films(n_near), QUERY])
    table = nearest_neighbors(codes, K, method="exact")
    assert table.neighbors[-1].tolist() == [0, 1, 2]
    assert (table.similarities[-1] == np.float32(0.9)).all()


@pytest.mark.parametrize("error", [-4e-6, 4e-6])
def test_a_scan_forgives_the_rounding_of_its_products(error):
    """A product that is wrong by less than the margin keeps nobody out of a list that is full."""
    films = np.array([[0.5, 1], [0.6, 1], [0.7, 1], [0.700002, 1], [0.700004, 1], [0.1, 1]], np.float32)
    codes = np.concatenate([films, QUERY])
    lengths = np.linalg.norm(codes.astype(np.float64), axis=1)
    cosines = codes[:, 0] / lengths
    products = (cosines * lengths + error * lengths)[None].astype(np.float32)
    roots = np.array([0.5], np.float32)
    found = (np.full((1, 2), -1, np.int32), np.zeros((1, 2), np.float32), np.zeros(1, np.int64))
    scales = (1 / lengths).astype(np.float32)
    _scan_tile(products, scales, 0, np.array([6]), codes, lengths, roots, *found)
    assert found[0].tolist() == [[4, 3]]
    np.testing.assert_allclose(found[1], [cosines[[4, 3]]], atol=1e-6)
