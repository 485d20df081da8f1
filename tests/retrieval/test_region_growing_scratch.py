"""Scratch memory of region growing is what a query touches: it is doubled where that is more, with the same result."""

import numpy as np
import pytest
import scipy.sparse

from graphret.graph import Graph
from graphret.retrieval import region_growing
from graphret.retrieval._kernels import FIRST_CAPACITY, _grow_region, _scratch
from graphret.retrieval.region_growing import community_totals

N_HUBS, N_LEAVES = 8, 2 * FIRST_CAPACITY


@pytest.fixture(scope="module")
def hubs():
    """Hubs with thousands of leaves each, the first two linked to each other; every star is a community."""
    n = N_HUBS * (N_LEAVES + 1)
    leaves = np.arange(N_HUBS, n)
    weights = np.random.default_rng(0).integers(1, 1000, len(leaves)) / 1000
    rows, columns = np.concatenate([leaves % N_HUBS, [0]]), np.concatenate([leaves, [1]])
    half = scipy.sparse.coo_array((np.concatenate([weights, [0.5]]), (rows, columns)), shape=(n, n)).tocsr()
    return Graph.from_scipy(half + half.T), (np.arange(n) % N_HUBS).astype(np.int32)


def grown(graph, labels, query, k, scratch):
    """What the kernel says, and what it wrote, with a scratch of the caller's."""
    totals = community_totals(graph, labels)
    n_communities = len(totals.community_inside)
    stored = (
        totals.labels,
        totals.degrees,
        totals.inside,
        totals.members,
        totals.starts,
        totals.community_inside,
        totals.community_degrees,
        totals.total_weight,
    )
    nodes, cosines = np.array([*query], np.int32), np.array([*query.values()])
    communities = (*(np.empty(n_communities) for _ in range(3)), np.empty(n_communities, np.bool_))
    found, gains = np.empty(k, np.int32), np.empty(k)
    done = _grow_region(
        (graph.indptr, graph.indices, graph.weights),
        stored,
        (nodes, cosines, cosines),
        np.empty(0, np.bool_),
        np.empty(0, np.int32),
        scratch,
        communities,
        found,
        gains,
    )
    return done, found[found >= 0].tolist()


@pytest.mark.parametrize("query", [{0: 0.9}, {16: 0.9, 24: 0.4}, {0: 0.5, 1: 0.5}])
def test_more_than_there_is_room_for_at_first(hubs, query):
    graph, labels = hubs
    done, expected = grown(graph, labels, query, 12, _scratch(16 * FIRST_CAPACITY))
    assert done
    assert 0 in expected or 1 in expected
    assert not grown(graph, labels, query, 12, _scratch(FIRST_CAPACITY))[0]
    assert region_growing(graph, labels, [*query], [*query.values()], 12).tolist() == expected


@pytest.mark.parametrize("capacity", [1, 2, 4, 40])
def test_a_scratch_that_is_too_small_says_so(hubs, capacity):
    graph, labels = hubs
    assert not grown(graph, labels, {16: 0.9, 24: 0.4, 32: 0.3}, 12, _scratch(capacity))[0]
