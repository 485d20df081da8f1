"""Generations of an index on disk: written beside the current one, complete before anybody sees them."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from graphret._checks import check_integer
from graphret._errors import DamagedIndexError, InvalidParameterError, NotAnIndexError, StoreError
from graphret._notes import note_once
from graphret._version import __version__
from graphret.files import (
    LOCK,
    is_partial,
    make_folder,
    move,
    new_folder,
    read_plain,
    remove_folder,
    remove_partials,
    storage_errors,
    temporary_name,
    write_file,
)
from graphret.index.layout import FRONT
from graphret.index.manifest import FORMAT, MANIFEST, SCHEMA_VERSION, Manifest, file_table, read_manifest, serialise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "BUILD",
    "CURRENT",
    "KEEP",
    "check_keep",
    "check_target",
    "current_name",
    "generation_names",
    "lineage",
    "make_current",
    "publish",
]

logger = logging.getLogger(__name__)

CURRENT = "CURRENT"
BUILD = ".build"
KEEP = 2
"""Generations that stay on disk where nothing else is said: the current one, and the one before it."""

_NAME = re.compile(r"gen-(\d{6,12})")
_CURRENT_BYTES = 256


def current_name(root: Path) -> str:
    """Return the name of the generation that CURRENT points to.

    Raises
    ------
    NotAnIndexError
        The folder does not exist or holds no index.
    DamagedIndexError
        CURRENT is lost or holds something else.
    """
    path = root / CURRENT
    try:
        text = read_plain(path, _CURRENT_BYTES)
    except OSError as error:
        if not root.exists():
            raise NotAnIndexError(root, "it does not exist") from error
        if not root.is_dir():
            raise NotAnIndexError(root, "it is not a folder") from error
        if (root / FRONT).exists():
            reason = "it joins shards: ask it, or change the shards and run `graphret join-shards` again"
            raise NotAnIndexError(root, reason) from error
        if generation_names(root):
            found = ", ".join(generation_names(root))
            raise DamagedIndexError(path, f"it cannot be read ({error.strerror}), though {found} is there") from error
        if (root / BUILD).is_dir():
            raise NotAnIndexError(root, "its build has not finished: run the same build again to go on") from error
        raise NotAnIndexError(root) from error
    name = text.decode("ascii", "replace").removesuffix("\n")
    if not _NAME.fullmatch(name):
        raise DamagedIndexError(path, f"it holds {name[:40]!r} and not the name of a generation")
    return name


def generation_names(root: Path) -> list[str]:
    """Return the names of the generations in a folder, oldest first."""
    found = [entry.name for entry in root.iterdir() if _NAME.fullmatch(entry.name)]
    return sorted(found, key=lambda name: int(name.removeprefix("gen-")))


def check_target(root: Path) -> None:
    """Say whether an index may be written to a folder: new, empty, an index, or an unfinished build of one.

    Raises
    ------
    InvalidParameterError
        It is a file, or holds other things.
    """
    if not root.exists():
        return
    allowed = "a new or empty folder, or an index"
    if not root.is_dir():
        raise InvalidParameterError("out", str(root), allowed, "it is a file")
    if (root / CURRENT).exists():
        return
    foreign = sorted(entry.name for entry in root.iterdir() if not _is_ours(entry.name))
    if foreign:
        raise InvalidParameterError("out", str(root), allowed, f"it holds something else: {', '.join(foreign[:3])}")


def _is_ours(name: str) -> bool:
    return name in {LOCK, BUILD} or bool(_NAME.fullmatch(name)) or is_partial(name)


@dataclass(frozen=True)
class _Numbering:
    name: str
    parent: str | None


def lineage(root: Path, name: str) -> list[str]:
    """Return a generation and those that it came from, newest first, as far back as they are on disk."""
    found: list[str] = []
    following: str | None = name
    while following is not None and following not in found and (root / following).is_dir():
        found.append(following)
        try:
            following = read_manifest(root / following)["parent"]
        except (DamagedIndexError, StoreError):  # its content is nobody's any more, and what it came from is not known
            break
    return found


def check_keep(keep: Any) -> int:
    """Return how many generations shall stay on disk, the current one included.

    Raises
    ------
    InvalidParameterError
        Not an integer of at least 1.
    """
    return check_integer("keep", keep, 1, "the current generation is one of them")


def publish(root: Path, write: Callable[[Path], Manifest], *, keep: int = KEEP, work: Path | None = None) -> str:
    """Write a generation and make it the current one; the caller holds the lock.

    The files are written into a folder with a temporary name, hashed, flushed to the disk and renamed; then
    CURRENT moves. Whatever fails before that leaves the current generation as it was. Afterwards the generations that
    it came from are kept, for readers that opened them, up to ``keep`` in all. Others are removed: each is renamed
    before its files go, so that nobody finds half of one.

    Parameters
    ----------
    root
        The folder of the index.
    write
        Called with an empty folder; writes all files of the generation there and returns the manifest without the
        keys that this function adds: format, schema_version, generation, parent, created, graphret_version. Its key
        files may have the entries of files that the parent holds as well (hard links): they are not hashed again.
    keep
        Generations that stay, the new one included; at least 1.
    work
        Folder of what the generation was made of, see `make_current`.

    Returns
    -------
    str
        The name of the new generation.

    Raises
    ------
    StoreError
        The disk is full, or the folder cannot be written to.
    """
    with storage_errors(root):
        remove_partials(root, sole_writer=True)
        number = _next(root)
        target = root / number.name
        try:
            with new_folder(target) as folder:
                _finish(folder, write(folder), number)
            make_current(root / CURRENT, f"{number.name}\n".encode(), work)
        except BaseException:
            if _current_or_none(root) != number.name:
                with suppress(StoreError):
                    remove_folder(target)
            raise
        kept = lineage(root, number.name)[:keep]
        for name in generation_names(root):
            if name not in kept:
                retire(root / name)
    return number.name


def make_current(pointer: Path, content: bytes, work: Path | None) -> None:
    """Write the file that makes new contents the current ones, and remove what they were made of.

    A change that was killed goes on from its folder of work, so that folder stays until the contents are current. From
    then on nothing of it may stay: it may hold codes of films that a later change removes. So it gets a temporary name
    first, under which `remove_partials` of the next writer finds what a killed one has left. Where the file cannot be
    written the folder has its name again.

    Parameters
    ----------
    pointer
        CURRENT, or FRONT; beside it lies what is current.
    content
        All of that file.
    work
        A folder below that of the index, which need not be there.

    Raises
    ------
    StoreError
        The disk is full, or the folder cannot be written to.
    """
    aside = None
    try:
        if work is not None and work.exists():
            aside = pointer.with_name(temporary_name(work.name))
            move(work, aside)
            if work.parent != pointer.parent:
                with suppress(OSError):  # another change, which was killed, has work there: it stays
                    work.parent.rmdir()
        write_file(pointer, content)
    except BaseException:
        if aside is not None and work is not None and not _holds(pointer, content):
            with suppress(StoreError):
                move(aside, make_folder(work.parent) / work.name)
            aside = None
        raise
    finally:
        if aside is not None:
            retire(aside)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return read_plain(path, len(content) + 1) == content
    except OSError:
        return False


def retire(folder: Path) -> None:
    """Remove what a generation that is already current needs no more; a refusal is only said."""
    try:
        remove_folder(folder)
    except StoreError as error:
        note_once(logger, f"{folder} stays, though nobody needs it: {error}")


def _next(root: Path) -> _Numbering:
    numbers = [int(name.removeprefix("gen-")) for name in generation_names(root)]
    return _Numbering(f"gen-{max(numbers, default=0) + 1:06d}", _current_or_none(root))


def _current_or_none(root: Path) -> str | None:
    """Return the current generation, or None where there is none to be read: building again repairs that."""
    try:
        return current_name(root)
    except (NotAnIndexError, DamagedIndexError):
        return None


def _finish(folder: Path, manifest: dict[str, Any], number: _Numbering) -> None:
    complete = {
        **manifest,
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "generation": number.name,
        "parent": number.parent,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "graphret_version": __version__,
        "files": file_table(folder, manifest.get("files", {})),
    }
    write_file(folder / MANIFEST, serialise(complete))
