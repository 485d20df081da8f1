"""Kernels of the contextual ranking: cosines smoothed over the graph within a pool, and the order of the sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._numba import jit, prange
from graphret._sort_kernels import _best_few, _smallest_few, _sort_ascending
from graphret.retrieval._numbering import _number_of, _number_table, _place_of, _set_number

if TYPE_CHECKING:
    from graphret._types import Float64Array, Int32Array, Int64Array

__all__ = ["_rank_in_context", "_rank_in_contexts"]

GRID = 1e9
"""Scores are rounded to this part of 1, so that films that differ by rounding only are tied."""


@jit()
def _edges_inside(indptr: Any, indices: Any, weights: Any, pool: Any) -> Any:
    """Edges between films of a pool (starts, others), as shares of a film's weight, and what these sum to."""
    n_pool = pool.shape[0]
    table = _number_table(n_pool)
    capacity = 0
    for place in range(n_pool):
        _set_number(_place_of(pool[place], table), pool[place], place, table)
        capacity += indptr[pool[place] + 1] - indptr[pool[place]]
    starts = np.zeros(n_pool + 1, np.int64)
    others = np.empty(capacity, np.int32)
    shares = np.empty(capacity, np.float64)
    inside = np.zeros(n_pool)
    filled = 0
    for place in range(n_pool):
        total = 0.0
        first = filled
        for position in range(indptr[pool[place]], indptr[pool[place] + 1]):
            total += weights[position]
            other = _number_of(indices[position], table)
            if other >= 0:
                others[filled] = other
                shares[filled] = weights[position]
                filled += 1
        for entry in range(first, filled):
            shares[entry] /= total
            inside[place] += shares[entry]
        starts[place + 1] = filled
    return starts, others, shares, inside


@jit()
def _smoothed(edges: Any, cosines: Any, n_rounds: int) -> Any:
    """Average over a film's neighbours, round after round; neighbours outside the pool count as its lowest cosine."""
    starts, others, shares, inside = edges
    n_pool = cosines.shape[0]
    lowest = cosines.min()
    values = cosines.copy()
    before = np.empty(n_pool)
    for _ in range(n_rounds):
        before[:] = values
        for place in range(n_pool):
            value = (1.0 - inside[place]) * lowest
            for entry in range(starts[place], starts[place + 1]):
                value += shares[entry] * before[others[entry]]
            values[place] = value
    return values


@jit()
def _n_films(pool: Any) -> int:
    """Films of a pool that -1 pads."""
    n_films = 0
    while n_films < pool.shape[0] and pool[n_films] >= 0:
        n_films += 1
    return n_films


@jit()
def _mixed(own: Any, around: Any, context: float) -> Any:
    """Similarity with context, f, of every film, and its standard deviation in the pool."""
    mixed = (1.0 - context) * own + context * around
    mean = mixed.sum() / mixed.shape[0]
    return mixed, np.sqrt(((mixed - mean) ** 2).sum() / mixed.shape[0])


@jit()
def _scores(mixed: Any, spread: float, strength: float, density: Any) -> Any:
    """Sums of f and the density, as whole numbers of GRID."""
    return np.floor((mixed + strength * spread * density) * GRID + 0.5)


@jit(parallel=True)
def _rank_in_context(
    indptr: Int64Array,
    indices: Int32Array,
    weights: Any,
    density: Float64Array,
    pool: Int32Array,
    cosines: Float64Array,
    context: float,
    n_rounds: int,
    strength: float,
    n_workers: int,
    out_positions: Int32Array,
    out_terms: Float64Array,
) -> None:
    """Write the best films of every pool (q, m), padded with -1, and the three terms (3, q, k) of their scores."""
    for worker in prange(n_workers):
        for query in range(worker, pool.shape[0], n_workers):
            n_pool = _n_films(pool[query])
            if n_pool == 0:
                continue
            films = pool[query, :n_pool]
            own = cosines[query, :n_pool]
            around = own
            if context > 0.0:
                around = _smoothed(_edges_inside(indptr, indices, weights, films), own, n_rounds)
            mixed, spread = _mixed(own, around, context)
            order = _best_few(films, _scores(mixed, spread, strength, density[films]), out_positions.shape[1])
            for rank in range(order.shape[0]):
                place = order[rank]
                out_positions[query, rank] = films[place]
                out_terms[0, query, rank] = (1.0 - context) * own[place]
                out_terms[1, query, rank] = context * around[place]
                out_terms[2, query, rank] = strength * spread * density[films[place]]


@jit()
def _by_position(films: Any) -> Any:
    """Films of a pool by position, the rank of each among them, int64 (m,), and a power of two above all ranks."""
    n_pool = films.shape[0]
    width = 1
    while width < n_pool:
        width *= 2
    keys = np.empty(n_pool, np.int64)
    for place in range(n_pool):
        keys[place] = np.int64(films[place]) * width + place
    _sort_ascending(keys)
    ordered = np.empty_like(films)
    ranks = np.empty(n_pool, np.int64)
    for rank in range(n_pool):
        place = keys[rank] & (width - 1)
        ordered[rank] = films[place]
        ranks[place] = rank
    return ordered, ranks, width


@jit()
def _write_best(films: Any, pool: Any, scores: Any, keys: Any, out: Any) -> None:
    """Write the films of the largest scores (m,), whole numbers, ties by smaller position; pads stay.

    ``pool`` is of `_by_position`. Score and rank of a film are one whole number, so that one comparison orders two
    films; scores that are too large for that are compared apart. ``keys`` (m,) is room.
    """
    ordered, ranks, width = pool
    n_few = min(out.shape[0], films.shape[0])
    bound = np.float64(2**61 // width)
    for place in range(films.shape[0]):
        if not (-bound < scores[place] < bound):
            order = _best_few(films, scores, n_few)
            for rank in range(n_few):
                out[rank] = films[order[rank]]
            return
        keys[place] = -np.int64(scores[place]) * width + ranks[place]
    _smallest_few(keys, n_few)
    for rank in range(n_few):
        out[rank] = ordered[keys[rank] & (width - 1)]


@jit(parallel=True)
def _rank_in_contexts(
    indptr: Int64Array,
    indices: Int32Array,
    weights: Any,
    densities: Float64Array,
    pool: Int32Array,
    cosines: Float64Array,
    forms: tuple[Int64Array, Float64Array, Int64Array, Float64Array, Int64Array],
    n_workers: int,
    out_positions: Int32Array,
) -> None:
    """Write the best films of every pool (q, m) by many forms of the ranking, int32 (forms, q, k), padded with -1.

    A form is a row of ``cosines`` (v, q, m), its context and rounds, its strength and a row of ``densities`` (a, n).
    Forms that share cosines, context and rounds stand together: what they share is computed once.
    """
    views, contexts, rounds, strengths, kinds = forms
    for worker in prange(n_workers):
        for query in range(worker, pool.shape[0], n_workers):
            n_pool = _n_films(pool[query])
            if n_pool == 0:
                continue
            films = pool[query, :n_pool]
            edges = _edges_inside(indptr, indices, weights, films)
            by_position, keys = _by_position(films), np.empty(n_pool, np.int64)
            of_pool = np.empty((densities.shape[0], n_pool))
            for kind in range(densities.shape[0]):
                for place in range(n_pool):
                    of_pool[kind, place] = densities[kind, films[place]]
            around = cosines[0, query, :n_pool]
            mixed, spread = around, 0.0
            for form in range(views.shape[0]):
                own = cosines[views[form], query, :n_pool]
                first = form == 0 or views[form] != views[form - 1]
                if first or contexts[form] != contexts[form - 1] or rounds[form] != rounds[form - 1]:
                    around = own
                    if contexts[form] > 0.0:
                        around = _smoothed(edges, own, rounds[form])
                    mixed, spread = _mixed(own, around, contexts[form])
                scores = _scores(mixed, spread, strengths[form], of_pool[kinds[form]])
                _write_best(films, by_position, scores, keys, out_positions[form, query])
