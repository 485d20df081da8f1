"""Links of a kNN table, both ways, and their components, beside those of scipy."""

import numpy as np
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from graphret.neighbors.graph_search_build import components_of, mutual_links


@given(st.integers(1, 60), st.integers(0, 4), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_links_and_components_are_those_of_scipy(n, k, seed):
    generator = np.random.default_rng(seed)
    k = min(k, n - 1)
    neighbors = np.array([generator.permutation(np.delete(np.arange(n), film))[:k] for film in range(n)], np.int32)
    neighbors = neighbors.reshape(n, k)
    neighbors[generator.random(neighbors.shape) < 0.4] = -1
    rows, columns = np.nonzero(neighbors >= 0)
    ones = np.ones(rows.size)
    links = scipy.sparse.csr_array((ones, (rows, neighbors[rows, columns])), shape=(n, n))
    both = links.maximum(links.T.tocsr())
    both.sort_indices()
    indptr, indices = mutual_links(neighbors)
    np.testing.assert_array_equal(indptr, both.indptr)
    np.testing.assert_array_equal(indices, both.indices)
    np.testing.assert_array_equal(components_of(indptr, indices), connected_components(both, directed=False)[1])
