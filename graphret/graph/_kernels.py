"""Kernels of the graph: canonical similarities, top-k heaps, symmetric CSR. They write to ``out`` arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from graphret._numba import jit

if TYPE_CHECKING:
    from graphret._types import Float32Array, Float64Array, Int32Array, Int64Array

__all__ = [
    "_cosines",
    "_directed_rows",
    "_merge_symmetric",
    "_rank_candidates",
    "_scan",
    "_scan_tile",
    "_transpose",
    "_update_heaps",
]


@jit(reassociate=True)
def _dot(x, y):
    # Products of two float32 are exact in float64, so the sum is the only rounding, and it is symmetric in x and y.
    total = 0.0
    for t in range(x.shape[0]):
        total += np.float64(x[t]) * np.float64(y[t])
    return total


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
    for row in numba.prange(candidates.shape[0]):
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
    for row in numba.prange(candidates.shape[0]):
        # ids are sorted first and similarities stably after them: the tie rule without a two-key sort
        ids = np.sort(candidates[row].copy())
        position = np.argsort(candidates[row], kind="mergesort")
        values = np.empty(ids.shape[0], np.float32)
        for column in range(ids.shape[0]):
            values[column] = -similarities[row, position[column]]
        order = np.argsort(values, kind="mergesort")
        filled = 0
        limit = min(n_wanted[row], out_neighbors.shape[1])
        for place in range(order.shape[0]):
            node = ids[order[place]]
            if filled == limit:
                break
            if node >= 0 and node != itself[row]:
                out_neighbors[row, filled] = node
                out_similarities[row, filled] = -values[order[place]]
                filled += 1
        for place in range(filled, out_neighbors.shape[1]):
            out_neighbors[row, place] = -1
            out_similarities[row, place] = np.float32(0.0)


@jit(parallel=True)
def _update_heaps(scores, lengths, films, allowed, forbidden_starts, forbidden, heap_scores, heap_ids):
    """Push inner products (q, tile) with ``films`` over ``lengths`` into a min-heap of fixed size per query.

    ``allowed`` has length 0 when every film may come; ``forbidden[starts[q]:starts[q + 1]]`` is sorted.
    """
    size = heap_scores.shape[1]
    for query in numba.prange(scores.shape[0]):
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


@jit(parallel=True)
def _scan_tile(products, scales, first, rows, codes, lengths, roots, out_neighbors, out_similarities, n_found):
    """Rank one tile of codes for some rows of an archive canonically; what a product says to be hopeless is left out.

    ``products`` (q, tile): inner products of the unit rows with the codes from ``first`` on, ``scales`` one over the
    lengths of those. A cosine below ``roots[q]`` by a product can not be among the best; roots rise as lists fill.
    Ids ascend, so that of equal cosines the smaller id is there first.
    """
    k = out_neighbors.shape[1]
    for query in numba.prange(rows.shape[0]):
        row = rows[query]
        for column in range(products.shape[1]):
            node = first + column
            if products[query, column] * scales[column] < roots[query] or node == row:
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
                roots[query] = np.float32(np.inf) if last >= 1.0 else max(roots[query], last - np.float32(5e-6))


@jit()
def _directed_rows(neighbors, similarities, threshold, rescued, out_indptr, out_indices, out_weights):
    """Write the edges of the table that pass the threshold as CSR in table order, and return their number.

    A row with ``rescued[row]`` keeps its first neighbour instead, whatever its similarity.
    """
    filled = 0
    out_indptr[0] = 0
    for row in range(neighbors.shape[0]):
        if rescued[row]:
            out_indices[filled] = neighbors[row, 0]
            out_weights[filled] = max(similarities[row, 0], np.float32(1e-6))
            filled += 1
        else:
            for column in range(neighbors.shape[1]):
                node = neighbors[row, column]
                similarity = similarities[row, column]
                if node >= 0 and node != row and similarity >= threshold and similarity > 0:
                    out_indices[filled] = node
                    out_weights[filled] = similarity
                    filled += 1
        out_indptr[row + 1] = filled
    return filled


@jit()
def _transpose(indptr, indices, weights, out_indptr, out_indices, out_weights):
    """CSR of the transpose; its rows come out sorted, so that two transposes sort a CSR in linear time."""
    n_nodes = indptr.shape[0] - 1
    out_indptr[:] = 0
    for position in range(indptr[n_nodes]):
        out_indptr[indices[position] + 1] += 1
    for node in range(n_nodes):
        out_indptr[node + 1] += out_indptr[node]
    place = out_indptr[:-1].copy()
    for row in range(n_nodes):
        for position in range(indptr[row], indptr[row + 1]):
            node = indices[position]
            out_indices[place[node]] = row
            out_weights[place[node]] = weights[position]
            place[node] += 1


@jit()
def _merge_symmetric(indptr, indices, weights, t_indptr, t_indices, t_weights, out_indptr, out_indices, out_weights):
    """Write the union of a sorted CSR and its transpose, the larger weight of both; returns the number of entries."""
    filled = 0
    out_indptr[0] = 0
    for row in range(indptr.shape[0] - 1):
        left = indptr[row]
        left_stop = indptr[row + 1]
        right = t_indptr[row]
        right_stop = t_indptr[row + 1]
        while left < left_stop or right < right_stop:
            if right == right_stop or (left < left_stop and indices[left] < t_indices[right]):
                node = indices[left]
                weight = weights[left]
                left += 1
            elif left == left_stop or t_indices[right] < indices[left]:
                node = t_indices[right]
                weight = t_weights[right]
                right += 1
            else:
                node = indices[left]
                weight = max(weights[left], t_weights[right])
                left += 1
                right += 1
            out_indices[filled] = node
            out_weights[filled] = weight
            filled += 1
        out_indptr[row + 1] = filled
    return filled
