"""Spectral hashing: signs of the smoothest eigenfunctions along the principal directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from graphret._errors import CodesError
from graphret.hashing.base import BLOCK_ROWS, Hasher
from graphret.hashing.pca import covariance, leading_directions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Codes, Float32Array, Float64Array

__all__ = ["SpectralHashing"]

FLAT = 1e-6
"""Share of the widest range below which a direction is rounding, not data."""


class SpectralHashing(Hasher):
    """Hash by eigenfunctions of the Laplacian (Weiss, Torralba and Fergus, Spectral hashing, NIPS 2008).

    Codes are rotated to their min(n_bits, d) leading principal directions. If they filled the box ``[a_i, b_i]`` of
    their ranges evenly, the smoothest functions on them would be

        Phi_{i,k}(x) = sin(pi/2 + k pi / (b_i - a_i) (x_i - a_i)),     eigenvalue growing with (k / (b_i - a_i))^2,

    for k = 1, 2, ...; the n_bits with the smallest eigenvalues are taken, and their signs are the bits. So a wide
    direction gives several bits, and bits that come first vary most slowly.

    Parameters
    ----------
    n_bits
        Any number, also more than dimensions: narrow directions then get higher frequencies.
    seed
        Not used: the method has nothing random.

    Attributes
    ----------
    directions, modes
        int (n_bits,): the direction i and the k of every bit, in the order of their eigenvalues (ties by smaller i).

    Notes
    -----
    As the authors' code: a_i and b_i are the smallest and largest value of the codes of `fit`. Directions whose range
    is rounding get no bit. ``fit`` is O(n d^2 + d^3); encoding is one product and n n_bits cosines. Faiss has the
    method only inside an inverted file (`IndexIVFSpectralHash`), with another period.

    Examples
    --------
    >>> codes = (np.random.default_rng(0).uniform(size=(200, 2)) * [4.5, 1]).astype(np.float32)
    >>> hasher = SpectralHashing(5).fit(codes)
    >>> hasher.directions.tolist(), hasher.modes.tolist()
    ([0, 0, 0, 0, 1], [1, 2, 3, 4, 1])
    """

    name: ClassVar[str] = "spectral_hashing"
    paper: ClassVar[str] = "Weiss, Torralba, Fergus, NIPS 2008"

    def __init__(self, n_bits: int, *, seed: int = 0) -> None:
        super().__init__(n_bits, seed=seed)

    @property
    def directions(self) -> NDArray[np.int64]:
        """Principal direction of every bit."""
        return self._array("directions")

    @property
    def modes(self) -> NDArray[np.int64]:
        """Half periods of every bit in the range of its direction."""
        return self._array("modes")

    def _fit(self, codes: Codes, labels: Any) -> dict[str, NDArray[Any]]:  # noqa: ARG002 - unsupervised
        mean, matrix = covariance(codes)
        basis = leading_directions(matrix, min(self.n_bits, codes.shape[1]))[1].astype(np.float32)
        low, high = np.full(basis.shape[1], np.inf), np.full(basis.shape[1], -np.inf)
        for first in range(0, len(codes), BLOCK_ROWS):
            values = np.asarray(codes[first : first + BLOCK_ROWS] - mean, np.float32) @ basis
            low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
        ranges = high - low
        if not ranges.max() > 0:
            raise CodesError("codes are all the same: spectral hashing needs a direction in which they vary")
        ranges[ranges < FLAT * ranges.max()] = 0.0
        directions, modes = smoothest_modes(ranges, self.n_bits)
        # cos(frequency (x - mean) . v - frequency a), folded into one product and one offset
        frequencies = np.pi * modes / ranges[directions]
        weights = basis[:, directions].astype(np.float64) * frequencies
        return {
            "weights": weights.astype(np.float32),
            "offsets": (-(mean @ weights) - frequencies * low[directions]).astype(np.float32),
            "directions": directions,
            "modes": modes,
        }

    def _project_rows(self, codes: Codes) -> Float32Array:
        values: Float32Array = codes @ self._array("weights")
        values += self._array("offsets")
        np.cos(values, out=values)  # sin(pi/2 + t)
        return values


def smoothest_modes(ranges: Float64Array, n_bits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose the n_bits pairs (i, k), k >= 1, with the smallest ``k / ranges[i]``, ties by smaller i.

    Parameters
    ----------
    ranges
        float64 (m,), >= 0, one of them > 0; a direction of range 0 is never chosen.
    n_bits
        How many.

    Returns
    -------
    directions, modes
        int64 (n_bits,) both, smallest first. O(m n_bits log(m n_bits)).

    Examples
    --------
    >>> smoothest_modes(np.array([3.0, 1.0]), 4)
    (array([0, 0, 0, 1]), array([1, 2, 3, 1]))
    """
    some = np.flatnonzero(ranges > 0)
    modes = np.tile(np.arange(1, n_bits + 1), some.size)
    directions = np.repeat(some, n_bits)
    order = np.lexsort((directions, modes / ranges[directions]))[:n_bits]
    return directions[order], modes[order]
