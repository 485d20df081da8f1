"""Region growing between nodes of equal gain, where one of them has no edge to the region or none to the query."""

import numpy as np
import pytest
import scipy.sparse

from graphret.graph import Graph
from graphret.retrieval import region_growing


def term(inside, degree, size, total):
    """f = lambda q of a set of nodes, times the total weight (P1 Eq. 4-6)."""
    strength = 1 + 2 * inside / (size * (size - 1)) if size > 1 else 1
    return strength * (inside - degree**2 / (4 * total))


# the query's edges to the first film and to the linked one; edges first - linked, first - third, linked - third
TIES = {
    "neither has an edge to the query": (4.25, 0.0, 2.5, 1.5, 0.7898300867622178),
    "the linked film has an edge to the query": (3.25, 2.75, 1.25, 1.75, 2.0652538711092228),
}


def gains_of_the_second_step(to_first, to_linked, first_linked, first_third, linked_third):
    """What a film that is linked to the region {query, first}, and one without any edge, would add to it."""
    total = to_first + to_linked + first_linked + first_third + linked_third
    degree = (to_first + to_linked) + (to_first + first_linked + first_third)
    own_degree = to_linked + first_linked + linked_third
    before = term(to_first, degree, 2, total)
    linked = term(to_first + to_linked + first_linked, degree + own_degree, 3, total)
    return linked - before - term(0, own_degree, 1, total), term(to_first, degree, 3, total) - before


@pytest.mark.parametrize("case", TIES)
@pytest.mark.parametrize("lonely", [1, 2])
def test_a_film_without_any_edge_ties_with_a_linked_one(case, lonely):
    """Of equal gains the higher cosine to the query comes first, no edge to it last; then the smaller id."""
    to_first, to_linked, first_linked, first_third, linked_third = TIES[case]
    linked, alone = gains_of_the_second_step(*TIES[case])
    assert linked == pytest.approx(alone, rel=1e-12)
    other = 3 - lonely  # ids: the first film 0, the lonely and the linked one 1 and 2, the third 3
    matrix = np.zeros((4, 4))
    matrix[0, other], matrix[0, 3], matrix[other, 3] = first_linked, first_third, linked_third
    graph = Graph.from_scipy(scipy.sparse.csr_array(matrix + matrix.T))
    edges = {0: to_first, **({other: to_linked} if to_linked else {})}
    expected = other if to_linked else 1
    assert region_growing(graph, [0] * 4, list(edges), list(edges.values()), 2).tolist() == [0, expected]


@pytest.mark.parametrize("asked", [2, 3])
def test_an_edge_to_the_query_comes_before_one_to_the_region(asked):
    """Two films with one edge of the same weight into the region: that of the query counts as nearer than none."""
    matrix = np.zeros((4, 4))
    matrix[1, 5 - asked] = matrix[5 - asked, 1] = 1.0
    graph = Graph.from_scipy(scipy.sparse.csr_array(matrix))
    found = region_growing(graph, [0] * 4, [asked, 1, 0], [1.0, 5.0, 4.0], 3).tolist()
    assert found == [0, 1, asked]
