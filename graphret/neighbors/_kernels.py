"""Kernels of the nearest neighbours: canonical similarities, top-k heaps, scans. They write to ``out`` arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._numba import jit, prange
from graphret._sort_kernels import _best_first

if TYPE_CHECKING:
    from graphret._types import Float32Array, Float64Array, Int32Array, Int64Array

__all__ = [
    "_cosines",
    "_dot",
    "_rank_candidates",
    "_round_similarity",
    "_scan",
    "_scan_tile",
    "_short_product",
    "_update_heaps",
]


@jit(reassociate=True)
def _dot(x, y):
    # Products of two float32 are exact in float64, so the sum is the only rounding, and it is symmetric in x and y.
    total = 0.0
    for t in range(x.shape[0]):
        total += np.float64(x[t]) * np.float64(y[t])
    return total


@jit()
def _short_product(query, codes, film):
    """Inner product of short codes, int16 with int8; whole numbers, so that no order of the sum matters."""
    code = codes[film]
    total = np.int32(0)
    for column in range(code.shape[0]):
        total += np.int32(np.int32(query[column]) * np.int32(code[column]))
    return np.int32(total)


@jit(reassociate=True)
def _scan(queries: Float32Array, codes: Float32Array, films: Int32Array, out: Float32Array) -> None:
    """Inner products of few queries with given codes, each code read once; a matrix product needs more queries."""
    for column in range(films.shape[0]):
        row = films[column]
        for query in range(queries.shape[0]):
            total = np.float32(0.0)
            for t in range(codes.shape[1]):
                total += queries[query, t] * codes[row, t]
            out[query, column] = total


@jit()
def _round_similarity(value):
    return np.float32(np.floor(min(max(value, -1.0), 1.0) * 1e6 + 0.5) / 1e6)


@jit(parallel=True)
def _cosines(
    queries: Float32Array,
    query_lengths: Float64Array,
    codes: Float32Array,
    lengths: Float64Array,
    candidates: Int32Array,
    out: Float32Array,
) -> None:
    """Cosine of every query with its candidates, summed in float64, rounded to 1e-6; -2 where the candidate is -1."""
    for row in prange(candidates.shape[0]):
        for column in range(candidates.shape[1]):
            node = candidates[row, column]
            if node < 0:
                out[row, column] = np.float32(-2.0)
            else:
                cosine = _dot(queries[row], codes[node]) / (query_lengths[row] * lengths[node])
                out[row, column] = _round_similarity(cosine)


@jit(parallel=True)
def _rank_candidates(
    candidates: Int32Array,
    similarities: Float32Array,
    itself: Int64Array,
    n_wanted: Int64Array,
    out_neighbors: Int32Array,
    out_similarities: Float32Array,
) -> None:
    """Best first, ties by smaller id, without ``itself[row]`` (-1: nothing to leave out); pads with -1 and 0.

    ``n_wanted[row]`` caps how many are written.
    """
    for row in prange(candidates.shape[0]):
        order = _best_first(candidates[row], similarities[row])
        filled = 0
        limit = min(n_wanted[row], out_neighbors.shape[1])
        for place in range(order.shape[0]):
            node = candidates[row, order[place]]
            if filled == limit:
                break
            if node >= 0 and node != itself[row]:
                out_neighbors[row, filled] = node
                out_similarities[row, filled] = similarities[row, order[place]]
                filled += 1
        for place in range(filled, out_neighbors.shape[1]):
            out_neighbors[row, place] = -1
            out_similarities[row, place] = np.float32(0.0)


@jit(parallel=True, writes=("heap_scores", "heap_ids"))
def _update_heaps(scores, lengths, films, allowed, forbidden_starts, forbidden, heap_scores, heap_ids):
    """Push inner products (q, tile) with ``films`` over ``lengths`` into a min-heap of fixed size per query.

    ``allowed`` has length 0 when every film may come; ``forbidden[starts[q]:starts[q + 1]]`` is sorted.
    """
    size = heap_scores.shape[1]
    for query in prange(scores.shape[0]):
        root = heap_scores[query, 0]
        for column in range(scores.shape[1]):
            node = films[column]
            score = scores[query, column] * lengths[node]
            if score <= root:
                continue
            if allowed.shape[0] > 0 and not allowed[node]:
                continue
            low = forbidden_starts[query]
            stop = forbidden_starts[query + 1]
            high = stop
            while low < high:
                middle = (low + high) // 2
                if forbidden[middle] < node:
                    low = middle + 1
                else:
                    high = middle
            if low < stop and forbidden[low] == node:
                continue
            place = 0
            while True:
                child = 2 * place + 1
                if child >= size:
                    break
                if child + 1 < size and heap_scores[query, child + 1] < heap_scores[query, child]:
                    child += 1
                if heap_scores[query, child] >= score:
                    break
                heap_scores[query, place] = heap_scores[query, child]
                heap_ids[query, place] = heap_ids[query, child]
                place = child
            heap_scores[query, place] = score
            heap_ids[query, place] = node
            root = heap_scores[query, 0]


@jit(parallel=True, writes=("kth_similarities", "n_found"))
def _scan_tile(
    products, scales, first, rows, codes, lengths, kth_similarities, out_neighbors, out_similarities, n_found
):
    """Rank one tile of codes for some rows of an archive canonically; what a product says to be hopeless is left out.

    ``products`` (q, tile): inner products of the unit rows with the codes from ``first`` on, ``scales`` one over the
    lengths of those. A cosine below ``kth_similarities[q]`` by a product can not be among the best; kth_similarities
    rise as lists fill. Ids ascend, so that of equal cosines the smaller id is there first.
    """
    k = out_neighbors.shape[1]
    for query in prange(rows.shape[0]):
        row = rows[query]
        for column in range(products.shape[1]):
            node = first + column
            if products[query, column] * scales[column] < kth_similarities[query] or node == row:
                continue
            cosine = _round_similarity(_dot(codes[row], codes[node]) / (lengths[row] * lengths[node]))
            filled = n_found[query]
            if filled == k:
                if cosine <= out_similarities[query, k - 1]:
                    continue
                filled -= 1
            place = filled
            while place > 0 and out_similarities[query, place - 1] < cosine:
                out_similarities[query, place] = out_similarities[query, place - 1]
                out_neighbors[query, place] = out_neighbors[query, place - 1]
                place -= 1
            out_similarities[query, place] = cosine
            out_neighbors[query, place] = node
            n_found[query] = filled + 1
            if filled + 1 == k:
                last = out_similarities[query, k - 1]
                # nothing is more similar than 1, and of equals the smaller id is there already
                kth_similarities[query] = (
                    np.float32(np.inf) if last >= 1.0 else max(kth_similarities[query], last - np.float32(5e-6))
                )
