"""Kernels of Louvain: local moving for both objectives, aggregation, connected parts.

Node and community numbers are unsigned, so that indexing needs no test for negative numbers.
"""

from __future__ import annotations

import numpy as np

from graphret._numba import jit

__all__ = ["_aggregate", "_community_totals", "_connected_parts", "_move_nodes", "_move_nodes_finer"]

BLOCK = np.uint32(256)
"""Nodes visited in memory order before the seeded order jumps: rows that lie together are read together."""


@jit()
def _move_nodes(
    indptr, indices, weights, degrees, labels, community_degrees, block_order, active, weight_to, touched, scale
):
    """Move nodes until none gains modularity; returns the number of moves.

    A node i leaves its community for the neighbouring c with the largest ``w(i, c) - scale d_i d_c`` (d_c without
    i; scale = resolution / 2L): L times the gain of Eq. 7, up to what is the same for every c. It moves only for a
    strict gain; equal gains go to the smaller label. ``weight_to`` (zeros) and ``touched`` are scratch (n_nodes).
    """
    n_nodes = np.uint32(labels.shape[0])
    total_moves = 0
    while True:
        moves = 0
        for block in block_order:
            first = np.uint32(block) * BLOCK
            for node in range(first, min(first + BLOCK, n_nodes)):
                if not active[node]:
                    continue
                active[node] = False
                start = indptr[node]
                stop = indptr[node + np.uint32(1)]
                n_touched = np.uint32(0)
                for position in range(start, stop):
                    community = labels[indices[position]]
                    before = weight_to[community]
                    if before == 0.0:
                        touched[n_touched] = community
                        n_touched += np.uint32(1)
                    weight_to[community] = before + weights[position]
                here = labels[node]
                degree = degrees[node]
                pull = degree * scale
                best = here
                stay = weight_to[here] - pull * (community_degrees[here] - degree)
                # a gain below the rounding of its terms is none: without this, nodes could move in circles
                best_gain = stay + 1e-12 * degree
                weight_to[here] = 0.0
                for place in range(n_touched):
                    community = touched[place]
                    if community == here:
                        continue
                    gain = weight_to[community] - pull * community_degrees[community]
                    weight_to[community] = 0.0
                    if gain > best_gain or (gain == best_gain and best != here and community < best):
                        best_gain = gain
                        best = community
                if best != here:
                    community_degrees[here] -= degree
                    community_degrees[best] += degree
                    labels[node] = best
                    moves += 1
                    for position in range(start, stop):
                        neighbor = indices[position]
                        if labels[neighbor] != best:
                            active[neighbor] = True
        total_moves += moves
        if moves == 0:
            return total_moves


@jit()
def _community_term(inside, degree, size, total, resolution):
    """F = lambda q of one community, times L: (1 + 2 l / (n (n - 1))) (l - resolution d^2 / 4L), P1 Eq. 4-6."""
    term = inside - resolution * degree * degree / (4.0 * total)
    if size >= 2:
        term *= 1.0 + 2.0 * inside / (size * (size - 1.0))
    return term


@jit()
def _move_nodes_finer(
    indptr,
    indices,
    weights,
    degrees,
    loops,
    sizes,
    labels,
    community_degrees,
    community_inside,
    community_sizes,
    block_order,
    active,
    weight_to,
    touched,
    total,
    resolution,
):
    """Move nodes until none gains weighted modularity; returns the number of moves.

    The gain of moving i from a to b is f(b + i) - f(b) + f(a - i) - f(a), from (l, d, n) of both communities.
    """
    n_nodes = np.uint32(labels.shape[0])
    total_moves = 0
    while True:
        moves = 0
        for block in block_order:
            first = np.uint32(block) * BLOCK
            for node in range(first, min(first + BLOCK, n_nodes)):
                if not active[node]:
                    continue
                active[node] = False
                n_touched = np.uint32(0)
                for position in range(indptr[node], indptr[node + np.uint32(1)]):
                    community = labels[indices[position]]
                    if weight_to[community] == 0.0:
                        touched[n_touched] = community
                        n_touched += np.uint32(1)
                    weight_to[community] += weights[position]
                here = labels[node]
                degree = degrees[node]
                loop = loops[node]
                size = sizes[node]
                inside_without = community_inside[here] - weight_to[here] - loop
                degree_without = community_degrees[here] - degree
                size_without = community_sizes[here] - size
                whole = _community_term(
                    community_inside[here], community_degrees[here], community_sizes[here], total, resolution
                )
                rest = _community_term(inside_without, degree_without, size_without, total, resolution)
                best = here
                best_gain = 1e-12 * degree
                best_weight = 0.0
                weight_to[here] = 0.0
                for place in range(n_touched):
                    community = touched[place]
                    if community == here:
                        continue
                    weight = weight_to[community]
                    weight_to[community] = 0.0
                    inside = community_inside[community]
                    old_degree = community_degrees[community]
                    old_size = community_sizes[community]
                    gain = (
                        _community_term(inside + weight + loop, old_degree + degree, old_size + size, total, resolution)
                        - _community_term(inside, old_degree, old_size, total, resolution)
                        + rest
                        - whole
                    )
                    if gain > best_gain or (gain == best_gain and best != here and community < best):
                        best_gain = gain
                        best = community
                        best_weight = weight
                if best != here:
                    community_inside[here] = inside_without
                    community_degrees[here] = degree_without
                    community_sizes[here] = size_without
                    community_inside[best] += best_weight + loop
                    community_degrees[best] += degree
                    community_sizes[best] += size
                    labels[node] = best
                    moves += 1
                    for position in range(indptr[node], indptr[node + np.uint32(1)]):
                        neighbor = indices[position]
                        if labels[neighbor] != best:
                            active[neighbor] = True
        total_moves += moves
        if moves == 0:
            return total_moves


@jit()
def _community_totals(indptr, indices, weights, degrees, loops, sizes, labels, out_inside, out_degrees, out_sizes):
    """Sum l (each edge once), d and n of every community into ``out_*`` (zeros)."""
    for node in range(labels.shape[0]):
        community = labels[node]
        inside = 0.0
        for position in range(indptr[node], indptr[node + 1]):
            if labels[indices[position]] == community:
                inside += weights[position]
        out_inside[community] += loops[node] + inside / 2.0
        out_degrees[community] += degrees[node]
        out_sizes[community] += sizes[node]


@jit()
def _aggregate(indptr, indices, weights, loops, labels, n_communities, out_indptr, out_indices, out_weights, out_loops):
    """Make one node of every community: CSR between communities, and what lies inside as a loop counted once.

    Communities are gathered by a counting sort of their members; returns the number of entries, or -1 when ``out`` has
    no room for them.
    """
    n_nodes = labels.shape[0]
    starts = np.zeros(n_communities + 1, np.int64)
    for node in range(n_nodes):
        starts[np.int64(labels[node]) + 1] += 1
    for community in range(n_communities):
        starts[community + 1] += starts[community]
    members = np.empty(n_nodes, np.uint32)
    place = starts[:-1].copy()
    for node in range(n_nodes):
        members[place[labels[node]]] = node
        place[labels[node]] += 1
    weight_to = np.zeros(n_communities, np.float64)
    touched = np.empty(n_communities, np.uint32)
    filled = 0
    out_indptr[0] = 0
    for community in range(n_communities):
        n_touched = 0
        inside = 0.0
        for member in range(starts[community], starts[community + 1]):
            node = members[member]
            inside += loops[node]
            for position in range(indptr[node], indptr[np.int64(node) + 1]):
                other = labels[indices[position]]
                if weight_to[other] == 0.0:
                    touched[n_touched] = other
                    n_touched += 1
                weight_to[other] += weights[position]
        inside += weight_to[community] / 2.0
        out_loops[community] = inside
        if filled + n_touched > out_indices.shape[0]:
            return -1
        for slot in range(n_touched):
            other = touched[slot]
            if other != community:
                out_indices[filled] = other
                out_weights[filled] = weight_to[other]
                filled += 1
            weight_to[other] = 0.0
        out_indptr[community + 1] = filled
    return filled


@jit()
def _connected_parts(indptr, indices, labels, out):
    """Number the connected parts of every community in order of their smallest node; returns their number."""
    n_nodes = labels.shape[0]
    unseen = np.int32(-1)
    out[:] = unseen
    stack = np.empty(n_nodes, np.int32)
    n_parts = 0
    for root in range(n_nodes):
        if out[root] != unseen:
            continue
        out[root] = n_parts
        stack[0] = root
        height = 1
        while height:
            height -= 1
            node = stack[height]
            for position in range(indptr[node], indptr[node + 1]):
                neighbor = indices[position]
                if out[neighbor] == unseen and labels[neighbor] == labels[root]:
                    out[neighbor] = n_parts
                    stack[height] = neighbor
                    height += 1
        n_parts += 1
    return n_parts
