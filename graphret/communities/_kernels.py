"""Kernels of Louvain: local moving for both objectives, aggregation, connected parts.

Node and community numbers are unsigned, so that indexing needs no test for negative numbers.
"""

from __future__ import annotations

import numpy as np

from graphret._numba import jit

__all__ = ["_aggregate", "_community_totals", "_connected_parts", "_move_nodes", "_move_nodes_finer"]

SAMPLED = 2
"""Edges inside its community along which every node is joined before its connected parts are looked at."""


@jit()
def _edges_that_leave(indices, weights, labels, start, stop, here, others, row):
    """Write labels and weights of the edges that leave community ``here``; returns their number.

    Every edge is written, and kept by counting it: a branch here would be guessed wrong half of the time.
    """
    n_others = np.uint32(0)
    for position in range(start, stop):
        community = labels[indices[position]]
        others[n_others] = community
        row[n_others] = weights[position]
        n_others += np.uint32(community != here)
    return n_others


@jit()
def _sum_by_community(others, row, n_others, weight_to, touched, n_touched):
    """Add edges to the first column of ``weight_to``; returns how many communities are touched, and the edges' sum."""
    total = 0.0
    for place in range(n_others):
        community = others[place]
        weight = np.float64(row[place])
        before = weight_to[community, 0]
        touched[n_touched] = community
        n_touched += np.uint32(before == 0.0)
        weight_to[community, 0] = before + weight
        total += weight
    return n_touched, total


@jit()
def _gather(indptr, indices, weights, labels, node, here, weight_to, touched, n_touched, others, row):
    """Add the edges of a node that leave community ``here`` to the first column of ``weight_to``, by community.

    Returns how many communities are touched, those before included, and the weight that leaves.
    """
    start, stop = np.uint64(indptr[node]), np.uint64(indptr[np.int64(node) + 1])
    n_others = _edges_that_leave(indices, weights, labels, start, stop, here, others, row)
    return _sum_by_community(others, row, n_others, weight_to, touched, n_touched)


@jit()
def _move_nodes(
    indptr,
    indices,
    weights,
    degrees,
    inner,
    labels,
    communities,
    block_order,
    block_size,
    slack,
    touched,
    others,
    row,
    scale,
    once,
):
    """Move nodes until none gains modularity, or ``once`` around; returns the number of moves.

    A node i leaves its community for the neighbouring c with the largest ``w(i, c) - scale d_i d_c`` (d_c without
    i; scale = resolution / 2L): L times the gain of Eq. 7, up to what is the same for every c. It moves only for a
    strict gain; equal gains go to the smaller label.

    ``slack`` (minus infinity at first) is how much i's best choice was ahead of the next when i was last visited. A
    neighbour's move takes at most the weight of their edge from it, or twice that if it left i's community, so a node
    with slack left is not visited. Changes of d_c alone do not count, as with flags of activity. A sweep that comes
    only ``once`` leaves slack alone: where almost every node moves, keeping it would cost more than it saves.

    Parameters
    ----------
    inner
        float64 (n_nodes,), sum of every row: the degree without loops.
    communities
        float64 (n_communities, 2): zeros, and the degree of every community, side by side in memory.
    block_order, block_size
        uint32: blocks of so many rows, in the order in which they are visited; rows inside a block in memory order.
    touched, others, row
        Scratch as long as the longest row: communities near a node; labels and weights of its edges that leave.
    """
    n_nodes = np.uint32(labels.shape[0])
    total_moves = 0
    while True:
        moves = 0
        for block in block_order:
            first = np.uint32(block) * np.uint32(block_size)
            for node in range(first, min(first + np.uint32(block_size), n_nodes)):
                if slack[node] > 0.0:
                    continue
                here = labels[node]
                n_touched, outside = _gather(
                    indptr, indices, weights, labels, node, here, communities, touched, np.uint32(0), others, row
                )
                degree = degrees[node]
                pull = degree * scale
                # a gain below the rounding of its terms is none: without this, nodes could move in circles
                least = 1e-12 * degree
                best = here
                best_gain = inner[node] - outside - pull * (communities[here, 1] - degree) + least
                next_gain = 0.0  # of a community that none of its neighbours is in, at most
                for place in range(n_touched):
                    community = touched[place]
                    gain = communities[community, 0] - pull * communities[community, 1]
                    communities[community, 0] = 0.0
                    if gain > best_gain or (gain == best_gain and best != here and community < best):
                        next_gain = best_gain
                        best_gain = gain
                        best = community
                    elif gain > next_gain:
                        next_gain = gain
                if best != here:
                    communities[here, 1] -= degree
                    communities[best, 1] += degree
                    labels[node] = best
                    moves += 1
                if once:
                    continue
                slack[node] = max(best_gain - next_gain, least)
                if best == here:
                    continue
                for position in range(np.uint64(indptr[node]), np.uint64(indptr[node + np.uint32(1)])):
                    neighbor = indices[position]
                    community = labels[neighbor]
                    times = np.int32(1) + np.int32(community == here) - np.int32(2) * np.int32(community == best)
                    slack[neighbor] -= times * weights[position]
        total_moves += moves
        if once or moves == 0:
            return total_moves


@jit()
def _community_term(inside, degree, size, total, resolution):
    """F = lambda q of one community, times L (Haq et al. 2021, Eq. 4-6).

    (1 + 2 l / (n (n - 1))) (l - resolution d^2 / 4L).
    """
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
    inner,
    loops,
    sizes,
    labels,
    communities,
    block_order,
    block_size,
    active,
    touched,
    others,
    row,
    total,
    resolution,
):
    """Move nodes until none gains weighted modularity; returns the number of moves.

    A node is visited when it is ``active``: a neighbour moved since. ``communities``: float64 (n_nodes, 4), zeros and
    then d, l and n of every community; the rest as in `_move_nodes`. The gain of moving i from a to b is
    f(b + i) - f(b) + f(a - i) - f(a), from (d, l, n) of both. Where that gains more than any neighbour's community, a
    node goes into an empty one: f(b) is then 0.
    """
    n_nodes = np.uint32(labels.shape[0])
    empty, n_empty = np.empty(n_nodes, np.uint32), np.uint32(0)  # the smallest lies on top
    for community in range(np.int64(n_nodes) - 1, -1, -1):
        empty[n_empty] = community
        n_empty += np.uint32(communities[community, 3] == 0.0)
    total_moves = 0
    while True:
        moves = 0
        for block in block_order:
            first = np.uint32(block) * np.uint32(block_size)
            for node in range(first, min(first + np.uint32(block_size), n_nodes)):
                if not active[node]:
                    continue
                active[node] = False
                here = labels[node]
                n_touched, outside = _gather(
                    indptr, indices, weights, labels, node, here, communities, touched, np.uint32(0), others, row
                )
                degree = degrees[node]
                loop = loops[node]
                size = sizes[node]
                inside_without = communities[here, 2] - (inner[node] - outside) - loop
                degree_without = communities[here, 1] - degree
                size_without = communities[here, 3] - size
                leaving = _community_term(inside_without, degree_without, size_without, total, resolution)
                leaving -= _community_term(
                    communities[here, 2], communities[here, 1], communities[here, 3], total, resolution
                )
                best = here
                best_gain = 1e-12 * degree
                best_weight = 0.0
                for place in range(n_touched):
                    community = touched[place]
                    weight = communities[community, 0]
                    communities[community, 0] = 0.0
                    old_degree = communities[community, 1]
                    inside = communities[community, 2]
                    old_size = communities[community, 3]
                    gain = (
                        _community_term(inside + weight + loop, old_degree + degree, old_size + size, total, resolution)
                        - _community_term(inside, old_degree, old_size, total, resolution)
                        + leaving
                    )
                    if gain > best_gain or (gain == best_gain and best != here and community < best):
                        best_gain = gain
                        best = community
                        best_weight = weight
                if size_without > 0.0 and leaving + _community_term(loop, degree, size, total, resolution) > best_gain:
                    n_empty -= np.uint32(1)
                    best = empty[n_empty]
                    best_weight = 0.0
                if best != here:
                    if size_without == 0.0:  # exactly: what rounding leaves would count when another node comes
                        inside_without, degree_without = 0.0, 0.0
                        empty[n_empty] = here
                        n_empty += np.uint32(1)
                    communities[here, 1] = degree_without
                    communities[here, 2] = inside_without
                    communities[here, 3] = size_without
                    communities[best, 1] += degree
                    communities[best, 2] += best_weight + loop
                    communities[best, 3] += size
                    labels[node] = best
                    moves += 1
                    for position in range(np.uint64(indptr[node]), np.uint64(indptr[node + np.uint32(1)])):
                        neighbor = indices[position]
                        if labels[neighbor] != best:
                            active[neighbor] = True
        total_moves += moves
        if moves == 0:
            return total_moves


@jit()
def _community_totals(indptr, indices, weights, degrees, loops, sizes, labels, out):
    """Sum d, l (each edge once) and n of every community into the last three columns of ``out`` (zeros)."""
    for node in range(labels.shape[0]):
        community = labels[node]
        inside = 0.0
        for position in range(indptr[node], indptr[node + 1]):
            if labels[indices[position]] == community:
                inside += weights[position]
        out[community, 1] += degrees[node]
        out[community, 2] += loops[node] + inside / 2.0
        out[community, 3] += sizes[node]


@jit()
def _aggregate(
    indptr,
    indices,
    weights,
    inner,
    loops,
    labels,
    n_communities,
    others,
    row,
    out_indptr,
    out_indices,
    out_weights,
    out_loops,
):
    """Make one node of every community: CSR between communities, and what lies inside as a loop counted once.

    ``inner`` and the scratch ``others`` and ``row`` are as in `_move_nodes`.

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
    next_member = starts[:-1].copy()
    for node in range(n_nodes):
        members[next_member[labels[node]]] = node
        next_member[labels[node]] += 1
    weight_to = np.zeros((n_communities, 1), np.float64)
    touched = np.empty(n_communities + 1, np.uint32)
    filled = 0
    out_indptr[0] = 0
    for community in range(n_communities):
        n_touched = np.uint32(0)
        inside = 0.0
        for member in range(starts[community], starts[community + 1]):
            node = members[member]
            n_touched, outside = _gather(
                indptr, indices, weights, labels, node, community, weight_to, touched, n_touched, others, row
            )
            inside += loops[node] + (inner[node] - outside) / 2.0
        out_loops[community] = inside
        if filled + n_touched > out_indices.shape[0]:
            return -1
        for slot in range(n_touched):
            other = touched[slot]
            out_indices[filled] = other
            out_weights[filled] = weight_to[other, 0]
            weight_to[other, 0] = 0.0
            filled += 1
        out_indptr[community + 1] = filled
    return filled


@jit()
def _root(parents, node):
    """Follow parents to the smallest node of a tree, halving the way for the next who asks."""
    root = node
    while parents[root] != root:
        parents[root] = parents[parents[root]]
        root = parents[root]
    return root


@jit()
def _join(indptr, indices, labels, parents, node, at_most):
    """Join the tree of a node with those of its first ``at_most`` neighbours of the same community."""
    own = _root(parents, np.uint32(node))
    joined = 0
    for position in range(np.uint64(indptr[node]), np.uint64(indptr[node + 1])):
        neighbor = indices[position]
        if labels[neighbor] == labels[node]:
            other = _root(parents, neighbor)
            parents[max(own, other)] = min(own, other)
            own = min(own, other)
            joined += 1
            if joined == at_most:
                return


@jit()
def _connected_parts(indptr, indices, labels, out):
    """Number the connected parts of every community in order of their smallest node; returns their number.

    Trees joined along a few edges a node hold almost all of every community (Sutton, Ben-Nun and Barak 2018,
    "Afforest"); only nodes outside their community's largest tree need all of their edges looked at.
    """
    n_nodes = labels.shape[0]
    parents = np.arange(n_nodes).astype(np.uint32)
    for node in range(n_nodes):
        _join(indptr, indices, labels, parents, node, SAMPLED)
    sizes = np.zeros(n_nodes, np.uint32)
    for node in range(n_nodes):
        sizes[_root(parents, np.uint32(node))] += 1
    largest = np.zeros(n_nodes, np.uint32)
    for node in range(n_nodes):
        if sizes[node] > sizes[largest[labels[node]]] or labels[largest[labels[node]]] != labels[node]:
            largest[labels[node]] = node
    for node in range(n_nodes):
        if _root(parents, np.uint32(node)) != _root(parents, largest[labels[node]]):
            _join(indptr, indices, labels, parents, node, n_nodes)
    n_parts = 0
    for node in range(n_nodes):
        root = _root(parents, np.uint32(node))
        if root == node:
            out[node] = n_parts
            n_parts += 1
        out[node] = out[root]
    return n_parts
