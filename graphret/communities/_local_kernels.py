"""Kernel of local moving: a queue of nodes, each of which joins the neighbouring community that gains most."""

from __future__ import annotations

import numpy as np

from graphret._numba import jit
from graphret.communities._kernels import _community_term

__all__ = ["_move_from_queue"]


@jit()
def _term(inside, degree, size, total, resolution, finer):
    if finer:
        return _community_term(inside, degree, size, total, resolution)
    return inside - resolution * degree * degree / (4.0 * total)


@jit()
def _move_from_queue(
    indptr,
    indices,
    weights,
    degrees,
    labels,
    communities,
    queue,
    n_queued,
    waiting,
    at_most,
    stay,
    total,
    resolution,
    finer,
):
    """Move nodes of a queue until it is empty, or ``at_most`` visits; returns visits, moves, and how many still wait.

    A node moves for a strict gain only, and one that is not alone for a gain above ``stay`` of its degree; equal gains
    go to the smaller community, and its neighbours in other communities are then queued. The gain of moving i from a to
    b is f(b + i) - f(b) + f(a - i) - f(a), f being the term of a community in the objective, times L.

    Parameters
    ----------
    communities
        float64 (n_communities, 4): zeros, then d, l and n of every community, as in `_community_totals`.
    queue, n_queued
        int64 (n_nodes,), a ring: the first ``n_queued`` wait, each at most once, as ``waiting`` says.
    """
    n_nodes = labels.shape[0]
    touched = np.empty(communities.shape[0], np.int64)
    head, visits, moves = 0, 0, 0
    while n_queued > 0 and visits < at_most:
        node = queue[head]
        head = (head + 1) % n_nodes
        n_queued -= 1
        waiting[node] = False
        visits += 1
        here = labels[node]
        inner = 0.0
        n_touched = 0
        for position in range(indptr[node], indptr[node + 1]):
            community = labels[indices[position]]
            if community == here:
                inner += weights[position]
            else:
                if communities[community, 0] == 0.0:
                    touched[n_touched] = community
                    n_touched += 1
                communities[community, 0] += weights[position]
        degree = degrees[node]
        inside_without = communities[here, 2] - inner
        degree_without = communities[here, 1] - degree
        size_without = communities[here, 3] - 1.0
        leaving = _term(inside_without, degree_without, size_without, total, resolution, finer) - _term(
            communities[here, 2], communities[here, 1], communities[here, 3], total, resolution, finer
        )
        best, best_gain, best_weight = here, (1e-12 if size_without == 0.0 else max(1e-12, stay)) * degree, 0.0
        for place in range(n_touched):
            community = touched[place]
            weight = communities[community, 0]
            communities[community, 0] = 0.0
            inside, old_degree, size = communities[community, 2], communities[community, 1], communities[community, 3]
            gain = (
                _term(inside + weight, old_degree + degree, size + 1.0, total, resolution, finer)
                - _term(inside, old_degree, size, total, resolution, finer)
                + leaving
            )
            if gain > best_gain or (gain == best_gain and best != here and community < best):
                best, best_gain, best_weight = community, gain, weight
        if best == here:
            continue
        if size_without == 0.0:  # exactly: what rounding leaves would count when another node comes
            inside_without, degree_without = 0.0, 0.0
        communities[here, 1] = degree_without
        communities[here, 2] = inside_without
        communities[here, 3] = size_without
        communities[best, 1] += degree
        communities[best, 2] += best_weight
        communities[best, 3] += 1.0
        labels[node] = best
        moves += 1
        for position in range(indptr[node], indptr[node + 1]):
            neighbor = indices[position]
            if labels[neighbor] != best and not waiting[neighbor]:
                waiting[neighbor] = True
                queue[(head + n_queued) % n_nodes] = neighbor
                n_queued += 1
    return visits, moves, n_queued
