"""Iterative quantisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from graphret._checks import check_integer
from graphret.hashing.base import BLOCK_ROWS, LinearHasher, linear_arrays
from graphret.hashing.pca import covariance, leading_directions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Codes, Float32Array, Float64Array

__all__ = ["ITQ"]


class ITQ(LinearHasher):
    """Hash by a rotation that brings codes near to the corners of a cube.

    Gong and Lazebnik, Iterative quantization: a Procrustean approach to learning binary codes, CVPR 2011. With V the
    centred codes in their n_bits leading principal directions, an orthogonal R minimises

        Q(B, R) = |B - V R|^2,     B in {-1, 1}^(n x n_bits)

    by turns: ``B = sign(V R)``, then ``R = U W'`` from the singular value decomposition ``V' B = U S W'``. Neither step
    can raise Q.

    Parameters
    ----------
    n_bits
        At most d.
    seed
        Of the random rotation that R starts from.
    n_iterations
        Turns at most (50, as in the paper); fewer when no bit changes any more.

    Attributes
    ----------
    rotation
        float64 (n_bits, n_bits), R.
    losses
        float64, Q / n after every turn.

    Notes
    -----
    Departure: none (the paper scales nothing; codes of unit length are the caller's choice). ``fit`` is O(n d^2 + d^3 +
    n_iterations n n_bits^2); encoding is one product. Faiss's `ITQMatrix` is not used: from the same start its loss
    does not fall from turn to turn (1.15.1; a test holds the two side by side), where the paper's never rises.

    Examples
    --------
    >>> codes = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    >>> hasher = ITQ(4).fit(codes)
    >>> hasher.transform(codes).shape, bool(np.allclose(hasher.rotation @ hasher.rotation.T, np.eye(4)))
    ((200, 1), True)
    """

    name: ClassVar[str] = "itq"
    paper: ClassVar[str] = "Gong, Lazebnik, CVPR 2011"

    def __init__(self, n_bits: int, *, seed: int = 0, n_iterations: int = 50) -> None:
        self.n_iterations = check_integer("n_iterations", n_iterations, 0)
        super().__init__(n_bits, seed=seed, n_iterations=self.n_iterations)

    @property
    def rotation(self) -> Float64Array:
        """R."""
        return self._array("rotation")

    @property
    def losses(self) -> Float64Array:
        """Q / n after every turn."""
        return self._array("losses")

    def _fit(self, codes: Codes, labels: Any) -> dict[str, NDArray[Any]]:  # noqa: ARG002 - unsupervised
        self._check_bits(codes.shape[1], len(codes))
        mean, matrix = covariance(codes)
        directions = leading_directions(matrix, self.n_bits)[1]
        values = np.empty((len(codes), self.n_bits), np.float32)
        for first in range(0, len(codes), BLOCK_ROWS):
            rows = slice(first, first + BLOCK_ROWS)
            values[rows] = np.asarray(codes[rows] - mean, np.float32) @ directions.astype(np.float32)
        start = random_rotation(self.n_bits, np.random.default_rng(self.seed))
        rotation, losses = rotate_to_corners(values, start, self.n_iterations)
        return {**linear_arrays(directions @ rotation, mean), "rotation": rotation, "losses": losses}


def random_rotation(size: int, generator: np.random.Generator) -> Float64Array:
    """Draw an orthogonal matrix float64 (size, size), all alike likely (Haar).

    Examples
    --------
    >>> turn = random_rotation(3, np.random.default_rng(0))
    >>> bool(np.allclose(turn @ turn.T, np.eye(3)))
    True
    """
    basis, triangle = np.linalg.qr(generator.standard_normal((size, size)))
    rotation: Float64Array = basis * np.where(np.diagonal(triangle) < 0, -1.0, 1.0)
    return rotation


def rotate_to_corners(
    values: Float32Array, rotation: Float64Array, n_iterations: int
) -> tuple[Float64Array, Float64Array]:
    """Improve a rotation of values float32 (n, b) by turns; returns it and the loss Q / n after every turn.

    O(n_iterations (n b^2 + b^3)); it stops when no sign changes.
    """
    losses: list[float] = []
    before = None
    for _ in range(n_iterations):
        rotated = values @ rotation.astype(np.float32)
        positive = rotated >= 0
        if before is not None and np.array_equal(positive, before):
            break
        before = positive
        corners = np.where(positive, np.float32(1), np.float32(-1))
        left, singular, right = np.linalg.svd((values.T @ corners).astype(np.float64))
        rotation = left @ right
        # |B - V R|^2 = |B|^2 + |V|^2 - 2 tr(R' V' B), and the trace is the sum of the singular values
        squares = float(np.einsum("ij,ij->", values, values, dtype=np.float64))
        losses.append((corners.size + squares - 2.0 * float(singular.sum())) / len(values))
    return rotation, np.array(losses)
