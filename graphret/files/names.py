"""Names that every file system takes."""

from __future__ import annotations

import os
import re
from pathlib import Path

from graphret._errors import InvalidParameterError

__all__ = ["check_path", "safe_name"]

_LONGEST = 60
_NAME_BYTES = 255
_PATH_BYTES = 4095


def safe_name(label: str) -> str:
    """Return what a file system takes of a label: letters, digits, ``_`` and ``.``, all else as ``-``, at most 60.

    Examples
    --------
    >>> safe_name("itq on densenet121, 16 bits")
    'itq-on-densenet121-16-bits'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", label).strip("-.")[:_LONGEST]


def check_path(name: str, path: str | os.PathLike[str]) -> Path:
    """Return a path that the system can be asked about, whether something is there or not.

    Raises
    ------
    InvalidParameterError
        A part of it is longer than 255 bytes, all of it than 4,095, it holds a zero byte, or half of a character.

    Examples
    --------
    >>> check_path("out", "runs/nih").name
    'nih'
    >>> check_path("out", "x" * 300)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    graphret._errors.InvalidParameterError: out='xxx... is not allowed: give a path whose parts have at most 255...
    """
    found = Path(path)
    try:
        encoded = os.fsencode(found)
    except UnicodeEncodeError as error:
        raise InvalidParameterError(name, ascii(str(path)), "a path of whole characters") from error
    longest = max(map(len, encoded.split(b"/")))
    if longest > _NAME_BYTES or len(encoded) > _PATH_BYTES or b"\0" in encoded:
        allowed = f"a path whose parts have at most {_NAME_BYTES} bytes, without a zero byte"
        raise InvalidParameterError(name, str(path), allowed, f"{len(encoded)} bytes, its longest part {longest}")
    return found
