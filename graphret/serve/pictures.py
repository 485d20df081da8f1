"""Small pictures of the films, kept beside each index: a cache, made again where it is missing, and never needed."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphret._errors import FilmError, GraphretError
from graphret.data.decoding.grey import as_film
from graphret.data.listing import file_problem
from graphret.data.thumbnail_store import ThumbnailStore, film_version, thumbnail_folder
from graphret.data.thumbnails import read_thumbnails, thumbnail
from graphret.html import text
from graphret.index.store import current_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.serve.served import State

__all__ = ["MEDIA", "Picture", "Pictures", "as_words", "jpeg_of"]

SIDE = 224
"""Longer side of a picture in px."""
MEDIA = "image/jpeg"
MEMORY = 32 * 2**20
_QUALITY = 85
_FRESH_SECONDS = 60


class Picture(NamedTuple):
    """The JPEG of a film, and a word that is another one for every other content."""

    jpeg: bytes
    tag: str


class _Kept(NamedTuple):
    version: str
    picture: Picture
    looked: float


class Pictures:
    """Pictures of the films of one index: from memory, else from its folder, else from the film.

    Parameters
    ----------
    root
        Folder of the index.
    most_bytes
        Of the files that are kept beside it; None: in memory alone.
    """

    def __init__(self, root: Path, most_bytes: int | None) -> None:
        self._root = root
        self._store = None if most_bytes is None else ThumbnailStore(thumbnail_folder(root), most_bytes)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._generation = ""
        self._lock = threading.Lock()

    def fresh(self, state: State, identity: str) -> Picture | None:
        """Return the picture of a film that was looked at a moment ago; nothing on a disk is touched.

        What was looked at in another generation is not returned: the film may have been taken out.
        """
        with self._lock:
            kept = self._kept.get(identity) if state.generation == self._generation else None
        return kept.picture if kept is not None and time.monotonic() - kept.looked < _FRESH_SECONDS else None

    def of(self, state: State, row: int) -> Picture:
        """Return the JPEG of a film.

        Raises
        ------
        FilmError
            The film is not there any more, or cannot be decoded.
        """
        path, identity = str(state.films.paths[row]), str(state.films.ids[row])
        found = self._found(state, path, identity)
        if isinstance(found, str):
            raise FilmError(identity, found)
        version, picture = found
        if picture is None:
            made = read_thumbnails([path], SIDE, n_threads=1)
            if path in made.problems:
                raise FilmError(identity, made.problems[path])
            picture = _picture(made.pictures[path])
            if self._store is not None:
                self._store.write(path, version, picture.jpeg)
                if not self._is_current(state):  # the film may have been taken out meanwhile
                    self._store.remove([path])
        self._remember(state, identity, version, picture)
        return picture

    def look(self, state: State, rows: Iterable[int]) -> list[str]:
        """Read what is kept of the pictures of films, so that they are `fresh`; nothing is decoded.

        Returns
        -------
        list of str
            Why there can be no picture, one entry for each film; "" where nothing is known against it.
        """
        problems = []
        for row in rows:
            path, identity = str(state.films.paths[row]), str(state.films.ids[row])
            found = self._found(state, path, identity)
            problems.append(found if isinstance(found, str) else "")
            if not isinstance(found, str) and found[1] is not None:
                self._remember(state, identity, found[0], found[1])
        return problems

    def _is_current(self, state: State) -> bool:
        try:
            return current_name(self._root) == state.generation
        except GraphretError:
            return False

    def _found(self, state: State, path: str, identity: str) -> str | tuple[str, Picture | None]:
        """Why there can be no picture; or the version of the film, and its picture where it is kept."""
        reason = file_problem(path) if path else "there is no file of it"
        if reason:
            return reason
        version = film_version(path, SIDE)
        with self._lock:
            kept = self._kept.get(identity) if state.generation == self._generation else None
            if kept is not None and kept.version != version:
                self._bytes -= len(self._kept.pop(identity).picture.jpeg)
                kept = None
        if kept is not None:
            return version, kept.picture
        stored = None if self._store is None else self._store.read(path, version)
        return version, None if stored is None else _picture(stored)

    def _remember(self, state: State, identity: str, version: str, picture: Picture) -> None:
        with self._lock:
            if state.generation != self._generation:  # films may have gone with the one before
                self._kept.clear()
                self._bytes, self._generation = 0, state.generation
            before = self._kept.pop(identity, None)
            self._bytes += len(picture.jpeg) - (0 if before is None else len(before.picture.jpeg))
            self._kept[identity] = _Kept(version, picture, time.monotonic())
            while self._bytes > MEMORY:
                self._bytes -= len(self._kept.popitem(last=False)[1].picture.jpeg)


def _picture(jpeg: bytes) -> Picture:
    return Picture(jpeg, f'"{hashlib.sha256(jpeg).hexdigest()[:32]}"')


def jpeg_of(pixels: NDArray[Any]) -> bytes:
    r"""Return the small picture of a film that is in memory.

    Examples
    --------
    >>> jpeg_of(np.zeros((40, 20), dtype=np.uint8))[:2]
    b'\xff\xd8'
    """
    film = np.asarray(as_film(pixels), dtype=np.float32)
    content = io.BytesIO()
    thumbnail(film, min(SIDE, max(film.shape))).save(content, format="JPEG", quality=_QUALITY)
    return content.getvalue()


def as_words(reason: str) -> str:
    """Return a picture (SVG) that says why there is no picture, for the place where one would be.

    Examples
    --------
    >>> "&lt;b&gt;" in as_words("no <b>")
    True
    """
    lines = ["no picture:"]
    for word in reason.split():
        if len(lines) > 1 and len(lines[-1]) + len(word) < 26:
            lines[-1] += f" {word}"
        else:
            lines.append(word[:40])
    spans = "".join(f'<tspan x="112" dy="1.3em">{text(line)}</tspan>' for line in lines[:7])
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 224 224" role="img">'
        '<rect width="224" height="224" fill="#d5d9dd"/>'
        f'<text y="70" font-family="sans-serif" font-size="15" text-anchor="middle" fill="#333b42">{spans}</text></svg>'
    )
