"""One block of rows joined with itself, or with another: functions of arrays, the same wherever they run.

Blocks are joined with themselves first, each for itself. A pair of blocks starts from what its two blocks have found
in themselves, and from nothing else. So no result depends on the order of the pairs, on the machine that joins them, or
on whether a pair was joined twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from graphret._threads import one_blas_thread, threads_in_force
from graphret.neighbors._kernels import _cosines
from graphret.neighbors._merge_kernels import _merge_found
from graphret.neighbors._tile_kernels import ROW_BLOCK, _join_tiles
from graphret.neighbors.exact_search import ROUNDING
from graphret.neighbors.tiles import rounds_of_pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphret._types import BoolArray, Codes, Float32Array, Float64Array, Int32Array, Int64Array
    from graphret.neighbors.join_plan import JoinPlan
    from graphret.neighbors.rotation import Parts

__all__ = ["Best", "BlockCodes", "Found", "Hopeful", "best_of_block", "join_pair", "merge", "score", "unsure_rows"]

SCORED = 4_096
"""Rows whose candidates are scored at once."""

OnPairs: TypeAlias = "Callable[[int], None] | None"
"""Called with the number of pairs of tiles that were joined."""


@dataclass(frozen=True, eq=False)
class Best:
    """Heaps of the best of every row of a block, worst at the top, and the similarity that a new one has to exceed.

    Parameters
    ----------
    scores
        float32 (b, m), minus infinity where there is none.
    ids
        int32 (b, m), places, -1 where there is none.
    kth_similarities
        float32 (b,).
    """

    scores: Float32Array
    ids: Int32Array
    kth_similarities: Float32Array

    @classmethod
    def empty(cls, n_rows: int, size: int) -> Best:
        """Return heaps that hold nothing yet."""
        shape = (n_rows, size)
        return cls(
            np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int32), np.full(n_rows, -np.inf, np.float32)
        )

    @property
    def arrays(self) -> tuple[Float32Array, Int32Array, Float32Array]:
        """The three, as kernels take them."""
        return self.scores, self.ids, self.kth_similarities

    def copy(self) -> Best:
        """Return heaps of their own, to be changed."""
        return Best(self.scores.copy(), self.ids.copy(), self.kth_similarities.copy())


@dataclass(frozen=True, eq=False)
class BlockCodes:
    """Where the codes of a block lie.

    Parameters
    ----------
    codes, lengths
        float32 (m, d), float64 (m,): of all rows, or of the block alone.
    index
        int64 (b,): where the codes of the block's rows are among them.
    rows
        int32 (b,): the rows of the archive that they are.
    """

    codes: Codes
    lengths: Float64Array
    index: Int64Array
    rows: Int32Array


@dataclass(frozen=True, eq=False)
class Hopeful:
    """Candidates of a block's rows that are to be scored.

    Parameters
    ----------
    columns
        int32 (b, m), rows of the other block (counted inside it), -1 where there is none.
    kth_similarities
        float32 (b,): no row of the other block that is not among them has a larger similarity, up to rounding; minus
        infinity where a slack factor below 1 promises nothing.
    """

    columns: Int32Array
    kth_similarities: Float32Array


@dataclass(frozen=True, eq=False)
class Found:
    """Scored candidates of a block's rows, one row's after the other's.

    Parameters
    ----------
    starts
        int64 (b + 1,).
    ids
        int32, rows of the archive.
    similarities
        float32, canonical cosines.
    kth_similarities
        As of `Hopeful`.
    """

    starts: Int64Array
    ids: Int32Array
    similarities: Float32Array
    kth_similarities: Float32Array


def best_of_block(plan: JoinPlan, block: int, parts: Parts, on_pairs: OnPairs = None) -> tuple[Best, Hopeful]:
    """Guess every k-th similarity of a block, then join it with itself.

    Parameters
    ----------
    plan
        Of the join.
    block
        Its number.
    parts
        Its rotated rows, in the order of their places.
    on_pairs
        Called as the join goes on.

    Returns
    -------
    best, hopeful
        What pairs start from; and the candidates among the block's own rows. O(b^2 m) time.
    """
    best = Best.empty(parts[0].shape[0], plan.size)
    if plan.guess_rank:
        _guess(plan, block, parts, best)
    places = plan.places(block)
    _join(plan, (block, block), (parts, parts), (best, best), on_pairs)
    return best, _hopeful(plan, best, places)


def join_pair(
    plan: JoinPlan, pair: tuple[int, int], parts: tuple[Parts, Parts], best: tuple[Best, Best], on_pairs: OnPairs = None
) -> tuple[Hopeful, Hopeful]:
    """Join two blocks.

    Parameters
    ----------
    plan
        Of the join.
    pair
        Numbers of the blocks, the smaller first.
    parts, best
        Of both, as `best_of_block` took and gave them; they are not changed.
    on_pairs
        Called as the join goes on.

    Returns
    -------
    tuple of Hopeful
        Candidates of the first block's rows in the second, and of the second's in the first. O(b^2 m) time.
    """
    heaps = best[0].copy(), best[1].copy()
    _join(plan, pair, parts, heaps, on_pairs)
    return _hopeful(plan, heaps[0], plan.places(pair[1])), _hopeful(plan, heaps[1], plan.places(pair[0]))


def score(hopeful: Hopeful, own: BlockCodes, other: BlockCodes) -> Found:
    """Score candidates by the canonical routine.

    Parameters
    ----------
    hopeful
        Of the rows of ``own``, in ``other``.
    own, other
        Codes of the two blocks.

    Returns
    -------
    Found
        The same cosines whichever of the two blocks is ``own``. O(c d) for c candidates.
    """
    columns = hopeful.columns
    there = columns >= 0
    starts = np.zeros(columns.shape[0] + 1, np.int64)
    np.cumsum(there.sum(axis=1), out=starts[1:])
    ids, similarities = other.rows[columns[there]], np.empty(int(starts[-1]), np.float32)
    for first in range(0, columns.shape[0], SCORED):
        some = slice(first, min(first + SCORED, columns.shape[0]))
        index = own.index[some]
        candidates = np.where(there[some], other.index[columns[some]], -1).astype(np.int32)
        scored = np.empty(candidates.shape, np.float32)
        _cosines(own.codes[index], own.lengths[index], other.codes, other.lengths, candidates, scored)
        similarities[starts[some.start] : starts[some.stop]] = scored[there[some]]
    return Found(starts, ids, similarities, hopeful.kth_similarities)


def merge(found: Found, neighbors: Int32Array, similarities: Float32Array, kth_similarities: Float32Array) -> None:
    """Put what was found for a block's rows into their lists: best first, ties by smaller row, in any order of calls.

    Parameters
    ----------
    found
        Of the block, from itself or from one other.
    neighbors, similarities
        int32 and float32 (b, k), changed in place; -1 and 0 where there is none yet.
    kth_similarities
        float32 (b,), changed in place: the largest that a row without a place may still have.
    """
    _merge_found(found.starts, found.ids, found.similarities, neighbors, similarities)
    np.maximum(kth_similarities, found.kth_similarities, out=kth_similarities)


def unsure_rows(neighbors: Int32Array, similarities: Float32Array, kth_similarities: Float32Array) -> BoolArray:
    """Say which rows have to be compared with every code: too few were found, or what was left out is too close.

    Examples
    --------
    >>> some = np.array([[1], [0], [-1]], dtype=np.int32), np.array([[0.9], [0.9], [0]], dtype=np.float32)
    >>> unsure_rows(*some, np.array([0.5, 0.9, -np.inf], dtype=np.float32)).tolist()
    [False, True, True]
    """
    missing = neighbors[:, -1] < 0
    last = np.where(missing, -np.inf, similarities[:, -1])
    unsure: BoolArray = missing | (kth_similarities >= last - ROUNDING)
    return unsure


def _join(
    plan: JoinPlan, pair: tuple[int, int], parts: tuple[Parts, Parts], best: tuple[Best, Best], on_pairs: OnPairs
) -> None:
    """Join the tiles of two blocks, or of one with itself, nearest first; changes ``best``."""
    left, right = (plan.blocks[block] for block in pair)
    firsts = plan.places(pair[0]).start, plan.places(pair[1]).start
    starts = plan.tiles.starts[left.start : left.stop + 1] - firsts[0]
    shape = starts, plan.tiles.starts[right.start : right.stop + 1] - firsts[1], firsts, pair[0] == pair[1]
    scratch, slack_factor = _scratch(plan), np.float32(plan.plan.slack_factor)
    with one_blas_thread():
        for pairs in rounds_of_pairs(plan.tiles, left, right):
            inside = pairs - (left.start, right.start)
            _join_tiles(*parts, best[0].arrays, best[1].arrays, inside, *shape, slack_factor, scratch)
            if on_pairs is not None:
                on_pairs(pairs.shape[0])


def _guess(plan: JoinPlan, block: int, parts: Parts, best: Best) -> None:
    """Guess the k-th similarities of a block, most likely too small, from a sample of all rows.

    Without it every pair of the first tiles would look promising. A guess that was too large is found out: fewer than
    k candidates are above it, and the row is scanned.
    """
    n_sampled = plan.sample[0].shape[0]
    # growing tiles: the first is compared to the end, because nothing is known yet
    tile = plan.tile
    starts = np.unique(
        np.minimum([0, *(tile // 8 * 2 ** np.arange(3)), *range(tile, n_sampled, tile), n_sampled], n_sampled)
    )
    found = Best.empty(parts[0].shape[0], plan.guess_rank)
    nobody = Best(
        np.empty((n_sampled, 1), np.float32), np.empty((n_sampled, 1), np.int32), np.empty(n_sampled, np.float32)
    )
    nobody.kth_similarities[:] = np.inf
    tiles = plan.blocks[block]
    own_starts = plan.tiles.starts[tiles.start : tiles.stop + 1] - plan.places(block).start
    everywhere = np.arange(len(tiles))
    scratch, slack_factor = _scratch(plan), np.float32(plan.guess_slack_factor)
    with one_blas_thread():
        for number in range(starts.shape[0] - 1):
            pairs = np.stack([everywhere, np.full_like(everywhere, number)], axis=1)
            shape = own_starts, starts, (0, 0), False
            _join_tiles(parts, plan.sample, found.arrays, nobody.arrays, pairs, *shape, slack_factor, scratch)
    best.kth_similarities[:] = found.kth_similarities - np.float32(ROUNDING)


def _scratch(plan: JoinPlan) -> tuple[Float32Array, Int64Array, Float32Array]:
    threads, tile = threads_in_force(), plan.tile
    products = np.empty((threads, 2, ROW_BLOCK * tile), np.float32)
    return products, np.empty((threads, tile), np.int64), np.empty((threads, tile), np.float32)


def _hopeful(plan: JoinPlan, best: Best, other: slice) -> Hopeful:
    """Of the heaps, what lies in one block; what is worse than the k-th by more than rounding need not be scored."""
    last = np.partition(best.scores, plan.size - plan.k, axis=1)[:, plan.size - plan.k]
    there = (best.ids >= other.start) & (best.ids < other.stop)
    there &= best.scores >= last[:, None] - np.float32(ROUNDING)
    columns = np.where(there, best.ids - np.int32(other.start), np.int32(-1))
    promised = plan.plan.slack_factor == 1.0
    kth_similarities = best.kth_similarities if promised else np.full(best.kth_similarities.shape, -np.inf, np.float32)
    return Hopeful(columns, kth_similarities)
