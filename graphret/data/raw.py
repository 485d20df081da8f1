"""Raw films of the JSRT database: 2048 x 2048 big-endian numbers of 12 bits, without a header."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import FilmError

if TYPE_CHECKING:
    from pathlib import Path

    from graphret._types import Float32Array

__all__ = ["RAW_BYTES", "is_raw", "read_raw"]

RAW_SIDE = 2048
RAW_BYTES = 2 * RAW_SIDE * RAW_SIDE
"""Bytes of a raw film; a file of another size is none."""
_LARGEST = 4095


def is_raw(path: Path) -> bool:
    """Whether a file is called and sized like a raw film of JSRT."""
    return path.suffix.lower() == ".img" and path.stat().st_size == RAW_BYTES


def read_raw(path: Path) -> Float32Array:
    """Decode a raw film: float32 (2048, 2048) in [0, 1].

    JSRT stores the negative of what a screen shows, in 0 ... 4095: dark lungs are large numbers. So 4095 becomes 0.

    Raises
    ------
    FilmError
        A value has more than 12 bits, so that this is another kind of file.
    """
    values = np.fromfile(path, dtype=">u2").reshape(RAW_SIDE, RAW_SIDE)
    largest = int(values.max())
    if largest > _LARGEST:
        raise FilmError(path, f"its largest value is {largest}: the raw films of JSRT have 12 bits, up to {_LARGEST}")
    return np.divide(_LARGEST - values.astype(np.int32), np.float32(_LARGEST), dtype=np.float32)
