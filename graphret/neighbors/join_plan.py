"""What a join of all rows with all rows fixes beforehand: directions, tiles, a sample, and blocks."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import InvalidParameterError
from graphret._threads import one_blas_thread
from graphret.neighbors.rotation import BLOCK_WIDTH, Parts, Plan, Rotation, plan_join
from graphret.neighbors.tiles import Tiles, principal_order

if TYPE_CHECKING:
    from graphret._types import Codes, Float64Array

__all__ = ["BLOCK_ROWS", "JoinPlan", "bytes_of_row", "guess_rank"]

TILE = 512
"""Rows of a tile."""
MARGIN = 8
"""Candidates kept beyond k, so that rounding does not leave a doubt about the k-th."""
LEADING = 32
"""Directions that tiles are made by."""
BLOCK_ROWS = 65_536
"""Rows of a block, at most; up to so many rows are one block."""
FEWEST_BLOCKS = 8
"""Blocks of more rows than one block holds: enough of them that several machines find work."""
GUESS_SHARE = 1 / 64
"""Share of the rows that the first guess of every k-th similarity is made on."""
GUESS_SLACK_FACTOR = 0.3
"""A guess may miss neighbours: that only makes it smaller."""
GUESS_ERROR = 1e-3
"""Chance that the guess of a row is too large and the row has to be scanned."""


@dataclass(frozen=True, eq=False)
class JoinPlan:
    """All that the join of a block with another depends on, beside the codes of the two.

    Parameters
    ----------
    k, size
        Neighbours of a row, and candidates that are kept for it while the join runs.
    rotation
        Principal directions.
    plan
        What is looked at first.
    tiles
        Similar rows together; place ``p`` belongs to row ``tiles.order[p]``.
    tile
        Rows of a tile.
    blocks
        Ranges of tiles, in order. They follow from the number of rows alone (and from ``max_memory`` where that asks
        for smaller ones), never from the machine.
    sample
        Rotated rows that the first guess of every k-th similarity is made on.
    guess_rank
        Rank among them that stands for the k-th neighbour; 0: there is no guess, because the sample is too small.
    """

    k: int
    size: int
    rotation: Rotation
    plan: Plan
    tiles: Tiles
    tile: int
    blocks: tuple[range, ...]
    sample: Parts
    guess_rank: int

    @classmethod
    def of(
        cls,
        codes: Codes,
        lengths: Float64Array,
        k: int,
        recall: float,
        generator: np.random.Generator,
        max_memory: int | None = None,
    ) -> JoinPlan:
        """Look at samples of the codes, and put all rows in order.

        Parameters
        ----------
        codes, lengths
            float32 (n, d), checked, may be memory-mapped; float64 (n,).
        k
            1 to n - 1.
        recall
            In (0, 1]; 1: the join proves what it finds.
        generator
            Chooses the samples.
        max_memory
            Bytes that three blocks of rotated rows may take; ``None``: as much as they need.

        Raises
        ------
        InvalidParameterError
            ``max_memory`` is too small for three tiles.

        Notes
        -----
        O(n d) time and 128 bytes a row, samples of n / 64 rows included.
        """
        n_rows, n_dimensions = codes.shape
        with one_blas_thread():  # a BLAS sums in another order with more threads, and the plan shall not depend on them
            rotation = Rotation.of(codes, generator)
            size = min(k + (MARGIN if recall == 1.0 else 0), n_rows - 1)
            plan = plan_join(codes, rotation, size, recall, generator)
            tiles = principal_order(rotation.leading(codes, lengths, LEADING), TILE)
            rows = np.sort(generator.choice(n_rows, size=round(GUESS_SHARE * n_rows), replace=False))
            rank = guess_rank(size, GUESS_SHARE)
            if rank >= rows.shape[0]:
                rank, rows = 0, rows[:0]
            narrow = _narrow(plan)
            sample = rotation.parts(codes, lengths, rows, plan.n_leading, narrow**2 / plan.slack_factor)
        return cls(k, size, rotation, plan, tiles, TILE, _blocks(tiles, n_dimensions, max_memory), sample, rank)

    @property
    def guess_slack_factor(self) -> float:
        """Slack factor of the guess."""
        return _narrow(self.plan)

    def places(self, block: int) -> slice:
        """Places of the rows of a block."""
        tiles = self.blocks[block]
        return slice(int(self.tiles.starts[tiles.start]), int(self.tiles.starts[tiles.stop]))

    def pairs(self) -> list[tuple[int, int]]:
        """Return all pairs of two blocks, each once, in order."""
        return list(itertools.combinations(range(len(self.blocks)), 2))


def bytes_of_row(n_dimensions: int) -> int:
    """Bytes that a rotated row takes, at most: leading directions, blocks of the rest, and lengths beyond them."""
    return 4 * (n_dimensions + BLOCK_WIDTH + 1 + 2 * (n_dimensions // BLOCK_WIDTH + 1))


def _narrow(plan: Plan) -> float:
    return min(plan.slack_factor, GUESS_SLACK_FACTOR)


def guess_rank(k: int, share: float) -> int:
    """Rank in a sample, itself counted, that the k-th neighbour surpasses with a chance of ``1 - GUESS_ERROR``.

    Of the k nearest, a binomial number is in a sample of a share of the rows, below 1.

    Examples
    --------
    >>> guess_rank(50, 1 / 64)
    7
    """
    odds = share / (1.0 - share)
    at_rank = (1.0 - share) ** k
    rank, at_most = 0, at_rank
    while at_most < 1.0 - GUESS_ERROR and rank < k:
        at_rank *= odds * (k - rank) / (rank + 1)
        rank += 1
        at_most += at_rank
    return rank + 2


def _blocks(tiles: Tiles, n_dimensions: int, max_memory: int | None) -> tuple[range, ...]:
    """Cut the tiles into blocks; of these, ``max_memory`` holds three: two are joined while one is made."""
    n_rows = tiles.order.shape[0]
    n_blocks = 1 if n_rows <= BLOCK_ROWS else max(FEWEST_BLOCKS, -(-n_rows // BLOCK_ROWS))
    whole = bytes_of_row(n_dimensions) * n_rows
    if max_memory is not None and whole > max_memory:
        n_blocks = max(n_blocks, -(-3 * whole // max_memory))
        if n_blocks > tiles.n_tiles:
            least = 3 * bytes_of_row(n_dimensions) * TILE
            raise InvalidParameterError(
                "max_memory", max_memory, f"at least {least} bytes (three tiles of {TILE} rows)", "None sets no limit"
            )
    n_blocks = min(n_blocks, tiles.n_tiles)
    cuts = np.arange(n_blocks + 1) * tiles.n_tiles // n_blocks
    return tuple(range(int(first), int(last)) for first, last in itertools.pairwise(cuts))
