"""Kernels of diffusion: the neighbourhood of a query, and conjugate gradients on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._numba import jit, prange
from graphret._sort_kernels import _best_first
from graphret.retrieval._numbering import _add_number, _number_of, _number_table

if TYPE_CHECKING:
    from graphret._types import BoolArray, Float32Array, Float64Array, Int32Array, Int64Array

__all__ = ["_diffuse"]

RESIDUAL = 1e-20
"""Conjugate gradients stop when the squared residual falls below this share of the first."""
GRID = 1e9
"""Scores are rounded to this part of the largest, so that films that differ by rounding only are tied."""


@jit()
def _neighborhood(indptr: Any, indices: Any, transition: Any, seeds: Any, masses: Any, n_local: int, local: Any) -> int:
    """Number the nodes of ``local`` hop by hop from the seeds; returns how many there are.

    A hop that does not fit is cut to the nodes that receive most from the hop before, ties by smaller id.
    """
    table, nodes, mass = local
    table[:] = -1
    n_known = 0
    for edge in range(seeds.shape[0]):
        if seeds[edge] >= 0 and n_known < n_local:
            mass[n_known] = masses[edge]
            n_known = _add_number(seeds[edge], table, nodes, n_known)
    start = 0
    while start < n_known < n_local:
        stop = n_known
        n_links = 0
        for place in range(start, stop):
            n_links += indptr[nodes[place] + 1] - indptr[nodes[place]]
        capacity = min(n_links, indptr.shape[0] - 1)
        hop_table = _number_table(capacity)
        hop_nodes = np.empty(capacity, np.int32)
        hop_mass = np.empty(capacity, np.float64)
        n_reached = 0
        for place in range(start, stop):
            for position in range(indptr[nodes[place]], indptr[nodes[place] + 1]):
                other = indices[position]
                if _number_of(other, table) >= 0:
                    continue
                spot = _number_of(other, hop_table)
                if spot < 0:
                    spot = n_reached
                    n_reached = _add_number(other, hop_table, hop_nodes, n_reached)
                    hop_mass[spot] = 0.0
                hop_mass[spot] += transition[position] * mass[place]
        for spot in _best_first(hop_nodes[:n_reached], hop_mass[:n_reached])[: n_local - n_known]:
            mass[n_known] = hop_mass[spot]
            n_known = _add_number(hop_nodes[spot], table, nodes, n_known)
        start = stop
    return n_known


@jit()
def _solve(
    indptr: Any, indices: Any, transition: Any, source: Any, alpha: float, n_iterations: int, local: Any, n_known: int
) -> Any:
    """Solve (I - alpha S) f = (1 - alpha) y on the neighbourhood by conjugate gradients."""
    table, nodes, _ = local
    starts = np.zeros(n_known + 1, np.int64)
    capacity = 0
    for place in range(n_known):
        capacity += indptr[nodes[place] + 1] - indptr[nodes[place]]
    others = np.empty(capacity, np.int32)
    values = np.empty(capacity, np.float64)
    filled = 0
    for place in range(n_known):
        for position in range(indptr[nodes[place]], indptr[nodes[place] + 1]):
            other = _number_of(indices[position], table)
            if other >= 0:
                others[filled] = other
                values[filled] = alpha * transition[position]
                filled += 1
        starts[place + 1] = filled
    solution = np.zeros(n_known)
    residual = (1.0 - alpha) * source[:n_known]
    direction = residual.copy()
    image = np.empty(n_known)
    square = (residual * residual).sum()
    enough = RESIDUAL * square
    for _step in range(n_iterations):
        if square <= enough:
            break
        curvature = 0.0
        for place in range(n_known):
            value = direction[place]
            for position in range(starts[place], starts[place + 1]):
                value -= values[position] * direction[others[position]]
            image[place] = value
            curvature += value * direction[place]
        length = square / curvature
        before = square
        square = 0.0
        for place in range(n_known):
            solution[place] += length * direction[place]
            residual[place] -= length * image[place]
            square += residual[place] * residual[place]
        for place in range(n_known):
            direction[place] = residual[place] + square / before * direction[place]
    return solution


@jit(parallel=True)
def _diffuse(
    indptr: Int64Array,
    indices: Int32Array,
    transition: Float32Array,
    edge_nodes: Int32Array,
    edge_masses: Float64Array,
    alpha: float,
    n_iterations: int,
    n_local: int,
    allowed: BoolArray,
    forbidden_starts: Int64Array,
    forbidden: Int32Array,
    n_workers: int,
    out_positions: Int32Array,
    out_scores: Float32Array,
) -> None:
    """Diffuse from every query's edges and write the best eligible nodes; outputs start as padding."""
    for worker in prange(n_workers):
        local = (_number_table(n_local), np.empty(n_local, np.int32), np.empty(n_local, np.float64))
        for query in range(worker, edge_nodes.shape[0], n_workers):
            n_known = _neighborhood(indptr, indices, transition, edge_nodes[query], edge_masses[query], n_local, local)
            source = np.zeros(n_known)
            for edge in range(edge_nodes.shape[1]):
                if edge_nodes[query, edge] >= 0:
                    place = _number_of(edge_nodes[query, edge], local[0])
                    if place >= 0:
                        source[place] = edge_masses[query, edge]
            scores = _solve(indptr, indices, transition, source, alpha, n_iterations, local, n_known)
            top = 0.0
            for place in range(n_known):
                top = max(top, scores[place])
            for place in range(n_known):
                scores[place] = np.floor(scores[place] / top * GRID + 0.5)
                if allowed.shape[0] > 0 and not allowed[local[1][place]]:
                    scores[place] = 0.0
            for node in forbidden[forbidden_starts[query] : forbidden_starts[query + 1]]:
                place = _number_of(node, local[0])
                if place >= 0:
                    scores[place] = 0.0
            order = _best_first(local[1][:n_known], scores)
            for rank in range(min(n_known, out_positions.shape[1])):
                place = order[rank]
                if not scores[place] > 0.0:
                    break
                out_positions[query, rank] = local[1][place]
                out_scores[query, rank] = scores[place] / GRID * top
