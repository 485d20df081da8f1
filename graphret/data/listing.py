"""What lies in a folder, without opening a file: sizes, links, and what can be no film.

Only regular files are ever opened. A named pipe would wait for ever, a device may never end.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from graphret.data.frame_place import split_frame

if TYPE_CHECKING:
    import io
    from pathlib import Path

__all__ = [
    "Entry",
    "Folders",
    "Listing",
    "file_problem",
    "folder_identity",
    "list_folder",
    "name_problem",
    "open_regular",
    "shown",
]

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
NOT_THERE = "there is no such file"


class Entry(NamedTuple):
    """A file or folder inside a folder; links are followed.

    ``reason`` says why a file can be no film, or a folder cannot be entered, "" when nothing is known against it.
    ``identity`` is the same for two names of one file, None where that is not known.
    """

    name: str
    reason: str
    identity: tuple[int | str, ...] | None
    is_link: bool


@dataclass(frozen=True)
class Listing:
    """Files and folders of one folder by name, sorted; ``reason`` says why it could not be listed."""

    files: dict[str, Entry] = field(default_factory=dict)
    folders: dict[str, Entry] = field(default_factory=dict)
    reason: str = ""


def list_folder(path: str) -> Listing:
    """List one folder; a folder that cannot be listed is empty and has a reason.

    Examples
    --------
    >>> list_folder("/no/such/folder").reason
    'there is no such folder'
    """
    files: dict[str, Entry] = {}
    folders: dict[str, Entry] = {}
    try:
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                found, is_folder = _look_at(entry)
                (folders if is_folder else files)[found.name] = found
    except (FileNotFoundError, NotADirectoryError):
        return Listing(reason="there is no such folder")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        return Listing(reason=f"the folder cannot be read: {_words(error)}")
    return Listing(files, folders)


def _look_at(entry: os.DirEntry[str]) -> tuple[Entry, bool]:
    is_link = entry.is_symlink()
    try:
        found = entry.stat()
    except OSError as error:
        if entry.is_dir(follow_symlinks=False):
            return Entry(entry.name, f"the folder cannot be read: {_words(error)}", None, is_link), True
        return Entry(entry.name, _reason_of(error, is_link=is_link), None, is_link), False
    if stat.S_ISDIR(found.st_mode):
        return Entry(entry.name, name_problem(entry.name), _identity(found, entry.path), is_link), True
    reason = name_problem(entry.name) or _mode_problem(found)
    # Size and time as well: some network file systems give two files one number.
    identity = (*_identity(found, entry.path), found.st_size, found.st_mtime_ns)
    return Entry(entry.name, reason, identity, is_link), False


def folder_identity(path: str) -> tuple[int | str, ...]:
    """Return what is the same for two names of one folder; those of `list_folder` are comparable.

    Raises
    ------
    OSError
        There is no such folder.
    """
    return _identity(os.stat(path), path)  # noqa: PTH116 - as above


def _identity(found: os.stat_result, path: str) -> tuple[int | str, ...]:
    return (found.st_dev, found.st_ino) if found.st_ino else (os.path.realpath(path),)


def _mode_problem(found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "no regular file")
        return f"it is {kind}, not a file"
    return "the file is empty (0 bytes)" if found.st_size == 0 else ""


def _reason_of(error: OSError | ValueError, *, is_link: bool) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is a link to a file that is not there" if is_link else NOT_THERE
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "it is a link that leads back to itself"
    return f"it cannot be looked at: {_words(error)}"


def _words(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def file_problem(path: str | Path) -> str:
    """Say why a file can be no film without opening it; "" when nothing is known against it.

    Of a frame, ``film.dcm#frame=3``, the file is asked.

    Examples
    --------
    >>> file_problem("/no/such/film.png"), file_problem("/dev/null")
    ('there is no such file', 'it is a device, not a file')
    """
    if "#frame=" in os.fspath(path):
        path = split_frame(path)[0]
    try:
        return _mode_problem(os.stat(path))  # noqa: PTH116 - a Path each would double the time
    except NotADirectoryError:
        return NOT_THERE
    except (OSError, ValueError) as error:
        return _reason_of(error, is_link=os.path.islink(path) if isinstance(error, OSError) else False)  # noqa: PTH114


def name_problem(name: str) -> str:
    r"""Say that a name is not UTF-8, or return "": an index stores names as UTF-8.

    Examples
    --------
    >>> name_problem("Müller.png"), name_problem("M\udcfcller.png")
    ('', 'its name is not UTF-8: rename it')
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8: rename it"
    return ""


def shown(name: str) -> str:
    r"""Return a name as it can be written: bytes that are not UTF-8 become ``\xNN``.

    Examples
    --------
    >>> shown("M\udcfcller.png")
    'M\\xfcller.png'
    """
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def open_regular(path: str | Path) -> io.BufferedReader:
    """Open a regular file for reading bytes; never waits for a pipe.

    Raises
    ------
    OSError
        It is no regular file, or cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
            raise OSError(errno.EINVAL, f"it is {kind}, not a file")
        return open(descriptor, "rb")  # noqa: PTH123 - a descriptor, not a path
    except BaseException:
        os.close(descriptor)
        raise


class Folders:
    """Files of folders, each folder listed once, however many films are asked for.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     Folders().problem(root + "/film.png")
    'there is no such file'
    """

    def __init__(self) -> None:
        self._listings: dict[str, Listing] = {}

    def files(self, folder: str | Path) -> dict[str, Entry]:
        """Files of a folder by name; empty without the folder."""
        return self._listing(str(folder)).files

    def problem(self, path: str | Path) -> str:
        """Say why a file can be no film without opening it; "" when nothing is known against it."""
        folder, name = os.path.split(path)
        listing = self._listing(folder)
        if name in listing.files:
            return listing.files[name].reason
        if name in listing.folders or name in {"", ".", ".."}:
            return f"it is {_KINDS[stat.S_IFDIR]}, not a file"
        return listing.reason if listing.reason.startswith("the folder cannot") else NOT_THERE

    def _listing(self, folder: str) -> Listing:
        if folder not in self._listings:
            self._listings[folder] = list_folder(folder)
        return self._listings[folder]
