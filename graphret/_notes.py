"""Notes to whoever runs a program: each is logged once, however often its cause comes again."""

from __future__ import annotations

import logging
from functools import cache

__all__ = ["note_once"]


@cache
def note_once(logger: logging.Logger, message: str, level: int = logging.WARNING) -> None:
    """Log a message, and nothing where the same logger has said it before.

    Examples
    --------
    >>> note_once(logging.getLogger("graphret.example"), "no CUDA device: using the processor", logging.INFO)
    """
    logger.log(level, message)
