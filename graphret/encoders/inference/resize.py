"""From a film to the input of a network: a square, resized with an antialiased bilinear filter."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret.encoders.inference._resize_kernels import resize_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float32Array, Int64Array

__all__ = ["prepare_film"]

STORED = {np.dtype(np.uint8), np.dtype(np.uint16)}
"""Pixels as films have them in their files; the largest value of the dtype is 1."""


class _Taps(NamedTuple):
    """What every pixel of a resized side is made of."""

    first: Int64Array
    """(n_out,) the first pixel that counts."""

    number: Int64Array
    """(n_out,) how many do."""

    weights: Float32Array
    """(n_out, largest number) their weights, which sum to 1, and zeros behind them."""


def prepare_film(film: NDArray[Any], size: int) -> Float32Array:
    """Resize a film to a square with an antialiased bilinear filter.

    The whole film is kept and its sides are scaled apart, as Haq et al. (2021) do it: nothing at the border is lost.
    Along a side of n pixels, s = max(n / size, 1), the pixel x has the weight max(0, 1 - |x + 1/2 - c| / s) in the
    pixel of the result whose centre lies at c; the weights are scaled to the sum 1. This is Pillow's ``BILINEAR``.

    Parameters
    ----------
    film
        Floating (h, w) in [0, 1], larger = brighter as displayed; or uint8 or uint16 as
        :func:`graphret.data.read_pixels` gives them, the largest value of the dtype being 1.
    size
        Side of the result in px, >= 1.

    Returns
    -------
    ndarray
        float32 (size, size) in [0, 1].

    Raises
    ------
    InvalidParameterError
        Not such an array with finite values in [0, 1], or a size below 1.

    Notes
    -----
    O(h w + size w). Releases the GIL.

    Examples
    --------
    >>> import numpy as np
    >>> prepare_film(np.full((3, 6), 0.25, dtype=np.float32), 2)
    array([[0.25, 0.25],
           [0.25, 0.25]], dtype=float32)
    >>> prepare_film(np.array([[0, 255]], dtype=np.uint8), 2)
    array([[0., 1.],
           [0., 1.]], dtype=float32)
    """
    size = check_integer("size", size, 1)
    array = np.asarray(film)
    if array.ndim != 2 or array.size == 0 or not (array.dtype.kind == "f" or array.dtype in STORED):
        raise InvalidParameterError(
            "film", f"{array.dtype} {array.shape}", "float32, uint8 or uint16 (h, w)", "read_film gives one"
        )
    white = np.float32(1)
    if array.dtype.kind == "f":
        # Written so that NaN fails too; the margin allows for rounding in what made the film.
        if not (array.min() >= -1e-4 and array.max() <= 1 + 1e-4):
            raise InvalidParameterError(
                "film",
                f"values from {array.min():g} to {array.max():g}",
                "finite values in [0, 1]",
                "divide by the maximum",
            )
        array = array.astype(np.float32, copy=False)
    else:
        white = np.float32(np.iinfo(array.dtype).max)
    pixels = np.ascontiguousarray(array).view()
    pixels.flags.writeable = False  # numba compiles writeable arrays, and those of a decoder, apart
    rows, columns = _taps(pixels.shape[0], size), _taps(pixels.shape[1], size)
    strip = np.empty(pixels.shape[1] + columns.weights.shape[1], dtype=np.float32)
    out = np.empty((size, size), dtype=np.float32)
    resize_pixels(pixels, white, rows.first, rows.number, rows.weights, columns.first, columns.weights, strip, out)
    return out


@lru_cache(maxsize=64)
def _taps(n_in: int, n_out: int) -> _Taps:
    """Weights of the triangle filter, as wide as two output pixels where the side shrinks."""
    scale = n_in / n_out
    stretch = max(scale, 1.0)
    centres = (np.arange(n_out) + 0.5) * scale
    first = np.maximum(centres - stretch + 0.5, 0).astype(np.int64)
    end = np.minimum(centres + stretch + 0.5, n_in).astype(np.int64)
    number = end - first
    pixels = first[:, None] + np.arange(number.max())
    weights = np.maximum(0, 1 - np.abs(pixels + 0.5 - centres[:, None]) / stretch)
    weights[pixels >= end[:, None]] = 0
    weights /= weights.sum(1, keepdims=True)
    return _Taps(first, number, weights.astype(np.float32))
