"""Errors as the service says them: the same words as everywhere, without a path of the machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from graphret._errors import (
    CodesError,
    FilmError,
    GraphretError,
    InvalidParameterError,
    MissingFileError,
    StoreError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["HIDDEN", "NotThereError", "status_of", "without_paths"]


class NotThereError(GraphretError):
    """What a request names is not there."""

    exit_status = 2


HIDDEN = "(a file of the service)"
_PATH = re.compile(r"(?<![\w.:/<])(?:[A-Za-z]:)?(?:[\\/][^\s\\/:;,'\"()<>|]+){2,}[\\/]?")


def without_paths(error: GraphretError, roots: Iterable[str] = ()) -> str:
    """Return what an error says, without any path.

    Parameters
    ----------
    error
        A `FilmError` says its reason alone: its path is that of the machine, or of a file that was sent.
    roots
        Folders that are known; they may have blanks in their names.

    Examples
    --------
    >>> without_paths(StoreError("cannot write /srv/indexes/nih/CURRENT: no permission"))
    'cannot write (a file of the service): no permission'
    >>> without_paths(InvalidParameterError("ranking", "a/b", "one of nearest"))
    "ranking='a/b' is not allowed: give one of nearest"
    """
    text = f"cannot read the film: {error.reason}" if isinstance(error, FilmError) else str(error)
    for root in sorted(roots, key=len, reverse=True):
        text = re.sub(rf"{re.escape(root)}(?:[\\/][^\s:;,'\"()]*)?", HIDDEN, text)
    return _PATH.sub(HIDDEN, text)


def status_of(error: GraphretError) -> int:
    """Return the HTTP status of an error: 404 for what is not there, 422 for a wrong call, 503 for a failing index."""
    if isinstance(error, NotThereError | MissingFileError):
        return 404
    if isinstance(error, InvalidParameterError | CodesError | FilmError):
        return 422
    if isinstance(error, StoreError):
        return 503
    return 422 if error.exit_status == 2 else 500
