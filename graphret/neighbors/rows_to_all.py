"""Some rows of an archive are compared with all of it, once: for their own lists, and for those that they enter."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from graphret._threads import borrow_threads, one_blas_thread
from graphret.neighbors._changed_rows_kernels import _look_at_products
from graphret.neighbors._kernels import _cosines, _rank_candidates
from graphret.neighbors.exact_search import MARGIN, ROUNDING, ExactSearch

if TYPE_CHECKING:
    from graphret._types import BoolArray, Float32Array, Int32Array, Int64Array

__all__ = ["compare_with_all"]

BLOCK = 256
"""Rows, at most, whose products one thread forms at once."""
FEWEST = 16
"""Rows below which a thread is not worth its own pass over the codes."""
TILE = 1_024
"""Codes of a tile: its products with a block are looked at while they are in the cache."""


def compare_with_all(
    search: ExactSearch, rows: Int64Array, least: Float32Array, k: int, *, n_threads: int | None = None
) -> tuple[Int32Array, Float32Array, Int64Array]:
    """Find the neighbours of some rows, each without itself, and the rows that they may be neighbours of.

    Each product is formed once, in float32, and looked at for both of its rows. Lists are then scored by the canonical
    routine. A row whose k-th neighbour is too close to what its candidates left out is searched again
    (`ExactSearch.search`), so that lists are those of an exact search to the bit.

    Parameters
    ----------
    search
        Over all codes, n >= 2.
    rows
        int64 (m,), positions.
    least
        float32 (n,): which cosine, up to rounding, a row asks of a neighbour; infinity where it asks for none.
    k
        Neighbours of a row, 1 to n - 1.
    n_threads
        Threads; the result does not depend on it, but for the order of pairs.

    Returns
    -------
    neighbors, similarities
        int32 and float32 (m, k): best first, ties by smaller position.
    pairs
        int64 (2, p): every one of ``rows``, and every row whose ``least`` its cosine reaches by a product in float32.

    Notes
    -----
    O(m n d) time; a tile of products for each thread beside the result.

    Examples
    --------
    >>> codes = np.array([[1, 0], [1, 0.1], [0, 1]], dtype=np.float32)
    >>> least = np.array([0.9, 0.9, 0.9], dtype=np.float32)
    >>> neighbors, _, pairs = compare_with_all(ExactSearch(codes), np.array([1]), least, 1)
    >>> neighbors.tolist(), pairs.tolist()
    ([[0]], [[1, 1], [0, 1]])
    """
    neighbors, similarities = np.empty((len(rows), k), np.int32), np.empty((len(rows), k), np.float32)
    scales = (1.0 / search.lengths).astype(np.float32)
    sure = np.empty(len(rows), np.bool_)

    def compare(block: slice) -> Int64Array:
        out = neighbors[block], similarities[block], sure[block]
        return _compare_block(search, rows[block], scales, least, *out)

    with borrow_threads(n_threads) as threads:
        blocks = _blocks(len(rows), threads)
        # a thread's products are its own work, so that they wait for nobody
        with one_blas_thread(), ThreadPoolExecutor(threads, thread_name_prefix="graphret-compare") as pool:
            pairs = list(pool.map(compare, blocks))
    again = np.flatnonzero(~sure)
    if len(again):
        itself = list(rows[again].astype(np.int32)[:, None])
        found = search.search(search.read_codes(rows[again]), k, forbidden=itself, n_threads=n_threads)
        neighbors[again], similarities[again] = found.neighbors, found.similarities
    return neighbors, similarities, np.concatenate([np.empty((2, 0), np.int64), *pairs], axis=1)


def _blocks(n_rows: int, n_threads: int) -> list[slice]:
    """Divide rows into blocks of nearly equal size, a multiple of the threads in number where there are enough."""
    rounds = -(-n_rows // (BLOCK * n_threads))
    n_blocks = max(1, min(rounds * n_threads, n_rows // FEWEST))
    cuts = (np.arange(n_blocks + 1) * n_rows // n_blocks).tolist()
    return [slice(first, stop) for first, stop in itertools.pairwise(cuts)]


def _compare_block(
    search: ExactSearch,
    rows: Int64Array,
    scales: Float32Array,
    least: Float32Array,
    out_neighbors: Int32Array,
    out_similarities: Float32Array,
    out_sure: BoolArray,
) -> Int64Array:
    """Write the lists of a block of rows, and which of them are sure; returns the pairs that reach ``least``."""
    codes, lengths = search.read_codes().view(np.ndarray), search.lengths.view(np.ndarray)
    n_codes, k = len(codes), out_neighbors.shape[1]
    own, own_lengths = search.read_codes(rows), lengths[rows]
    unit = own / own_lengths[:, None].astype(np.float32)
    size = min(k + MARGIN, n_codes - 1)
    heap_scores = np.full((len(rows), size), -np.inf, np.float32)
    heap_ids = np.full((len(rows), size), -1, np.int32)
    products, places = np.empty(len(rows) * TILE, np.float32), np.empty((2, len(rows) * TILE), np.int32)
    pairs = [np.empty((2, 0), np.int64)]
    for first in range(0, n_codes, TILE):
        tile = slice(first, min(first + TILE, n_codes))
        scores = products[: len(rows) * (tile.stop - first)].reshape(len(rows), -1)
        np.dot(unit, codes[tile].T, out=scores)
        n_pairs = _look_at_products(scores, scales[tile], least[tile], first, rows, heap_scores, heap_ids, places)
        if n_pairs:
            pairs.append(np.stack([rows[places[0, :n_pairs]], places[1, :n_pairs]]))
    scored = np.empty(heap_ids.shape, np.float32)
    _cosines(own, own_lengths, codes, lengths, heap_ids, scored)
    _rank_candidates(heap_ids, scored, rows, np.full(len(rows), k), out_neighbors, out_similarities)
    # a row is sure when its heap holds all others, or when what fell out is clearly worse than its k-th
    out_sure[:] = (size == n_codes - 1) | (heap_scores[:, 0] < out_similarities[:, -1] - ROUNDING)
    return np.concatenate(pairs, axis=1)
