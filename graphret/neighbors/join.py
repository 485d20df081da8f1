"""The kNN table by a join of tiles: products are formed once for both rows, and most of them never to the end."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from graphret._threads import borrow_threads
from graphret.neighbors.block_join import Best, BlockCodes, best_of_block, join_pair, merge, score, unsure_rows

if TYPE_CHECKING:
    from graphret._types import BoolArray, Codes, Float32Array, Float64Array, Int32Array, Progress
    from graphret.neighbors.join_plan import JoinPlan
    from graphret.neighbors.rotation import Parts

__all__ = ["join_in_memory"]


def join_in_memory(
    codes: Codes,
    lengths: Float64Array,
    plan: JoinPlan,
    neighbors: Int32Array,
    similarities: Float32Array,
    *,
    n_threads: int | None = None,
    all_parts: bool = True,
    progress: Progress | None = None,
) -> BoolArray:
    """Join all blocks with themselves and with each other, and write the lists of their rows.

    Parameters
    ----------
    codes, lengths
        float32 (n, d), may be memory-mapped; float64 (n,).
    plan
        Of the join.
    neighbors, similarities
        int32 and float32 (n, k), written: canonical cosines, best first, ties by smaller row.
    n_threads
        Numba threads, ``None`` for all processors; the result does not depend on it.
    all_parts
        Keep the rotated rows of all blocks; False: of two, and rotate a block again when it comes back.
    progress
        Called as ``progress("neighbors", rows done, n)``; rows done are an equivalent of the products done.

    Returns
    -------
    numpy.ndarray
        bool (n,), the rows that are not sure and have to be compared with every code. O(n^2 m) time, m the leading
        directions; every unordered pair of rows is looked at once.
    """
    n_rows, order = codes.shape[0], plan.tiles.order

    @lru_cache(maxsize=None if all_parts else 2)
    def parts_of(block: int) -> Parts:
        rows = order[plan.places(block)]
        return plan.rotation.parts(codes, lengths, rows, plan.plan.n_leading, plan.plan.slack_factor)

    def codes_of(block: int) -> BlockCodes:
        rows = order[plan.places(block)]
        return BlockCodes(codes, lengths, rows, rows.astype(np.int32))

    lists = np.full((n_rows, plan.k), -1, np.int32), np.zeros((n_rows, plan.k), np.float32)
    kth_similarities = np.full(n_rows, -np.inf, np.float32)
    done, total = 0, plan.tiles.n_tiles * (plan.tiles.n_tiles + 1) // 2

    def say(n_pairs: int) -> None:
        nonlocal done
        done += n_pairs
        if progress is not None:
            progress("neighbors", min(n_rows - 1, n_rows * done // total), n_rows)

    best: list[Best] = []
    with borrow_threads(n_threads):
        for block in range(len(plan.blocks)):
            places = plan.places(block)
            of_block, hopeful = best_of_block(plan, block, parts_of(block), say)
            best.append(of_block)
            own = codes_of(block)
            merge(score(hopeful, own, own), lists[0][places], lists[1][places], kth_similarities[places])
        for pair in plan.pairs():
            left, right = pair
            two = join_pair(plan, pair, (parts_of(left), parts_of(right)), (best[left], best[right]), say)
            for hopeful, block, other in zip(two, pair, (right, left), strict=True):
                places = plan.places(block)
                found = score(hopeful, codes_of(block), codes_of(other))
                merge(found, lists[0][places], lists[1][places], kth_similarities[places])
    unsure = np.empty(n_rows, np.bool_)
    unsure[order] = unsure_rows(*lists, kth_similarities)
    neighbors[order], similarities[order] = lists
    return unsure
