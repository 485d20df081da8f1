"""Kernels of a kNN table whose rows come and go: products are looked at, lists are merged and closed up."""

from __future__ import annotations

import numpy as np

from graphret._numba import jit, prange
from graphret.neighbors._kernels import _dot, _round_similarity
from graphret.neighbors._tile_kernels import _replace_root
from graphret.neighbors.exact_search import ROUNDING

__all__ = ["_close_up", "_look_at_bounds", "_look_at_products", "_merge_into_lists", "_pair_cosines"]

CHUNK = 32
"""Products that are tested together: so few matter that most chunks hold none."""


@jit()
def _look_at_products(products, scales, least, first, itself, heap_scores, heap_ids, pairs):
    """Look once at a tile of products: what is among the best of a row, and what reaches the least value of a column.

    ``products`` (q, t) are inner products of unit rows with the codes from ``first`` on, ``scales`` (t,) one over the
    lengths of those. A cosine larger than the root of its row's min-heap takes the place of the root, but for the code
    ``itself[row]``. Where a cosine reaches ``least`` (t,), row and column are written to ``pairs`` (2, q * t). Returns
    the number of pairs.
    """
    n_pairs = 0
    for row in range(products.shape[0]):
        row_products = products[row]
        root = heap_scores[row, 0]
        for start in range(0, row_products.shape[0], CHUNK):
            # slices have no negative indices, so that the test of a chunk becomes a few vector instructions
            some = row_products[start : start + CHUNK]
            some_scales = scales[start : start + CHUNK]
            some_least = least[start : start + CHUNK]
            n_promising = np.int32(0)
            for column in range(some.shape[0]):
                cosine = some[column] * some_scales[column]
                n_promising += np.int32((cosine > root) | (cosine >= some_least[column]))
            if n_promising == 0:
                continue
            for column in range(some.shape[0]):
                cosine = some[column] * some_scales[column]
                node = first + start + column
                if cosine > root and node != itself[row]:
                    _replace_root(heap_scores[row], heap_ids[row], cosine, node)
                    root = heap_scores[row, 0]
                if cosine >= some_least[column]:
                    pairs[0, n_pairs] = row
                    pairs[1, n_pairs] = node
                    n_pairs += 1
    return n_pairs


@jit(reassociate=True)
def _single_dot(x, y):
    total = np.float32(0.0)
    for t in range(x.shape[0]):
        total += x[t] * y[t]
    return total


@jit()
def _look_at_bounds(bounds, least, first, itself, own, own_lengths, codes, lengths, heap_scores, heap_ids, pairs):
    """Do what `_look_at_products` does with bounds of cosines: pairs whose bound says so are scored, in float32 first.

    ``own`` (q, d) and ``own_lengths`` are the codes of the rows, ``codes`` and ``lengths`` those of the archive.
    """
    n_pairs = 0
    for row in range(bounds.shape[0]):
        row_bounds = bounds[row]
        root = heap_scores[row, 0]
        for start in range(0, row_bounds.shape[0], CHUNK):
            some = row_bounds[start : start + CHUNK]
            some_least = least[start : start + CHUNK]
            n_promising = np.int32(0)
            for column in range(some.shape[0]):
                n_promising += np.int32((some[column] > root) | (some[column] >= some_least[column]))
            if n_promising == 0:
                continue
            for column in range(some.shape[0]):
                if not (some[column] > root or some[column] >= some_least[column]):
                    continue
                node = first + start + column
                close = _single_dot(own[row], codes[node]) / (own_lengths[row] * lengths[node]) + ROUNDING
                if close <= root and close < some_least[column]:
                    continue
                cosine = _round_similarity(_dot(own[row], codes[node]) / (own_lengths[row] * lengths[node]))
                if cosine > root and node != itself[row]:
                    _replace_root(heap_scores[row], heap_ids[row], cosine, node)
                    root = heap_scores[row, 0]
                if cosine >= some_least[column]:
                    pairs[0, n_pairs] = row
                    pairs[1, n_pairs] = node
                    n_pairs += 1
    return n_pairs


@jit(parallel=True)
def _pair_cosines(codes, lengths, left, right, out):
    """Cosine of ``codes[left[p]]`` and ``codes[right[p]]`` for every p, by the canonical routine."""
    for pair in prange(out.shape[0]):
        one = left[pair]
        other = right[pair]
        out[pair] = _round_similarity(_dot(codes[one], codes[other]) / (lengths[one] * lengths[other]))


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
