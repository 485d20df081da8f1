"""Louvain: gains are differences of the score, aggregation keeps it, the result is canonical and connected."""

import tracemalloc

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.communities import louvain, modularity, partition
from graphret.communities._kernels import (
    _community_term,
    _community_totals,
    _connected_parts,
    _move_nodes,
    _move_nodes_finer,
)
from graphret.communities.climbing import BLOCK, Level, Objective
from graphret.communities.louvain import _Search, canonical_labels
from graphret.communities.modularity import OBJECTIVES
from graphret.graph import Graph, similarity_graph, to_networkx
from graphret.neighbors import nearest_neighbors


def random_graph(seed, n_nodes=40, density=0.15):
    generator = np.random.default_rng(seed)
    kept = generator.random((n_nodes, n_nodes)) < density
    dense = np.triu(generator.integers(1, 1000, (n_nodes, n_nodes)) / 1000 * kept, 1)
    return Graph.from_scipy(scipy.sparse.csr_array(dense + dense.T))


def planted_graph(seed=0, n_nodes=600, n_groups=6):
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((n_groups, 16))
    truth = generator.integers(0, n_groups, n_nodes)
    codes = (centres[truth] + 0.35 * generator.standard_normal((n_nodes, 16))).astype(np.float32)
    return similarity_graph(nearest_neighbors(codes, 10)), truth


def literal_score(graph, labels, objective, resolution):
    """Equation 4-6 in plain Python over pairs of nodes."""
    dense = graph.to_scipy().toarray().astype(np.float64)
    total = dense.sum() / 2
    if total == 0:
        return 0.0
    score = 0.0
    for community in set(labels.tolist()):
        members = [node for node in range(len(labels)) if labels[node] == community]
        inside = sum(dense[a, b] for a in members for b in members if a < b)
        degree = sum(dense[a].sum() for a in members)
        n = len(members)
        zeta = 2 * inside / (n * (n - 1)) if objective == "weighted_modularity" and n >= 2 else 0.0
        score += (1 + zeta) * (inside / total - resolution * (degree / (2 * total)) ** 2)
    return score


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(OBJECTIVES), st.sampled_from([0.3, 1.0, 2.5]))
def test_score_equals_the_literal_definition(seed, objective, resolution):
    graph = random_graph(seed, n_nodes=15, density=0.3)
    labels = np.random.default_rng(seed).integers(0, 5, 15) * 7 - 3
    found = modularity(graph, labels, objective=objective, resolution=resolution)
    assert found == pytest.approx(literal_score(graph, labels, objective, resolution), abs=1e-12)


def test_score_equals_networkx():
    graph = random_graph(3)
    labels = louvain(graph).labels
    groups = [set(np.flatnonzero(labels == c).tolist()) for c in range(labels.max() + 1)]
    for resolution in (0.5, 1.0, 2.0):
        expected = nx.community.modularity(to_networkx(graph), groups, weight="weight", resolution=resolution)
        assert modularity(graph, labels, resolution=resolution) == pytest.approx(expected, abs=1e-7)


def move_one_node(graph, labels, node, objective, resolution):
    """Let the kernel visit one node, and whom it wakes, and return the labels before and after."""
    n_nodes = graph.n_nodes
    level = Level.of(graph)
    labels = labels.astype(np.uint32)
    order = (np.array([node // BLOCK], np.uint32), BLOCK)
    scratch = (np.empty(n_nodes + 1, np.uint32), np.empty(n_nodes + 1, np.uint32), np.empty(n_nodes + 1, np.float32))
    rows = (level.indptr, level.indices, level.weights, level.degrees, level.degrees)
    frozen = labels.copy()
    if objective == "modularity":
        slack = np.full(n_nodes, np.inf, np.float32)
        slack[node] = -np.inf
        communities = np.zeros((n_nodes, 2))
        communities[:, 1] = np.bincount(labels, weights=level.degrees, minlength=n_nodes)
        scale = resolution / (2 * graph.total_weight)
        _move_nodes(*rows, labels, communities, *order, slack, *scratch, scale, False)
    else:
        active = np.zeros(n_nodes, np.bool_)
        active[node] = True  # nodes that it wakes by moving are visited after it
        nodes = (level.loops, level.sizes, labels)
        totals = np.zeros((n_nodes, 4))
        _community_totals(*rows[:4], *nodes, totals)
        _move_nodes_finer(*rows, *nodes, totals, *order, active, *scratch, graph.total_weight, resolution)
    return frozen, labels


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(OBJECTIVES), st.sampled_from([0.5, 1.0, 2.0]))
def test_a_settled_node_has_no_better_neighbouring_community(seed, objective, resolution):
    """After local moving, no single move to a neighbouring community raises the score of the definition.

    Under the finer objective none into an empty community does, either.
    """
    graph = random_graph(seed, n_nodes=18, density=0.25)
    if graph.n_edges == 0:
        return
    start = np.random.default_rng(seed).integers(0, 6, 18)
    before, after = move_one_node(graph, start, seed % 18, objective, resolution)
    score = literal_score(graph, after, objective, resolution)
    assert score >= literal_score(graph, before, objective, resolution) - 1e-12
    if (before == after).all():  # the visited node stayed: then every alternative must be no better
        node = seed % 18
        row = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
        empty = {17} if objective == "weighted_modularity" else set()
        for community in set(after[row].tolist()) | empty:
            moved = after.copy()
            moved[node] = community
            assert literal_score(graph, moved, objective, resolution) <= score + 1e-9


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(OBJECTIVES), st.sampled_from([0.5, 1.0, 2.0]))
def test_predicted_gain_is_the_difference_of_the_scores(seed, objective, resolution):
    """The expressions that the kernels compare, for every node and every neighbouring community."""
    graph = random_graph(seed, n_nodes=12, density=0.35)
    dense, total = graph.to_scipy().toarray().astype(np.float64), graph.total_weight
    labels = np.random.default_rng(seed).integers(0, 4, 12)

    def term(members):
        inside, degree = dense[np.ix_(members, members)].sum() / 2, dense[members].sum()
        return _community_term(inside, degree, len(members), total, resolution)

    for node in range(12):
        here = np.flatnonzero(labels == labels[node])
        rest = here[here != node]
        for community in set(labels[dense[node] > 0].tolist()) - {labels[node]}:
            there = np.flatnonzero(labels == community)
            if objective == "modularity":
                scale, degree = resolution / (2 * total), dense[node].sum()
                gain = dense[node, there].sum() - scale * degree * dense[there].sum()
                gain -= dense[node, rest].sum() - scale * degree * dense[rest].sum()
            else:
                gain = term(np.append(there, node)) - term(there) + term(rest) - term(here)
            moved = labels.copy()
            moved[node] = community
            before, after = (literal_score(graph, state, objective, resolution) for state in (labels, moved))
            assert gain / total == pytest.approx(after - before, abs=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("resolution", [0.5, 1.0, 2.0])
def test_aggregation_keeps_the_score(objective, resolution):
    graph = random_graph(5, n_nodes=60)
    labels = np.random.default_rng(0).integers(0, 9, 60).astype(np.uint32)
    level = Level.of(graph).aggregate(labels, 9)
    total = graph.total_weight
    terms = level.loops / total - resolution * (level.degrees / (2 * total)) ** 2
    if objective == "weighted_modularity":
        terms = terms * (1 + 2 * level.loops / (level.sizes * (level.sizes - 1)))
    expected = modularity(graph, labels.astype(np.int64), objective=objective, resolution=resolution)
    assert terms.sum() == pytest.approx(expected, abs=1e-12)
    assert level.weights.sum() / 2 + level.loops.sum() == pytest.approx(total)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(OBJECTIVES))
def test_result_is_canonical_connected_and_scored(seed, objective):
    graph = random_graph(seed, n_nodes=50, density=0.06)
    result = louvain(graph, objective=objective, seed=seed)
    sizes = np.bincount(result.labels)
    firsts = [int(np.flatnonzero(result.labels == c)[0]) for c in range(sizes.size)]
    assert result.n_communities == sizes.size
    assert all((-sizes[c], firsts[c]) < (-sizes[c + 1], firsts[c + 1]) for c in range(sizes.size - 1))
    assert result.quality == modularity(graph, result.labels, objective=objective)
    assert result.quality >= modularity(graph, np.arange(50), objective=objective) - 1e-12
    network = to_networkx(graph)
    for community in range(sizes.size):
        assert nx.is_connected(network.subgraph(np.flatnonzero(result.labels == community).tolist()))


def test_planted_groups_are_found():
    graph, truth = planted_graph()
    labels = louvain(graph).labels
    for community in range(labels.max() + 1):
        counts = np.bincount(truth[labels == community])
        assert counts.max() / counts.sum() > 0.95


def test_quality_is_not_below_networkx_louvain():
    graph, _ = planted_graph(seed=1)
    groups = nx.community.louvain_communities(to_networkx(graph), weight="weight", seed=0)
    theirs = nx.community.modularity(to_networkx(graph), groups, weight="weight")
    assert np.median([louvain(graph, seed=seed).quality for seed in range(5)]) >= theirs - 0.002


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_same_seed_same_labels_with_any_threads(objective):
    graph, _ = planted_graph(seed=2)
    runs = [louvain(graph, objective=objective, seed=4, n_threads=n).labels for n in (1, 2, 1)]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


def test_seed_and_resolution_matter():
    codes = np.random.default_rng(3).standard_normal((3000, 6)).astype(np.float32)
    graph = similarity_graph(nearest_neighbors(codes, 8))
    assert any((louvain(graph, seed=0).labels != louvain(graph, seed=s).labels).any() for s in (1, 2, 3))
    assert louvain(graph, resolution=5.0).n_communities > louvain(graph, resolution=0.5).n_communities
    finer = louvain(graph, objective="weighted_modularity")
    assert finer.n_communities > louvain(graph).n_communities


def test_finer_objective_is_what_it_maximises():
    graph, _ = planted_graph(seed=4)
    finer = louvain(graph, objective="weighted_modularity")
    coarse = louvain(graph)
    score = modularity(graph, coarse.labels, objective="weighted_modularity")
    assert finer.quality >= score - 1e-9


def test_graphs_without_edges_and_single_nodes():
    for n_nodes in (1, 5):
        result = louvain(Graph.from_scipy(scipy.sparse.csr_array((n_nodes, n_nodes))))
        assert result.labels.tolist() == list(range(n_nodes))
        assert result.quality == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_connected_parts_equal_those_of_scipy(seed):
    generator = np.random.default_rng(seed)
    graph = random_graph(seed, n_nodes=60, density=0.06)
    labels = generator.integers(0, 4, 60).astype(np.uint32)
    parts = np.empty(60, np.int32)
    n_parts = _connected_parts(graph.indptr, graph.indices.view(np.uint32), labels, parts)
    inside = graph.to_scipy().tocoo()
    same = labels[inside.row] == labels[inside.col]
    inside = scipy.sparse.coo_array((inside.data[same], (inside.row[same], inside.col[same])), (60, 60))
    expected = scipy.sparse.csgraph.connected_components(inside, directed=False)
    assert (n_parts, parts.tolist()) == (expected[0], expected[1].tolist())


def test_few_nodes_of_a_divided_graph_gain_by_a_move_and_little():
    """Slack and changes of degrees that wake nobody may leave a gain: here, under a tenth of a thousandth of Q."""
    graph, _ = planted_graph(seed=2)
    labels = louvain(graph).labels
    best = 0.0
    for node in range(graph.n_nodes):
        neighbors = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
        for community in np.unique(labels[neighbors]):
            moved = labels.copy()
            moved[node] = community
            best = max(best, modularity(graph, moved) - modularity(graph, labels))
    assert best <= 1e-4


def test_disconnected_community_is_split_and_counted():
    # a hub joins two cliques into one community; when the hub leaves, what stays is not connected
    pairs = Graph.from_scipy(scipy.sparse.block_diag([np.ones((3, 3)) - np.eye(3)] * 2).tocsr())
    search = _Search(pairs, Level.of(pairs), Objective("modularity", pairs.total_weight, 1.0), 0)
    result = search._finish(np.zeros(6, np.uint32), n_levels=1)
    assert result.n_split == 1
    assert result.labels.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("method", ["leiden", "igraph"])
def test_other_methods_by_name(method):
    pytest.importorskip("leidenalg" if method == "leiden" else "igraph")
    graph, _ = planted_graph(seed=5)
    ours, theirs = louvain(graph), partition(graph, method=method)
    assert theirs.quality == modularity(graph, theirs.labels)
    assert ours.quality >= theirs.quality - 0.005
    np.testing.assert_array_equal(theirs.labels, partition(graph, method=method).labels)
    assert partition(graph, method=method, resolution=4.0).n_communities > theirs.n_communities
    with pytest.raises(InvalidParameterError, match="objective"):
        partition(graph, method=method, objective="weighted_modularity")


def test_bad_parameters():
    graph, _ = planted_graph(n_nodes=30, n_groups=2)
    with pytest.raises(UnknownNameError, match="weighted_modularity"):
        louvain(graph, objective="modularty")
    with pytest.raises(UnknownNameError, match="leiden"):
        partition(graph, method="walktrap")
    for resolution in (0, -1, np.nan, np.inf):
        with pytest.raises(InvalidParameterError, match="resolution"):
            louvain(graph, resolution=resolution)
    with pytest.raises(InvalidParameterError, match="n_threads"):
        louvain(graph, n_threads=0)
    with pytest.raises(InvalidParameterError, match=r"integers \(30,\)"):
        modularity(graph, np.zeros(29, int))
    with pytest.raises(InvalidParameterError, match="integers"):
        modularity(graph, np.zeros(30))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_warm_start_never_loses_modularity(seed, n_groups):
    graph = random_graph(seed)
    initial = np.random.default_rng(seed).integers(-1, n_groups, graph.n_nodes)
    alone = initial == -1
    start = np.where(alone, n_groups + np.arange(graph.n_nodes), initial)
    assert louvain(graph, initial=initial, seed=seed).quality >= modularity(graph, start) - 1e-12


def test_warm_start_from_a_settled_partition_keeps_it():
    graph, _ = planted_graph()
    settled = louvain(graph)
    again = louvain(graph, initial=settled.labels * 5 + 3, seed=1)
    np.testing.assert_array_equal(again.labels, settled.labels)
    assert again.quality == settled.quality


def test_warm_start_merges_communities_although_no_node_moves():
    # two halves of a clique: no single node gains by changing sides, the halves gain by becoming one
    dense = np.ones((8, 8)) - np.eye(8)
    dense[:4, 4:] *= 0.4
    dense[4:, :4] *= 0.4
    two = scipy.sparse.block_diag([dense, np.ones((8, 8)) - np.eye(8)])
    graph = Graph.from_scipy(scipy.sparse.csr_array(two))
    initial = np.repeat([0, 1, 2], [4, 4, 8])
    assert louvain(graph, initial=initial).n_communities == 2


def test_nodes_that_came_since_join_the_communities_of_before():
    graph, _ = planted_graph()
    before = louvain(graph).labels
    initial = before.copy()
    initial[::7] = -1
    grown = louvain(graph, initial=initial)
    assert grown.quality >= 0.99 * louvain(graph).quality
    assert (grown.labels == before).mean() > 0.95


@pytest.mark.parametrize(
    ("initial", "message"),
    [
        (np.zeros(3, int), r"integers \(40,\)"),
        (np.zeros(40), "float64"),
        (np.full(40, -2), ">= 0"),
        (np.zeros((40, 1), int), "one community per node"),
    ],
)
def test_bad_initial_communities(initial, message):
    with pytest.raises(InvalidParameterError, match=message):
        louvain(random_graph(0), initial=initial)


def test_memory_beside_the_graph_is_at_most_one_and_a_half_of_it():
    codes = np.random.default_rng(0).standard_normal((6000, 12)).astype(np.float32)
    graph = similarity_graph(nearest_neighbors(codes, 20))
    of_graph = graph.indptr.nbytes + graph.indices.nbytes + graph.weights.nbytes
    louvain(graph)  # compiles, and lets the graph keep its degrees
    tracemalloc.start()
    louvain(graph)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.5 * of_graph


def test_canonical_labels_of_any_numbering():
    labels = np.array([9, 2, 2, 9, 5])
    assert canonical_labels(labels).tolist() == [0, 1, 1, 0, 2]
    assert canonical_labels(np.empty(0, np.int64)).size == 0
