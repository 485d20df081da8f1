"""Write a file whole or not at all: beside its place, flushed to the disk, then renamed to it."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from graphret._errors import GraphretError, MissingFileError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

__all__ = [
    "check_own_folder",
    "flush_file",
    "is_partial",
    "link_or_copy",
    "make_folder",
    "move",
    "new_folder",
    "remove_folder",
    "remove_partials",
    "replacing",
    "storage_errors",
    "sync_folder",
    "temporary_name",
    "write_file",
    "write_text",
]

BLOCK_BYTES = 1 << 24
_CANNOT_RESERVE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
"""What file systems say that cannot reserve: their files grow as they are written."""
FLUSHED_BYTES = 1 << 25
"""Of a large file, that are written before they are flushed beside the rest."""
_PARTIAL = re.compile(r"\.(?P<name>.+)\.partial-[0-9a-f-]+")


def temporary_name(name: str) -> str:
    """Return a name that `is_partial` knows; the number of the process is for the one who looks at the folder."""
    return f".{name}.partial-{os.getpid()}-{secrets.token_hex(4)}"


def is_partial(name: str) -> bool:
    """Say whether a file or folder of this name is one that is being written, or that a killed writer left.

    Examples
    --------
    >>> is_partial(".codes.npy.partial-4711-0f3a51c2"), is_partial("codes.npy")
    (True, False)
    """
    return bool(_PARTIAL.fullmatch(name))


@contextmanager
def storage_errors(path: str | os.PathLike[str], what: str = "write") -> Iterator[None]:
    """Turn the operating system's errors inside the block into a `StoreError` that says what to do."""
    try:
        yield
    except GraphretError:  # some of them are OSErrors as well, and already say what they have to
        raise
    except OSError as error:
        named = error.filename
        place = named if isinstance(named, str) and not is_partial(Path(named).name) else path
        reason = error.strerror or str(error)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            reason += f" ({_free_bytes(Path(path)):,} bytes are free): free some, then run the same command again"
        elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            reason += ": choose a folder that you may write to"
        raise StoreError(f"cannot {what} {place}: {reason}; what was there before is unchanged") from error


def _free_bytes(path: Path) -> int:
    folder = next(candidate for candidate in (path, *path.absolute().parents) if candidate.is_dir())
    return shutil.disk_usage(folder).free


@contextmanager
def replacing(path: str | os.PathLike[str], *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of ``path`` when the block ends without an error; nobody sees half of it.

    Parameters
    ----------
    path
        Its folder must be there. What killed writers of the same file left is removed.
    durable
        False for one of many files that do not count before a later one is there: they are not flushed one by one, and
        `remove_partials` is for the caller.

    Raises
    ------
    MissingFileError
        The folder is not there.
    StoreError
        The operating system refuses to write; the message names ``path``, the reason and what to do.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a") as file:
    ...     _ = file.write(b"x")
    >>> [entry.name for entry in folder.iterdir()]
    ['a']
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise MissingFileError(target.parent, "folder", "make it first")
    with storage_errors(target):
        if durable:
            remove_partials(target.parent, target.name)
        partial, file = _begin(target)
        try:
            with file:
                yield file
                file.flush()
                if durable:
                    os.fsync(file.fileno())
                partial.replace(target)
            if durable:
                sync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)


def _begin(target: Path) -> tuple[Path, IO[bytes]]:
    """Make the temporary file, and lock it for as long as it is open: the sign that its writer lives."""
    while True:
        partial = target.with_name(temporary_name(target.name))
        file = partial.open("xb")
        with suppress(OSError):  # on a file system without locks, who cleans up cannot tell
            fcntl.flock(file, fcntl.LOCK_EX)
        if partial.exists():
            return partial, file
        file.close()  # somebody cleaned up between the two lines above


def remove_partials(folder: Path, name: str | None = None, *, sole_writer: bool = False) -> None:
    """Remove what killed writers left in a folder.

    Parameters
    ----------
    folder
        Looked at without its inner folders.
    name
        Only what would have become this file.
    sole_writer
        The caller is the only one who writes here: folders go as well, and nobody's lock is asked for.
    """
    for entry in folder.iterdir():
        found = _PARTIAL.fullmatch(entry.name)
        if found is None or found["name"] != (name or found["name"]):
            continue
        if entry.is_dir() and not entry.is_symlink():
            if sole_writer:
                shutil.rmtree(entry)
        elif sole_writer:
            entry.unlink(missing_ok=True)
        else:
            with suppress(OSError), entry.open("r+b") as file:  # its writer lives, or it is not ours: it stays
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                entry.unlink(missing_ok=True)


def write_file(
    path: str | os.PathLike[str],
    content: bytes | memoryview | Iterable[bytes | memoryview],
    *,
    durable: bool = True,
    size: int = 0,
) -> None:
    """Write a file, in one piece or block by block, as `replacing` does.

    Where its ``size`` in bytes is known and large, all of it is reserved first: a full disk is said at once, and the
    system makes room for the file in a third of the time. What is written of such a file is flushed beside the rest.
    """
    blocks = [content] if isinstance(content, bytes | memoryview) else content
    with replacing(path, durable=durable) as file:
        if size < BLOCK_BYTES:
            file.writelines(blocks)
        else:
            _reserve(file, size)
            _write_and_flush(file, blocks)
            file.truncate()  # less than was reserved must be seen as too short, and not be filled up with zeros


def _write_and_flush(file: IO[bytes], blocks: Iterable[bytes | memoryview]) -> None:
    """Write blocks, and flush what is there beside it, so that little is left to do at the end."""
    flushing: Future[None] | None = None
    waiting = 0
    with ThreadPoolExecutor(1, thread_name_prefix="graphret-flush") as pool:
        for block in blocks:
            file.write(block)
            waiting += len(block)
            if waiting >= FLUSHED_BYTES and (flushing is None or flushing.done()):
                if flushing is not None:
                    flushing.result()  # the system tells a failure once only: it must not be lost
                flush = getattr(os, "fdatasync", os.fsync)  # macOS and Windows have the second alone
                flushing, waiting = pool.submit(flush, file.fileno()), 0
        if flushing is not None:
            flushing.result()


def _reserve(file: IO[bytes], size: int) -> None:
    if not hasattr(os, "posix_fallocate"):  # macOS, Windows
        return
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in _CANNOT_RESERVE:
            raise


def flush_file(path: Path) -> None:
    """Flush a finished file to the disk that was not written as a durable one.

    Raises
    ------
    StoreError
        The operating system refuses.
    """
    with storage_errors(path), path.open("rb") as file:
        os.fsync(file.fileno())


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8, its line ends as they are."""
    write_file(path, text.encode("utf-8"))


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder and those above it where they are not there.

    Raises
    ------
    StoreError
        There is a file in its place, or the folder above may not be written to.
    """
    folder = Path(path)
    with storage_errors(folder, "make the folder"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder with its files in one step: the block fills one with a temporary name, which is then renamed.

    Raises
    ------
    StoreError
        The operating system refuses; nothing is left then.
    """
    partial = path.with_name(temporary_name(path.name))
    with storage_errors(path):
        try:
            partial.mkdir()
            yield partial
            for inner in sorted({entry.parent for entry in partial.rglob("*")} | {partial}, reverse=True):
                sync_folder(inner)
            partial.rename(path)
            sync_folder(path.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def check_own_folder(path: Path) -> None:
    """Say so where something else lies in the place of a folder of ours: it is not written to, nor removed.

    What a link leads to belongs to others; and who empties a named pipe waits for ever.

    Raises
    ------
    StoreError
        It is a link, or there and no folder.
    """
    if path.is_symlink():
        raise StoreError(f"{path} is a link, which is not followed: remove it, then run the same command again")
    if path.exists() and not path.is_dir():
        raise StoreError(f"{path} is no folder: remove it, then run the same command again")


def remove_folder(path: Path) -> None:
    """Remove a folder so that nobody finds half of it: it is renamed first, then emptied.

    What a killed caller leaves has a temporary name, which `remove_partials` of the next writer removes. A link is
    removed, not followed; so is what is no folder.

    Raises
    ------
    StoreError
        The operating system refuses.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "old").mkdir()
    >>> remove_folder(folder / "old")
    >>> list(folder.iterdir())
    []
    """
    partial = path.with_name(temporary_name(path.name))
    with storage_errors(path, "remove"):
        path.rename(partial)
        if partial.is_dir() and not partial.is_symlink():
            shutil.rmtree(partial)
        else:
            partial.unlink()


def move(source: Path, target: Path) -> None:
    """Rename a finished file to another of the same file system, whose old content it replaces in one step.

    A folder is renamed as well, where there is nothing in its new place.
    """
    with storage_errors(target):
        source.replace(target)
        sync_folder(target.parent)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a finished file a second name, or copy it where the file system knows no hard links."""
    try:
        os.link(source, target)
    except OSError:
        with source.open("rb") as file:
            write_file(target, iter(lambda: file.read(BLOCK_BYTES), b""))


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
