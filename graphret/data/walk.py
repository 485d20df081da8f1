"""Find the films under a folder: in a fixed order, each file once, whatever links lead where."""

from __future__ import annotations

import heapq
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from graphret._errors import DataError
from graphret.data.film_kinds import READABLE, film_reason
from graphret.data.images import FILM_SUFFIXES
from graphret.data.listing import Entry, folder_identity, list_folder
from graphret.data.skipped import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

__all__ = ["FoundFilm", "Walk", "walk_folders"]

_SYSTEM_STARTS = (".", "@", "$", "__")  # .git, .thumbnails, @eaDir, $RECYCLE.BIN, __MACOSX
_SYSTEM_NAMES = {"lost+found", "system volume information", "recycler", "#recycle", "#snapshot"}
_PSEUDO = ("/proc", "/sys", "/dev")


@dataclass(frozen=True)
class FoundFilm:
    """A film: its place under the root, as the names that lead to it, and its path."""

    parts: tuple[str, ...]
    path: str

    @property
    def id(self) -> str:
        """The place under the root, with forward slashes."""
        return "/".join(self.parts)


@dataclass(frozen=True, slots=True)
class _File:
    parts: tuple[str, ...]
    folder: str
    entry: Entry
    is_linked: bool


@dataclass
class Walk:
    """What lies under a root: folders that were entered, as the names that lead to them, and what was passed over.

    ``folders`` are sorted by code point.
    """

    folders: list[tuple[str, ...]] = field(default_factory=list)
    skipped: Skipped = field(default_factory=Skipped)
    files: list[_File] = field(default_factory=list, repr=False)

    def named(self, wanted: Callable[[str], bool]) -> list[tuple[tuple[str, ...], str]]:
        """Return place and path of the regular files whose name is wanted, in the order of their places."""
        found = [file for file in self.files if wanted(file.entry.name) and not file.entry.reason]
        ordered = sorted(found, key=lambda file: _order(file.parts))
        return [(file.parts, os.path.join(file.folder, file.entry.name)) for file in ordered]  # noqa: PTH118

    def films(
        self,
        suffixes: Collection[str] = FILM_SUFFIXES,
        kinds: Collection[str] = READABLE,
        misplaced: Callable[[tuple[str, ...]], str] | None = None,
    ) -> list[FoundFilm]:
        """Return the films, sorted by code point, the files of a folder before its folders; note all other files.

        A file that is reached twice (links, hard links) is one film, under the first of its places; places without
        links come before others.

        Parameters
        ----------
        suffixes, kinds
            As `film_kinds.film_reason`.
        misplaced
            Says of a place why a film there is left out, "" where it is not.
        """
        places: dict[tuple[int | str, ...], str] = {}
        films = []
        for file in sorted(self.files, key=lambda file: (file.is_linked, _order(file.parts))):
            film = FoundFilm(file.parts, os.path.join(file.folder, file.entry.name))  # noqa: PTH118 - one a file
            kind = ""
            reason, is_film = film_reason(file.folder, file.entry, suffixes, kinds)
            reason = reason or (misplaced(file.parts) if misplaced else "")
            if not reason and file.entry.identity is not None:
                first = places.setdefault(file.entry.identity, film.id)
                reason, kind = ("", "") if first == film.id else (f"the same file as {first}", "twice")
            if reason:
                self.skipped.add(film.id, film.path, reason, is_film=is_film, kind=kind)
            else:
                films.append(film)
        return sorted(films, key=lambda film: _order(film.parts))


def walk_folders(root: Path) -> Walk:
    """Walk through all folders under a root, each once.

    - Folders of the system are not entered: names that begin with ".", "@", "$" or "__", lost+found, System Volume
      Information, RECYCLER, #recycle and #snapshot. Their files are counted.
    - Links are followed, also out of the root. A link to a folder that holds the root or was entered already, or to
      /proc, /sys or /dev, is passed over. Real folders come before links, and links near the root before others, so
      that a film keeps its own place whatever links to it.

    Raises
    ------
    DataError
        The root itself cannot be listed.

    Notes
    -----
    O(n log n) for n files, without recursion: folders may be as deep as the system's longest path.
    """
    walk = Walk()
    walk.files.extend(_files(root, walk))
    walk.folders.sort()
    return walk


def _order(parts: tuple[str, ...]) -> tuple[tuple[bool, str], ...]:
    return (*((True, name) for name in parts[:-1]), (False, parts[-1]))


def _files(root: Path, walk: Walk) -> Iterator[_File]:
    """Every file of every folder that is to be entered; notes the folders that are not."""
    start = str(root)
    entered = {folder_identity(start): ""}
    not_entered = {folder_identity(str(parent)) for parent in Path(os.path.realpath(start)).parents}
    not_entered |= {folder_identity(folder) for folder in _PSEUDO if os.path.isdir(folder)}  # noqa: PTH112
    waiting: list[tuple[tuple[str, ...], str, bool]] = [((), start, False)]
    links: list[tuple[tuple[tuple[bool, str], ...], tuple[str, ...], str, Entry]] = []
    while waiting or links:
        if waiting:
            parts, folder, is_linked = waiting.pop()
        else:
            _, parts, folder, entry = heapq.heappop(links)
            is_linked = True
            reason = ""
            if entry.identity in not_entered:
                reason = "a link to a folder that holds the data set, or to one of the system"
            elif entry.identity in entered:
                reason = f"a link to the folder {entered[entry.identity] or 'of the data set itself'}, read there"
            if reason:
                walk.skipped.add("/".join(parts), folder, reason, is_film=False, kind="link back")
                continue
            entered[entry.identity or ()] = "/".join(parts)
        listing = list_folder(folder)
        if listing.reason:
            if not parts:
                raise DataError(f"{root}: {listing.reason}")
            walk.skipped.add("/".join(parts), folder, listing.reason, is_film=True)
            continue
        if parts:
            walk.folders.append(parts)
        for entry in listing.files.values():
            yield _File((*parts, entry.name), folder, entry, is_linked or entry.is_link)
        for name, entry in listing.folders.items():
            place, below = (*parts, name), os.path.join(folder, name)  # noqa: PTH118 - one a folder
            if entry.identity is None:
                walk.skipped.add("/".join(place), below, entry.reason, is_film=True)
            elif entry.reason:
                _pass_over(walk, place, below, entry, entry.reason, is_film=True)
            elif _is_system(name):
                not_entered.add(entry.identity)
                _pass_over(walk, place, below, entry, "a folder of the system", is_film=False)
            elif entry.is_link:
                heapq.heappush(links, (_order(place), place, below, entry))
            elif entry.identity in entered:
                first = entered[entry.identity] or "of the data set itself"
                walk.skipped.add("/".join(place), below, f"the same folder as {first}", is_film=False, kind="link back")
            else:
                entered[entry.identity] = "/".join(place)
                waiting.append((place, below, is_linked))


def _pass_over(walk: Walk, place: tuple[str, ...], folder: str, entry: Entry, reason: str, *, is_film: bool) -> None:
    n_files = 1 if entry.is_link else _count(folder)  # a link may lead to the whole disk
    if n_files:
        text = f"{reason}, with {n_files:,} {'file' if n_files == 1 else 'files'}"
        walk.skipped.add("/".join(place), folder, text, is_film=is_film, n_files=n_files, kind=reason)


def _is_system(name: str) -> bool:
    return name.startswith(_SYSTEM_STARTS) or name.casefold() in _SYSTEM_NAMES


def _count(folder: str) -> int:
    """Files in a folder and below, links not followed."""
    waiting, number = [folder], 0
    while waiting:
        below = waiting.pop()
        listing = list_folder(below)
        number += len(listing.files)
        waiting += [os.path.join(below, name) for name, entry in listing.folders.items() if not entry.is_link]  # noqa: PTH118
    return number
