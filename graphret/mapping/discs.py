"""A disc for every community: area by its films, place by its edges to the others, no two overlapping."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphret.mapping._kernels import _lower_stress, _mark_overlaps, _push_apart, _sum_between

if TYPE_CHECKING:
    from graphret._types import BoolArray, Float64Array, Int32Array, Int64Array
    from graphret.graph import Graph

__all__ = ["Discs", "community_discs", "links_between"]

_COMPARED = 512
"""Communities, the largest, that are placed by all distances between them; others start beside those they link to."""
_PUSHED = 4_096
"""Communities, the largest, that are packed; smaller ones lie on a spiral around them."""
_STARTS = 4
_SWEEPS = 60
_FARTHEST = 3.0
"""Wanted distance of two communities without an edge, in sums of their radii."""
_STEPS = 160
_INWARD = 0.02
"""What every step of the packing moves a centre inwards."""
_SETTLE = 600
"""Steps without a move inwards, at most; fewer where there are more than `_COMPARED` discs."""
_SLIGHT = 0.1
"""Overlap, as a share of the distance, that stretching all centres removes."""
_GOLDEN = np.pi * (3 - np.sqrt(5))


class Discs(NamedTuple):
    """Centres float64 (m, 2) and radii float64 (m,) of the discs of m communities."""

    centers: Float64Array
    radii: Float64Array


def links_between(graph: Graph, labels: Int32Array, n_from: int, n_to: int) -> Float64Array:
    """Sum the weights of the edges between communities, float64 (n_from, n_to), a community with itself 0. O(edges)."""
    between = np.zeros((n_from, n_to))
    _sum_between(graph.indptr, graph.indices, graph.weights, labels, between)
    return between


def community_discs(graph: Graph, labels: Int32Array, n_communities: int) -> Discs:
    """Place a disc for every community.

    Communities with more weight between them than chance would give lie nearer: the wanted distance of two discs is the
    sum of their radii times ``(observed / expected)^(-1/4)``, between 1 and 3. The stress of these distances is lowered
    from several starts, the best is kept. Then the discs grow to their size and are pushed apart while they move
    inwards. What overlap is left is removed by stretching all centres.

    Parameters
    ----------
    graph
        n nodes.
    labels
        int32 (n,), communities, the largest first.
    n_communities
        m.

    Returns
    -------
    Discs
        Area ``pi`` times the number of films. O(edges + m^1.5).
    """
    sizes = np.bincount(labels, minlength=n_communities)
    radii = np.sqrt(sizes.astype(np.float64))
    n_packed, n_compared = min(n_communities, _PUSHED), min(n_communities, _COMPARED)
    between = links_between(graph, labels, n_packed, n_compared)
    centers = np.zeros((n_communities, 2))
    centers[:n_compared] = _by_stress(between[:n_compared], graph, labels, radii[:n_compared])
    if n_packed > n_compared:
        centers[n_compared:n_packed] = _beside(between[n_compared:], centers[:n_compared], radii[:n_packed])
    centers[:n_packed] = _packed(centers[:n_packed], radii[:n_packed])
    if n_communities > n_packed:
        around = _around(centers[:n_packed], radii[:n_packed], n_communities - n_packed, radii[n_packed])
        centers[n_packed:] = around
    return Discs(centers, radii)


def _spiral(n: int, step: float, *, first: int = 0) -> Float64Array:
    """Points of the spiral of a sunflower, which fill a round area evenly; float64 (n, 2)."""
    number = np.arange(first, first + n) + 0.5
    angles = number * _GOLDEN
    points: Float64Array = (step * np.sqrt(number))[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    return points


def _around(centers: Float64Array, radii: Float64Array, n: int, largest: float) -> Float64Array:
    """Places of n more discs, of radius ``largest`` at most, on a spiral around discs that are placed."""
    reach = float((np.sqrt((centers**2).sum(axis=1)) + radii).max())
    step = 2 * largest / 1.5  # points of the spiral are at least 1.5 steps apart
    return _spiral(n, step, first=int((reach / step + 2) ** 2))


def _by_stress(between: Float64Array, graph: Graph, labels: Int32Array, radii: Float64Array) -> Float64Array:
    n = len(radii)
    if n == 1:
        return np.zeros((1, 2))
    degrees = np.bincount(labels, weights=graph.degrees, minlength=n)[:n]
    expected = np.outer(degrees, degrees) / max(2 * graph.total_weight, 1e-300)
    lift = between / np.maximum(expected, 1e-300)
    with np.errstate(divide="ignore"):
        times = np.where(lift > 0, np.sqrt(np.sqrt(1 / lift)), _FARTHEST)
    wanted = np.add.outer(radii, radii) * np.clip(times, 1, _FARTHEST)
    best, least = np.zeros((n, 2)), np.inf
    for start in range(_STARTS):
        positions = np.roll(_spiral(n, 2 * float(radii.mean())), start * n // _STARTS, axis=0)
        stress = _lower_stress(wanted, positions, _SWEEPS)
        if stress < least:
            best, least = positions, stress
    return best


def _beside(between: Float64Array, placed: Float64Array, radii: Float64Array) -> Float64Array:
    """Start small communities at the mean place of those they link to, the others around all."""
    n, reach = len(between), float(np.sqrt((placed**2).sum(axis=1)).max() + radii[0])
    totals = between.sum(axis=1)
    means = np.einsum("ij,jk->ik", between, placed) / np.maximum(totals, 1e-300)[:, None]
    around = _spiral(n, 1.0, first=int(reach**2))
    return np.where(totals[:, None] > 0, means + _spiral(n, 0.1), around)


def _packed(centers: Float64Array, radii: Float64Array) -> Float64Array:
    """Let discs grow and fall inwards; what still overlaps a larger one lies on the spiral around all others."""
    centers = centers - np.average(centers, axis=0, weights=radii**2)
    n_settling = _SETTLE * _COMPARED // max(_COMPARED, len(radii))
    for step in range(_STEPS + n_settling):
        left = max(0.0, 1 - step / _STEPS)
        grown = radii * (1 - 0.6 * left**2)
        centers *= 1 - _INWARD * left
        if _push_apart(_from_the_left(centers, grown), centers, grown, 1.0) <= 1 and left == 0:
            break
    crowded = _overlapping(centers, radii)
    if crowded.any():
        largest = float(radii[crowded].max())
        centers[crowded] = _around(centers[~crowded], radii[~crowded], int(crowded.sum()), largest)
    stretch = _push_apart(_from_the_left(centers, radii), centers, radii, 0.0)
    packed: Float64Array = centers * max(1.0, stretch * (1 + 1e-9))
    return packed


def _overlapping(centers: Float64Array, radii: Float64Array) -> BoolArray:
    """Whether a disc overlaps a larger one by more than `_SLIGHT`."""
    deep = np.zeros(len(radii), np.bool_)
    _mark_overlaps(_from_the_left(centers, radii), centers, radii, 1 + _SLIGHT, deep)
    return deep


def _from_the_left(centers: Float64Array, radii: Float64Array) -> Int64Array:
    return np.argsort(centers[:, 0] - radii, kind="stable")
