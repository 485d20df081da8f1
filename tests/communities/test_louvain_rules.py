"""The rules of Louvain one by one, each on a small graph and against the definition of the score."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse

from graphret.communities import louvain
from graphret.communities._kernels import _move_nodes
from graphret.communities.climbing import Level, Objective, Visits, move
from graphret.communities.louvain import canonical_labels
from graphret.communities.modularity import OBJECTIVES
from graphret.graph import Graph

TAILED_RING = [(0, 3, 1), (0, 4, 1), (1, 2, 1), (2, 3, 1), (2, 4, 1)]


def graph_of(edges, n_nodes):
    matrix = np.zeros((n_nodes, n_nodes))
    for one, other, weight in edges:
        matrix[one, other] = matrix[other, one] = weight
    return Graph.from_scipy(scipy.sparse.csr_array(matrix))


def literal_score(edges, n_nodes, labels, objective, resolution=1):
    """Equation 4-6 in exact fractions; edges have integer weights."""
    resolution, total = Fraction(resolution), sum(weight for *_, weight in edges)
    score = Fraction(0)
    for community in set(labels):
        members = {node for node in range(n_nodes) if labels[node] == community}
        inside = Fraction(sum(weight for *ends, weight in edges if members.issuperset(ends)))
        degree = sum(weight * len(members.intersection(ends)) for *ends, weight in edges)
        n = len(members)
        zeta = 2 * inside / (n * (n - 1)) if objective == "weighted_modularity" and n > 1 else 0
        score += (1 + zeta) * (inside / total - resolution * Fraction(degree, 2 * total) ** 2)
    return score


def every_partition(n_nodes):
    """Labels of every partition, each once: a label is at most one above those before it."""
    for labels in itertools.product(*(range(node + 1) for node in range(n_nodes))):
        if all(label <= max(labels[:node], default=-1) + 1 for node, label in enumerate(labels)):
            yield list(labels)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_equal_gains_go_to_the_smaller_label(objective):
    """On a ring of four, film 0 gains the same by joining film 1 or film 3; the films opposite it follow."""
    ring = graph_of([(0, 1, 1), (1, 2, 1), (2, 3, 1), (0, 3, 1)], 4)
    assert louvain(ring, objective=objective).labels.tolist() == [0, 0, 1, 1]
    start = np.array([3, 1, 2, 0])  # now film 3 has the smaller label, though film 1 is met first
    assert louvain(ring, objective=objective, initial=start).labels.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("objective", "resolution", "edges", "labels", "film"),
    [
        ("modularity", 1, [(0, 1, 1), (0, 3, 3), (1, 2, 1), (3, 4, 7), (5, 6, 2)], [0, 0, 0, 1, 1, 2, 2], 0),
        ("weighted_modularity", 0.5, [(0, 1, 2), (1, 2, 2), (1, 3, 1)], [0, 0, 0, 1], 3),
    ],
)
def test_a_gain_of_rounding_only_moves_nobody(objective, resolution, edges, labels, film):
    """The film's move gains nothing in exact numbers, and a little more than nothing in float64."""
    n_nodes = len(labels)
    moved = [1 - label if node == film else label for node, label in enumerate(labels)]
    scores = [literal_score(edges, n_nodes, state, objective, resolution) for state in (labels, moved)]
    assert scores[0] == scores[1]
    graph = graph_of(edges, n_nodes)
    found = louvain(graph, objective=objective, resolution=resolution, initial=np.array(labels))
    assert found.labels.tolist() == labels


@pytest.mark.parametrize(
    ("objective", "resolution", "n_nodes", "text"),
    [
        ("modularity", 1, 10, "02 05 08 12 17 24 34 45 48 58 59 67 78 89"),
        ("weighted_modularity", 0.5, 9, "07 07 12 14 14 15 27 37 46 48 57"),
    ],
)
def test_films_move_once_more_on_the_way_back(objective, resolution, n_nodes, text):
    """Merging leaves a film where another community would now score more: on the way back it moves."""
    pairs = [(int(one), int(other)) for one, other in text.split()]
    edges = [(*pair, pairs.count(pair)) for pair in sorted(set(pairs))]
    found = louvain(graph_of(edges, n_nodes), objective=objective, resolution=resolution)
    assert found.n_levels > 1
    labels = found.labels.tolist()
    score = literal_score(edges, n_nodes, labels, objective, resolution)
    assert found.quality == pytest.approx(float(score), abs=1e-12)
    for film, community in itertools.product(range(n_nodes), range(found.n_communities)):
        moved = [community if node == film else label for node, label in enumerate(labels)]
        assert literal_score(edges, n_nodes, moved, objective, resolution) <= score


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("resolution", [0.5, 1])
def test_the_resolution_counts_on_every_level(objective, resolution):
    """At 0.5 the two groups of the first level merge on the second, at 1 they do not: the best of all partitions."""
    best = max(literal_score(TAILED_RING, 5, labels, objective, resolution) for labels in every_partition(5))
    found = louvain(graph_of(TAILED_RING, 5), objective=objective, resolution=resolution)
    assert literal_score(TAILED_RING, 5, found.labels.tolist(), objective, resolution) == best
    assert found.n_communities == (1 if resolution == 0.5 else 2)


def test_a_move_takes_from_the_slack_of_its_neighbours_what_they_may_have_lost():
    """Film 0 leaves film 1 for film 2, film 3 looks on: they lose twice the edge, gain it, and lose it once."""
    graph = graph_of([(0, 1, 1), (0, 2, 4), (0, 3, 2), (2, 4, 1), (3, 5, 8)], 6)
    level, labels = Level.of(graph), np.array([0, 0, 2, 3, 4, 5], np.uint32)
    communities = np.zeros((6, 2))
    communities[:, 1] = np.bincount(labels, weights=graph.degrees, minlength=6)
    slack = np.full(6, 100, np.float32)  # nobody but film 0 is visited
    slack[0] = -np.inf
    scratch = (np.empty(4, np.uint32), np.empty(4, np.uint32), np.empty(4, np.float32))
    rows = (level.indptr, level.indices, level.weights, level.degrees, level.inner)
    scale = 1 / (2 * graph.total_weight)
    order = (np.zeros(1, np.uint32), 256)
    assert _move_nodes(*rows, labels, communities, *order, slack, *scratch, scale, False) == 1
    assert labels.tolist() == [2, 0, 2, 3, 4, 5]
    assert slack[1:].tolist() == [100 - 2 * 1, 100 + 4, 100 - 2, 100, 100]
    gains = {2: 4 - 7 * scale * 5, 3: 2 - 7 * scale * 10, 0: 1 - 7 * scale * 1}
    assert slack[0] == pytest.approx(gains[2] - max(gains[3], gains[0]), abs=1e-6)


def literal_moving(dense, groups, objective_score):
    """Local moving of groups of films, in order, by the score of the films; a group is visited when one near it moved.

    It joins a group that it is linked to, or is alone. Returns the label of every group.
    """
    n_groups = groups.max() + 1
    near = np.array([[dense[np.ix_(groups == a, groups == b)].sum() for b in range(n_groups)] for a in range(n_groups)])
    labels, active, moved = np.arange(n_groups), np.ones(n_groups, bool), True
    while moved:
        moved = False
        for group in range(n_groups):
            if not active[group]:
                continue
            active[group] = False
            others = np.flatnonzero((near[group] > 0) & (np.arange(n_groups) != group))
            scores = {}
            unused = next(label for label in range(n_groups + 1) if label not in labels)  # where the group is alone
            for label in [*sorted({int(labels[group]), *labels[others].tolist()}), unused]:
                state = labels.copy()
                state[group] = label
                scores[label] = objective_score(state[groups])
            best = max(scores, key=scores.get)
            if scores[best] > scores[labels[group]] + 1e-9:
                labels[group] = best
                active[others[labels[others] != best]] = True
                moved = True
    return labels


@pytest.mark.parametrize("n_merges", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_merged_films_move_as_their_films_score(seed, n_merges):
    """What lies inside a merged node counts in the finer objective: its moves equal those of its films together."""
    generator = np.random.default_rng(seed)
    dense = np.triu(generator.integers(1, 1000, (24, 24)) * (generator.random((24, 24)) < 0.3), 1)
    edges = [(int(a), int(b), int(dense[a, b])) for a, b in np.argwhere(dense)]
    groups, level = np.arange(24), Level.of(graph_of(edges, 24))
    for n_groups in (16, 9)[:n_merges]:
        numbers = generator.permutation(np.arange(level.indptr.size - 1) % n_groups).astype(np.uint32)
        level, groups = level.aggregate(numbers, n_groups), numbers[groups].astype(np.int64)
    for resolution in (0.5, 1.0):
        labels = np.arange(n_groups, dtype=np.uint32)
        objective = Objective("weighted_modularity", float(dense.sum()), resolution)
        move(level, labels, objective, Visits(np.random.default_rng(0)))
        symmetric = (dense + dense.T).astype(np.float64)
        expected = literal_moving(
            symmetric,
            groups,
            lambda state, resolution=resolution: float(
                literal_score(edges, 24, state.tolist(), "weighted_modularity", resolution)
            ),
        )
        assert canonical_labels(labels).tolist() == canonical_labels(expected).tolist()
        assert (labels != np.arange(n_groups)).any()
