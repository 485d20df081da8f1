"""Codes of 8 bits beside those of 32: a first pass that reads a quarter, and says which films may be among the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret.neighbors._screen_kernels import _candidates_of_query

if TYPE_CHECKING:
    from graphret._types import BoolArray, Codes, Float32Array, Float64Array, Int32Array

__all__ = ["ScreenedCodes"]

TILE = 16_384
LEVELS = 127
"""Largest whole number of a film's code, in 8 bits."""
QUERY_LEVELS = 32_767
"""Largest whole number of a query's code, in 16 bits."""
LEAST = 1e-6
"""A dimension whose largest value is less is rounded as if it had this one: no scale is without bounds."""
ROUNDING = 1e-5
"""Twice what rounding of unit codes to float32, and of cosines to 1e-6, may move a cosine by."""


class ScreenedCodes:
    """Unit codes as whole numbers of 8 bits, each dimension by a scale of its own, and how far they are off.

    With v the unit code of a film, ``w = round(s v)`` with ``s_j = 127 / max |v_j|`` over all films, and e the largest
    ``|v - w / s|`` of a film, a unit query q has ``|q v - q (w / s)| <= e`` (Cauchy, Schwarz). A film whose product
    with the 8 bits is more than 2 e below the k-th largest is not among the k nearest. So no film is lost, and the
    others are compared by their own codes.

    Parameters
    ----------
    codes
        float32 (n, d), any scale.
    lengths
        float64 (n,), their lengths, above 0.

    Notes
    -----
    O(n d) time, n d bytes.

    Examples
    --------
    >>> codes = np.repeat(np.eye(3, dtype=np.float32), 100, axis=0)
    >>> everything, nothing = np.empty(0, bool), np.empty(0, np.int32)
    >>> query = np.array([0.8, 0.6, 0], np.float32)
    >>> found = ScreenedCodes(codes, np.ones(300)).candidates(query, 5, everything, nothing)
    >>> found.tolist() == list(range(100))
    True
    """

    def __init__(self, codes: Codes, lengths: Float64Array) -> None:
        largest = np.zeros(codes.shape[1])
        for first in range(0, len(codes), TILE):
            unit = codes[first : first + TILE] / lengths[first : first + TILE, None]
            np.maximum(largest, np.abs(unit).max(axis=0), out=largest)
        self.scales = LEVELS / np.maximum(largest, LEAST)
        self.codes = np.empty(codes.shape, np.int8)
        self.error = 0.0
        for first in range(0, len(codes), TILE):
            unit = codes[first : first + TILE] / lengths[first : first + TILE, None]
            whole = np.rint(unit * self.scales)
            self.codes[first : first + TILE] = whole
            self.error = max(self.error, float(np.linalg.norm(unit - whole / self.scales, axis=1).max()))

    def candidates(self, query: Float32Array, k: int, allowed: BoolArray, forbidden: Int32Array) -> Int32Array:
        """Find all films that may be among the k nearest of those that may come.

        Parameters
        ----------
        query
            float32 (d,), of length 1.
        k
            1 to n.
        allowed
            bool (n,), the films that may come; of length 0: all.
        forbidden
            int32 (m,), ascending: films that may not come.

        Returns
        -------
        numpy.ndarray
            int32 (c,), ascending: at least k films where so many may come, and some more. O(n d).
        """
        n_dimensions = len(query)
        weights = query / self.scales
        levels = min(QUERY_LEVELS, (2**31 - 1) // (LEVELS * n_dimensions))  # a sum of products stays below 2^31
        step = np.abs(weights).max() / levels
        whole = np.rint(weights / step).astype(np.int16)
        # the query's own rounding moves a product by half a level of a film at most in every dimension
        slack = int((2 * self.error + ROUNDING) / step) + LEVELS * n_dimensions + 1
        return _candidates_of_query(self.codes, whole, allowed, forbidden, k, slack)
