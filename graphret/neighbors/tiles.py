"""Tiles of similar rows, and the rounds in which pairs of tiles can be joined side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphret.neighbors._tile_kernels import _colour_pairs

if TYPE_CHECKING:
    from graphret._types import Float32Array, Int64Array

__all__ = ["Tiles", "principal_order", "rounds_of_pairs"]

SAMPLE = 2_048
"""Rows that the direction of a cut is estimated on."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """An order of the rows in which neighbouring rows are similar, cut into tiles of equal size, the last excepted.

    Parameters
    ----------
    order
        int64 (n,): ``order[place]`` is a row of the codes.
    starts
        int64 (tiles + 1,), places where tiles begin.
    centres
        float32 (tiles, p), mean of the points of every tile.
    """

    order: Int64Array
    starts: Int64Array
    centres: Float32Array

    @property
    def n_tiles(self) -> int:
        """Number of tiles."""
        return int(self.starts.shape[0] - 1)


def principal_order(points: Float32Array, tile: int) -> Tiles:
    """Halve the rows along the direction in which they differ most, again and again, until the parts are tiles.

    Parameters
    ----------
    points
        float32 (n, p), a short summary of every row.
    tile
        Rows of a tile, at least 1; the last has what is left.

    Returns
    -------
    Tiles
        The rows of a tile are in ascending order. O(n p log n).

    Examples
    --------
    >>> import numpy as np
    >>> principal_order(np.array([[5], [1], [6], [2]], dtype=np.float32), 2).order.tolist()
    [1, 3, 0, 2]
    """
    n_rows = points.shape[0]
    n_tiles = -(-n_rows // tile)
    starts = np.minimum(np.arange(n_tiles + 1, dtype=np.int64) * tile, n_rows)
    order = np.arange(n_rows, dtype=np.int64)
    pending = [(0, n_tiles)]
    while pending:
        first, last = pending.pop()
        part = slice(starts[first], starts[last])
        if last - first == 1:
            order[part].sort()
            continue
        rows = order[part]
        some = points[rows[:: max(1, rows.shape[0] // SAMPLE)]].astype(np.float64)
        some -= some.mean(axis=0)
        direction = np.linalg.eigh(some.T @ some)[1][:, -1]
        # the sign of an eigenvector is arbitrary: the largest part of it shall be positive
        direction *= np.sign(direction[np.abs(direction).argmax()])
        middle = (first + last) // 2
        along = points[rows] @ direction.astype(np.float32)
        order[part] = rows[np.argsort(along, kind="stable")]
        pending += [(first, middle), (middle, last)]
    centres = np.add.reduceat(points[order], starts[:-1], axis=0) / np.diff(starts)[:, None].astype(np.float32)
    return Tiles(order, starts, centres)


def rounds_of_pairs(tiles: Tiles, left: range, right: range) -> list[Int64Array]:
    """All pairs of a tile of ``left`` with one of ``right``, nearest first, in rounds in which no tile comes twice.

    Threads can then share the pairs of a round: no two of them write about the same rows, and what they write does
    not depend on their number.

    Parameters
    ----------
    tiles
        Tiles and their centres.
    left, right
        Tile numbers: the same range (every unordered pair once, and each tile with itself), or ranges apart.

    Returns
    -------
    list of ndarray
        int64 (pairs of the round, 2). O(t^2 log t) for t tiles.

    Examples
    --------
    >>> import numpy as np
    >>> tiles = principal_order(np.arange(3, dtype=np.float32)[:, None], 1)
    >>> [pairs.tolist() for pairs in rounds_of_pairs(tiles, range(3), range(3))]
    [[[0, 0], [1, 1], [2, 2]], [[0, 1]], [[1, 2]], [[0, 2]]]
    """
    first, second = np.meshgrid(np.arange(left.start, left.stop), np.arange(right.start, right.stop), indexing="ij")
    pairs = np.stack([first.ravel(), second.ravel()], axis=1)
    if left == right:
        pairs = pairs[pairs[:, 0] <= pairs[:, 1]]
    centres = tiles.centres.astype(np.float64)
    squares = np.einsum("ij,ij->i", centres, centres)
    distances = squares[left.start : left.stop, None] + squares[right.start : right.stop]
    distances -= 2.0 * centres[left.start : left.stop] @ centres[right.start : right.stop].T
    far = distances[pairs[:, 0] - left.start, pairs[:, 1] - right.start]
    far[pairs[:, 0] == pairs[:, 1]] = -np.inf
    pairs = np.ascontiguousarray(pairs[np.argsort(far, kind="stable")])
    # first fit never needs more rounds than one less than twice the pairs of a tile
    n_words = 2 * max(len(left), len(right)) // 64 + 1
    round_of = np.empty(pairs.shape[0], np.int64)
    n_rounds = _colour_pairs(pairs, np.zeros((tiles.n_tiles, n_words), np.uint64), round_of)
    by_round = np.argsort(round_of, kind="stable")
    cuts = np.searchsorted(round_of[by_round], np.arange(1, n_rounds))
    return np.split(pairs[by_round], cuts)
