"""Files that somebody else may have made: kind and size are looked at before a byte is read."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MappedFile", "open_plain", "read_plain"]

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_HASHED_AT_ONCE = 1 << 24


def open_plain(path: Path, *, follow: bool = False) -> int:
    """Open a file for reading and return its descriptor; what is no plain file is refused without waiting for it.

    A link is followed only where ``follow`` says so: for what a user named, never for what a file names.

    Raises
    ------
    OSError
        It is not there, may not be read, is a link, or is no plain file; ``strerror`` says which.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:
            raise OSError(errno.ELOOP, "it is a link, which is not followed", str(path)) from error
        if error.errno == errno.ENXIO:  # a socket, or a device that is not there
            raise OSError(errno.ENXIO, "it is no plain file", str(path)) from error
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")
            raise OSError(errno.EINVAL, f"it is {kind}, and no plain file", str(path))
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_plain(path: Path, limit: int, *, follow: bool = False) -> bytes:
    """Read a whole file of at most ``limit`` bytes.

    Raises
    ------
    OSError
        As `open_plain`; or it is larger, and nothing of it was read.
    """
    with os.fdopen(open_plain(path, follow=follow), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise OSError(errno.EFBIG, f"it has {size:,} bytes, at most {limit:,} are read", str(path))
        return file.read(size)


class MappedFile:
    """A file that is held open by a read-only memory map: its bytes stay when its name is removed or replaced.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    OSError
        As `open_plain`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (path := pathlib.Path(folder, "a")).write_bytes(b"text")
    ...     held = MappedFile(path)
    ...     path.unlink()
    ...     held.n_bytes, held.read()
    (4, b'text')
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = open_plain(path)
        try:
            status = os.fstat(descriptor)
            self.n_bytes = status.st_size
            self.identity = status.st_dev, status.st_ino
            # an empty file has nothing to map
            self._map = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) if self.n_bytes else None
        finally:
            os.close(descriptor)

    def check_length(self) -> None:
        """Say so where the file was cut in place since: its missing pages must not be touched.

        Raises
        ------
        OSError
            It has another length than when it was opened.
        """
        if self._map is not None and (size := self._map.size()) != self.n_bytes:
            raise OSError(errno.EIO, f"it had {self.n_bytes:,} bytes when it was opened, and has {size:,}")

    @property
    def memory(self) -> mmap.mmap | bytes:
        """The bytes, as a buffer that is read where it is looked at."""
        return b"" if self._map is None else self._map

    def read(self) -> bytes:
        """Copy the whole file.

        Raises
        ------
        OSError
            As `check_length`.
        """
        self.check_length()
        return bytes(memoryview(self.memory))

    def sha256(self) -> str:
        """Hash the file.

        Raises
        ------
        OSError
            As `check_length`.
        """
        digest = hashlib.sha256()
        with memoryview(self.memory) as content:
            for first in range(0, self.n_bytes, _HASHED_AT_ONCE):
                self.check_length()
                digest.update(content[first : first + _HASHED_AT_ONCE])
        return digest.hexdigest()
