"""Names that every file system takes."""

from __future__ import annotations

import re

__all__ = ["safe_name"]

_LONGEST = 60


def safe_name(label: str) -> str:
    """Return what a file system takes of a label: letters, digits, ``_`` and ``.``, all else as ``-``, at most 60.

    Examples
    --------
    >>> safe_name("itq on densenet121, 16 bits")
    'itq-on-densenet121-16-bits'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", label).strip("-.")[:_LONGEST]
