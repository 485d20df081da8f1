"""Rules that random codes do not meet: a cosine of just T, two weights of one edge, a film that others link to."""

import numpy as np
import pytest

from graphret.graph import similarity_graph
from graphret.neighbors import NeighborTable


def table_of(rows):
    """A table of neighbours from ``[{id: similarity}]``, best first; short rows are padded."""
    k = max(len(row) for row in rows)
    neighbors = [[*row, *[-1] * (k - len(row))] for row in rows]
    similarities = [[*row.values(), *[0.0] * (k - len(row))] for row in rows]
    return NeighborTable(np.array(neighbors, np.int32), np.array(similarities, np.float32))


def edges_of(graph):
    matrix = graph.to_scipy().tocoo()
    return {(int(i), int(j)): float(w) for i, j, w in zip(matrix.row, matrix.col, matrix.data, strict=True) if i < j}


@pytest.mark.parametrize(("threshold", "second"), [(0.5, True), (np.nextafter(np.float32(0.5), np.float32(1)), False)])
def test_a_similarity_of_just_the_threshold_is_an_edge(threshold, second):
    # every film has a better edge, so that none is kept as the best one of a film
    rows = [{1: 0.9, 2: 0.5}, {0: 0.9}, {3: 0.8, 0: 0.5}, {2: 0.8}]
    expected = {(0, 1): np.float32(0.9), (2, 3): np.float32(0.8), **({(0, 2): 0.5} if second else {})}
    assert edges_of(similarity_graph(table_of(rows), threshold=float(threshold))) == expected


def test_the_automatic_threshold_keeps_the_similarity_that_it_is():
    rows = [{1: 0.9, 2: 0.6, 3: 0.5}, {0: 0.9, 3: 0.55, 2: 0.5}, {3: 0.8, 0: 0.6}, {2: 0.8, 1: 0.55}]
    graph = similarity_graph(table_of(rows))
    # 80 % of ten similarities: the lowest but one, where .5 stands twice
    assert graph.threshold == 0.5
    assert edges_of(graph)[0, 3] == edges_of(graph)[1, 2] == 0.5


@pytest.mark.parametrize(("forward", "backward"), [(0.7, 0.9), (0.9, 0.7)])
def test_of_two_weights_of_an_edge_both_ends_get_the_larger(forward, backward):
    # similarities that we compute are the same from both sides; those of a table made elsewhere need not be
    graph = similarity_graph(table_of([{1: forward}, {0: backward}]), threshold=0.5)
    larger = np.float32(0.9)
    assert graph.to_scipy().toarray().tolist() == [[0, larger], [larger, 0]]


def test_a_film_that_others_link_to_does_not_keep_its_best_edge():
    """Only a film that would have no edge at all does: a table that misses neighbours tells the two apart."""
    rows = [{1: 0.95}, {3: 0.5}, {3: 0.4}, {4: 0.95}, {3: 0.95}]
    graph = similarity_graph(table_of(rows), threshold=0.9)
    linked, best = np.float32(0.95), np.float32(0.4)
    assert edges_of(graph) == {(0, 1): linked, (3, 4): linked, (2, 3): best}
    assert graph.n_best_edge_only == 1
