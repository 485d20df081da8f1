"""Where the masks of films are: the column "mask" of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphret.data.columns import text_column
from graphret.data.images import FILM_SUFFIXES
from graphret.data.listing import Folders

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from graphret.data.splits import StrArray

__all__ = ["find_by_stem", "mask_column"]

_MASK_SUFFIXES = (".gif", *FILM_SUFFIXES)


def mask_column(root: Path, folders: Sequence[str], stems: Sequence[str]) -> StrArray:
    """Paths of the masks of films, by the names of the films without suffix; "" for a film without one.

    Parameters
    ----------
    root
        Folder of the data set.
    folders
        Of the masks, wildcards allowed; the first that has a film's mask wins. Folders with " + " between them hold
        parts that belong together (left and right lung): the paths are then joined by "|", and the mask is their union.
    stems
        Names of the films.
    """
    found = [""] * len(stems)
    for group in folders:
        parts = [find_by_stem(root, [pattern], _MASK_SUFFIXES) for pattern in group.split(" + ")]
        for row, stem in enumerate(stems):
            paths = [part[stem.lower()] for part in parts if stem.lower() in part]
            if not found[row] and paths:
                found[row] = "|".join(paths)
    return text_column(found)


def find_by_stem(root: Path, folders: Sequence[str], suffixes: Sequence[str]) -> dict[str, str]:
    """Path of every file that is not empty, by its lower-case name without suffix.

    The first folder wins, and in a folder the first of ``suffixes``.
    """
    listed = Folders()
    found: dict[str, str] = {}
    for pattern in folders:
        for folder in [root] if pattern == "." else sorted(root.glob(pattern)):
            names = [name for name, entry in listed.files(folder).items() if not entry.reason]
            for suffix in suffixes:
                for name in sorted(names):
                    if name.lower().endswith(suffix):
                        found.setdefault(name[: -len(suffix)].lower(), str(folder / name))
    return found
