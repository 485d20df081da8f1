"""Joins a kNN table from pieces in storage: on this machine, or wherever `Workers` do them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from graphret.cluster.stored_join import (
    Pieces,
    block_piece,
    forget_block,
    keep_codes,
    keep_plan,
    pair_piece,
    plan_key,
    table_piece,
)
from graphret.files import open_stages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from graphret._types import BoolArray, Codes, Float32Array, Float64Array, Int32Array, Progress
    from graphret.neighbors.join_plan import JoinPlan

__all__ = ["OnThisMachine", "StoredJoin", "Workers"]


class Workers(Protocol):
    """Those who do the pieces of a join."""

    def do(self, pieces: Pieces, what: str, numbers: Iterable[tuple[int, ...]], say: Callable[[], None]) -> None:
        """Do a method of ``pieces`` with every tuple of numbers, in any order, and call ``say`` after each.

        A piece may begin when its numbers are drawn, before those of the next are. Returns when all are done.
        """


class OnThisMachine:
    """One process, which does them one after the other."""

    def do(self, pieces: Pieces, what: str, numbers: Iterable[tuple[int, ...]], say: Callable[[], None]) -> None:
        """Do a method of ``pieces`` with every tuple of numbers."""
        for number in numbers:
            getattr(pieces, what)(*number)
            say()


@dataclass(frozen=True)
class StoredJoin:
    """A join for `nearest_neighbors`, whose blocks and finished pieces lie in storage: a killed one goes on.

    Parameters
    ----------
    place
        Folder or URL.
    codes_sha256
        Of the codes: pieces of other codes are never taken for those of these.
    workers
        Who does the pieces.
    one_thread
        Each piece has one thread, because many of them are done at a time.
    """

    place: str
    codes_sha256: str
    workers: Workers
    one_thread: bool = False

    def __call__(
        self,
        codes: Codes,
        lengths: Float64Array,
        plan: JoinPlan,
        neighbors: Int32Array,
        similarities: Float32Array,
        *,
        n_threads: int | None = None,
        all_parts: bool = True,  # noqa: ARG002 - a piece holds two blocks, whatever is asked for
        progress: Progress | None = None,
    ) -> BoolArray:
        """Join all blocks; parameters and result as of `join_in_memory`."""
        key = plan_key(plan, self.codes_sha256)
        pieces = Pieces(self.place, key, 1 if self.one_thread else n_threads)
        blocks, pairs = range(len(plan.blocks)), plan.pairs()
        done, total = 0, len(blocks) ** 2 + len(blocks)

        def say_after(n_done: int) -> Callable[[], None]:
            def say() -> None:
                nonlocal done
                done += n_done
                if progress is not None:
                    progress("neighbors", min(len(codes) - 1, len(codes) * done // total), len(codes))

            return say

        def with_codes() -> Iterator[tuple[int, ...]]:
            stages = open_stages(self.place)
            keep_plan(stages, key, plan)
            for block in blocks:  # a block is joined while the codes of the next are written
                keep_codes(stages, key, plan, block, codes, lengths)
                yield (block,)

        steps = (
            ("block", with_codes(), block_piece, 1),
            ("pair", pairs, pair_piece, 2),
            ("table", [(block,) for block in blocks], table_piece, 1),
        )
        try:
            for what, numbers, name_of, n_done in steps:
                say = say_after(n_done)
                self.workers.do(pieces, what, _missing(pieces, numbers, name_of, say), say)
        finally:
            forget_block()
        unsure = np.empty(len(codes), np.bool_)
        for block in blocks:
            table = pieces.read_table(block)
            rows = table["rows"]
            neighbors[rows], similarities[rows], unsure[rows] = (
                table[name] for name in ("neighbors", "similarities", "unsure")
            )
        return unsure

    def forget(self) -> None:
        """Remove what is kept: the table that was made of it is kept elsewhere."""
        open_stages(self.place).keep_only("")


def _missing(
    pieces: Pieces, numbers: Iterable[tuple[int, ...]], name_of: Callable[..., str], say: Callable[[], None]
) -> Iterator[tuple[int, ...]]:
    """Leave out the numbers of pieces that are kept already."""
    for number in numbers:
        if pieces.is_done(name_of(*number)):
            say()
        else:
            yield number
