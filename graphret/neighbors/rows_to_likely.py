"""Some rows are compared with those of an archive that are likely neighbours: what bounds on few directions leave."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphret._numba import read_only
from graphret._threads import borrow_threads, one_blas_thread
from graphret.neighbors._changed_rows_kernels import _look_at_bounds, _pair_cosines
from graphret.neighbors._kernels import _rank_candidates
from graphret.neighbors.exact_search import MARGIN, ROUNDING
from graphret.neighbors.join_plan import GUESS_SHARE, guess_rank
from graphret.neighbors.rows_to_all import compare_with_all

if TYPE_CHECKING:
    from graphret._types import Float32Array, Int32Array, Int64Array
    from graphret.neighbors.exact_search import ExactSearch

__all__ = ["compare_with_likely"]

PAIRS = 2_000
"""Of a row and a true neighbour, on which the slack factor is measured: one in so many is lost, as one expects."""
WORTH = 4
"""Rows in those whose neighbours tell the slack factor: below, all rows are compared with all."""
BLOCK = 256
"""Rows whose bounds are formed at once. It does not follow the threads: bounds shall be the same with any number."""
TILE = 256
"""Codes whose bounds are formed at once: what is left of them is read from the cache for each row of the block."""
ROTATED = 4_096
"""Codes that are rotated at once."""


def compare_with_likely(
    search: ExactSearch,
    rows: Int64Array,
    least: Float32Array,
    k: int,
    directions: Float32Array,
    *,
    n_threads: int | None = None,
) -> tuple[Int32Array, Float32Array, Int64Array]:
    """Find what `compare_with_all` finds, but for about one neighbour in 2,000.

    Of two unit rows x and y, let P keep some directions and R the others. ``<Px, Py> + slack_factor |Rx| |Ry|`` bounds
    their cosine where ``slack_factor`` is at least the cosine of Rx and Ry (see `rotation`). Evenly spread rows are
    compared with all codes first. The largest such cosine of them and their neighbours, both ways, is the factor for
    the other rows: a neighbour is lost where it has a larger one. Every cosine that is returned is canonical.

    Parameters
    ----------
    search, rows, least, k
        As for `compare_with_all`.
    directions
        float32 (d, p), orthogonal, of any length.
    n_threads
        Threads; the result does not depend on it, but for the order of pairs.

    Returns
    -------
    tuple
        As of `compare_with_all`. O(n d p + m n p) time for m rows, and d for each pair that a bound leaves; float32
        (n, p + 1) beside the result.
    """
    told = np.unique(np.linspace(0, len(rows) - 1, -(-PAIRS // k)).astype(np.int64))
    if WORTH * len(told) >= len(rows):
        return compare_with_all(search, rows, least, k, n_threads=n_threads)
    neighbors, similarities = np.empty((len(rows), k), np.int32), np.empty((len(rows), k), np.float32)
    neighbors[told], similarities[told], pairs = compare_with_all(search, rows[told], least, k, n_threads=n_threads)
    others = np.setdiff1d(np.arange(len(rows)), told)
    with borrow_threads(n_threads) as threads:
        bounds = _Bounds.of(search, directions, threads)
        own = np.stack([np.repeat(rows[told], k), neighbors[told].reshape(-1)])
        bounds.widen(search, own, np.float32(-np.inf))
        bounds.widen(search, pairs, least[pairs[1]] + np.float32(ROUNDING))
        sample = _sample(search)
        blocks = [others[first : first + BLOCK] for first in range(0, len(others), BLOCK)]

        def compare(block: Int64Array) -> tuple[Int32Array, Float32Array, Int64Array]:
            return _compare_block(search, bounds, sample, rows[block], least, k)

        with one_blas_thread(), ThreadPoolExecutor(threads, thread_name_prefix="graphret-compare") as pool:
            found = list(pool.map(compare, blocks))
    for block, (block_neighbors, block_similarities, _) in zip(blocks, found, strict=True):
        neighbors[block], similarities[block] = block_neighbors, block_similarities
    missing = np.flatnonzero(neighbors[:, -1] < 0)
    if len(missing):  # the first guess of its k-th similarity was too large
        again = compare_with_all(search, rows[missing], least, k, n_threads=n_threads)
        neighbors[missing], similarities[missing] = again[:2]
    return neighbors, similarities, np.concatenate([pairs, *(block_pairs for *_, block_pairs in found)], axis=1)


@dataclass(frozen=True, eq=False)
class _Bounds:
    """What bounds are made of.

    Parameters
    ----------
    leading
        float32 (n, p + 1): unit rows along the directions; then what the bound allows for all else.
    beyond
        float32 (n,): lengths of all else.
    """

    leading: Float32Array
    beyond: Float32Array

    @classmethod
    def of(cls, search: ExactSearch, directions: Float32Array, n_threads: int) -> _Bounds:
        """Rotate all codes; each thread does so for a tile at a time."""
        lengths = np.linalg.norm(directions.astype(np.float64), axis=0)
        unit = np.ascontiguousarray((directions / np.where(lengths > 0, lengths, 1.0)), dtype=np.float32)
        codes, scales = search.read_codes().view(np.ndarray), (1.0 / search.lengths).astype(np.float32)
        leading = np.zeros((len(codes), unit.shape[1] + 1), np.float32)
        beyond = np.empty(len(codes), np.float32)

        def rotate(first: int) -> None:
            tile = slice(first, first + ROTATED)
            rotated = codes[tile] @ unit
            rotated *= scales[tile, None]
            leading[tile, :-1] = rotated
            beyond[tile] = np.sqrt(np.maximum(1.0 - np.einsum("ij,ij->i", rotated, rotated), 0.0))

        with one_blas_thread(), ThreadPoolExecutor(n_threads, thread_name_prefix="graphret-rotate") as pool:
            list(pool.map(rotate, range(0, len(codes), ROTATED)))
        return cls(leading, beyond)

    def widen(self, search: ExactSearch, pairs: Int64Array, asked: Float32Array | np.float32) -> None:
        """Allow for what lies beyond so much that none of some pairs is lost.

        Pairs below what is ``asked`` do not count: which of them a product in float32 brought may depend on threads.
        """
        left, right = pairs
        cosines = np.empty(len(left), np.float32)
        _pair_cosines(search.codes.view(np.ndarray), search.lengths.view(np.ndarray), left, right, cosines)
        along = np.einsum("ij,ij->i", self.leading[left, :-1], self.leading[right, :-1])
        allowed = np.maximum(self.beyond[left] * self.beyond[right], np.float32(ROUNDING))
        factors = np.where(cosines >= asked, (cosines - along + np.float32(ROUNDING)) / allowed, 0.0)
        needed = np.sqrt(np.clip(factors.max(initial=0.0), 0.0, 1.0)) * self.beyond
        np.maximum(self.leading[:, -1], needed, out=self.leading[:, -1])


def _compare_block(
    search: ExactSearch, bounds: _Bounds, sample: Float32Array, rows: Int64Array, least: Float32Array, k: int
) -> tuple[Int32Array, Float32Array, Int64Array]:
    """Return lists and pairs of a block of rows, as `compare_with_all` does."""
    codes, lengths = read_only((search.codes.view(np.ndarray), search.lengths.view(np.ndarray)))
    n_codes, size = len(codes), min(k + MARGIN, len(codes) - 1)
    own, own_lengths, leading = codes[rows], lengths[rows], bounds.leading[rows]
    guessed = _guessed(own / own_lengths[:, None].astype(np.float32), sample, k)
    heap_scores = np.repeat(guessed[:, None], size, axis=1)
    heap_ids = np.full((len(rows), size), -1, np.int32)
    products, places = np.empty(len(rows) * TILE, np.float32), np.empty((2, len(rows) * TILE), np.int32)
    pairs = [np.empty((2, 0), np.int64)]
    for first in range(0, n_codes, TILE):
        tile = slice(first, min(first + TILE, n_codes))
        tested = products[: len(rows) * (tile.stop - first)].reshape(len(rows), -1)
        np.dot(leading, bounds.leading[tile].T, out=tested)
        n_pairs = _look_at_bounds(
            tested, least[tile], first, rows, own, own_lengths, codes, lengths, heap_scores, heap_ids, places
        )
        if n_pairs:
            pairs.append(np.stack([rows[places[0, :n_pairs]], places[1, :n_pairs]]))
    neighbors, similarities = np.empty((len(rows), k), np.int32), np.empty((len(rows), k), np.float32)
    _rank_candidates(heap_ids, heap_scores, rows, np.full(len(rows), k), neighbors, similarities)
    return neighbors, similarities, np.concatenate(pairs, axis=1)


def _sample(search: ExactSearch) -> Float32Array:
    """Evenly spread codes, scaled to length one."""
    step = round(1 / GUESS_SHARE)
    lengths = search.lengths[::step, None].astype(np.float32)
    sample: Float32Array = np.ascontiguousarray(search.codes[::step]) / lengths
    return sample


def _guessed(unit: Float32Array, sample: Float32Array, k: int) -> Float32Array:
    """Guess the k-th similarity of rows from a sample, most likely too small: see `GUESS_SHARE`."""
    rank = guess_rank(k, GUESS_SHARE) + 1  # a row may itself be among them
    if rank >= len(sample):
        return np.full(len(unit), -np.inf, np.float32)
    guessed: Float32Array = np.partition(unit @ sample.T, -rank, axis=1)[:, -rank]
    return guessed - np.float32(ROUNDING)
