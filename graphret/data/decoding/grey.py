"""Grey values of decoded pixels: luma, ranges, orientation; in blocks of rows where a copy would be large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from graphret._types import Float32Array

__all__ = ["as_film", "inverted", "luma", "min_to_max", "row_blocks", "upright"]

_BLOCK_PIXELS = 2**18
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def row_blocks(height: int, width: int) -> Iterator[slice]:
    """Slices of rows, about a quarter of a million pixels each: what a block takes does not grow with the film."""
    step = max(1, _BLOCK_PIXELS // max(width, 1))
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def luma(colours: NDArray[Any], white: float) -> Float32Array:
    """ITU-R 601 luma of (h, w, 3 or more) colours whose white is ``white``."""
    weights = _LUMA / np.float32(white)
    grey = np.empty(colours.shape[:2], dtype=np.float32)
    for rows in row_blocks(*colours.shape[:2]):
        np.matmul(colours[rows, :, :3].astype(np.float32), weights, out=grey[rows])
    return grey


def min_to_max(values: NDArray[Any]) -> Float32Array:
    """Scale so that the minimum is 0 and the maximum 1; a constant picture is 0."""
    low, high = float(values.min()), float(values.max())
    film = np.zeros(values.shape, dtype=np.float32)
    if high > low:
        for rows in row_blocks(*values.shape):  # halves: the range of the largest floats is no float
            film[rows] = (values[rows].astype(np.float64) * 0.5 - low * 0.5) / (high * 0.5 - low * 0.5)
    return film


def inverted(pixels: NDArray[Any]) -> NDArray[Any]:
    """White for black: unsigned integers within their dtype, floating films within [0, 1]."""
    white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else np.float32(1)
    turned: NDArray[Any] = np.subtract(white, pixels, dtype=pixels.dtype)
    return turned


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn a picture (h, w) or (h, w, 3) as its EXIF or TIFF orientation (1 to 8) says; anything else leaves it."""
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels


def as_film(pixels: NDArray[Any]) -> Float32Array:
    """As float32: integers with the largest value of their dtype at 1, in one pass over the picture."""
    if pixels.dtype.kind == "f":
        return pixels
    white = np.float32(np.iinfo(pixels.dtype).max)
    film: Float32Array = np.divide(pixels, white, dtype=np.float32, casting="unsafe")
    return film
