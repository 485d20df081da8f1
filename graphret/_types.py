"""Array aliases and the checks that every layer shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphret._errors import CodesError, InvalidParameterError

__all__ = [
    "BoolArray",
    "Codes",
    "Float32Array",
    "Float64Array",
    "Int32Array",
    "Int64Array",
    "Progress",
    "check_codes",
    "check_integer",
    "unit_rows",
]

BoolArray: TypeAlias = NDArray[np.bool_]
Codes: TypeAlias = NDArray[np.float32]
Float32Array: TypeAlias = NDArray[np.float32]
Float64Array: TypeAlias = NDArray[np.float64]
Int32Array: TypeAlias = NDArray[np.int32]
Int64Array: TypeAlias = NDArray[np.int64]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)`` by every long step; the command line draws bars with it."""


def check_integer(name: str, value: Any, minimum: int, hint: str = "") -> int:
    """Return ``value`` as int, or say that it must be an integer >= ``minimum``."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < minimum:
        raise InvalidParameterError(name, value, f"an integer >= {minimum}", hint)
    return int(value)


def check_codes(codes: Any, *, name: str = "codes", n_dimensions: int | None = None) -> Codes:
    """Return codes as a C-contiguous float32 (n, d) array, or say which row is wrong.

    Raises
    ------
    CodesError
        Not two-dimensional, empty, of another length than ``n_dimensions``, with values that are
        not finite, or with a row of zeros (it has no cosine).
    """
    array = np.asanyarray(codes)
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] == 0:
        raise CodesError(f"{name} have shape {array.shape}: give a float32 array (n, d) with n >= 1 and d >= 1")
    if array.dtype.kind not in "fiu":
        raise CodesError(f"{name} have dtype {array.dtype}: give float32 (n, d)")
    if n_dimensions is not None and array.shape[1] != n_dimensions:
        raise CodesError(
            f"{name} have {array.shape[1]} dimensions, the archive has {n_dimensions}: "
            "encode them with the encoder of the archive"
        )
    array = np.ascontiguousarray(array, dtype=np.float32)
    if array.shape[0] == 1 and 0 < np.einsum("ij,ij->", array, array) < np.inf:
        return array  # one query alone; a sum that float32 cannot hold is looked at again below
    squares = np.einsum("ij,ij->i", array, array, dtype=np.float64)
    if squares.min() > 0 and squares.max() < np.inf:  # false for NaN as well
        return array
    bad = np.flatnonzero(~np.isfinite(squares))
    if bad.size:
        raise CodesError(f"{name}: {bad.size} rows hold NaN or infinity, first row {bad[0]}: remove or re-encode them")
    bad = np.flatnonzero(squares == 0)
    if bad.size:
        raise CodesError(f"{name}: {bad.size} rows are all zeros, first row {bad[0]}: they have no cosine, remove them")
    return array


def unit_rows(codes: Codes) -> Codes:
    """Divide every row by its Euclidean length (computed in float64); float32 (n, d), a new array."""
    lengths = np.sqrt(np.einsum("ij,ij->i", codes, codes, dtype=np.float64))
    scaled: Codes = np.multiply(codes, (1.0 / lengths).astype(np.float32)[:, None], dtype=np.float32)
    return scaled
