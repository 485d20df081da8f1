"""Masks in MAT-files of MATLAB, as the authors of Y-Net keep those of ORIGA: measured before they are read.

A reader of its own for the one thing that a mask is, a matrix of numbers: `scipy.io.loadmat` ends the process at some
damaged files, and the tests compare with it on whole ones.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphret._errors import FilmError
from graphret.data.decoding.limits import FilmLimits, check_memory, check_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_mat_mask"]

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBER_CLASSES = range(6, 14)  # double, single, and integers of 8 to 32 bits
_COMPLEX = 0x0800
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_NAME = "mask"
_DEFAULT_LIMITS = FilmLimits()
_DAMAGED = "it is damaged or cut off"


class _Array(NamedTuple):
    """A matrix of numbers in a file: its size, and its values column by column."""

    rows: int
    columns: int
    values: NDArray[Any]


def read_mat_mask(path: Path, *, limits: FilmLimits = _DEFAULT_LIMITS) -> NDArray[Any]:
    """Read the two-dimensional array of whole numbers in a MAT-file.

    It is the variable "mask", or the only one that is such an array. Cells, structures, functions and objects are
    passed over, whatever they hold. Compressed variables are unpacked within ``limits.memory``.

    Parameters
    ----------
    path
        A file of level 5 (MATLAB 5 to 7, ``save -v7``).
    limits
        Pixels and memory that it may take.

    Returns
    -------
    numpy.ndarray
        uint8 or uint16 (h, w), the values as they are stored.

    Raises
    ------
    FilmError
        Missing, another kind of file, damaged, no such variable or several, values that are no whole numbers from 0 to
        65535, or beyond the limits.

    Notes
    -----
    O(bytes of the file, unpacked).
    """
    try:
        arrays = dict(_arrays(path, limits))
    except (struct.error, zlib.error, ValueError):
        raise FilmError(path, _DAMAGED) from None
    if _NAME not in arrays and len(arrays) != 1:
        found = ", ".join(sorted(arrays)[:5]) or "none"
        raise FilmError(path, f'it has no array "{_NAME}", nor a single other one (arrays of numbers: {found})')
    array = arrays.get(_NAME) or next(iter(arrays.values()))
    if array.values.size != array.rows * array.columns:
        raise FilmError(path, _DAMAGED)
    values = array.values.reshape((array.rows, array.columns), order="F")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= np.iinfo(np.uint16).max) or (values != np.floor(values)).any():
        raise FilmError(path, "its array holds other values than whole numbers from 0 to 65535")
    return np.ascontiguousarray(values, dtype=np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16)


def _arrays(path: Path, limits: FilmLimits) -> Iterator[tuple[str, _Array]]:
    """Names and contents of the matrices of numbers, not yet checked against their sizes."""
    try:
        if not path.is_file():
            raise FilmError(path, "there is no such file")
        check_memory(path, path.stat().st_size, limits)
        content = path.read_bytes()
    except OSError as error:
        raise FilmError(path, f"it cannot be opened: {error.strerror or error}") from error
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER_BYTES])
    if order is None or struct.unpack(f"{order}H", content[124:126])[0] != 0x0100:
        raise FilmError(path, "no MAT-file of level 5 (save it in MATLAB with -v7; -v7.3 is HDF5 and is not read)")
    n_bytes = len(content)
    for element in _elements(content[_HEADER_BYTES:], order, aligned=False):
        kind, body = element
        if kind == _COMPRESSED:
            unpack = zlib.decompressobj()
            unpacked = unpack.decompress(body, max(limits.memory - n_bytes, 1))
            n_bytes += len(unpacked)
            check_memory(path, limits.memory + 1 if unpack.unconsumed_tail else n_bytes, limits)
            kind, body = next(_elements(unpacked, order, aligned=False), (0, b""))
        if kind != _MATRIX:
            continue
        parts = _elements(body, order, aligned=True)
        flags = struct.unpack(f"{order}I", next(parts, (0, b""))[1][:4])[0]
        dims = next(parts, (0, b""))[1]
        name = next(parts, (0, b""))[1].decode("ascii", "replace")
        if flags & 0xFF not in _NUMBER_CLASSES or flags & _COMPLEX or len(dims) != 8:
            continue
        rows, columns = struct.unpack(f"{order}2i", dims)
        data, values = next(parts, (0, b""))
        if min(rows, columns) < 1:
            continue
        check_size(path, columns, rows, limits)
        if data not in _TYPES:
            raise FilmError(path, _DAMAGED)
        yield name, _Array(rows, columns, np.frombuffer(values, dtype=np.dtype(order + _TYPES[data])))


def _elements(content: bytes, order: str, *, aligned: bool) -> Iterator[tuple[int, bytes]]:
    """Types and bytes of the elements that stand one behind the other; those inside a matrix begin at multiples of 8.

    Raises
    ------
    ValueError
        An element is longer than what is there.
    """
    place = 0
    while place + 8 <= len(content):
        kind, length = struct.unpack_from(f"{order}II", content, place)
        if kind >> 16:  # a small element: its length, its type, and up to four bytes in the same eight
            kind, length, start, after = kind & 0xFFFF, kind >> 16, place + 4, place + 8
            if length > 4:
                raise ValueError(_DAMAGED)
        else:
            start = place + 8
            after = start + (-(-length // 8) * 8 if aligned else length)
        if start + length > len(content):
            raise ValueError(_DAMAGED)
        yield kind, content[start : start + length]
        place = after
