"""Checks of numbers, flags and codes that every room shares: what is wrong, and what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import CodesError, InvalidParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Codes

__all__ = ["as_array", "check_codes", "check_flag", "check_integer", "check_number", "unit_rows"]


def check_integer(name: str, value: Any, minimum: int, hint: str = "") -> int:
    """Return ``value`` as int, or say that it must be an integer >= ``minimum``.

    Examples
    --------
    >>> check_integer("k", np.int32(5), 1)
    5
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < minimum:
        raise InvalidParameterError(name, value, f"an integer >= {minimum}", hint)
    return int(value)


def check_number(
    name: str,
    value: Any,
    *,
    at_least: float = -np.inf,
    above: float = -np.inf,
    below: float = np.inf,
    at_most: float = np.inf,
    hint: str = "",
) -> float:
    """Return a finite number within the bounds as float, or say what is allowed.

    Examples
    --------
    >>> check_number("alpha", 0.5, above=0, at_most=1)
    0.5
    >>> check_number("alpha", 2, above=0, at_most=1)
    Traceback (most recent call last):
    graphret._errors.InvalidParameterError: alpha=2 is not allowed: give a number > 0 and <= 1
    """
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not np.isfinite(value) or not (at_least <= value <= at_most and above < value < below):
        signs = ((">=", at_least), (">", above), ("<", below), ("<=", at_most))
        bounds = " and ".join(f"{sign} {bound:g}" for sign, bound in signs if np.isfinite(bound))
        raise InvalidParameterError(name, value, f"a number {bounds}" if bounds else "a finite number", hint)
    return float(value)


def check_flag(name: str, value: Any) -> bool:
    """Return a truth value, or say that only ``True`` and ``False`` are allowed."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidParameterError(name, value, "True or False")
    return bool(value)


def as_array(name: str, values: Any) -> NDArray[Any]:
    """Return values as a numpy array, or say that they are none.

    A tensor of torch may be on any device and part of a gradient; bfloat16, which numpy does not know, becomes float32.
    What an array masks becomes NaN.

    Raises
    ------
    CodesError
        Rows of different lengths, or nothing that numpy can read.

    Examples
    --------
    >>> as_array("codes", [[1.0, 2.0]]).shape
    (1, 2)
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if "bfloat16" in str(values.dtype):
            values = values.float()
    try:
        array: NDArray[Any] = np.asanyarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CodesError(f"{name} cannot be read as an array: {reason} (give one float32 array (n, d))") from error
    if np.ma.is_masked(array):
        array = np.where(np.ma.getmaskarray(array), np.nan, np.ma.getdata(array))
    return array


def check_codes(codes: Any, *, name: str = "codes", n_dimensions: int | None = None, values: bool = True) -> Codes:
    """Return codes as a C-contiguous float32 (n, d) array, or say which row is wrong.

    ``values=False`` leaves the rows to a caller that looks at them elsewhere, on a device.

    Raises
    ------
    CodesError
        Not two-dimensional, empty, of another length than ``n_dimensions``, with values that are
        not finite, or with a row of zeros (it has no cosine).
    """
    array = as_array(name, codes)
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] == 0:
        raise CodesError(f"{name} have shape {array.shape}: give a float32 array (n, d) with n >= 1 and d >= 1")
    if array.dtype.kind not in "fiu":
        raise CodesError(f"{name} have dtype {array.dtype}: give float32 (n, d)")
    if n_dimensions is not None and array.shape[1] != n_dimensions:
        raise CodesError(
            f"{name} have {array.shape[1]} dimensions, the archive has {n_dimensions}: "
            "encode them with the encoder of the archive"
        )
    given = array
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity, which is refused below
        array = np.ascontiguousarray(array, dtype=np.float32)
    if not values:
        return array
    if array.shape[0] == 1 and 0 < np.einsum("ij,ij->", array, array) < np.inf:
        return array  # one query alone; a sum that float32 cannot hold is looked at again below
    squares = np.einsum("ij,ij->i", array, array, dtype=np.float64)
    if squares.min() > 0 and squares.max() < np.inf:  # false for NaN as well
        return array
    bad = np.flatnonzero(~np.isfinite(squares))
    if bad.size and np.isfinite(given[bad]).all():
        raise CodesError(f"{name}: {bad.size} rows are too large for float32, first row {bad[0]}: scale the codes down")
    if bad.size:
        raise CodesError(f"{name}: {bad.size} rows hold NaN or infinity, first row {bad[0]}: remove or re-encode them")
    bad = np.flatnonzero(squares == 0)
    if bad.size and given[bad].any(axis=1).all():
        raise CodesError(f"{name}: {bad.size} rows are too small for float32, first row {bad[0]}: scale the codes up")
    if bad.size:
        raise CodesError(f"{name}: {bad.size} rows are all zeros, first row {bad[0]}: they have no cosine, remove them")
    return array


def unit_rows(codes: Codes) -> Codes:
    """Divide every row by its Euclidean length (computed in float64); float32 (n, d), a new array."""
    lengths = np.sqrt(np.einsum("ij,ij->i", codes, codes, dtype=np.float64))
    scaled: Codes = np.multiply(codes, (1.0 / lengths).astype(np.float32)[:, None], dtype=np.float32)
    return scaled
