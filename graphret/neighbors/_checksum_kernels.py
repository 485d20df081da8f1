"""Kernels that hash rows of codes and compare them with checksums, each row once."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphret._numba import jit

__all__ = ["_first_changed_row", "_is_unchanged", "_write_row_checksums"]


@jit()
def _row_checksum(words: Any, multipliers: Any) -> Any:
    """Sum of a row's words times its multipliers, modulo 2^64; they are odd, so that no single change goes unseen."""
    total = np.uint64(0)
    for t in range(words.shape[0]):
        total += np.uint64(words[t]) * np.uint64(multipliers[t])
    return total


@jit()
def _write_row_checksums(words: Any, multipliers: Any, out: Any) -> None:
    """Hash every row of a uint32 matrix."""
    for row in range(words.shape[0]):
        out[row] = _row_checksum(words[row], multipliers)


@jit()
def _is_unchanged(words: Any, multipliers: Any, checksums: Any, seen: Any, row: Any) -> bool:
    """Whether a row has its checksum; it is hashed once, and never where there are no checksums."""
    if checksums.shape[0] == 0 or seen[row]:
        return True
    if _row_checksum(words[row], multipliers) != checksums[row]:
        return False
    seen[row] = 1
    return True


@jit()
def _first_changed_row(words: Any, multipliers: Any, checksums: Any, seen: Any, rows: Any) -> int:
    """The first of some rows that has not its checksum, -1 where all have; -1 among the rows is passed over."""
    for place in range(rows.shape[0]):
        row = rows[place]
        if row >= 0 and not _is_unchanged(words, multipliers, checksums, seen, row):
            return int(row)
    return -1
