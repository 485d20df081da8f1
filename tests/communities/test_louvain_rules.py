"""Louvain on graphs so small that every rule can be seen: refinement, ties, least gain, slack, resolution."""

import numpy as np
import pytest
import scipy.sparse

from graphret.communities import louvain, modularity
from graphret.communities._kernels import _move_nodes
from graphret.communities.louvain import _Level
from graphret.communities.modularity import OBJECTIVES
from graphret.graph import Graph


def graph_of(n_nodes, edges):
    matrix = np.zeros((n_nodes, n_nodes))
    for one, other, weight in edges:
        matrix[one, other] = matrix[other, one] = weight
    return Graph.from_scipy(scipy.sparse.csr_array(matrix))


def path(n_nodes):
    return graph_of(n_nodes, [(node, node + 1, 1.0) for node in range(n_nodes - 1)])


def between_two_pairs(to_one, to_other, pair):
    """Node 0 is linked to node 1 of the pair (1, 3) and to node 2 of the pair (2, 4)."""
    return graph_of(5, [(0, 1, to_one), (0, 2, to_other), (1, 3, pair), (2, 4, pair)])


def test_the_way_back_moves_single_nodes_once_more():
    """When communities have merged, node 4 is better off elsewhere: what only climbs leaves it where it was."""
    graph = graph_of(6, [(2, 5, 2), (0, 3, 1), (3, 5, 2), (1, 2, 2), (1, 5, 1), (0, 4, 2)])
    labels = louvain(graph).labels
    assert labels.tolist() == [0, 1, 1, 0, 0, 1]
    for node in range(6):
        moved = labels.copy()
        moved[node] = 1 - moved[node]
        assert modularity(graph, moved) < modularity(graph, labels)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("first", [0, 1])
def test_of_two_communities_that_gain_the_same_the_smaller_label_wins(objective, first):
    """Whichever of them the row of the node names first."""
    labels = [2, first, 1 - first, first, 1 - first]
    graph = between_two_pairs(1.0, 1.0, pair=1.0 if objective == "weighted_modularity" else 4.0)
    found = louvain(graph, objective=objective, initial=np.array(labels)).labels
    joined = labels.index(0)  # node 1 or 2, whose pair has label 0
    assert found.tolist() == [0, *(int(label != 0) for label in labels[1:])]
    assert found[joined] == found[0]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_gain_below_the_rounding_of_its_terms_moves_nobody(objective):
    """Node 0 has an edge to the other pair that is heavier by one part in 10^14."""
    graph = between_two_pairs(1.0, 1.0 + 2.0**-46, pair=4.0)
    assert graph.weights.max() == 4.0
    assert np.unique(graph.weights).size == 3, "the weights are told apart"
    initial = np.array([0, 0, 1, 0, 1])
    assert louvain(graph, objective=objective, initial=initial).labels.tolist() == initial.tolist()
    clear = between_two_pairs(1.0, 1.5, pair=4.0)
    assert louvain(clear, objective=objective, initial=initial).labels.tolist() == [0, 1, 0, 1, 0]


def test_a_move_takes_from_the_slack_of_neighbours_what_it_can_cost_them():
    """Twice the edge from a node that is left behind, the edge from others; who is joined gains it."""
    graph = graph_of(4, [(0, 1, 1), (0, 2, 4), (0, 3, 2)])
    level, labels = _Level.of(graph), np.array([0, 0, 1, 2], np.uint32)
    slack = np.array([-np.inf, 100, 100, 100], np.float32)
    communities = np.zeros((4, 2))
    communities[:3, 1] = np.bincount(labels, weights=level.degrees)
    scratch = (np.empty(4, np.uint32), np.empty(4, np.uint32), np.empty(4, np.float32))
    rows = (level.indptr, level.indices, level.weights, level.degrees, level.inner)
    scale = 1 / (2 * graph.total_weight)
    assert _move_nodes(*rows, labels, communities, np.zeros(1, np.uint32), slack, *scratch, scale, False) == 1
    assert labels.tolist() == [1, 0, 1, 2]
    # of node 0: 4 - 7 * 4 / 14 to the community that it joins, 2 - 7 * 2 / 14 to the next
    assert slack.tolist() == [1, 100 - 2 * 1, 100 + 4, 100 - 2]


@pytest.mark.parametrize(
    ("n_nodes", "resolution", "expected"),
    [
        (4, 0.5, [0, 0, 0, 0]),  # halves merge: 1/3 is more than 0.5 * 2 (3/6)^2
        (4, 1.0, [0, 0, 1, 1]),
        (5, 2.0, [0, 0, 2, 1, 1]),  # and on the way back the node in the middle stays alone
        (8, 1.2, [0, 0, 1, 1, 2, 2, 3, 3]),
    ],
)
def test_resolution_counts_on_every_level(n_nodes, resolution, expected):
    assert louvain(path(n_nodes), resolution=resolution).labels.tolist() == expected
