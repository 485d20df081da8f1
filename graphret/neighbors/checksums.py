"""Checksums of stored codes, compared when a row is first read: what was changed on disk cannot change an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._numba import read_only
from graphret.neighbors._checksum_kernels import _first_changed_row, _write_row_checksums

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from graphret._types import Codes, Int64Array

__all__ = ["RowChecksums", "row_checksums"]

_ODD = 0x9E3779B97F4A7C15
_BLOCK = 16_384


def row_checksums(codes: Codes) -> NDArray[np.uint64]:
    """Hash every row of codes: sum over t of word t times multiplier t, modulo 2^64.

    Word t is the float32 value as an unsigned number of 32 bits. Multiplier t is odd, from SplitMix64 (Steele et al.
    2014): a row of which one value was changed never keeps its checksum, one with more changes with a chance of 2^-32.

    Parameters
    ----------
    codes
        float32 (n, d).

    Returns
    -------
    numpy.ndarray
        uint64 (n,). O(n d), in blocks so that memory-mapped codes stay on disk.

    Examples
    --------
    >>> sums = row_checksums(np.array([[1, 2], [2, 1], [1, 2]], dtype=np.float32))
    >>> int(sums[0]) == int(sums[2]), int(sums[0]) == int(sums[1])
    (True, False)
    """
    out = np.empty(len(codes), dtype=np.uint64)
    multipliers = _multipliers(codes.shape[1])
    for first in range(0, len(codes), _BLOCK):
        rows = slice(first, first + _BLOCK)
        _write_row_checksums(_words(codes[rows]), multipliers, out[rows])
    return out


class RowChecksums:
    """Codes with their checksums, and which rows were compared already.

    Parameters
    ----------
    codes
        float32 (n, d), C-contiguous.
    checksums
        uint64 (n,) of `row_checksums`.
    error
        Makes the exception for a row that was changed.

    Examples
    --------
    >>> codes = np.eye(3, dtype=np.float32)
    >>> checked = RowChecksums(codes, row_checksums(codes), lambda row: ValueError(f"row {row} was changed"))
    >>> codes[1, 0] = 1e30
    >>> checked.check([0, 2])
    >>> checked.check()
    Traceback (most recent call last):
    ValueError: row 1 was changed
    """

    def __init__(self, codes: Codes, checksums: NDArray[np.uint64], error: Callable[[int], Exception]) -> None:
        words, multipliers, compared = read_only((_words(codes), _multipliers(codes.shape[1]), checksums))
        self.arguments = (words, multipliers, compared, np.zeros(len(codes), np.uint8))
        self._error = error
        self._all = False

    def check(self, rows: Any = None) -> None:
        """Compare rows that were not compared yet: some (-1 is passed over), or all.

        Raises
        ------
        Exception
            That of ``error``, for the first row that was changed.
        """
        if self._all:
            return
        seen = self.arguments[3]
        places = np.arange(len(seen)) if rows is None else np.asarray(rows).ravel()
        changed = _first_changed_row(*self.arguments, places.astype(np.int64, copy=False))
        if changed >= 0:
            raise self._error(changed)
        if rows is None:
            self._all = True

    def check_copies(self, rows: Int64Array, copies: Codes) -> None:
        """Compare copies of rows, float32 (m, d), whether or not the rows themselves were compared before.

        Raises
        ------
        Exception
            That of ``error``, for the first copy that has not the checksum of its row.
        """
        wrong = np.flatnonzero(row_checksums(copies) != self.arguments[2][rows])
        if len(wrong):
            raise self._error(int(rows[wrong[0]]))


def no_checksums(codes: Codes) -> tuple[Any, ...]:
    """Arguments of a kernel for codes that have none: nothing is compared."""
    return *read_only((_words(codes), np.empty(0, np.uint32), np.empty(0, np.uint64))), np.empty(0, np.uint8)


def _words(codes: Codes) -> NDArray[np.uint32]:
    return np.ascontiguousarray(codes, dtype=np.float32).view(np.ndarray).view(np.uint32)


def _multipliers(n: int) -> NDArray[np.uint32]:
    state = (np.arange(1, n + 1, dtype=np.uint64)) * np.uint64(_ODD)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((state ^ (state >> np.uint64(31))) >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
