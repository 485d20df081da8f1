"""Hashes of files, and of the values that a result depends on."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["digest", "file_state", "sha256_of"]


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(*parts: Any) -> str:
    """Hash JSON values and arrays to 64 hexadecimal digits: the key of a result that depends on them alone.

    Examples
    --------
    >>> digest({"a": 1, "b": (2, 3)}) == digest({"b": [2, 3], "a": 1}), digest(1) == digest(2)
    (True, False)
    >>> digest(np.array(["ab", "c"])) == digest(np.array(["a", "bc"]))
    False
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            text = part.dtype.kind in "UT"
            content = "\n".join(part.tolist()).encode() if text else np.ascontiguousarray(part).tobytes()
            total.update(f"{part.shape}".encode())
            total.update(content)
        else:
            total.update(json.dumps(part, sort_keys=True).encode())
        total.update(b"\0")
    return total.hexdigest()


def file_state(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return size and time of change (ns) of a file; (-1, -1) where there is none, which reading it will report.

    Examples
    --------
    >>> file_state("/no/such/film.png")
    (-1, -1)
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - a text that no system takes for a path has no state either
    except (OSError, ValueError):
        return -1, -1
    return status.st_size, status.st_mtime_ns
