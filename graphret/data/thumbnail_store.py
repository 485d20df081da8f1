"""Small pictures of films in a folder of their own: a cache, bounded in bytes, of which every file proves itself."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from graphret._errors import StoreError
from graphret._notes import note_once
from graphret.data.frame_place import split_frame
from graphret.files import digest, file_state, is_partial, make_folder, read_plain, replacing, storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ThumbnailStore", "film_version", "thumbnail_folder"]

LARGEST = 2**20
_SUM, _PARTS = 32, re.compile(r"[0-9a-f]{2}")
_FILE = re.compile(r"[0-9a-f]{64}\.(jpg|thumbnail)")
"""Files of a store, and those of an older graphret."""
_SHARE_KEPT = 0.9
logger = logging.getLogger(__name__)


def thumbnail_folder(root: Path) -> Path:
    """Return the folder of the small pictures of an index, beside it.

    Examples
    --------
    >>> thumbnail_folder(Path("indexes/mine")).as_posix()
    'indexes/mine-thumbnails'
    """
    return root.with_name(f"{root.name}-thumbnails")


def film_version(path: str, side: int) -> str:
    """Return what a small picture of a film depends on, 64 hexadecimal digits: path, size, time of change, side."""
    return digest(path, *file_state(split_frame(path)[0]), side)


class ThumbnailStore:
    """Keep small pictures by the paths of their films.

    A file is named by the hash of the path. It holds the version of the film, the picture, and the sha256 of both: one
    of another version, or that is not what was written, counts as missing.

    Parameters
    ----------
    folder
        Made with the first picture, for its owner only. Where it cannot be written to, nothing is kept, which is said
        once.
    most_bytes
        Bytes of all files together. Where a new one goes beyond, those written longest ago are removed.

    Examples
    --------
    >>> import tempfile
    >>> store = ThumbnailStore(Path(tempfile.mkdtemp()) / "pictures", 1000)
    >>> store.write("/films/a.png", "ab" * 32, b"jpeg")
    >>> store.read("/films/a.png", "ab" * 32), store.read("/films/a.png", "cd" * 32)
    (b'jpeg', None)
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self._most_bytes = folder, most_bytes
        self._n_bytes = -1
        self._lock = threading.Lock()

    def read(self, path: str, version: str) -> bytes | None:
        """Return the picture of a film of this version, None where there is none."""
        try:
            stored = read_plain(self._file(path), LARGEST)
        except OSError:
            return None
        picture, stated = stored[_SUM:], stored[:_SUM]
        return picture if stated == _sum(version, picture) else None

    def write(self, path: str, version: str, picture: bytes) -> None:
        """Keep the picture of a film in the place of an older one."""
        file = self._file(path)
        content = _sum(version, picture) + picture
        try:
            with self._lock:
                if not self.folder.is_dir():
                    make_folder(self.folder).chmod(0o700)  # pictures of patients: not for other users of the machine
                make_folder(file.parent)
                if self._n_bytes < 0:
                    self._n_bytes = sum(entry.stat().st_size for entry in self._entries())
                replaced = max(0, file_state(file)[0])
                with replacing(file, durable=False) as opened:
                    opened.write(content)
                self._n_bytes += len(content) - replaced
                if self._n_bytes > self._most_bytes:
                    self._make_room()
        except (StoreError, OSError) as error:
            note_once(logger, f"pictures of films are kept in memory only: {error}")

    def remove(self, paths: Iterable[str]) -> None:
        """Remove the pictures of films, of whatever version.

        Raises
        ------
        StoreError
            The operating system refuses.
        """
        if not self.folder.exists():
            return
        with storage_errors(self.folder, "remove"):
            for path in paths:
                self._file(path).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all pictures, also those of an older graphret, and what killed writers left; all else stays.

        Raises
        ------
        StoreError
            The operating system refuses.
        """
        with self._lock, storage_errors(self.folder, "remove"):
            for entry in list(self._entries()):
                Path(entry.path).unlink(missing_ok=True)
            self._n_bytes = -1

    def _file(self, path: str) -> Path:
        key = digest(path)
        return self.folder / key[:2] / f"{key}.thumbnail"

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        """All files of the store."""
        if not self.folder.is_dir():
            return
        with os.scandir(self.folder) as parts:
            for part in parts:
                if _PARTS.fullmatch(part.name) and part.is_dir(follow_symlinks=False):
                    with os.scandir(part.path) as entries:
                        yield from (entry for entry in entries if _FILE.fullmatch(entry.name) or is_partial(entry.name))

    def _make_room(self) -> None:
        files = sorted((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path) for entry in self._entries())
        left = sum(size for _, size, _ in files)
        for _, size, path in files:
            if left <= _SHARE_KEPT * self._most_bytes:
                break
            Path(path).unlink(missing_ok=True)
            left -= size
        self._n_bytes = left


def _sum(version: str, picture: bytes) -> bytes:
    return hashlib.sha256(version.encode() + picture).digest()
