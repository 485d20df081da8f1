"""Mean and principal directions of codes, read in blocks so that memory-mapped codes stay on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from graphret._types import Codes, Float64Array

__all__ = ["covariance", "leading_directions"]

BLOCK_ROWS = 8_192


def covariance(codes: Codes) -> tuple[Float64Array, Float64Array]:
    """Return the mean float64 (d,) and the covariance float64 (d, d) of the rows; O(n d^2).

    Rows are centred before they are multiplied, in float32 within a block; blocks are added in float64.
    """
    n_rows, n_dimensions = codes.shape
    total = np.zeros(n_dimensions)
    for first in range(0, n_rows, BLOCK_ROWS):
        total += codes[first : first + BLOCK_ROWS].sum(axis=0, dtype=np.float64)
    mean = total / n_rows
    out = np.zeros((n_dimensions, n_dimensions))
    for first in range(0, n_rows, BLOCK_ROWS):
        block = (codes[first : first + BLOCK_ROWS] - mean).astype(np.float32)
        out += block.T @ block
    return mean, out / n_rows


def leading_directions(matrix: Float64Array, n_directions: int) -> tuple[Float64Array, Float64Array]:
    """Largest eigenvalues (m,) of a symmetric matrix and their eigenvectors (d, m), largest first; O(d^3).

    Of the two signs of an eigenvector, that whose component of largest size is positive.
    """
    from scipy.linalg import eigh

    size = matrix.shape[0]
    values, vectors = eigh(matrix, subset_by_index=[size - n_directions, size - 1])
    values, vectors = values[::-1], vectors[:, ::-1]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(n_directions)]
    return values, vectors * np.where(largest < 0, -1.0, 1.0)
