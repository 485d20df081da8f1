"""Kernels of a kNN table whose rows come and go: lists are merged and closed up, pairs that may enter are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._numba import jit, prange

if TYPE_CHECKING:
    from graphret._types import Float32Array, Int64Array

__all__ = ["_close_up", "_merge_into_lists", "_reaching"]


@jit(parallel=True, writes=("counts",))
def _count_reaching(products, scales, least, counts):
    for row in prange(products.shape[0]):
        count = 0
        for column in range(least.shape[0]):
            count += products[row, column] * scales[column] >= least[column]
        counts[row] = count


@jit(parallel=True)
def _write_reaching(products, scales, least, starts, out):
    for row in prange(products.shape[0]):
        place = starts[row]
        for column in range(least.shape[0]):
            if products[row, column] * scales[column] >= least[column]:
                out[0, place] = row
                out[1, place] = column
                place += 1


def _reaching(products: Float32Array, scales: Float32Array, least: Float32Array) -> Int64Array:
    """Find where products, times the scale of their column, reach the least value of their column.

    Parameters
    ----------
    products
        float32 (q, t); columns beyond c are left out.
    scales, least
        float32 (c,), c <= t.

    Returns
    -------
    numpy.ndarray
        int64 (2, m): rows and columns, in the order of the rows.
    """
    counts = np.zeros(len(products) + 1, np.int64)
    _count_reaching(products, scales, least, counts[1:])
    starts = np.cumsum(counts)
    out = np.empty((2, starts[-1]), np.int64)
    _write_reaching(products, scales, least, starts[:-1], out)
    return out


@jit()
def _close_up(neighbors, similarities, rows, new_numbers, out_neighbors, out_similarities):
    """Copy the lists of ``rows`` without the neighbours whose new number is -1; what is left is padded."""
    for row in range(rows.shape[0]):
        filled = 0
        for column in range(neighbors.shape[1]):
            node = neighbors[rows[row], column]
            if node >= 0 and new_numbers[node] >= 0 and filled < out_neighbors.shape[1]:
                out_neighbors[row, filled] = new_numbers[node]
                out_similarities[row, filled] = similarities[rows[row], column]
                filled += 1
        for column in range(filled, out_neighbors.shape[1]):
            out_neighbors[row, column] = -1
            out_similarities[row, column] = np.float32(0.0)


@jit()
def _merge_into_lists(rows, films, cosines, neighbors, similarities):
    """Put films into the lists of rows: (row, film, cosine) sorted by row, then best first, ties by smaller film.

    All films have larger numbers than those in the lists, so that a film behind equals of the list keeps the tie rule.
    """
    k = neighbors.shape[1]
    list_films = np.empty(k, np.int32)
    list_cosines = np.empty(k, np.float32)
    first = 0
    while first < rows.shape[0]:
        row = rows[first]
        stop = first
        while stop < rows.shape[0] and rows[stop] == row:
            stop += 1
        length = 0
        while length < k and neighbors[row, length] >= 0:
            list_films[length] = neighbors[row, length]
            list_cosines[length] = similarities[row, length]
            length += 1
        taken = 0
        coming = first
        for place in range(min(k, length + stop - first)):
            if coming == stop or (taken < length and list_cosines[taken] >= cosines[coming]):
                neighbors[row, place] = list_films[taken]
                similarities[row, place] = list_cosines[taken]
                taken += 1
            else:
                neighbors[row, place] = films[coming]
                similarities[row, place] = cosines[coming]
                coming += 1
        first = stop
