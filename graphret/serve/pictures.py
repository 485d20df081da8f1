"""Small pictures of the films, kept beside each index: a cache, made again where it is missing, and never needed."""

from __future__ import annotations

import io
import logging
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import FilmError, StoreError
from graphret.data.decoding.grey import as_film
from graphret.data.listing import file_problem
from graphret.data.thumbnails import read_thumbnails, thumbnail
from graphret.files import digest, make_folder, replacing
from graphret.html import text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret.serve.served import State

__all__ = ["MEDIA", "Pictures", "as_words", "jpeg_of"]

SIDE = 224
"""Longer side of a picture in px."""
MEDIA = "image/jpeg"
MEMORY = 32 * 2**20
_QUALITY = 85
logger = logging.getLogger(__name__)


class Pictures:
    """Pictures of the films of one index: from memory, else from its folder, else from the film.

    Parameters
    ----------
    folder
        Where they are kept; None: in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def of(self, state: State, row: int) -> bytes:
        """Return the JPEG of a film.

        Raises
        ------
        FilmError
            The film is not there any more, or cannot be decoded.
        """
        path = str(state.films.paths[row])
        reason = file_problem(path) if path else "there is no file of it"
        if reason:
            raise FilmError(str(state.films.ids[row]), reason)
        about = Path(path).stat()
        key = digest(path, about.st_mtime_ns, about.st_size, SIDE)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        content = self._read(key)
        if content is None:
            made = read_thumbnails([path], SIDE, n_threads=1)
            if path in made.problems:
                raise FilmError(str(state.films.ids[row]), made.problems[path])
            content = made.pictures[path]
            self._write(key, content)
        self._remember(key, content)
        return content

    def _file(self, folder: Path, key: str) -> Path:
        return folder / key[:2] / f"{key}.jpg"

    def _read(self, key: str) -> bytes | None:
        if self._folder is None:
            return None
        try:
            content = self._file(self._folder, key).read_bytes()
        except OSError:
            return None
        return content if content.startswith(b"\xff\xd8") and content.endswith(b"\xff\xd9") else None

    def _write(self, key: str, content: bytes) -> None:
        if self._folder is None:
            return
        path = self._file(self._folder, key)
        try:
            if not self._folder.is_dir():
                make_folder(self._folder).chmod(0o700)  # pictures of patients: not for other users of the machine
            make_folder(path.parent)
            with replacing(path, durable=False) as file:
                file.write(content)
        except (StoreError, OSError) as error:
            logger.warning("pictures of films are kept in memory only: %s", error)
            self._folder = None

    def _remember(self, key: str, content: bytes) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = content
                self._bytes += len(content)
            while self._bytes > MEMORY:
                self._bytes -= len(self._kept.popitem(last=False)[1])


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
