"""Kernel of the resize: every output row is made from a few rows of stored pixels, without a float copy of the film."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._numba import jit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float32Array, Int64Array


@jit()
def resize_pixels(
    pixels: NDArray[Any],
    white: np.float32,
    first_row: Int64Array,
    n_rows: Int64Array,
    row_weights: Float32Array,
    first_column: Int64Array,
    column_weights: Float32Array,
    strip: Float32Array,
    out: Float32Array,
) -> None:
    """Fill ``out`` (s, s) with ``pixels`` (h, w) / ``white``, filtered down the columns first and along the rows then.

    Row r of ``out`` takes the ``n_rows[r]`` rows from ``first_row[r]`` on with the weights ``row_weights[r]``. Column c
    takes all m columns from ``first_column[c]`` on with the m weights ``column_weights[c]``, some of them 0: with the
    same number for each, a processor foresees the end of the sum. ``strip`` (w + m,) is room for a row between the two.
    Sums are float32 and in the order of the pixels, so that every processor rounds alike.
    """
    strip[:] = np.float32(0)
    width, n_taps = pixels.shape[1], column_weights.shape[1]
    for row in range(out.shape[0]):
        strip[:width] = np.float32(0)
        for tap in range(n_rows[row]):
            weight = row_weights[row, tap]
            source = pixels[first_row[row] + tap]
            for column in range(width):
                strip[column] += weight * np.float32(source[column])
        for column in range(out.shape[1]):
            weights = column_weights[column]
            values = strip[first_column[column] : first_column[column] + n_taps]
            total = np.float32(0)
            for tap in range(n_taps):
                total += weights[tap] * values[tap]
            # Weights may sum to a little more than 1 by rounding: a white film must not leave the range.
            out[row, column] = min(max(total / white, np.float32(0)), np.float32(1))
