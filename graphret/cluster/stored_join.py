"""The join of a kNN table with every block in storage: what a finished piece found is kept, and pieces fit in memory.

One machine does the pieces one after the other, a cluster at the same time. What a piece gives depends on the pieces
that it is made of alone (see `graphret.neighbors.block_join`), so both give the same table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import StoreError
from graphret._threads import borrow_threads
from graphret.files import Stage, Stages, digest, open_stages
from graphret.neighbors.block_join import (
    Best,
    BlockCodes,
    Found,
    best_of_block,
    join_pair,
    merge,
    score,
    unsure_rows,
)
from graphret.neighbors.join_plan import JoinPlan
from graphret.neighbors.rotation import Plan, Rotation
from graphret.neighbors.tiles import Tiles

if TYPE_CHECKING:
    from graphret._types import Codes, Float64Array
    from graphret.neighbors.rotation import Parts

__all__ = [
    "Pieces",
    "block_piece",
    "forget_block",
    "keep_codes",
    "keep_plan",
    "pair_piece",
    "plan_key",
    "table_piece",
]

_PARTS = ("leading", "rest", "beyond")
_BEST = ("scores", "ids", "kth_similarities")
_FOUND = ("starts", "ids", "similarities", "kth_similarities")
_NO_SAMPLE: Parts = np.empty((0, 1), np.float32), np.empty((0, 0, 0), np.float32), np.empty((1, 0), np.float32)


def plan_key(plan: JoinPlan, codes_sha256: str) -> str:
    """Hash of everything that a join depends on."""
    return digest(
        "join",
        codes_sha256,
        [plan.k, plan.size, plan.tile, plan.guess_rank, plan.plan.n_leading, plan.plan.slack_factor],
        [[tiles.start, tiles.stop] for tiles in plan.blocks],
        plan.rotation.basis,
        plan.tiles.order,
        plan.sample[0],
    )


def keep_plan(stages: Stages, key: str, plan: JoinPlan) -> None:
    """Put plan and sample into storage, where they are not there already, and whole."""
    if stages.load("sample", key) is None:
        stages.save("sample", key, {}, dict(zip(_PARTS, plan.sample, strict=True)))
    if stages.load("plan", key) is None:
        looked = plan.plan
        record = {
            **{name: getattr(plan, name) for name in ("k", "size", "tile", "guess_rank")},
            **{name: getattr(looked, name) for name in ("n_leading", "slack_factor", "recall")},
            "blocks": [[tiles.start, tiles.stop] for tiles in plan.blocks],
        }
        arrays: dict[str, Any] = {
            "basis": plan.rotation.basis,
            "starts": plan.tiles.starts,
            "centres": plan.tiles.centres,
        }
        stages.save("plan", key, record, arrays)


def keep_codes(stages: Stages, key: str, plan: JoinPlan, block: int, codes: Codes, lengths: Float64Array) -> None:
    """Put the codes of a block into storage, where they are not there already, and whole: O(b d) bytes.

    What a killed build left is read once, so that codes that were damaged since are written again.
    """
    if stages.load(_name("codes", block), key) is None:
        rows = plan.tiles.order[plan.places(block)]
        arrays: dict[str, Any] = {"codes": codes[rows], "lengths": lengths[rows], "rows": rows.astype(np.int32)}
        stages.save(_name("codes", block), key, {}, arrays)


@lru_cache(maxsize=1)
def _read_plan(place: str, key: str) -> JoinPlan:
    """Read a plan as pieces need it: without the order of the rows, which blocks hold, and without the sample."""
    record, arrays = open_stages(place).read("plan", key)
    looked = Plan(record.pop("n_leading"), record.pop("slack_factor"), record.pop("recall"))
    blocks = tuple(range(*ends) for ends in record.pop("blocks"))
    tiles = Tiles(np.empty(0, np.int64), arrays["starts"], arrays["centres"])
    rotation = Rotation(arrays["basis"])
    return JoinPlan(rotation=rotation, plan=looked, tiles=tiles, blocks=blocks, sample=_NO_SAMPLE, **record)


@dataclass(frozen=True)
class Pieces:
    """The pieces of one join. Each does nothing where its result is kept already, and may be done twice.

    What a piece needs and cannot read (it was damaged, or removed) is made again first, except for plan and codes.

    Parameters
    ----------
    place
        Folder or URL of the storage.
    key
        From `plan_key`.
    n_threads
        Threads of a piece; no result depends on it.
    """

    place: str
    key: str
    n_threads: int | None = 1

    @property
    def stages(self) -> Stages:
        """The storage."""
        return open_stages(self.place)

    @property
    def plan(self) -> JoinPlan:
        """The plan, without order and sample."""
        return _read_plan(self.place, self.key)

    def is_done(self, name: str) -> bool:
        """Whether a piece is kept."""
        return self.stages.load(name, self.key, []) is not None

    def block(self, block: int) -> None:
        """Rotate the rows of a block, guess, and join the block with itself."""
        if not self.is_done(block_piece(block)):
            self._do_block(block)

    def pair(self, left: int, right: int) -> None:
        """Join two blocks."""
        if not self.is_done(pair_piece(left, right)):
            self._do_pair(left, right)

    def table(self, block: int) -> None:
        """Merge what was found for the rows of a block."""
        if not self.is_done(table_piece(block)):
            self._do_table(block)

    def _do_table(self, block: int) -> None:
        plan = self.plan
        n_rows = plan.places(block).stop - plan.places(block).start
        neighbors, similarities = np.full((n_rows, plan.k), -1, np.int32), np.zeros((n_rows, plan.k), np.float32)
        kth_similarities = np.full(n_rows, -np.inf, np.float32)
        with borrow_threads(self.n_threads):
            for other in range(len(plan.blocks)):
                merge(self._found(block, other), neighbors, similarities, kth_similarities)
        unsure = unsure_rows(neighbors, similarities, kth_similarities)
        rows = self._codes(block, ["rows"])["rows"]
        arrays = {"rows": rows, "neighbors": neighbors, "similarities": similarities, "unsure": unsure}
        self.stages.save(table_piece(block), self.key, {}, arrays)

    def _codes(self, block: int, only: list[str]) -> dict[str, Any]:
        return self.stages.read(_name("codes", block), self.key, only).arrays

    def read_codes(self, block: int) -> BlockCodes:
        """Return the codes of a block.

        Raises
        ------
        StoreError
            They cannot be read.
        """
        arrays = self._codes(block, ["codes", "lengths", "rows"])
        return BlockCodes(index=np.arange(len(arrays["rows"])), **arrays)

    def _do_block(self, block: int) -> None:
        sample = self.stages.read("sample", self.key).arrays
        plan = replace(self.plan, sample=(sample["leading"], sample["rest"], sample["beyond"]))
        own = self.read_codes(block)
        with borrow_threads(self.n_threads):
            parts = plan.rotation.parts(own.codes, own.lengths, own.index, plan.plan.n_leading, plan.plan.slack_factor)
            best, hopeful = best_of_block(plan, block, parts)
            found = score(hopeful, own, own)
        kept = dict(zip(_PARTS, parts, strict=True)) | {f"best {name}": getattr(best, name) for name in _BEST}
        self.stages.save(_name("parts", block), self.key, {}, kept)
        self.stages.save(block_piece(block), self.key, {}, _of_side("own", found))

    def read_parts(self, block: int) -> tuple[Parts, Best]:
        """Return rotated rows of a block, and what it found in itself; made again where they cannot be read."""
        kept = self.stages.load(_name("parts", block), self.key)
        if kept is None:
            self._do_block(block)
            kept = self.stages.read(_name("parts", block), self.key)
        parts: Any = tuple(kept.arrays[name] for name in _PARTS)
        return parts, Best(*(kept.arrays[f"best {name}"] for name in _BEST))

    def _do_pair(self, left: int, right: int) -> None:
        with borrow_threads(self.n_threads):
            parts, best, codes = _read_left(self, left)
            other_parts, other_best = self.read_parts(right)
            two = join_pair(self.plan, (left, right), (parts, other_parts), (best, other_best))
            del other_parts, other_best  # the right block's rotated rows and codes are not held together
            both = codes, self.read_codes(right)
            found = _of_side("left", score(two[0], *both)) | _of_side("right", score(two[1], *both[::-1]))
        self.stages.save(pair_piece(left, right), self.key, {}, found)

    def _found(self, block: int, other: int) -> Found:
        """What a block found in another, or in itself; made again where it cannot be read."""
        side = "own" if block == other else "left" if block < other else "right"
        ends = min(block, other), max(block, other)
        name = block_piece(block) if block == other else pair_piece(*ends)
        entries = [f"{side} {entry}" for entry in _FOUND]
        kept: Stage | None = self.stages.load(name, self.key, entries)
        if kept is None:
            if block == other:
                self._do_block(block)
            else:
                self._do_pair(*ends)
            kept = self.stages.read(name, self.key, entries)
        return Found(*(kept.arrays[entry] for entry in entries))

    def read_table(self, block: int) -> dict[str, Any]:
        """Return rows, neighbours, similarities and which rows are unsure, of a block whose table was made.

        Raises
        ------
        StoreError
            It cannot be read, nor made again.
        """
        kept = self.stages.load(table_piece(block), self.key)
        if kept is None:
            self._do_table(block)
            kept = self.stages.load(table_piece(block), self.key)
        if kept is None:
            raise StoreError(f"what was written to {self.place} cannot be read back: run the same command again")
        return kept.arrays


@lru_cache(maxsize=1)
def _read_left(pieces: Pieces, block: int) -> tuple[Parts, Best, BlockCodes]:
    """Read the left block of a pair; the next pair that is joined here has mostly the same."""
    return *pieces.read_parts(block), pieces.read_codes(block)


def forget_block() -> None:
    """Let go of the block that is held for the next pair."""
    _read_left.cache_clear()


def block_piece(block: int) -> str:
    """Name of the piece that joins a block with itself."""
    return _name("block", block)


def pair_piece(left: int, right: int) -> str:
    """Name of the piece that joins two blocks."""
    return f"{_name('pair', left)}-{right:06d}"


def table_piece(block: int) -> str:
    """Name of the piece that merges what was found for a block."""
    return _name("table", block)


def _name(what: str, block: int) -> str:
    return f"{what}-{block:06d}"


def _of_side(side: str, found: Found) -> dict[str, Any]:
    return {f"{side} {name}": getattr(found, name) for name in _FOUND}
