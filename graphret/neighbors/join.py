"""The kNN table by a join of tiles: products are formed once for both rows, and most of them never to the end."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import InvalidParameterError
from graphret._threads import borrow_threads, one_blas_thread
from graphret.neighbors._tile_kernels import ROW_BLOCK, _join_tiles
from graphret.neighbors.exact_search import ROUNDING
from graphret.neighbors.rotation import BLOCK_WIDTH, Parts, Plan, Rotation, plan_join
from graphret.neighbors.tiles import Tiles, principal_order, rounds_of_pairs

if TYPE_CHECKING:
    from graphret._types import Codes, Float32Array, Float64Array, Int32Array, Int64Array, Progress

__all__ = ["Candidates", "join_tiles"]

TILE = 512
"""Rows of a tile."""
MARGIN = 8
"""Candidates kept beyond k, so that rounding does not leave a doubt about the k-th."""
LEADING = 32
"""Directions that tiles are made by."""
GUESS_SHARE = 1 / 64
"""Share of the rows that the first guess of every k-th similarity is made on."""
GUESS_SLACK_FACTOR = 0.3
"""A guess may miss neighbours: that only makes it smaller."""
GUESS_ERROR = 1e-3
"""Chance that the guess of a row is too large and the row has to be scanned."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """What the join found for every row.

    Parameters
    ----------
    order
        int64 (n,): place ``p`` of the other arrays belongs to row ``order[p]``.
    ids
        int32 (n, m), rows of the codes in no order, -1 where there is none.
    kth_similarities
        float32 (n,): whatever is not among a row's candidates has no larger similarity, up to rounding; minus
        infinity where a slack factor below 1 promises nothing.
    plan
        What the join looked at first.
    """

    order: Int64Array
    ids: Int32Array
    kth_similarities: Float32Array
    plan: Plan


def join_tiles(
    codes: Codes,
    lengths: Float64Array,
    k: int,
    *,
    recall: float,
    generator: np.random.Generator,
    n_threads: int | None = None,
    max_memory: int | None = None,
    progress: Progress | None = None,
) -> Candidates:
    """Join all rows with all rows and keep, for each, the best: k and a few more.

    Parameters
    ----------
    codes
        float32 (n, d), checked; may be memory-mapped.
    lengths
        float64 (n,), of the rows.
    k
        1 to n - 1.
    recall
        In (0, 1]; 1: candidates hold every neighbour, proven by the bound of `rotation`; less: with a slack factor that
        is expected to keep this share.
    generator
        Chooses samples: directions, plan, guess.
    n_threads
        Numba threads, ``None`` for all processors; the result does not depend on it.
    max_memory
        Bytes that the join may take beside codes and result; ``None``: as much as one rotated copy of the codes needs.
    progress
        Called as ``progress("neighbors", rows done, n)``; rows done are an equivalent of the products done.

    Returns
    -------
    Candidates
        O(n^2 m) time, m the leading directions; every unordered pair of rows is looked at once.

    Raises
    ------
    InvalidParameterError
        ``max_memory`` is too small for two tiles.
    """
    n_rows = codes.shape[0]
    rotation = Rotation.of(codes, generator)
    size = min(k + (MARGIN if recall == 1.0 else 0), n_rows - 1)
    plan = plan_join(codes, rotation, size, recall, generator)
    tiles = principal_order(rotation.leading(codes, lengths, LEADING), TILE)
    slack_factor = np.float32(plan.slack_factor)

    @lru_cache(maxsize=2)
    def parts_of(tile_range: range) -> Parts:
        rows = tiles.order[tiles.starts[tile_range.start] : tiles.starts[tile_range.stop]]
        return rotation.parts(codes, lengths, rows, plan.n_leading, plan.slack_factor)

    best = _Best.empty(n_rows, size)
    sides = [_Side(group, tiles.starts, best) for group in _groups(tiles, codes.shape[1], max_memory)]
    with borrow_threads(n_threads) as threads:
        products = np.empty((threads, 2, ROW_BLOCK * TILE), np.float32)
        scratch = (products, np.empty((threads, TILE), np.int64), np.empty((threads, TILE), np.float32))
        sample = np.sort(generator.choice(n_rows, size=round(GUESS_SHARE * n_rows), replace=False))
        rank = _guess_rank(size)
        if rank < sample.shape[0]:
            narrow = min(plan.slack_factor, GUESS_SLACK_FACTOR)
            sampled = rotation.parts(codes, lengths, sample, plan.n_leading, narrow**2 / plan.slack_factor)
            for side in sides:
                _guess(parts_of(side.tiles), side, sampled, rank, narrow, scratch)
        done, total = 0, tiles.n_tiles * (tiles.n_tiles + 1) // 2
        for place, left in enumerate(sides):
            for right in sides[place:]:
                parts = parts_of(left.tiles), parts_of(right.tiles)
                heaps = left.best.arrays, right.best.arrays
                shape = left.starts, right.starts, (left.first, right.first), left is right
                with one_blas_thread():
                    for pairs in rounds_of_pairs(tiles, left.tiles, right.tiles):
                        _join_tiles(
                            *parts, *heaps, pairs - (left.tiles.start, right.tiles.start), *shape, slack_factor, scratch
                        )
                        done += pairs.shape[0]
                        if progress is not None:
                            progress("neighbors", min(n_rows - 1, n_rows * done // total), n_rows)
    # what is worse than the k-th by more than rounding need not be scored again
    last = np.partition(best.scores, size - k, axis=1)[:, size - k]
    hopeful = (best.ids >= 0) & (best.scores >= last[:, None] - np.float32(ROUNDING))
    ids = np.where(hopeful, tiles.order[best.ids], -1).astype(np.int32)
    kth_similarities = best.kth_similarities if plan.slack_factor == 1.0 else np.full(n_rows, -np.inf, np.float32)
    return Candidates(tiles.order, ids, kth_similarities, plan)


@dataclass(frozen=True, eq=False)
class _Best:
    """Heaps of the best of every row, worst at the top, and the similarity that a new one has to exceed."""

    scores: Float32Array
    ids: Int32Array
    kth_similarities: Float32Array

    @classmethod
    def empty(cls, n_rows: int, size: int) -> _Best:
        shape = (n_rows, size)
        return cls(
            np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int32), np.full(n_rows, -np.inf, np.float32)
        )

    @property
    def arrays(self) -> tuple[Float32Array, Int32Array, Float32Array]:
        return self.scores, self.ids, self.kth_similarities


class _Side:
    """One side of a join: a range of tiles, where they begin among their own rows, and the heaps of these rows."""

    def __init__(self, tiles: range, starts: Int64Array, best: _Best) -> None:
        self.tiles = tiles
        self.first = int(starts[tiles.start])
        self.starts = starts[tiles.start : tiles.stop + 1] - self.first
        rows = slice(self.first, int(starts[tiles.stop]))
        self.best = _Best(best.scores[rows], best.ids[rows], best.kth_similarities[rows])


def _guess(
    parts: Parts,
    side: _Side,
    sampled: Parts,
    rank: int,
    slack_factor: float,
    scratch: tuple[Float32Array, Int64Array, Float32Array],
) -> None:
    """Guess the k-th similarities of a side, most likely too small, from a sample of the rows.

    Without it every pair of the first tiles would look promising. A guess that was too large is found out: fewer than
    k candidates are above it, and the row is scanned.
    """
    n_sampled = sampled[0].shape[0]
    # growing tiles: the first is compared to the end, because nothing is known yet
    starts = np.unique(
        np.minimum([0, *(TILE // 8 * 2 ** np.arange(3)), *range(TILE, n_sampled, TILE), n_sampled], n_sampled)
    )
    found = _Best.empty(parts[0].shape[0], rank)
    nobody = _Best(
        np.empty((n_sampled, 1), np.float32), np.empty((n_sampled, 1), np.int32), np.empty(n_sampled, np.float32)
    )
    nobody.kth_similarities[:] = np.inf
    everywhere = np.arange(side.starts.shape[0] - 1)
    shape = side.starts, starts, (0, 0), False
    with one_blas_thread():
        for tile in range(starts.shape[0] - 1):
            pairs = np.stack([everywhere, np.full_like(everywhere, tile)], axis=1)
            _join_tiles(parts, sampled, found.arrays, nobody.arrays, pairs, *shape, np.float32(slack_factor), scratch)
    side.best.kth_similarities[:] = found.kth_similarities - np.float32(ROUNDING)


def _guess_rank(k: int) -> int:
    """Rank in the sample, itself counted, that the k-th neighbour surpasses with a chance of ``1 - GUESS_ERROR``.

    Of the k nearest, a binomial number is in the sample.
    """
    odds = GUESS_SHARE / (1.0 - GUESS_SHARE)
    at_rank = (1.0 - GUESS_SHARE) ** k
    rank, at_most = 0, at_rank
    while at_most < 1.0 - GUESS_ERROR and rank < k:
        at_rank *= odds * (k - rank) / (rank + 1)
        rank += 1
        at_most += at_rank
    return rank + 2


def _groups(tiles: Tiles, n_dimensions: int, max_memory: int | None) -> list[range]:
    """Ranges of tiles whose rotated rows fit in memory three at a time: two are joined while one is made."""
    if max_memory is None:
        return [range(tiles.n_tiles)]
    of_row = 4 * (n_dimensions + BLOCK_WIDTH + 1 + 2 * (n_dimensions // BLOCK_WIDTH + 1))
    whole = of_row * tiles.order.shape[0]
    n_groups = 1 if whole <= max_memory else -(-3 * whole // max_memory)
    if n_groups > tiles.n_tiles:
        least = 3 * of_row * TILE
        raise InvalidParameterError(
            "max_memory", max_memory, f"at least {least} bytes (three tiles of {TILE} rows)", "None sets no limit"
        )
    cuts = np.arange(n_groups + 1) * tiles.n_tiles // n_groups
    return [range(int(first), int(last)) for first, last in itertools.pairwise(cuts)]
