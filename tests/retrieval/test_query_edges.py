"""The edges of a query: which neighbours pass the threshold of the graph, and what is kept where none does."""

import numpy as np
import pytest
import scipy.sparse

from graphret.graph import Graph
from graphret.neighbors import ExactSearch
from graphret.retrieval import Archive, QueryBatch
from graphret.retrieval.edges import query_edges

CODES = np.array([[4, 3], [4, -3], [3, 4], [3, -4], [-1, 1]], np.float32)
QUERY = np.array([[5, 0]], np.float32)


def edges_with(threshold, n_edges=5):
    """Edges ``{film: cosine}`` of a query whose cosines to the films are .8, .8, .6, .6 and below 0."""
    ring = np.roll(np.eye(5), 1, axis=0) * 0.5
    plain = Graph.from_scipy(scipy.sparse.csr_array(ring + ring.T))
    graph = Graph(plain.indptr, plain.indices, plain.weights, threshold=threshold)
    archive = Archive(CODES, graph, np.zeros(5, np.int32), ExactSearch(CODES), k=5)
    edges = query_edges(archive, QueryBatch.of(archive, QUERY, 5), n_edges)
    there = edges.nodes[0] >= 0
    return dict(zip(edges.nodes[0, there].tolist(), edges.cosines[0, there].tolist(), strict=True))


HIGH, LOW = float(np.float32(0.8)), float(np.float32(0.6))
NEXT = float(np.nextafter(np.float32(0.6), np.float32(1)))


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (None, {0: HIGH, 1: HIGH, 2: LOW, 3: LOW}),  # never a film that is less similar than nothing
        (0.6, {0: HIGH, 1: HIGH, 2: LOW, 3: LOW}),  # a cosine of just T passes
        (NEXT, {0: HIGH, 1: HIGH}),
        (0.9, {0: HIGH}),  # none passes: the best one is kept
    ],
)
def test_neighbours_that_pass_the_threshold_get_an_edge(threshold, expected):
    assert edges_with(threshold) == expected
    assert edges_with(threshold, 1) == {0: HIGH}
