"""Principal directions of codes, and the plan that says how many of them the join looks at first.

Of two unit rows x and y, let P keep the leading directions and R the others. Then
``|<x, y> - <Px, Py>| <= |Rx| |Ry|`` (Cauchy-Schwarz): a pair whose ``<Px, Py> + |Rx| |Ry|`` stays below the k-th
similarity of both rows is no edge, and its product is never formed. Directions beyond the leading ones mostly point
apart, so that ``<Px, Py> + slack_factor |Rx| |Ry|`` with a slack factor below 1 loses almost nothing: that is the
approximate method.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from graphret._checks import unit_rows
from graphret._threads import one_blas_thread, threads_in_force
from graphret._types import Codes, Float32Array, Float64Array, Int64Array

__all__ = ["BLOCK_WIDTH", "Parts", "Plan", "Rotation", "plan_join"]

Parts: TypeAlias = tuple[Float32Array, Float32Array, Float32Array]
"""(leading (n, m + 1), rest (blocks, n, BLOCK_WIDTH), beyond (blocks + 1, n)), see `_tile_kernels`."""

BLOCK_WIDTH = 128
LEADING_SIZES = (32, 64, 96, 128, 192, 256, 384, 512)
SLACK_FACTORS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
BASIS_ROWS = 8_192
PLAN_ROWS = 512
PLAN_COLUMNS = 8_192
PLAN_PAIRS = 4_096
CHUNK = 8_192
# Seconds of one core, times 1e9, on an AVX2 machine; only their ratio matters.
PRODUCT_COST = 0.026
"""One direction of a pair in a product of matrices."""
LOOK_COST = 45.0
"""One promising pair that is followed by itself."""


@dataclass(frozen=True, eq=False)
class Rotation:
    """An orthonormal basis, float32 (d, d): columns are directions, the one that holds most of the codes first.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.array([[1, 0, 0], [1, 0, 0.1], [1, 0, -0.1]], dtype=np.float32)
    >>> np.abs(Rotation.of(codes, np.random.default_rng(0)).basis[:, 0]).round(2).tolist()
    [1.0, 0.0, 0.0]
    """

    basis: Float32Array

    @classmethod
    def of(cls, codes: Codes, generator: np.random.Generator) -> Rotation:
        """Take the principal directions of a sample of unit rows, about the origin: cosines have no other centre."""
        n_rows = codes.shape[0]
        rows = np.sort(generator.choice(n_rows, size=min(n_rows, BASIS_ROWS), replace=False))
        sample = unit_rows(codes[rows])
        directions = np.linalg.eigh((sample.T @ sample).astype(np.float64))[1][:, ::-1]
        return cls(np.ascontiguousarray(directions, dtype=np.float32))

    def leading(self, codes: Codes, lengths: Float64Array, n_directions: int) -> Float32Array:
        """Products of the unit rows with the leading directions, float32 (n, n_directions)."""
        directions = np.ascontiguousarray(self.basis[:, :n_directions])
        out = np.empty((codes.shape[0], directions.shape[1]), np.float32)
        for first in range(0, codes.shape[0], CHUNK):
            rows = slice(first, first + CHUNK)
            np.dot(codes[rows], directions, out=out[rows])
            out[rows] /= lengths[rows, None]
        return out

    def parts(
        self, codes: Codes, lengths: Float64Array, rows: Int64Array, n_leading: int, slack_factor: float
    ) -> Parts:
        """Rotate the unit rows and split them as the join reads them; each thread unpacks a chunk at a time."""
        n_blocks = -(-(self.basis.shape[1] - n_leading) // BLOCK_WIDTH)
        leading = np.empty((rows.shape[0], n_leading + 1), np.float32)
        rest = np.zeros((n_blocks, rows.shape[0], BLOCK_WIDTH), np.float32)
        beyond = np.zeros((n_blocks + 1, rows.shape[0]), np.float32)

        def split(first: int) -> None:
            places = slice(first, first + CHUNK)
            rotated = codes[rows[places]] @ self.basis
            rotated *= (1.0 / lengths[rows[places]]).astype(np.float32)[:, None]
            leading[places, :n_leading] = rotated[:, :n_leading]
            for block in reversed(range(n_blocks)):
                start = n_leading + block * BLOCK_WIDTH
                part = rotated[:, start : start + BLOCK_WIDTH]
                rest[block, places, : part.shape[1]] = part
                beyond[block, places] = np.einsum("ij,ij->i", part, part) + beyond[block + 1, places]

        # a BLAS sums in another order with more threads: each chunk has one, and the sums are the same with any number
        with one_blas_thread(), ThreadPoolExecutor(threads_in_force(), thread_name_prefix="graphret-rotate") as pool:
            list(pool.map(split, range(0, rows.shape[0], CHUNK)))
        np.sqrt(beyond, out=beyond)
        leading[:, n_leading] = np.sqrt(np.float32(slack_factor)) * beyond[0]
        return leading, rest, beyond


@dataclass(frozen=True)
class Plan:
    """What the join looks at first.

    Parameters
    ----------
    n_leading
        Directions multiplied for every pair.
    slack_factor
        Largest cosine that is allowed for beyond them; 1: nothing can be lost.
    recall
        Share of neighbours expected to be found.
    """

    n_leading: int
    slack_factor: float
    recall: float


def plan_join(codes: Codes, rotation: Rotation, k: int, recall: float, generator: np.random.Generator) -> Plan:
    """Choose how many leading directions, and what slack factor, should find the share ``recall`` at least cost.

    Parameters
    ----------
    codes
        float32 (n, d).
    rotation
        Their principal directions.
    k
        Neighbours of a row.
    recall
        In (0, 1]; 1 asks for a slack factor of 1.
    generator
        Chooses the rows that the choice is made on.

    Returns
    -------
    Plan
        O(512 x 8,192 d) whatever n is.
    """
    n_rows, n_dimensions = codes.shape
    rows = np.sort(generator.choice(n_rows, size=min(n_rows, PLAN_ROWS), replace=False))
    columns = np.sort(generator.choice(n_rows, size=min(n_rows, PLAN_COLUMNS), replace=False))
    left = unit_rows(codes[rows]) @ rotation.basis
    right = unit_rows(codes[columns]) @ rotation.basis
    cosines = left @ right.T
    cosines[rows[:, None] == columns] = -2.0
    # the columns are a sample of all rows, and so the best of them are a sample of the k best
    rank = int(np.clip(round(k * columns.shape[0] / n_rows), 1, columns.shape[0] - 1))
    best = np.argpartition(-cosines, rank - 1, axis=1)[:, :rank]
    kth_similarities = np.take_along_axis(cosines, best, axis=1).min(axis=1)
    cells = generator.choice(best.size, size=min(best.size, PLAN_PAIRS), replace=False)
    close = np.stack([cells // rank, best.reshape(-1)[cells]], axis=1)
    any_pair = np.stack([generator.integers(size, size=PLAN_PAIRS) for size in cosines.shape], axis=1)
    leading_sizes = [size for size in LEADING_SIZES if size < n_dimensions] + [n_dimensions]
    found, looked = (_bounds(left, right, pairs, leading_sizes) for pairs in (close, any_pair))
    plans = []
    for number, n_leading in enumerate(leading_sizes):
        for slack_factor in SLACK_FACTORS if recall < 1.0 and n_leading < n_dimensions else (1.0,):
            # a neighbour has to pass in the leading directions and in every block after it
            kept = np.min([products + slack_factor * lengths for products, lengths in found[number:]], axis=0)
            share = 1.0 if slack_factor == 1.0 else float((kept >= kth_similarities[close[:, 0]] - 1e-6).mean())
            if share < recall:
                continue
            products, lengths = looked[number]
            passed = float((products + slack_factor * lengths > kth_similarities[any_pair[:, 0]]).mean())
            # a pair is followed when either of its rows asks for it
            cost = PRODUCT_COST * (n_leading + 1) + LOOK_COST * (2.0 * passed - passed**2)
            plans.append((cost, Plan(n_leading, slack_factor, share)))
    return min(plans, key=lambda plan: plan[0])[1]


def _bounds(
    left: Float32Array, right: Float32Array, pairs: Int64Array, leading_sizes: list[int]
) -> list[tuple[Float64Array, Float64Array]]:
    """Products within the leading directions and of the lengths beyond them, for every number of leading directions."""
    x, y = left[pairs[:, 0]], right[pairs[:, 1]]
    cuts = [0, *leading_sizes[:-1]]
    inside = np.cumsum(np.add.reduceat(x * y, cuts, axis=1, dtype=np.float64), axis=1)
    squares = [np.add.reduceat(side * side, cuts, axis=1, dtype=np.float64) for side in (x, y)]
    lengths = [np.sqrt(np.maximum(part.sum(axis=1, keepdims=True) - part.cumsum(axis=1), 0.0)) for part in squares]
    return [(inside[:, place], lengths[0][:, place] * lengths[1][:, place]) for place in range(len(leading_sizes))]
