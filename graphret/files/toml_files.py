"""TOML that somebody else may have written: its kind and size are looked at before it is read."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from graphret.files.plain import read_plain

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_toml"]

LARGEST = 2**20


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of at most 1 MiB.

    Raises
    ------
    ValueError
        It is larger, no plain file, no UTF-8, no TOML, or nested too deeply; the text says which.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (path := pathlib.Path(folder, "a.toml")).write_text("k = 3")
    ...     read_toml(path)
    {'k': 3}
    """
    try:
        return tomllib.loads(read_plain(path, LARGEST, follow=True).decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"it is not TOML: {error}") from error
    except OSError as error:
        raise ValueError(str(error.strerror)) from error
