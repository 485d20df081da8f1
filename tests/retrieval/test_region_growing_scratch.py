"""Scratch memory of region growing is what a query touches: it is doubled where that is more, with the same result."""

import numpy as np
import pytest
import scipy.sparse

from graphret.graph import Graph
from graphret.neighbors import ExactSearch
from graphret.retrieval import Archive, QueryBatch, create_ranking, region_growing
from graphret.retrieval._kernels import FIRST_CAPACITY, _community_scratch, _grow_region, _scratch
from graphret.retrieval.region_growing import community_totals

N_GROUPS, SIZE = 80, 100
QUERY = {group * SIZE + film: 0.9 - 0.01 * film - 0.001 * group for group in range(6) for film in range(20)}
K = 500


@pytest.fixture(scope="module")
def planted():
    """Groups of a hundred nodes; a node has edges to some 40 of its group, and to 70 anywhere."""
    rng = np.random.default_rng(0)
    n = N_GROUPS * SIZE
    nodes = np.repeat(np.arange(n), 60)
    inside = nodes // SIZE * SIZE + rng.integers(SIZE, size=len(nodes))
    others = np.where(rng.random(len(nodes)) < 0.4, inside, rng.integers(n, size=len(nodes)))
    kept = nodes != others
    weights = rng.integers(300, 1000, len(nodes)) / 1000
    half = scipy.sparse.coo_array((weights[kept], (nodes[kept], others[kept])), shape=(n, n)).tocsr()
    return Graph.from_scipy(half.maximum(half.T)), (np.arange(n) // SIZE).astype(np.int32)


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
    found, gains = np.empty(k, np.int32), np.empty(k)
    done = _grow_region(
        (graph.indptr, graph.indices, graph.weights),
        stored,
        (nodes, cosines, cosines),
        np.empty(0, np.bool_),
        np.empty(0, np.int32),
        scratch,
        _community_scratch(n_communities),
        found,
        gains,
    )
    return done, found[found >= 0].tolist()


def test_a_scratch_without_room_for_the_edges_to_other_communities_says_so(planted):
    graph, labels = planted
    done, expected = grown(graph, labels, QUERY, K, _scratch(8 * FIRST_CAPACITY))
    assert done
    assert len(expected) > 20
    assert not grown(graph, labels, QUERY, K, _scratch(FIRST_CAPACITY // 2))[0]
    assert region_growing(graph, labels, [*QUERY], [*QUERY.values()], K).tolist() == expected


def test_a_node_with_more_edges_than_there_is_room_for_at_first():
    n = 3 * FIRST_CAPACITY
    ends = np.arange(1, n)
    half = scipy.sparse.coo_array((np.linspace(1, 2, n - 1), (ends, np.zeros(n - 1, int))), shape=(n, n)).tocsr()
    labels = np.arange(n, dtype=np.int32) % 20 + 1
    labels[0] = 0  # the centre of the star is a community of its own
    graph = Graph.from_scipy(half + half.T)
    done, expected = grown(graph, labels, {0: 1e4}, 3, _scratch(4 * FIRST_CAPACITY))
    assert done
    assert expected[0] == 0
    assert not grown(graph, labels, {0: 1e4}, 3, _scratch(FIRST_CAPACITY))[0]
    assert region_growing(graph, labels, [0], [1e4], 3).tolist() == expected


@pytest.mark.parametrize("capacity", [1, len(QUERY) - 1, len(QUERY), 2 * len(QUERY)])
def test_a_scratch_that_is_too_small_says_so(planted, capacity):
    graph, labels = planted
    assert not grown(graph, labels, QUERY, K, _scratch(capacity))[0]


def test_many_forbidden_films_need_room_too(planted):
    graph, labels = planted
    codes = np.random.default_rng(1).random((graph.n_nodes, 4), dtype=np.float32)
    archive = Archive(codes, graph, labels, ExactSearch(codes), k=20)
    forbidden = np.arange(2 * FIRST_CAPACITY, dtype=np.int32)
    batch = QueryBatch.of(archive, codes[:2], 10, forbidden=[forbidden, []])
    ranked = create_ranking("region_growing", archive).rank(batch, 10)
    assert ranked.positions[0].min() >= 2 * FIRST_CAPACITY
    alone = create_ranking("region_growing", archive).rank(QueryBatch.of(archive, codes[1:2], 10), 10)
    assert ranked.positions[1].tolist() == alone.positions[0].tolist()
