"""A graph that nodes leave is the graph of the table that is left, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret.graph import Graph, removed_nodes, similarity_graph
from graphret.graph.removed_nodes import graph_without
from graphret.neighbors import nearest_neighbors
from graphret.neighbors.changed_rows import with_rows_removed


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 40),
    k=st.integers(1, 6),
    threshold=st.sampled_from([None, -0.5, 0.0, 1e-6, 0.3, 0.9, 0.999]),
    weights=st.sampled_from(["cosine", "binary"]),
    share=st.floats(0.1, 1.0),
)
def test_it_is_the_graph_of_the_table_that_is_left(seed, n, k, threshold, weights, share):
    """With high thresholds most nodes keep one edge only, which others may lose with their best neighbour."""
    rng = np.random.default_rng(seed)
    table = nearest_neighbors(rng.standard_normal((n, 3)).astype(np.float32), k, n_threads=1)
    kept = np.sort(rng.choice(n, max(1, int(share * n)), replace=False))
    left = with_rows_removed(table, kept)
    found = graph_without(similarity_graph(table, threshold=threshold, weights=weights), kept, left, weights=weights)
    made = similarity_graph(left, threshold=threshold, weights=weights)
    assert found.fingerprint == made.fingerprint
    assert (found.threshold, found.n_best_edge_only) == (made.threshold, made.n_best_edge_only)


def test_a_node_keeps_the_best_of_those_that_stay(monkeypatch):
    """The best neighbour of two nodes goes; what is left for each is the other, and nothing is made anew."""
    codes = np.array([[1, 0.1, 0], [1, 0, 0.4], [1, 0.4, 0], [0, 0, 1], [0, 0.01, 1]], dtype=np.float32)
    table = nearest_neighbors(codes, 4, n_threads=1)
    graph, kept = similarity_graph(table, threshold=0.95), np.array([1, 2, 3, 4])
    left = with_rows_removed(table, kept)
    made = similarity_graph(left, threshold=0.95)
    monkeypatch.setattr(removed_nodes, "similarity_graph", None)
    found = graph_without(graph, kept, left)
    assert (found.fingerprint, found.n_best_edge_only) == (made.fingerprint, 2)
    assert found.indices[found.indptr[0] : found.indptr[1]].tolist() == [1]


@pytest.mark.parametrize("wrong", [-1, 4, 2**31 - 1])
def test_a_graph_that_leads_out_is_made_anew(wrong):
    table = nearest_neighbors(np.random.default_rng(0).random((4, 3), dtype=np.float32), 2, n_threads=1)
    graph = similarity_graph(table, threshold=0.5)
    forged = Graph(graph.indptr, graph.indices.copy(), graph.weights, threshold=0.5)
    forged.indices[1] = wrong
    kept = np.arange(3)
    left = with_rows_removed(table, kept)
    assert graph_without(forged, kept, left).fingerprint == similarity_graph(left, threshold=0.5).fingerprint


def test_degrees_are_summed_in_the_order_of_the_entries():
    table = nearest_neighbors(np.random.default_rng(3).random((60, 4), dtype=np.float32), 9, n_threads=1)
    graph = similarity_graph(table)
    expected = np.zeros(60)
    for node in range(60):
        for weight in graph.weights[graph.indptr[node] : graph.indptr[node + 1]].tolist():
            expected[node] += weight
    assert graph.degrees.tolist() == expected.tolist()
