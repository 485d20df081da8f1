"""The map: inside the unit square, discs that do not overlap, near what the graph links, the same with any threads."""

import numpy as np
import pytest
import scipy.sparse

from graphret._errors import InvalidParameterError
from graphret.graph import Graph
from graphret.mapping import map_films
from graphret.mapping.discs import community_discs, links_between


def planted(sizes, *, seed=0, degree=6, between=0.02):
    """A graph with communities of given sizes; the share ``between`` of its edges joins neighbours in a ring."""
    generator = np.random.default_rng(seed)
    sizes = np.asarray(sizes)
    labels = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    starts = np.cumsum(sizes) - sizes
    first = np.repeat(np.arange(len(labels)), degree)
    there = labels[first].astype(np.int64)
    leaves = generator.random(len(first)) < between
    there[leaves] = (there[leaves] + 1) % len(sizes)
    second = starts[there] + generator.integers(0, 2**31, len(first)) % sizes[there]
    weights = 0.5 + 0.5 * generator.random(len(first))
    matrix = scipy.sparse.coo_array((weights, (first, second)), shape=(len(labels),) * 2).tocsr()
    matrix = matrix.maximum(matrix.T)
    matrix.setdiag(0)
    return Graph.from_scipy(matrix), labels


def smallest_gap(discs):
    """Smallest distance of two centres, over the sum of their radii."""
    distances = np.linalg.norm(discs.centers[:, None] - discs.centers[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return (distances / np.add.outer(discs.radii, discs.radii)).min()


SHAPES = {
    "one": [30],
    "one film": [1],
    "two of very different size": [500, 2],
    "twenty": [200 - 9 * number for number in range(20)],
    "many, some of one film": [60] * 20 + [7] * 100 + [1] * 700,
    "more than are packed": [3] * 100 + [1] * 4_100,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_discs_do_not_overlap(shape):
    graph, labels = planted(SHAPES[shape])
    discs = community_discs(graph, labels, len(SHAPES[shape]))
    assert np.allclose(discs.radii**2, SHAPES[shape])
    if len(SHAPES[shape]) > 1:
        assert smallest_gap(discs) >= 1 - 1e-9


@pytest.mark.parametrize("shape", SHAPES)
def test_every_film_has_a_place_of_its_own_inside_the_square_and_its_disc(shape):
    graph, labels = planted(SHAPES[shape])
    places = map_films(graph, labels)
    assert places.shape == (len(labels), 2)
    assert places.dtype == np.float32
    assert places.min() >= 0
    assert places.max() <= 1
    assert len(np.unique(places, axis=0)) == len(places)
    discs = community_discs(graph, labels, len(SHAPES[shape]))
    low = (discs.centers - discs.radii[:, None]).min(axis=0)
    high = (discs.centers + discs.radii[:, None]).max(axis=0)
    side = (high - low).max()
    centers = (discs.centers - (low + high) / 2) / side + 0.5
    away = np.linalg.norm(places - centers[labels], axis=1)
    assert (away <= discs.radii[labels] / side + 1e-6).all()


def test_the_map_is_the_same_with_any_number_of_threads_and_at_every_call():
    graph, labels = planted(SHAPES["twenty"])
    first = map_films(graph, labels, n_threads=1)
    assert np.array_equal(first, map_films(graph, labels, n_threads=2))
    assert np.array_equal(first, map_films(graph, labels, n_threads=1))


def test_communities_that_are_linked_lie_nearer():
    sizes = [100] * 12
    graph, labels = planted(sizes, between=0.1)
    discs = community_discs(graph, labels, len(sizes))
    distances = np.linalg.norm(discs.centers[:, None] - discs.centers[None], axis=2)
    ring = np.arange(12)
    linked = distances[ring, (ring + 1) % 12]
    others = distances[np.triu_indices(12, 2)]
    assert linked.mean() < 0.7 * others.mean()


def test_films_that_are_linked_lie_nearer_inside_their_community():
    """A community that is a ring of films, each linked to the ten next to it."""
    n = 400
    rows = np.repeat(np.arange(n), 10)
    columns = (rows + np.tile([*range(1, 6), *range(-5, 0)], n)) % n
    graph = Graph.from_scipy(scipy.sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n)))
    places = map_films(graph, np.zeros(n, np.int32)).astype(float)
    linked = np.linalg.norm(places[rows] - places[columns], axis=1).mean()
    anyone = np.linalg.norm(places - places[np.random.default_rng(0).permutation(n)], axis=1).mean()
    assert linked < 0.4 * anyone


def test_films_with_edges_to_another_community_lie_on_its_side():
    graph, labels = planted([300, 300], between=0.05)
    places = map_films(graph, labels)
    matrix = graph.to_scipy()
    leaving = np.asarray(matrix[:300, 300:].sum(axis=1)).ravel() > 0
    towards = places[300:].mean(axis=0) - places[:300].mean(axis=0)
    along = (places[:300] - places[:300].mean(axis=0)) @ towards
    assert along[leaving].mean() > along[~leaving].mean()


def test_links_between_communities_are_summed():
    graph, labels = planted([20, 10, 5], between=0.3)
    matrix = graph.to_scipy().toarray()
    expected = np.array([[matrix[np.ix_(labels == a, labels == b)].sum() for b in range(2)] for a in range(3)])
    expected[np.arange(2), np.arange(2)] = 0
    assert np.allclose(links_between(graph, labels, 3, 2), expected)


@pytest.mark.parametrize("labels", [[0, 0], [0, 0, -1], [0.5, 0, 0], [[0, 0, 0]]])
def test_labels_that_do_not_fit_are_refused(labels):
    graph, _ = planted([3])
    with pytest.raises(InvalidParameterError, match="3 whole numbers >= 0"):
        map_films(graph, np.array(labels))


def test_an_empty_graph_has_an_empty_map():
    empty = Graph(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    assert map_films(empty, np.zeros(0, np.int32)).shape == (0, 2)
