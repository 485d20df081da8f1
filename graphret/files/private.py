"""A small file that only its owner may read, made once."""

from __future__ import annotations

import os
from pathlib import Path

from graphret.files.atomic import storage_errors, sync_folder

__all__ = ["create_private"]


def create_private(path: str | os.PathLike[str], text: str) -> bool:
    """Write a file that is not there yet, readable by its owner only; say whether it was this call that made it.

    Of two processes at once one makes it; its folders are made as well, closed to others.

    Raises
    ------
    StoreError
        The operating system refuses.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     create_private(f"{folder}/a/salt", "x"), create_private(f"{folder}/a/salt", "y")
    (True, False)
    """
    target = Path(path)
    with storage_errors(target):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(target.parent)
    return True
