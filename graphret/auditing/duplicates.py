"""Near duplicates: films that are closer to each other than any two different films of their archive should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from graphret._types import Float32Array, Float64Array, Int32Array, Int64Array
    from graphret.neighbors import NeighborTable

__all__ = ["Pairs", "choose_threshold", "groups_of", "near_pairs"]

_SAME = 1 - 2e-6
"""Cosines are rounded to 1e-6: copies have 1, or hardly less."""
_SCALE_QUANTILE = 0.05
_BLOCK = 65_536


class Pairs(NamedTuple):
    """Pairs of films, most similar first.

    Parameters
    ----------
    first, second
        int64 (p,), rows, first < second.
    similarities
        float32 (p,), cosines.
    """

    first: Int64Array
    second: Int64Array
    similarities: Float32Array


def choose_threshold(table: NeighborTable) -> float:
    """Choose the cosine from which two films are near duplicates, so that chance gives about one such pair.

    Around a film, the number of other films within a distance r grows as r^m, where m is the dimension that the codes
    fill (Levina and Bickel 2004: the mean of ``log(r_k / r_j)`` over the k neighbours is 1 / m; the median over films
    is taken, which copies do not move). The k-th neighbour of the films in the densest twentieth of the archive is at
    a distance r_k; so of all n k pairs in the table chance puts one below ``r_k (n k)^(-1/m)``. That is the threshold.

    Parameters
    ----------
    table
        Neighbours of every film.

    Returns
    -------
    float
        A cosine, at most 1 - 2e-6. O(n k).

    Examples
    --------
    >>> from graphret.neighbors import nearest_neighbors
    >>> codes = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    >>> loose = choose_threshold(nearest_neighbors(codes, 10))
    >>> 0.9 < loose < 1
    True
    """
    if table.k < 2:
        return _SAME
    last = _distances(table.similarities[:, -1])
    slopes = np.concatenate(
        [_log_ratios(table.similarities[start : start + _BLOCK]) for start in range(0, len(last), _BLOCK)]
    )
    dimension = 1 / max(float(np.median(slopes)), 1e-3)
    reach = float(np.quantile(last, _SCALE_QUANTILE))
    distance = reach * float(len(last) * table.k) ** (-1 / dimension)
    return min(float(1 - distance**2 / 2), _SAME)


def _distances(cosines: Float32Array) -> Float64Array:
    """Euclidean distances of codes of length one."""
    return np.sqrt(np.maximum(2 - 2 * cosines.astype(np.float64), 1e-12))


def _log_ratios(cosines: Float32Array) -> Float64Array:
    """Mean of log(r_k / r_j) of every row over all columns but the last."""
    logs = np.log(_distances(cosines))
    means: Float64Array = np.mean(logs[:, -1:] - logs[:, :-1], axis=1)
    return means


def near_pairs(table: NeighborTable, threshold: float) -> Pairs:
    """Return the pairs of the table whose cosine is at least a threshold, each once. O(n k).

    Examples
    --------
    >>> from graphret.neighbors import nearest_neighbors
    >>> codes = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    >>> pairs = near_pairs(nearest_neighbors(codes, 1), 0.99)
    >>> pairs.first.tolist(), pairs.second.tolist()
    ([0], [2])
    """
    rows, columns = np.nonzero((table.similarities >= threshold) & (table.neighbors >= 0))
    others = table.neighbors[rows, columns].astype(np.int64)
    first, second = np.minimum(rows, others), np.maximum(rows, others)
    _, once = np.unique(first * len(table.neighbors) + second, return_index=True)
    similarities = table.similarities[rows[once], columns[once]]
    order = np.lexsort((second[once], first[once], -similarities))
    return Pairs(first[once][order], second[once][order], similarities[order])


def groups_of(pairs: Pairs, n_films: int) -> list[Int32Array]:
    """Join pairs into groups (connected components), largest first, ties by their first film; rows ascend.

    Examples
    --------
    >>> links = Pairs(np.array([0, 2, 5]), np.array([2, 4, 6]), np.ones(3, np.float32))
    >>> [group.tolist() for group in groups_of(links, 8)]
    [[0, 2, 4], [5, 6]]
    """
    import scipy.sparse
    from scipy.sparse.csgraph import connected_components

    shape = (n_films, n_films)
    links = scipy.sparse.coo_array((np.ones(len(pairs.first), np.int8), (pairs.first, pairs.second)), shape=shape)
    _, labels = connected_components(links, directed=False)
    order = np.argsort(labels, kind="stable").astype(np.int32)
    starts = np.flatnonzero(np.diff(labels[order])) + 1
    groups = [group for group in np.split(order, starts) if len(group) > 1]
    return sorted(groups, key=lambda group: (-len(group), int(group[0])))
