"""The graph equals a literal union of thresholded neighbours."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.graph import Graph, similarity_graph
from graphret.neighbors import NeighborTable, nearest_neighbors


def literal_graph(table, threshold, weights):
    """Dictionary of edges, one at a time, as the docstring of `similarity_graph` says."""
    edges = {}
    n_nodes, k = table.neighbors.shape
    for node in range(n_nodes):
        for column in range(k):
            other, similarity = int(table.neighbors[node, column]), table.similarities[node, column]
            if other >= 0 and similarity > 0 and (threshold is None or similarity >= np.float32(threshold)):
                edges[frozenset((node, other))] = similarity
    linked = {node for edge in edges for node in edge}
    best_edge_only = [node for node in range(n_nodes) if node not in linked and k and table.neighbors[node, 0] >= 0]
    for node in best_edge_only:
        edges[frozenset((node, int(table.neighbors[node, 0])))] = max(table.similarities[node, 0], np.float32(1e-6))
    dense = np.zeros((n_nodes, n_nodes), np.float32)
    for edge, similarity in edges.items():
        one, other = sorted(edge)
        dense[one, other] = dense[other, one] = 1.0 if weights == "binary" else similarity
    return dense, len(best_edge_only)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(2, 40),
    st.integers(1, 12),
    st.sampled_from([None, 0.3, 0.9, 0.999, -0.5]),
    st.sampled_from(["cosine", "binary"]),
)
def test_equals_the_literal_union(seed, n_rows, k, threshold, weights):
    codes = np.random.default_rng(seed).standard_normal((n_rows, 3)).astype(np.float32)
    table = nearest_neighbors(codes, k)
    graph = similarity_graph(table, threshold=threshold, weights=weights)
    dense, n_best_edge_only = literal_graph(table, threshold, weights)
    np.testing.assert_array_equal(graph.to_scipy().toarray(), dense)
    assert graph.n_best_edge_only == n_best_edge_only
    assert graph.n_edges == np.count_nonzero(dense) // 2
    for node in range(n_rows):
        row = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
        assert (np.diff(row) > 0).all()
        assert row.size > 0, "no node is ever isolated"


def test_auto_keeps_four_fifths_of_the_table():
    table = nearest_neighbors(np.random.default_rng(0).standard_normal((400, 8)).astype(np.float32), 10)
    graph = similarity_graph(table)
    assert graph.threshold == pytest.approx(np.quantile(table.similarities, 0.2), abs=1e-4)
    assert (table.similarities >= graph.threshold).mean() == pytest.approx(0.8, abs=0.01)
    assert similarity_graph(table, threshold=graph.threshold).fingerprint == graph.fingerprint
    assert similarity_graph(table, threshold=None).threshold is None


def test_fingerprint_tells_graphs_apart_and_is_stable():
    table = nearest_neighbors(np.random.default_rng(1).standard_normal((50, 8)).astype(np.float32), 5)
    one, same = similarity_graph(table), similarity_graph(table)
    assert one.fingerprint == same.fingerprint
    assert one.fingerprint != similarity_graph(table, weights="binary").fingerprint
    assert one.fingerprint != similarity_graph(table, threshold=None).fingerprint


def test_scipy_round_trip_keeps_every_weight():
    generator = np.random.default_rng(2)
    dense = np.triu(generator.random((30, 30)) * (generator.random((30, 30)) < 0.2), 1)
    graph = Graph.from_scipy(scipy.sparse.coo_array(dense + dense.T))
    np.testing.assert_array_equal(graph.to_scipy().toarray(), dense + dense.T)
    assert graph.weights.dtype == np.float64, "weights that float32 would change stay float64"
    np.testing.assert_allclose(graph.degrees, (dense + dense.T).sum(axis=1))
    assert graph.total_weight == pytest.approx(dense.sum())
    halves = Graph.from_scipy(scipy.sparse.csr_array(np.array([[0, 0.5], [0.5, 0]])))
    assert halves.weights.dtype == np.float32


@pytest.mark.parametrize(
    ("dense", "message"),
    [
        ([[0, 1, 0], [1, 0, 0]], "square"),
        ([[0, 1], [0.5, 0]], "symmetric"),
        ([[1, 1], [1, 0]], "diagonal"),
        ([[0, -1], [-1, 0]], "weights > 0"),
        ([[0, np.nan], [np.nan, 0]], "weights > 0"),
    ],
)
def test_from_scipy_refuses_what_is_not_a_graph(dense, message):
    with pytest.raises(InvalidParameterError, match=message):
        Graph.from_scipy(scipy.sparse.csr_array(np.array(dense, dtype=float)))


@pytest.mark.parametrize("threshold", [1.5, -1.01, np.nan, "high", True])
def test_bad_threshold(threshold):
    table = NeighborTable(np.array([[1], [0]], np.int32), np.ones((2, 1), np.float32))
    with pytest.raises(InvalidParameterError, match=r">= -1 and <= 1 .a cosine, .auto. or None"):
        similarity_graph(table, threshold=threshold)


def test_unknown_weights():
    table = NeighborTable(np.array([[1], [0]], np.int32), np.ones((2, 1), np.float32))
    with pytest.raises(UnknownNameError, match="binary, cosine"):
        similarity_graph(table, weights="cosines")


def test_padded_and_empty_tables():
    padded = NeighborTable(
        np.array([[1, -1], [0, 2], [-1, -1]], np.int32), np.array([[0.5, 0], [0.5, 0.4], [0, 0]], "f")
    )
    assert similarity_graph(padded, threshold=None).n_edges == 2
    empty = nearest_neighbors(np.ones((1, 2), np.float32), 3)
    assert similarity_graph(empty).n_edges == 0


@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_a_similarity_that_equals_the_threshold_passes(threshold):
    """T is compared in float32, as similarities are stored: 0.7 is a smaller number there."""
    just_below = np.nextafter(np.float32(threshold), np.float32(0))
    table = NeighborTable(
        np.array([[1, 2], [0, -1], [3, 0], [2, -1]], np.int32),
        np.array([[threshold, just_below], [threshold, 0], [0.9, just_below], [0.9, 0]], np.float32),
    )
    graph = similarity_graph(table, threshold=threshold)
    assert [(i, j) for i, j in np.argwhere(graph.to_scipy().toarray()).tolist() if i < j] == [(0, 1), (2, 3)]
    assert graph.n_best_edge_only == 0


@pytest.mark.parametrize("order", [[0.5, 0.75], [0.75, 0.5]])
def test_an_edge_weighs_the_larger_of_what_its_ends_say(order):
    table = NeighborTable(np.array([[1], [0]], np.int32), np.array(order, np.float32)[:, None])
    assert similarity_graph(table, threshold=None).to_scipy().toarray().tolist() == [[0, 0.75], [0.75, 0]]


def test_a_film_that_others_link_to_needs_no_best_edge():
    """An approximate table may not know the link back: film 1 has its edge from film 0, and none to film 2."""
    table = NeighborTable(np.array([[1], [2], [3], [2]], np.int32), np.array([[0.9], [0.3], [0.8], [0.8]], np.float32))
    graph = similarity_graph(table, threshold=0.5)
    assert [(i, j) for i, j in np.argwhere(graph.to_scipy().toarray()).tolist() if i < j] == [(0, 1), (2, 3)]
    assert graph.n_best_edge_only == 0
    alone = NeighborTable(table.neighbors, np.array([[0.4], [0.3], [0.8], [0.8]], np.float32))
    graph = similarity_graph(alone, threshold=0.5)
    assert [(i, j) for i, j in np.argwhere(graph.to_scipy().toarray()).tolist() if i < j] == [(0, 1), (1, 2), (2, 3)]
    assert graph.n_best_edge_only == 2
