"""Write a whole file or none of it."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from graphret._errors import MissingFileError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["atomic_binary", "atomic_text"]


@contextmanager
def atomic_binary(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file beside ``path`` for writing, and rename it to ``path`` when the block ends without an error.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_binary(folder / "a") as file:
    ...     _ = file.write(b"x")
    >>> [entry.name for entry in folder.iterdir()]
    ['a']
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise MissingFileError(target.parent, "folder", "make it first")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def atomic_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, its line ends as they are."""
    with atomic_binary(path) as file:
        file.write(text.encode("utf-8"))
