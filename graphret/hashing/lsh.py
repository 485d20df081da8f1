"""Random hyperplanes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from graphret._checks import check_flag
from graphret.hashing.base import LinearHasher, linear_arrays
from graphret.hashing.pca import BLOCK_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Codes

__all__ = ["LSH"]


class LSH(LinearHasher):
    """Hash by random hyperplanes (Charikar, Similarity estimation techniques from rounding algorithms, STOC 2002).

    ``h_i(x) = sign(w_i . (x - m))``, every w_i drawn from N(0, I). For m = 0, two codes at an angle t differ in a bit
    with probability t / pi, so that the Hamming distance estimates the angle.

    Parameters
    ----------
    n_bits
        Any number, also more than dimensions.
    seed
        Of the directions.
    center
        Whether m is the mean of the codes of `fit`, or 0 as in the paper. Codes of a network that ends in a ReLU are
        never negative and lie in a narrow cone: planes through the origin leave most of them on one side.

    Notes
    -----
    Departure: ``center=True``, as Gong and Lazebnik centre the data of every method that they compare. ``fit`` is O(n
    d) (it needs nothing but d with ``center=False``); encoding is one product, O(n d n_bits). Faiss's `IndexLSH` draws
    an orthonormal rotation, whose seed cannot be chosen, and keeps its codes inside an index; so the draw is made here.

    Examples
    --------
    >>> codes = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    >>> LSH(16).fit(codes).transform(codes).shape
    (100, 2)
    """

    name: ClassVar[str] = "lsh"
    paper: ClassVar[str] = "Charikar, STOC 2002"
    fidelity: ClassVar[str] = "changed formula"

    def __init__(self, n_bits: int, *, seed: int = 0, center: bool = True) -> None:
        center = check_flag("center", center)
        super().__init__(n_bits, seed=seed, center=center)
        self.center = center

    def _fit(self, codes: Codes, labels: Any) -> dict[str, NDArray[Any]]:  # noqa: ARG002 - unsupervised
        mean = np.zeros(codes.shape[1])
        if self.center:
            for first in range(0, len(codes), BLOCK_ROWS):
                mean += codes[first : first + BLOCK_ROWS].sum(axis=0, dtype=np.float64)
            mean /= len(codes)
        directions = np.random.default_rng(self.seed).standard_normal((codes.shape[1], self.n_bits))
        return linear_arrays(directions, mean)
