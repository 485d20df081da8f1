"""Files beside the generations that can always be made again: read where they fit, made anew where they do not."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DamagedIndexError, StoreError
from graphret._notes import note_once
from graphret.files import make_folder, map_array, remove_folder, storage_errors, write_array

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["DERIVED", "derived_array", "remove_derived"]

logger = logging.getLogger(__name__)

DERIVED = "derived"
"""Folder of these files, beside CURRENT. No query reads it, and it may be removed at any time."""
_DIGITS = 16


def derived_array(
    root: Path, name: str, key: str, make: Callable[[], NDArray[Any]], *, shape: tuple[int, ...], dtype: str
) -> NDArray[Any]:
    """Return an array that an index keeps beside its generations; make and keep it where it is not there as it was.

    The name of the file holds the key, and the hash of the content: a file of another key or content counts as missing.
    Where the folder cannot be written to, the array is made at every call, which is said once.

    Parameters
    ----------
    root
        Folder of the index.
    name
        What it is, as "map"; letters only.
    key
        Hexadecimal digest of all that the array depends on.
    make
        Makes the array.
    shape, dtype
        Of the array.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = derived_array(Path(folder), "map", "ab" * 32, lambda: np.arange(3), shape=(3,), dtype="int64")
    ...     derived_array(Path(folder), "map", "ab" * 32, lambda: 1 / 0, shape=(3,), dtype="int64").tolist()
    [0, 1, 2]
    """
    folder = root / DERIVED
    found = _read(folder, f"{name}-{key[:_DIGITS]}", shape, np.dtype(dtype))
    if found is not None:
        return found
    array = np.ascontiguousarray(make(), dtype=dtype)
    try:
        _keep(folder, name, key, array)
    except StoreError as error:
        note_once(logger, f"the {name} is not kept, and made again when it is next asked for: {error}")
    return array


def remove_derived(root: Path) -> None:
    """Remove all files that can be made again.

    Raises
    ------
    StoreError
        The operating system refuses.
    """
    folder = root / DERIVED
    if folder.is_symlink():
        with storage_errors(folder, "remove"):
            folder.unlink()
    elif folder.is_dir():
        remove_folder(folder)


def _read(folder: Path, start: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    if folder.is_symlink() or not folder.is_dir():
        return None
    for path in sorted(folder.glob(f"{start}-*.npy")):
        if path.is_symlink() or not path.is_file():
            continue
        try:
            stored = map_array(path)
        except DamagedIndexError:
            continue
        if stored.shape != shape or stored.dtype != dtype:
            continue
        array = np.array(stored)
        if path.name == f"{start}-{_hash(array)}.npy":
            return array
    return None


def _keep(folder: Path, name: str, key: str, array: NDArray[Any]) -> None:
    if folder.is_symlink():
        raise StoreError(f"{folder} is a link: remove it")
    make_folder(folder)
    target = folder / f"{name}-{key[:_DIGITS]}-{_hash(array)}.npy"
    write_array(target, array)
    for path in folder.glob(f"{name}-*.npy"):
        if path != target:
            with storage_errors(path, "remove"):
                path.unlink(missing_ok=True)


def _hash(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()[:_DIGITS]
