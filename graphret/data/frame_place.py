"""A film as a text: the path of its file, and of a file with several frames which one, ``film.dcm#frame=3``."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["split_frame", "with_frame"]

_PLACE = re.compile(r"(.+)#frame=([1-9][0-9]{0,8})", re.DOTALL)


def with_frame(path: str, frame: int) -> str:
    """Return the text of one frame of a file, counted from 1.

    Examples
    --------
    >>> with_frame("run.dcm", 3)
    'run.dcm#frame=3'
    """
    return f"{path}#frame={frame}"


def split_frame(path: str | Path) -> tuple[Path, int | None]:
    """Return the file of a film, and the frame in it, counted from 1; None for the only picture of a file.

    A file whose own name ends like that is a file.

    Examples
    --------
    >>> split_frame("run.dcm#frame=3"), split_frame("film.png")
    ((PosixPath('run.dcm'), 3), (PosixPath('film.png'), None))
    """
    found = _PLACE.fullmatch(os.fspath(path))
    if found is None or os.path.lexists(path):
        return Path(path), None
    return Path(found[1]), int(found[2])
