"""Mean and principal directions of codes, read in blocks so that memory-mapped codes stay on disk."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from graphret._types import Codes, Float64Array

__all__ = ["covariance", "leading_direction", "leading_directions"]

BLOCK_ROWS = 8_192
_LANCZOS_SIZE = 128


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
    return values, _one_sign(vectors)


def leading_direction(matrix: Float64Array) -> Float64Array:
    """Eigenvector (d,) of the largest eigenvalue of a symmetric matrix, with the sign of `leading_directions`.

    O(d^2) a step of Lanczos' method, some tens of steps; O(d^3) for a small matrix, or one where those do not converge.
    """
    from scipy.sparse.linalg import ArpackError, eigsh

    if len(matrix) >= _LANCZOS_SIZE:
        start = np.random.default_rng(0).standard_normal(len(matrix))
        with suppress(ArpackError):  # which includes that it did not converge
            return _one_sign(eigsh(matrix, k=1, which="LA", v0=start)[1])[:, 0]
    return leading_directions(matrix, 1)[1][:, 0]


def _one_sign(vectors: Float64Array) -> Float64Array:
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    return vectors * np.where(largest < 0, -1.0, 1.0)
