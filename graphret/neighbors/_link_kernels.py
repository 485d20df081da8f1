"""Kernels of the links of a kNN table: both ways, sorted, and their components. They write to ``out`` arrays."""

from __future__ import annotations

import numpy as np

from graphret._numba import jit

__all__ = ["_components", "_count_links", "_merge_links", "_mirror_links", "_reverse_links", "_without_nodes"]


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
def _mirror_links(starts, links, out_starts, out):
    """Write the links the other way, each row ascending. ``out_starts`` (n + 1,) zeros."""
    n_films = starts.shape[0] - 1
    for place in range(starts[n_films]):
        out_starts[links[place] + 1] += 1
    for film in range(n_films):
        out_starts[film + 1] += out_starts[film]
    free = out_starts[:-1].copy()
    for film in range(n_films):
        for place in range(starts[film], starts[film + 1]):
            other = links[place]
            out[free[other]] = film
            free[other] += 1


@jit()
def _merge_links(own_starts, own, starts, reverse, out_indptr, out):
    """Write the union of a film's neighbours and of those that name it, both ascending; returns the number of links."""
    filled = 0
    out_indptr[0] = 0
    for film in range(starts.shape[0] - 1):
        left, left_stop = own_starts[film], own_starts[film + 1]
        right, right_stop = starts[film], starts[film + 1]
        while left < left_stop and right < right_stop:
            one, other = own[left], reverse[right]
            out[filled] = min(one, other)
            left += np.int64(one <= other)  # no branch: which of the two comes first cannot be foreseen
            right += np.int64(other <= one)
            filled += 1
        for place in range(left, left_stop):
            out[filled] = own[place]
            filled += 1
        for place in range(right, right_stop):
            out[filled] = reverse[place]
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
