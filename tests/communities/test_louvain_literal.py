"""Louvain on weighted modularity equals Algorithm 1 of P1 written out literally: the same labels.

In the literal version every gain is a difference of two scores of the whole graph. Nothing is kept between steps and
no graph is aggregated: a merged node is a set of nodes that moves as one. Starts are written out as well: climbs in
other orders, then climbs of the groups that the best four agree on.
"""

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from graphret.communities import louvain
from graphret.communities.louvain import canonical_labels
from graphret.graph import Graph


def score(dense, labels, resolution):
    """Equations 4-6 of P1 with the finer zeta, from the matrix of weights."""
    total = dense.sum() / 2
    found = 0.0
    for community in np.unique(labels):
        members = np.flatnonzero(labels == community)
        inside, degree, size = dense[np.ix_(members, members)].sum() / 2, dense[members].sum(), members.size
        zeta = 2 * inside / (size * (size - 1)) if size > 1 else 0.0
        found += (1 + zeta) * (inside / total - resolution * (degree / (2 * total)) ** 2)
    return found


def move(dense, groups, communities, resolution, order):
    """Move groups of nodes, in order, to where the score rises most, until none rises; the number of moves.

    ``groups`` says which group a node is in, ``communities`` which community a group is in. A group may join a group
    that it is linked to, or be alone. It is looked at once, and again after a group that it is linked to has moved to
    another community than its own.
    """
    n_groups = communities.size
    linked = np.zeros((n_groups, n_groups), bool)
    np.logical_or.at(linked, (groups[:, None], groups[None, :]), dense > 0)
    np.fill_diagonal(linked, False)
    waiting, n_moves = np.ones(n_groups, bool), 0
    while waiting.any():
        for group in order:
            if not waiting[group]:
                continue
            waiting[group] = False
            before, best, best_gain = communities[group], communities[group], 1e-12
            stays = score(dense, communities[groups], resolution)
            unused = np.setdiff1d(np.arange(n_groups + 1), communities)[0]
            for community in [*np.unique(communities[linked[group]]), unused]:
                communities[group] = community
                gain = score(dense, communities[groups], resolution) - stays
                if gain > best_gain:
                    best, best_gain = community, gain
            communities[group] = best
            if best != before:
                n_moves += 1
                waiting |= linked[group] & (communities != best)
    return n_moves


def climb(dense, groups, communities, resolution, order_of):
    """Labels of the nodes, from communities of groups of them."""
    settled = np.unique(communities).size == communities.size
    levels = [groups]
    while True:
        if not move(dense, levels[-1], communities, resolution, order_of(communities.size)) and settled:
            break
        settled = True
        levels.append(np.unique(communities[levels[-1]], return_inverse=True)[1])
        communities = np.arange(levels[-1].max() + 1)
    labels = communities[levels[-1]]
    for finer in reversed(levels[:-1]):
        communities = labels[np.unique(finer, return_index=True)[1]]
        move(dense, finer, communities, resolution, order_of(communities.size))
        labels = communities[finer]
    return labels


def orders(number):
    """Orders of the climb with this number: the first visits nodes as they come, the others in any order."""
    generator = np.random.default_rng([0, number])
    return lambda n: np.arange(n) if number == 0 else generator.permutation(n)


def literal_louvain(graph, resolution, n_starts):
    """Labels of a graph so small that the first start visits its nodes in their order."""
    dense, nodes = graph.to_scipy().toarray().astype(np.float64), np.arange(graph.n_nodes)

    def whole(labels, number):
        labels = climb(dense, nodes, labels, resolution, orders(number))
        return canonical_labels(connected_components(dense * (labels[:, None] == labels), directed=False)[1])

    def scored(labels):
        return round(score(dense, labels, resolution), 12)

    starts = sorted((whole(nodes.copy(), number) for number in range(n_starts)), key=scored, reverse=True)[:4]
    cores = np.unique(np.array(starts), axis=1, return_inverse=True)[1].reshape(-1)
    firsts = np.unique(cores, return_index=True)[1]
    found = [climb(dense, cores, start[firsts], resolution, orders(number)) for number, start in enumerate(starts)]
    return max([*starts, whole(max(found, key=scored), len(starts))], key=scored)


def branching_chain(seed):
    """A chain with branches and short cuts, which needs several levels; weights differ, so that there are no ties."""
    rng = np.random.default_rng(seed)
    n_nodes = int(rng.integers(6, 15))
    matrix = np.zeros((n_nodes, n_nodes))
    for node in range(1, n_nodes):
        matrix[max(0, node - 1 - int(rng.integers(2) * rng.integers(3))), node] = rng.random()
    for _ in range(rng.integers(4)):
        one, other = np.sort(rng.choice(n_nodes, 2, replace=False))
        matrix[one, other] = rng.random()
    return Graph.from_scipy(scipy.sparse.csr_array(matrix + matrix.T)), float(rng.choice([0.03, 0.1, 0.3, 1.0, 2.0]))


@pytest.mark.parametrize(
    ("n_starts", "seeds"), [(1, 40), (3, 10), (6, 6), pytest.param(1, 400, marks=pytest.mark.slow)]
)
def test_finer_louvain_equals_the_literal_one(n_starts, seeds):
    n_levels = []
    for seed in range(seeds):
        graph, resolution = branching_chain(seed)
        found = louvain(graph, objective="weighted_modularity", resolution=resolution, n_starts=n_starts)
        assert found.labels.tolist() == literal_louvain(graph, resolution, n_starts).tolist(), seed
        n_levels.append(found.n_levels)
    assert n_starts > 1 or np.mean(np.array(n_levels) > 2) > 0.2, "merged nodes merge again in many of them"
