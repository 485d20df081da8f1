"""Kernels of the contextual ranking: cosines smoothed over the graph within a pool, and the order of the sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._numba import jit, popcount, prange, prefetch
from graphret._sort_kernels import _best_few, _smallest_few, _sort_ascending

if TYPE_CHECKING:
    from graphret._types import Float64Array, Int32Array, Int64Array

__all__ = ["_rank_in_context", "_rank_in_contexts"]

WORD, IN_WORD, ONE = 6, 63, np.uint64(1)
"""Bits of a word are 2 to this power; a film's place in its word; a word whose last bit is 1."""
AHEAD = 2
"""Films of a pool whose edges are fetched before they are read."""
LINE = 16
"""Edges of a line of the cache."""
GRID = 1e9
"""Scores are rounded to this part of 1, so that films that differ by rounding only are tied."""


@jit()
def _pool_bits(pool: Any, n_films: Any) -> Any:
    """A bit for every film, 1 for those of a pool: words (w,), the bits of 1 before each, and the places by position.

    The film at a bit of 1 has its place in the pool at the number of such bits before it. An eighth and a sixteenth of
    a byte a film: they stay in the processor's cache where a table of numbers would not.
    """
    words = np.zeros((n_films >> WORD) + 1, np.uint64)
    for place in range(pool.shape[0]):
        words[pool[place] >> WORD] |= ONE << np.uint64(pool[place] & IN_WORD)
    before = np.empty(words.shape[0], np.int32)
    n_before = 0
    for word in range(words.shape[0]):
        before[word] = n_before
        n_before += popcount(words[word])
    bits = words, before, np.empty(pool.shape[0], np.int32)
    for place in range(pool.shape[0]):
        bits[2][_number_in(bits, pool[place])] = place
    return bits


@jit()
def _number_in(bits: Any, film: Any) -> Any:
    """How many films of the pool lie before a film by position."""
    words, before, _ = bits
    below = (ONE << np.uint64(film & IN_WORD)) - ONE
    return before[film >> WORD] + popcount(words[film >> WORD] & below)


@jit(reassociate=True)
def _sum_between(weights: Any, start: Any, stop: Any) -> float:
    """Sum of some weights, in float64."""
    total = 0.0
    for position in range(start, stop):
        total += np.float64(weights[position])
    return total


@jit()
def _fetch_row(indices: Any, weights: Any, start: Any, stop: Any) -> None:
    """Ask for the edges of a film while others are read: films of a pool lie anywhere in the graph."""
    for position in range(start, stop, LINE):
        prefetch(indices, position)
        prefetch(weights, position)


@jit()
def _edges_inside(indptr: Any, indices: Any, weights: Any, pool: Any) -> Any:
    """Edges between films of a pool (starts, others), as shares of a film's weight, and what these sum to."""
    n_pool = pool.shape[0]
    bits = _pool_bits(pool, indptr.shape[0] - 1)
    words, _, places = bits
    capacity = 1
    for place in range(n_pool):
        capacity += indptr[pool[place] + 1] - indptr[pool[place]]
    starts = np.zeros(n_pool + 1, np.int64)
    others = np.empty(capacity, np.int32)
    shares = np.empty(capacity, np.float64)
    inside = np.zeros(n_pool)
    filled = np.int64(0)
    for place in range(n_pool):
        if place + AHEAD < n_pool:
            later = pool[place + AHEAD]
            _fetch_row(indices, weights, indptr[later], indptr[later + 1])
        start, stop = indptr[pool[place]], indptr[pool[place] + 1]
        first = filled
        for position in range(start, stop):  # most films are outside: what is noted is kept where the bit is 1
            film = indices[position]
            others[filled] = position - start
            filled += np.int64((words[film >> WORD] >> np.uint64(film & IN_WORD)) & ONE)
        total = _sum_between(weights, start, stop)
        for entry in range(first, filled):
            position = start + others[entry]
            others[entry] = places[_number_in(bits, indices[position])]
            shares[entry] = weights[position] / total
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
