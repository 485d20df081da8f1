"""One writer at a time: a lock that the operating system gives back when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import platform
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from graphret._errors import IndexLockedError, StoreError
from graphret._notes import note_once
from graphret.files.atomic import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["LOCK", "writer_lock"]

logger = logging.getLogger(__name__)

LOCK = "LOCK"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""What file systems answer that know no locks, as some that are mounted over a network."""


@contextmanager
def writer_lock(root: Path) -> Iterator[None]:
    """Hold the lock of a folder inside the block.

    The file stays when the lock is given back: another process may already have it open, and two writers
    that lock two files of the same name would not see each other. Its text only says who holds it. On a file system
    without locks nobody is kept out, which is said.

    Raises
    ------
    IndexLockedError
        Another writer holds it; the message names the process.
    StoreError
        The folder cannot be written to, or its lock cannot be asked for.
    """
    path = root / LOCK
    with storage_errors(path):
        file = path.open("a+", encoding="utf-8")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise IndexLockedError(
                f"{root} is being written by {_holder(file.read())}: wait for it to end, or stop it, and run again"
            ) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise StoreError(f"cannot lock {path}: {error.strerror} (choose another folder)") from error
            note_once(
                logger,
                f"{root}: its file system has no locks ({error.strerror}): write to it with one process at a time",
            )
        _write(file.fileno(), {"pid": os.getpid(), "host": platform.node(), "since": datetime.now(UTC).isoformat()})
        try:
            yield
        finally:
            _write(file.fileno(), {})


def _write(descriptor: int, holder: dict[str, object]) -> None:
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(holder).encode() if holder else b"")


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
