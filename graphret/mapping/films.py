"""Places of films inside the disc of their community: like films lie together, and the disc is filled evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._threads import borrow_threads
from graphret.mapping._kernels import _average, _heaviest_inside, _outward_pull

if TYPE_CHECKING:
    from graphret._types import Float64Array, Int32Array, Int64Array
    from graphret.graph import Graph
    from graphret.mapping.discs import Discs

__all__ = ["places_in_discs"]

_NEIGHBORS = 12
"""Heaviest edges of a film inside its community that its place is averaged over."""
_ROUNDS = 6
_AVERAGES = 5
"""Averages in a round; after each round the two coordinates are made independent again."""
_KEPT = 0.6
"""Share of its own place that a film keeps when, at the end, it is moved towards its neighbours."""
_FILLED = 0.94
"""Share of the radius of a disc where its films are, so that neighbouring discs can be told apart."""


def places_in_discs(graph: Graph, labels: Int32Array, discs: Discs, n_threads: int | None = None) -> Float64Array:
    """Place every film inside the disc of its community.

    The two coordinates of a film are averages over its neighbours inside the community, again and again: the slowest
    directions of a random walk there (Koren 2005). They are turned so that films with edges to another community lie on
    its side. Films then keep the order of these coordinates and fill the disc evenly, and at last move two fifths of
    the way to the mean of their neighbours.

    Parameters
    ----------
    graph
        n nodes.
    labels
        int32 (n,), communities.
    discs
        Of the m communities.
    n_threads
        ``None`` for all processors; the places do not depend on it.

    Returns
    -------
    float64 (n, 2)
        O(edges + n log n).
    """
    n = len(labels)
    neighbors, shares = np.empty((n, _NEIGHBORS), np.int32), np.empty((n, _NEIGHBORS), np.float32)
    pull, values = np.empty((n, 2)), _scattered(n)
    other = np.empty_like(values)
    with borrow_threads(n_threads):
        _heaviest_inside(graph.indptr, graph.indices, graph.weights, labels, neighbors, shares)
        _outward_pull(graph.indptr, graph.indices, graph.weights, labels, discs.centers, pull)
        for _ in range(_ROUNDS):
            for _ in range(_AVERAGES):
                _average(neighbors, shares, values, 0.2, other)
                values, other = other, values
            _make_independent(values, labels)
        _turn(values, pull, labels)
        places = _fill(values, labels)
        _average(neighbors, shares, places, _KEPT, other)
    _widen(other, labels)
    return discs.centers[labels] + _FILLED * discs.radii[labels, None] * other


def _scattered(n: int) -> Float64Array:
    """Numbers in [-1, 1) by position alone, float64 (n, 2): the mixing step of splitmix64 (Steele et al. 2014)."""
    number = np.arange(1, 2 * n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    number ^= number >> np.uint64(31)
    scattered: Float64Array = (number >> np.uint64(11)).astype(np.float64).reshape(n, 2) * 2.0**-52 - 1
    return scattered


def _make_independent(values: Float64Array, labels: Int32Array) -> None:
    """Give both coordinates mean 0 and length 1 in every community, and take the first out of the second."""
    counts = np.maximum(np.bincount(labels), 1)

    def means(column: Float64Array) -> Float64Array:
        found: Float64Array = (np.bincount(labels, weights=column) / counts)[labels]
        return found

    for column in range(2):
        values[:, column] -= means(values[:, column])
        if column:
            values[:, 1] -= means(values[:, 0] * values[:, 1]) * values[:, 0]
        values[:, column] /= np.sqrt(np.maximum(means(values[:, column] ** 2), 1e-30))


def _turn(values: Float64Array, pull: Float64Array, labels: Int32Array) -> None:
    """Turn (and mirror) the places of every community to fit the pull of the others best (Procrustes)."""
    sums = {
        (row, column): np.bincount(labels, weights=values[:, row] * pull[:, column])
        for row in range(2)
        for column in range(2)
    }
    turned = np.column_stack([sums[0, 0] + sums[1, 1], sums[0, 1] - sums[1, 0]])
    mirrored = np.column_stack([sums[0, 0] - sums[1, 1], sums[0, 1] + sums[1, 0]])
    mirror = (mirrored**2).sum(axis=1) > (turned**2).sum(axis=1)
    chosen = np.where(mirror[:, None], mirrored, turned)
    length = np.sqrt((chosen**2).sum(axis=1))
    chosen[length == 0] = 1, 0
    cosine, sine = (chosen / np.where(length == 0, 1, length)[:, None]).T
    x, y = values[:, 0].copy(), np.where(mirror[labels], -values[:, 1], values[:, 1])
    values[:, 0] = cosine[labels] * x - sine[labels] * y
    values[:, 1] = sine[labels] * x + cosine[labels] * y


def _fill(values: Float64Array, labels: Int32Array) -> Float64Array:
    """Spread the films of every community over a disc of radius 1, keeping the order of x, and of y in narrow strips.

    A strip has as many films as its share of the area; ties go to the smaller position.
    """
    sizes = np.bincount(labels)
    quantile = (_ranks(values[:, 0], labels, sizes) + 0.5) / sizes[labels]
    edge = np.linspace(-1, 1, 2049)
    area = 0.5 + (edge * np.sqrt(1 - edge**2) + np.arcsin(edge)) / np.pi
    x = np.interp(quantile, area, edge)
    n_strips = np.maximum(1, np.rint(np.sqrt(sizes * (4 / np.pi)))).astype(np.int64)
    strip = np.minimum((x + 1) / 2 * n_strips[labels], n_strips[labels] - 1).astype(np.int64)
    number = (np.cumsum(n_strips) - n_strips)[labels] + strip
    n_in = np.bincount(number)
    y = 2 * (_ranks(values[:, 1], number, n_in) + 0.5) / n_in[number] - 1
    return np.column_stack([x, y * np.sqrt(np.maximum(1 - x**2, 0))])


def _widen(places: Float64Array, labels: Int32Array) -> None:
    """Give the films of every community the mean squared radius of a disc that is filled; none leaves it."""
    squares = (places**2).sum(axis=1)
    means = np.bincount(labels, weights=squares) / np.maximum(np.bincount(labels), 1)
    wider = np.sqrt(0.5 / np.maximum(means, 1e-30))[labels]
    longest = 1 / np.sqrt(np.maximum(squares, 1e-30))
    places *= np.minimum(wider, longest)[:, None]


def _ranks(values: Float64Array, groups: Int32Array | Int64Array, sizes: Int64Array) -> Int64Array:
    """Rank of every value within its group, from 0."""
    order = np.lexsort((values, groups))
    ranks = np.empty(len(values), np.int64)
    ranks[order] = np.arange(len(values)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return ranks
