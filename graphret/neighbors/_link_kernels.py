"""Kernels of the links of a kNN table: both ways, sorted, and their components. They write to ``out`` arrays."""

from __future__ import annotations

from graphret._numba import jit
from graphret._sort_kernels import _sort_ascending

__all__ = ["_components", "_count_links", "_merge_links", "_reverse_links", "_without_nodes"]


@jit()
def _count_links(neighbors, out_starts):
    """Write where the films begin that name each film as a neighbour; -1 pads a row. ``out_starts`` (n + 1,) zeros."""
    for film in range(neighbors.shape[0]):
        for column in range(neighbors.shape[1]):
            if neighbors[film, column] >= 0:
                out_starts[neighbors[film, column] + 1] += 1
    for film in range(neighbors.shape[0]):
        out_starts[film + 1] += out_starts[film]


@jit()
def _reverse_links(neighbors, starts, out):
    """Write the films that name each film, ascending."""
    place = starts[:-1].copy()
    for film in range(neighbors.shape[0]):
        for column in range(neighbors.shape[1]):
            other = neighbors[film, column]
            if other >= 0:
                out[place[other]] = film
                place[other] += 1


@jit()
def _merge_links(neighbors, starts, reverse, out_indptr, out):
    """Write the union of a film's neighbours and of those that name it, ascending; returns the number of links."""
    k = neighbors.shape[1]
    filled = 0
    out_indptr[0] = 0
    for film in range(neighbors.shape[0]):
        own = neighbors[film].copy()
        _sort_ascending(own)
        left = 0
        while left < k and own[left] < 0:
            left += 1
        right = starts[film]
        while left < k or right < starts[film + 1]:
            if right == starts[film + 1] or (left < k and own[left] < reverse[right]):
                node = own[left]
                left += 1
            else:
                node = reverse[right]
                right += 1
                if left < k and own[left] == node:
                    left += 1
            out[filled] = node
            filled += 1
        out_indptr[film + 1] = filled
    return filled


@jit()
def _components(indptr, indices, out):
    """Number the connected components, in the order of their smallest nodes (trees with halved paths)."""
    n_nodes = indptr.shape[0] - 1
    for node in range(n_nodes):
        out[node] = node
    for node in range(n_nodes):
        for place in range(indptr[node], indptr[node + 1]):
            one = node
            while out[one] != one:
                out[one] = out[out[one]]
                one = out[one]
            other = indices[place]
            while out[other] != other:
                out[other] = out[out[other]]
                other = out[other]
            if one < other:
                out[other] = one
            else:
                out[one] = other
    n_components = 0
    for node in range(n_nodes):
        # roots are the smallest of their trees, and parents are smaller: they have their number already
        if out[node] == node:
            out[node] = n_components
            n_components += 1
        else:
            out[node] = out[out[node]]
    return n_components


@jit()
def _without_nodes(indptr, indices, weights, kept, new_numbers, out_indptr, out_indices, out_weights):
    """Copy the rows of ``kept`` of a CSR without the nodes whose new number is -1; returns the number of entries.

    ``weights`` and ``out_weights`` have length 0 where the entries have none. The result is -1 where an index is no
    node.
    """
    filled = 0
    out_indptr[0] = 0
    for row in range(kept.shape[0]):
        for position in range(indptr[kept[row]], indptr[kept[row] + 1]):
            if indices[position] < 0 or indices[position] >= new_numbers.shape[0]:
                return -1
            node = new_numbers[indices[position]]
            if node >= 0:
                out_indices[filled] = node
                if weights.shape[0] > 0:
                    out_weights[filled] = weights[position]
                filled += 1
        out_indptr[row + 1] = filled
    return filled
