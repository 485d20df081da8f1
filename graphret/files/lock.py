"""One writer at a time: a lock that the operating system gives back when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import platform
import stat
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from graphret._errors import IndexLockedError, StoreError
from graphret._notes import note_once
from graphret.files.atomic import make_folder, storage_errors, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from graphret._errors import GraphretError

__all__ = ["LOCK", "claimed_folder", "remove_lock", "writer_lock"]

logger = logging.getLogger(__name__)

LOCK = "LOCK"
_TEXT_BYTES = 4096
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""What file systems answer that know no locks, as some that are mounted over a network."""


@contextmanager
def writer_lock(root: Path) -> Iterator[None]:
    """Hold the lock of a folder inside the block; who comes second is refused at once, and does not wait.

    The lock is the system's (``flock``), and is given back when the last process that has the file open ends. The file
    stays: its text only says who holds it, and is emptied at the end. After a kill the text is stale and the lock is
    free, so the next writer takes it. A thread of the same process is refused as another process is. A child that was
    forked inside the block keeps the lock for as long as it lives. Where the file was removed or replaced while it was
    being locked, the one that is there now is locked, so that two writers never hold files of the same name. On a file
    system without locks nobody is kept out, which is said.

    Raises
    ------
    IndexLockedError
        Another writer holds it; the message names the process.
    StoreError
        The folder cannot be written to, its lock cannot be asked for, or LOCK is a link or no plain file.
    """
    path = root / LOCK
    descriptor = _locked(root, path)
    try:
        about = {"pid": os.getpid(), "host": platform.node(), "since": datetime.now(UTC).isoformat()}
        with storage_errors(path):
            _write(descriptor, json.dumps(about).encode())
        try:
            yield
        finally:
            with suppress(OSError):  # the text is a note only: stale, it misleads nobody who gets the lock
                _write(descriptor, b"")
    finally:
        os.close(descriptor)


@contextmanager
def claimed_folder(root: Path) -> Iterator[None]:
    """Make a folder where it is not there, and be its only writer inside the block; LOCK is gone at the end.

    A folder that was made here goes too, if nothing came into it.

    Raises
    ------
    IndexLockedError, StoreError
        As `writer_lock`.
    """
    created = not root.exists()
    make_folder(root)
    with writer_lock(root):
        try:
            yield
        finally:
            with suppress(OSError):
                remove_lock(root)
                if created:
                    root.rmdir()  # refused where there is something in it


def remove_lock(root: Path) -> None:
    """Remove the file of a lock that the caller holds: who waits to lock it sees that it is gone, and makes another."""
    (root / LOCK).unlink(missing_ok=True)
    sync_folder(root)


def _locked(root: Path, path: Path) -> int:
    """Open and lock the file that has the name, however often it is replaced meanwhile."""
    while True:
        descriptor = _opened(path)
        try:
            _flock(root, path, descriptor)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.lstat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _opened(path: Path) -> int:
    with storage_errors(path):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _no_plain_file(path) from error
            raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _no_plain_file(path)
    return descriptor


def _no_plain_file(path: Path) -> StoreError:
    return StoreError(
        f"cannot lock {path}: it is a link, or no plain file (remove it: the next writer makes a new one)"
    )


def _flock(root: Path, path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _refusal(root, os.pread(descriptor, _TEXT_BYTES, 0)) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise StoreError(f"cannot lock {path}: {error.strerror} (choose another folder)") from error
        note_once(
            logger,
            f"{root}: its file system has no locks ({error.strerror}): write to it with one process at a time",
        )


def _write(descriptor: int, text: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text, 0)


def _refusal(root: Path, text: bytes) -> GraphretError:
    try:
        holder = json.loads(text)
        process, host, since = int(holder["pid"]), str(holder["host"]), str(holder["since"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return IndexLockedError(
            f"{root} is being written by another process, whose name is not known: wait for it to end, and run again"
        )
    who = f"process {process} on {host} since {since}"
    if host == platform.node() and not _lives(process):
        return IndexLockedError(
            f"{root} is locked by a child of {who}; that process itself has ended: `fuser {root / LOCK}` names the "
            "child; stop it, or wait for it to end, and run again (removing LOCK would let two write at once)"
        )
    return IndexLockedError(f"{root} is being written by {who}: wait for it to end, or stop it, and run again")


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it lives, and belongs to somebody else
        return True
    return True
