"""Kernels of the similarity graph: directed edges of a table, symmetric CSR. They write to ``out`` arrays."""

from __future__ import annotations

import numpy as np

from graphret._numba import jit

__all__ = [
    "LEAST_WEIGHT",
    "_directed_rows",
    "_mark_linked",
    "_mark_passing",
    "_merge_symmetric",
    "_row_sums",
    "_transpose",
]

LEAST_WEIGHT = 1e-6
"""Of an edge that a node keeps as its best one, though its cosine is not positive."""


@jit()
def _passes(similarity, threshold):
    return similarity >= threshold and similarity > 0


@jit()
def _mark_linked(neighbors, similarities, threshold, out):
    """Mark the nodes that an edge of the table that passes the threshold leaves or reaches; ``out`` starts as False."""
    for row in range(neighbors.shape[0]):
        for column in range(neighbors.shape[1]):
            node = neighbors[row, column]
            if node >= 0 and node != row and _passes(similarities[row, column], threshold):
                out[row] = True
                out[node] = True


@jit()
def _directed_rows(neighbors, similarities, threshold, best_edge_only, out_indptr, out_indices, out_weights):
    """Write the edges of the table that pass the threshold as CSR in table order, and return their number.

    A row with ``best_edge_only[row]`` keeps its first neighbour instead, whatever its similarity.
    """
    filled = 0
    out_indptr[0] = 0
    for row in range(neighbors.shape[0]):
        if best_edge_only[row]:
            out_indices[filled] = neighbors[row, 0]
            out_weights[filled] = max(similarities[row, 0], np.float32(LEAST_WEIGHT))
            filled += 1
        else:
            for column in range(neighbors.shape[1]):
                node = neighbors[row, column]
                similarity = similarities[row, column]
                if node >= 0 and node != row and _passes(similarity, threshold):
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


@jit()
def _mark_passing(indptr, weights, threshold, out):
    """Mark the rows that have an edge that passes the threshold; ``out`` starts as False."""
    for row in range(out.shape[0]):
        for position in range(indptr[row], indptr[row + 1]):
            if _passes(weights[position], threshold):
                out[row] = True
                break


@jit()
def _row_sums(indptr, weights, out):
    """Write the sum of every row, in the order of its entries."""
    for row in range(out.shape[0]):
        total = 0.0
        for position in range(indptr[row], indptr[row + 1]):
            total += weights[position]
        out[row] = total
