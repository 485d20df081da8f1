"""A small file that only its owner may read, made once."""

from __future__ import annotations

import os
from pathlib import Path

from graphret.files.atomic import storage_errors, sync_folder, temporary_name

__all__ = ["create_private"]


def create_private(path: str | os.PathLike[str], text: str) -> bool:
    """Write a file that is not there yet, readable by its owner only; say whether it was this call that made it.

    Of two processes at once one makes it; its folders are made as well, closed to others. A kill or a full disk leaves
    no half of it.

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
        if target.exists():
            return False
        partial = target.with_name(temporary_name(target.name))
        try:
            _write(partial, text)
            try:
                os.link(partial, target)  # there with all its text, or not at all
            except FileExistsError:
                return False
            except OSError:  # a file system without links
                _write(target, text)
        except FileExistsError:
            return False
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(target.parent)
    return True


def _write(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
