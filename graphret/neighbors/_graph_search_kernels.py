"""Kernels of graph search: one query follows links from film to film, then its best candidates are scored canonically.

A candidate is one integer, its *key*: the product of the short codes above, then the film so that of equal products
the smaller film has the larger key, then a bit that says whether its links were expanded. Keys in descending order are
therefore a ranking with its ties settled, and a film that comes twice is found where it would be inserted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphret._numba import jit, prange, prefetch
from graphret._sort_kernels import _sort_ascending
from graphret.neighbors._checksum_kernels import _is_unchanged
from graphret.neighbors._kernels import _dot, _round_similarity, _short_product

__all__ = ["CHANGED", "_search_queries"]

LAST_FILM = np.int64(0x7FFFFFFF)
SCALE = np.int64(1 << 32)
STARTS = 32
"""Entry points that start a search."""
GRID = 1e6
"""Similarities are multiples of one over this."""
GROUP = 256
"""Neighbours whose short codes are fetched together: enough to wait for memory once, few enough to stay in cache."""
LINE = 16
"""Links that memory gives at once."""
FETCHED = 6
"""Of them, how many times: about what a film has."""
AHEAD = 2
"""Candidates whose stored codes are fetched before it is their turn to be scored."""
CHANGED = -2
"""What stands for the number of films scored where the code of one of them was changed."""
RECENT = 1 << 14
"""Places that remember films met: one that was overwritten is compared again, and then found among the candidates."""


@jit()
def _project(query: Any, length: float, directions: Any, highest: Any, out: Any) -> bool:
    """Round a query in the leading directions to int16, its largest value to ``highest``; False: it has no part there.

    Every direction is summed in the order of the dimensions, so that the result is that of the query alone.
    """
    products = np.zeros(directions.shape[1], np.float32)
    for dimension in range(query.shape[0]):
        value = np.float32(query[dimension] / length)
        if value != 0.0:
            for column in range(products.shape[0]):
                products[column] += value * directions[dimension, column]
    largest = np.float32(0.0)
    for column in range(products.shape[0]):
        largest = max(largest, abs(products[column]))
    if not largest > 0.0:
        return False
    for column in range(products.shape[0]):
        out[column] = np.int16(np.floor(products[column] / largest * np.float32(highest) + np.float32(0.5)))
    return True


@jit()
def _insert(pool: Any, n_candidates: int, key: Any) -> int:
    """Insert a key into the descending pool, dropping the last where it is full; returns its place, -1: it is there."""
    low = 0
    high = n_candidates
    bare = key >> 1
    while low < high:
        middle = (low + high) >> 1
        if (pool[middle] >> 1) > bare:
            low = middle + 1
        else:
            high = middle
    if low < n_candidates and (pool[low] >> 1) == bare:
        return -1
    # unsigned places have no negative counterpart to be looked after, so that the shift is a few vector moves
    for place in range(min(n_candidates, pool.shape[0] - 1), low, -1):
        pool[np.uint64(place)] = pool[np.uint64(place - 1)]
    pool[low] = key
    return low


@jit()
def _key(product: Any, film: Any) -> Any:
    return np.int64(product) * SCALE + ((LAST_FILM - np.int64(film)) << 1)


@jit()
def _film(key: Any) -> Any:
    return LAST_FILM - ((key >> 1) & LAST_FILM)


@jit()
def _fetch_links(pool: Any, place: int, n_candidates: int, indptr: Any, indices: Any) -> None:
    """Ask memory for the links of the candidate that is next, unless a better one is met before."""
    while place < n_candidates and pool[place] & 1:
        place += 1
    if place < n_candidates:
        film = _film(pool[place])
        for position in range(indptr[film], min(indptr[film + 1], indptr[film] + FETCHED * LINE), LINE):
            prefetch(indices, position)


@jit()
def _search_graph(
    query: Any, short: Any, entries: Any, links: Any, absent: Any, pool: Any, n_expanded: Any, memory: Any
) -> Any:
    """Fill the pool with the best films met; returns how many, codes compared, and films whose links were expanded.

    Followed are the links of the ``n_expanded`` best, and of all as long as the pool has room. The film ``absent``
    (-1: none) is never met.
    """
    entry_points, entry_codes = entries
    indptr, indices = links
    recent, fresh, products, entry_products = memory
    recent[:] = -1
    mask = np.int64(recent.shape[0] - 1)
    capacity = pool.shape[0]
    n_candidates = 0
    n_compared = 0
    n_visited = 0
    for number in range(entry_points.shape[0]):
        entry_products[number] = _short_product(query, entry_codes, number)
    n_compared += entry_points.shape[0]
    # a few entry points start the search; when it has ended, those that it should have met as well are few
    for n_starts in (min(STARTS, capacity), capacity):
        starts = pool[: max(n_starts, n_candidates)]
        for number in range(entry_points.shape[0]):
            key = _key(entry_products[number], entry_points[number])
            promising = n_candidates < starts.shape[0] or key > starts[n_candidates - 1]
            if promising and entry_points[number] != absent and _insert(starts, n_candidates, key) >= 0:
                n_candidates = min(n_candidates + 1, starts.shape[0])
        place = 0
        while place < n_candidates and pool[place] & 1:
            place += 1
        while place < n_candidates and (place < n_expanded or n_candidates < capacity):
            film = _film(pool[place])
            pool[place] |= 1
            n_visited += 1
            next_place = place + 1
            stop = indptr[film + 1]
            for start in range(indptr[film], stop, GROUP):
                n_fresh = 0
                for position in range(start, min(start + GROUP, stop)):
                    other = np.int64(indices[position])
                    spot = ((other * np.int64(0x9E3779B1)) >> np.int64(15)) & mask
                    if recent[spot] != other and other != absent:
                        recent[spot] = other
                        fresh[n_fresh] = other
                        n_fresh += 1
                        prefetch(short, other)
                n_compared += n_fresh
                if start + GROUP >= stop:
                    _fetch_links(pool, next_place, n_candidates, indptr, indices)
                for number in range(n_fresh):
                    products[number] = _short_product(query, short, fresh[number])
                for number in range(n_fresh):
                    key = _key(products[number], fresh[number])
                    if n_candidates < capacity or key > pool[n_candidates - 1]:
                        entered = _insert(pool, n_candidates, key)
                        if entered >= 0:
                            n_candidates = min(n_candidates + 1, capacity)
                            next_place = min(next_place, entered)
            place = next_place
            while place < n_candidates and pool[place] & 1:
                place += 1
    return n_candidates, n_compared, n_visited


@jit()
def _is_among(films: Any, film: Any) -> bool:
    """Whether a film is in an ascending list."""
    low = 0
    high = films.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if films[middle] < film:
            low = middle + 1
        else:
            high = middle
    return bool(low < films.shape[0] and films[low] == film)


@jit()
def _eligible(pool: Any, n_candidates: int, allowed: Any, forbidden: Any, out: Any) -> int:
    """Write the candidates that may come, ascending, and return their number."""
    n_eligible = 0
    for place in range(n_candidates):
        film = _film(pool[place])
        if (allowed.shape[0] == 0 or allowed[film]) and not _is_among(forbidden, film):
            out[n_eligible] = film
            n_eligible += 1
    _sort_ascending(out[:n_eligible])
    return n_eligible


@jit()
def _rank(
    query: Any,
    length: float,
    codes: Any,
    lengths: Any,
    checks: Any,
    films: Any,
    out_neighbors: Any,
    out_similarities: Any,
) -> bool:
    """Score films canonically and write the best, ties by smaller film; the rest of the outputs stays.

    False where the code of a film has not its checksum: then nothing is written.
    """
    words, multipliers, checksums, seen = checks
    keys = np.empty(films.shape[0], np.int64)
    for number in range(films.shape[0]):
        film = films[number]
        if number + AHEAD < films.shape[0]:
            prefetch(codes, films[number + AHEAD])
        if not _is_unchanged(words, multipliers, checksums, seen, film):
            return False
        cosine = _round_similarity(_dot(query, codes[film]) / (length * lengths[film]))
        keys[number] = _key(np.floor(np.float64(cosine) * GRID + 0.5), film)
    _sort_ascending(keys)
    for rank in range(min(keys.shape[0], out_neighbors.shape[0])):
        key = keys[keys.shape[0] - 1 - rank]
        out_neighbors[rank] = _film(key)
        out_similarities[rank] = np.float32((key >> 32) / GRID)
    return True


@jit()
def _search_share(
    worker: Any,
    n_workers: int,
    queries: Any,
    query_lengths: Any,
    structure: Any,
    links: Any,
    codes: Any,
    lengths: Any,
    checks: Any,
    eligibility: Any,
    absent: Any,
    capacities: Any,
    expanded_share: float,
    n_wanted: int,
    out_neighbors: Any,
    out_similarities: Any,
    out_counts: Any,
) -> None:
    """Search for every ``n_workers``-th query from ``worker`` on; the outputs start as padding.

    ``structure`` is (directions, highest, short, entry_points, entry codes); ``capacities`` are the first and the last
    size of the pool, which is doubled until it holds ``n_wanted`` films that may come. The links of the share
    ``expanded_share`` of the first pool are expanded, and all of a larger one. ``out_counts`` (3, q): codes compared,
    films whose links were expanded, films scored canonically; the last stays -1 where that never happened, and the
    query has no result. It is `CHANGED` where a code has not the checksum of ``checks`` (`RowChecksums.arguments`).
    """
    directions, highest, short, entry_points, entry_codes = structure
    allowed, forbidden_starts, forbidden = eligibility
    memory = (
        np.empty(RECENT, np.int32),
        np.empty(GROUP, np.int64),
        np.empty(GROUP, np.int32),
        np.empty(entry_points.shape[0], np.int32),
    )
    short_query = np.empty(directions.shape[1], np.int16)
    for row in range(worker, queries.shape[0], n_workers):
        if not _project(queries[row], query_lengths[row], directions, highest, short_query):
            continue
        banned = forbidden[forbidden_starts[row] : forbidden_starts[row + 1]]
        first = min(capacities[0] + banned.shape[0], capacities[1])
        capacity = first
        while True:
            pool = np.empty(capacity, np.int64)
            n_candidates, n_compared, n_visited = _search_graph(
                short_query,
                short,
                (entry_points, entry_codes),
                links,
                absent[row],
                pool,
                np.int64(np.ceil(expanded_share * capacity)) if capacity == first else capacity,
                memory,
            )
            out_counts[0, row] += n_compared
            out_counts[1, row] += n_visited
            films = np.empty(n_candidates, np.int64)
            n_eligible = _eligible(pool, n_candidates, allowed, banned, films)
            # a pool with room has met every film: each component of the links has an entry
            if n_eligible >= n_wanted or n_candidates < capacity:
                out_counts[2, row] = n_eligible
                if not _rank(
                    queries[row],
                    query_lengths[row],
                    codes,
                    lengths,
                    checks,
                    films[:n_eligible],
                    out_neighbors[row],
                    out_similarities[row],
                ):
                    out_counts[2, row] = CHANGED
                break
            if capacity == capacities[1]:
                break
            capacity = min(2 * capacity, capacities[1])


@jit(parallel=True, writes=("checks",))
def _search_queries(
    n_workers: int,
    queries: Any,
    query_lengths: Any,
    structure: Any,
    links: Any,
    codes: Any,
    lengths: Any,
    checks: Any,
    eligibility: Any,
    absent: Any,
    capacities: Any,
    expanded_share: float,
    n_wanted: int,
    out_neighbors: Any,
    out_similarities: Any,
    out_counts: Any,
) -> None:
    """Search for every query, each worker its share; see `_search_share`."""
    for worker in prange(n_workers):
        _search_share(
            np.int64(worker),
            n_workers,
            queries,
            query_lengths,
            structure,
            links,
            codes,
            lengths,
            checks,
            eligibility,
            absent,
            capacities,
            expanded_share,
            n_wanted,
            out_neighbors,
            out_similarities,
            out_counts,
        )
