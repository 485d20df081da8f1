"""Codes of bits: values to packed bytes and back.

Bit j of a code is bit ``j % 8`` of byte ``j // 8``, the lowest bit first: the order of Faiss, whose binary indexes take
these bytes as they are. Unused bits of the last byte are 0 in every code, so that they never count as a difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphret._checks import as_array, check_integer
from graphret._errors import CodesError

if TYPE_CHECKING:
    from graphret._types import Float32Array

__all__ = ["PackedBits", "check_packed", "n_bytes_of", "pack_bits", "unpack_bits"]

PackedBits: TypeAlias = NDArray[np.uint8]
"""Packed codes, uint8 (n, ceil(b / 8))."""


def n_bytes_of(n_bits: int) -> int:
    """Bytes of a code of ``n_bits`` bits.

    Examples
    --------
    >>> n_bytes_of(12)
    2
    """
    return -(-n_bits // 8)


def pack_bits(values: Any) -> PackedBits:
    """Pack the signs of values, bit = 1 where ``value >= 0`` (sign(0) = +1; also -0.0).

    Parameters
    ----------
    values
        Real or integer (n, b), n >= 0, b >= 1, no NaN; infinities have signs.

    Returns
    -------
    numpy.ndarray
        uint8 (n, ceil(b / 8)), bit j of a code in bit ``j % 8`` of byte ``j // 8``. O(n b).

    Raises
    ------
    CodesError
        Not two-dimensional, no column, not numbers (booleans are bits already: ``numpy.packbits`` with
        ``bitorder="little"``), or NaN.

    Examples
    --------
    >>> pack_bits([[0.5, -1.0, 0.0, -2.0], [-1.0, -1.0, -1.0, 3.0]]).tolist()
    [[5], [8]]
    """
    array = as_array("values", values)
    if array.ndim != 2 or array.shape[1] == 0:
        raise CodesError(f"values have shape {array.shape}: give (n, b), one column per bit, b >= 1")
    if array.dtype.kind not in "fiu":
        raise CodesError(f"values have dtype {array.dtype}: give numbers whose sign is the bit")
    bits = array >= 0
    if array.dtype.kind == "f" and not bits.all():  # NaN is neither
        wrong = np.flatnonzero(np.isnan(array).any(axis=1))
        if wrong.size:
            raise CodesError(f"values: {wrong.size} rows hold NaN, first row {wrong[0]}: NaN has no sign")
    return np.packbits(bits, axis=1, bitorder="little")


def unpack_bits(packed: Any, n_bits: int) -> Float32Array:
    """Turn packed codes into signs, +1 for a bit that is 1 and -1 for one that is 0.

    Parameters
    ----------
    packed
        uint8 (n, ceil(n_bits / 8)), from `pack_bits`.
    n_bits
        Bits of a code, >= 1.

    Returns
    -------
    numpy.ndarray
        float32 (n, n_bits). O(n n_bits).

    Raises
    ------
    CodesError, InvalidParameterError
        Not packed codes of this many bits.

    Examples
    --------
    >>> unpack_bits(np.array([[5]], np.uint8), 4).tolist()
    [[1.0, -1.0, 1.0, -1.0]]
    """
    n_bits = check_integer("n_bits", n_bits, 1)
    packed = check_packed("packed", packed, n_bytes_of(n_bits))
    bits = np.unpackbits(packed, axis=1, count=n_bits, bitorder="little")
    return np.where(bits, np.float32(1), np.float32(-1))


def check_packed(name: str, packed: Any, n_bytes: int | None = None) -> PackedBits:
    """Return packed codes as C-contiguous uint8 (n, n_bytes), or say what they should be."""
    array = np.asarray(packed)
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype != np.uint8:
        raise CodesError(
            f"{name} is {array.dtype} {array.shape}: give packed codes, uint8 (n, ceil(b / 8)), as pack_bits makes them"
        )
    if n_bytes is not None and array.shape[1] != n_bytes:
        raise CodesError(f"{name} has {array.shape[1]} bytes a code, expected {n_bytes}: give codes of as many bits")
    return np.ascontiguousarray(array)
