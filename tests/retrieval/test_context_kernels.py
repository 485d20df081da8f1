"""Edges within a pool: those of a literal walk over the graph, whatever the films' positions and their number."""

import numpy as np
import pytest
import scipy.sparse

from graphret.graph import Graph
from graphret.retrieval import _context_kernels


@pytest.mark.parametrize("n_films", [3, 63, 64, 65, 128, 1000])
@pytest.mark.parametrize("n_pool", [1, 2, 40])
def test_edges_inside_a_pool(n_films, n_pool):
    rng = np.random.default_rng(n_films * 100 + n_pool)
    n_pool = min(n_pool, n_films)
    dense = np.triu(rng.random((n_films, n_films)) * (rng.random((n_films, n_films)) < 0.3), 1)
    dense[0, 1:] = 0.5  # every film has an edge
    graph = Graph.from_scipy(scipy.sparse.csr_matrix(dense + dense.T))
    pool = rng.choice(n_films, n_pool, replace=False).astype(np.int32)
    pool[0] = n_films - 1 if n_films - 1 not in pool else pool[0]  # the last bit
    starts, others, shares, inside = _context_kernels._edges_inside(graph.indptr, graph.indices, graph.weights, pool)
    weights = graph.to_scipy().toarray()
    for place, film in enumerate(pool):
        linked = [other for other in np.flatnonzero(weights[film]) if other in pool]
        row = slice(starts[place], starts[place + 1])
        assert pool[others[row]].tolist() == linked
        expected = [weights[film, other] / weights[film].sum(dtype=np.float64) for other in linked]
        np.testing.assert_allclose(shares[row], expected, rtol=1e-12)
        np.testing.assert_allclose(inside[place], sum(expected), rtol=1e-12)
