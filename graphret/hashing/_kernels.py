"""Kernels of Hamming search: scan words, keep the k best, sort them by distance. Distances are whole numbers."""

from __future__ import annotations

import numpy as np

from graphret._numba import jit, popcount, prange

BLOCK = 64
"""Codes that are compared with the threshold at once."""
TILE_WORDS = 2_048
"""Words that stay in the first level of cache while the queries of a group pass over them."""


@jit()
def _distance(planes, film, query):
    """Bits in which a film and a query differ."""
    total = 0
    for word in range(query.shape[0]):
        total += popcount(planes[word, film] ^ query[word])
    return total


@jit()
def _block_distances(planes, first, query, out):
    """Write the distances of BLOCK films to out.

    A slice of a plane is indexed from 0, which numba needs to see that no index is negative: only then it vectorises
    well.
    """
    for word in range(query.shape[0]):
        bits = query[word]
        plane = planes[word, first : first + BLOCK]
        if word == 0:
            for film in range(BLOCK):
                out[film] = popcount(plane[film] ^ bits)
        else:
            for film in range(BLOCK):
                out[film] += popcount(plane[film] ^ bits)


@jit()
def _block_has_nearer(planes, first, query, threshold, distances):
    """Whether any of BLOCK films differs from the query in fewer bits than the threshold.

    The sign bits of ``distance - threshold`` are gathered by OR: no branch, so the loop runs on whole registers.
    """
    signs = np.int64(0)
    if query.shape[0] == 1:
        only, plane = query[0], planes[0, first : first + BLOCK]
        for film in range(BLOCK):
            signs |= popcount(plane[film] ^ only) - threshold
    elif query.shape[0] == 2:
        one, other = query[0], query[1]
        left, right = planes[0, first : first + BLOCK], planes[1, first : first + BLOCK]
        for film in range(BLOCK):
            signs |= popcount(left[film] ^ one) + popcount(right[film] ^ other) - threshold
    else:
        _block_distances(planes, first, query, distances)
        for film in range(BLOCK):
            signs |= distances[film] - threshold
    return signs < 0


@jit()
def _is_listed(films, start, stop, film):
    """Whether the sorted ``films[start:stop]`` hold a film."""
    while start < stop:
        middle = (start + stop) // 2
        if films[middle] < film:
            start = middle + 1
        elif films[middle] > film:
            stop = middle
        else:
            return True
    return False


@jit()
def _keep_best(ids, distances, size, k, places, spare_ids, spare_distances):
    """Sort the first ``size`` candidates by distance, stably, and keep k of them; return how many are kept."""
    places[:] = 0
    for entry in range(size):
        places[distances[entry] + 1] += 1
    for distance in range(1, places.shape[0]):
        places[distance] += places[distance - 1]
    for entry in range(size):
        place = places[distances[entry]]
        places[distances[entry]] += 1
        spare_ids[place], spare_distances[place] = ids[entry], distances[entry]
    kept = min(size, k)
    ids[:kept] = spare_ids[:kept]
    distances[:kept] = spare_distances[:kept]
    return kept


@jit()
def _scan_group(planes, first, stop, queries, k, allowed, names, starts, forbidden, out_ids, out_distances):
    """Write the k best of films ``first ... stop - 1`` for every query of a group, ties by smaller film, -1 pads.

    Films come in order, so that one as far as the k-th best is worse than it: its threshold is strict. How many
    candidates have which distance is counted, which gives the threshold; those that fell behind it are dropped
    when the pool of 2 k is full, by a counting sort, which keeps equal ones in order.
    """
    n_queries, n_words = queries.shape
    n_distances = 64 * n_words + 1
    pool = max(1, min(2 * k, stop - first))
    ids = np.empty((n_queries, pool), np.int32)
    distances = np.empty((n_queries, pool), np.int32)
    counts = np.zeros((n_queries, n_distances), np.int64)
    sizes = np.zeros(n_queries, np.int64)
    within = np.zeros(n_queries, np.int64)  # candidates nearer than the threshold
    thresholds = np.full(n_queries, n_distances, np.int64)
    places = np.empty(n_distances + 1, np.int64)
    spare_ids, spare_distances = np.empty(pool, np.int32), np.empty(pool, np.int32)
    block = np.empty(BLOCK, np.int64)
    tile = max(BLOCK, TILE_WORDS // n_words // BLOCK * BLOCK)
    for begin in range(first, stop, tile):
        end = min(begin + tile, stop)
        for number in range(n_queries):
            query = queries[number]
            threshold = thresholds[number]
            for start in range(begin, end, BLOCK):
                n_block = min(BLOCK, end - start)
                if n_block == BLOCK:
                    if not _block_has_nearer(planes, start, query, threshold, block):
                        continue
                    _block_distances(planes, start, query, block)
                else:
                    for place in range(n_block):
                        block[place] = _distance(planes, start + place, query)
                for place in range(n_block):
                    distance = block[place]
                    if distance >= threshold:
                        continue
                    film = start + place
                    if allowed.shape[0] > 0 and not allowed[film]:
                        continue
                    name = names[film] if names.shape[0] > 0 else film
                    if _is_listed(forbidden, starts[number], starts[number + 1], name):
                        continue
                    if sizes[number] == pool:
                        sizes[number] = _keep_best(
                            ids[number], distances[number], pool, k, places, spare_ids, spare_distances
                        )
                    ids[number, sizes[number]] = name
                    distances[number, sizes[number]] = distance
                    sizes[number] += 1
                    counts[number, distance] += 1
                    within[number] += 1
                    while within[number] >= k:  # one as far as the farthest of these k comes too late
                        threshold -= 1
                        within[number] -= counts[number, threshold]
            thresholds[number] = threshold
    for number in range(n_queries):
        kept = _keep_best(ids[number], distances[number], sizes[number], k, places, spare_ids, spare_distances)
        out_ids[number, :kept] = ids[number, :kept]
        out_distances[number, :kept] = distances[number, :kept]
        out_ids[number, kept:] = -1
        out_distances[number, kept:] = -1


@jit(parallel=True)
def _scan_all(planes, queries, k, group, n_parts, allowed, names, starts, forbidden, out_ids, out_distances):
    """Scan every group of queries over every part of the films, one task each: out (q, n_parts, k)."""
    n_queries = queries.shape[0]
    n_films = planes.shape[1]
    n_groups = -(-n_queries // group)
    part = -(-n_films // n_parts)
    for task in prange(n_groups * n_parts):
        number = task // n_parts
        chosen = task % n_parts
        low, high = number * group, min((number + 1) * group, n_queries)
        first = min(chosen * part, n_films)
        stop = min(first + part, n_films)
        _scan_group(
            planes,
            first,
            stop,
            queries[low:high],
            k,
            allowed,
            names,
            starts[low : high + 1],
            forbidden,
            out_ids[low:high, chosen],
            out_distances[low:high, chosen],
        )


@jit()
def _merge_parts(ids, distances, n_distances, out_ids, out_distances):
    """Merge the lists (q, parts, k) of consecutive parts of the films into the k best of each query."""
    n_queries, n_parts, k = ids.shape
    places = np.empty(n_distances + 1, np.int64)
    pool_ids, pool_distances = np.empty(n_parts * k, np.int32), np.empty(n_parts * k, np.int32)
    spare_ids, spare_distances = np.empty(n_parts * k, np.int32), np.empty(n_parts * k, np.int32)
    for query in range(n_queries):
        size = 0
        for part in range(n_parts):
            for place in range(k):
                if ids[query, part, place] < 0:
                    break
                pool_ids[size], pool_distances[size] = ids[query, part, place], distances[query, part, place]
                size += 1
        kept = _keep_best(pool_ids, pool_distances, size, k, places, spare_ids, spare_distances)
        out_ids[query, :kept], out_distances[query, :kept] = pool_ids[:kept], pool_distances[:kept]
        out_ids[query, kept:], out_distances[query, kept:] = -1, -1


@jit(parallel=True)
def _distances_to_all(planes, queries, out):
    """Write the distance of every query to every film, out int32 (q, n)."""
    n_films = planes.shape[1]
    for query in prange(queries.shape[0]):
        for word in range(planes.shape[0]):
            bits = queries[query, word]
            plane = planes[word]
            row = out[query]
            if word == 0:
                for film in range(n_films):
                    row[film] = popcount(plane[film] ^ bits)
            else:
                for film in range(n_films):
                    row[film] += popcount(plane[film] ^ bits)
