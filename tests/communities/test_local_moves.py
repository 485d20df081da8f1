"""Local moving against a slow literal reference, and what it promises."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import InvalidParameterError
from graphret.communities import modularity
from graphret.communities.local_moves import VISITS, move_locally
from graphret.graph import Graph


def random_graph(n, seed, density=0.25):
    rng = np.random.default_rng(seed)
    # weights are sums of powers of two: sums are exact in any order, and equal gains are equal
    matrix = np.triu((rng.random((n, n)) < density) * rng.integers(1, 5, (n, n)) / 4, 1)
    return Graph.from_scipy(scipy.sparse.csr_array(matrix + matrix.T))


def slow_moves(graph, labels, touched, next_number, objective, resolution, stay):
    """The definition: the objective itself, before and after every possible move."""
    matrix = graph.to_scipy().toarray().astype(np.float64)
    total = matrix.sum() / 2

    def term(members):
        inside = matrix[np.ix_(members, members)].sum() / 2
        degree = matrix[members].sum()
        value = inside - resolution * degree**2 / (4 * total)
        if objective == "weighted_modularity" and len(members) >= 2:
            value *= 1 + 2 * inside / (len(members) * (len(members) - 1))
        return value

    labels = np.array(labels, dtype=np.int64)
    new = np.flatnonzero(labels < 0)
    labels[new] = next_number + np.arange(len(new))
    queue = [*new.tolist(), *sorted(set(touched) - set(new.tolist()))]
    at_most = VISITS * len(queue)
    visits = 0
    while queue and visits < at_most and total:
        node = queue.pop(0)
        visits += 1
        here = labels[node]
        gains = {}
        for community in sorted({int(labels[other]) for other in np.flatnonzero(matrix[node])} - {int(here)}):
            old, there = np.flatnonzero(labels == here), np.flatnonzero(labels == community)
            without, joined = old[old != node], np.append(there, node)
            gains[community] = term(joined) - term(there) + term(without) - term(old)
        best = max(gains, key=lambda community: (round(gains[community], 9), -community), default=here)
        company = (labels == here).sum() > 1
        if best != here and gains[best] > max(1e-9, stay * matrix[node].sum() * company):
            labels[node] = best
            for other in np.flatnonzero(matrix[node]).tolist():
                if labels[other] != best and other not in queue:
                    queue.append(other)
    own = list(dict.fromkeys(labels[labels >= next_number].tolist()))
    return [int(next_number + own.index(label)) if label in own else int(label) for label in labels]


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 18),
    seed=st.integers(0, 9999),
    objective=st.sampled_from(["modularity", "weighted_modularity"]),
    resolution=st.sampled_from([0.5, 1.0, 1.5]),
    stay=st.sampled_from([0.0, 0.05, 0.3]),
)
def test_moves_are_those_of_the_definition(n, seed, objective, resolution, stay):
    rng = np.random.default_rng(seed)
    graph = random_graph(n, seed)
    labels = rng.integers(-1, 4, n)
    touched = np.flatnonzero(rng.random(n) < 0.4)
    moved = move_locally(graph, labels, touched, 7, objective=objective, resolution=resolution, stay=stay)
    expected = slow_moves(graph, labels, touched.tolist(), 7, objective, resolution, stay)
    assert moved.labels.tolist() == expected


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), objective=st.sampled_from(["modularity", "weighted_modularity"]))
def test_the_objective_never_falls(seed, objective):
    rng = np.random.default_rng(seed)
    graph = random_graph(60, seed, 0.08)
    labels = rng.integers(-1, 6, 60)
    alone = labels.copy()
    alone[labels < 0] = 6 + np.arange((labels < 0).sum())
    moved = move_locally(graph, labels, np.arange(60), 6, objective=objective)
    before, after = (modularity(graph, found, objective=objective) for found in (alone, moved.labels))
    assert after >= before - 1e-12
    assert moved.labels.min() >= 0


def test_numbers_are_kept_and_never_given_twice():
    triangles = Graph.from_scipy(scipy.sparse.block_diag([np.ones((3, 3)) - np.eye(3)] * 3))
    moved = move_locally(triangles, np.array([9, 9, 9, -1, -1, -1, 2, 2, -1]), np.array([0]), 12)
    assert moved.labels.tolist() == [9, 9, 9, 12, 12, 12, 2, 2, 2]
    assert moved.next_number == 13


def test_nothing_touched_is_nothing_moved():
    graph = random_graph(30, 1)
    labels = np.arange(30) % 5
    moved = move_locally(graph, labels, np.array([], dtype=np.int64), 5)
    assert moved.labels.tolist() == labels.tolist()
    assert (moved.n_visits, moved.n_moves, moved.n_waiting) == (0, 0, 0)


def test_visits_are_bounded(monkeypatch):
    from graphret.communities import local_moves

    monkeypatch.setattr(local_moves, "VISITS", 1)
    graph = random_graph(60, 2)
    moved = move_locally(graph, np.arange(60), np.arange(20), 60)
    assert moved.n_visits == 20
    assert moved.n_waiting > 0


def test_a_graph_without_edges():
    graph = Graph.from_scipy(scipy.sparse.csr_array((3, 3)))
    assert move_locally(graph, np.array([0, -1, -1]), np.array([0]), 1).labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("labels", "n"), [([0, 1], 2), ([0, 0, 5], 5), ([0, 0, -2], 5), ([0.0, 0, 1], 5)])
def test_wrong_labels_are_refused(labels, n):
    graph = random_graph(3, 0)
    with pytest.raises(InvalidParameterError, match="labels"):
        move_locally(graph, np.array(labels), np.array([0]), n)
