"""Finished work of a comparison as files: written whole or not at all, found again under the key of what decides it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import StoreError
from graphret.evaluation._files import atomic_binary, atomic_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Stages", "digest", "folder_name"]


def digest(*parts: Any) -> str:
    """Hash values of JSON and arrays to 16 hexadecimal digits; equal parts give equal digests.

    Examples
    --------
    >>> digest({"a": 1, "b": (2, 3)}) == digest({"b": [2, 3], "a": 1})
    True
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            content = (
                "\n".join(part.tolist()).encode() if part.dtype.kind in "UT" else np.ascontiguousarray(part).tobytes()
            )
            total.update(f"{part.shape}".encode())
            total.update(content)
        else:
            total.update(json.dumps(part, sort_keys=True).encode())
        total.update(b"\0")
    return total.hexdigest()[:16]


def folder_name(label: str, key: str) -> str:
    """Name a folder after a method: what a file system takes of its label, and the key.

    Examples
    --------
    >>> folder_name("itq on densenet121", "0123456789abcdef")
    'itq-on-densenet121-01234567'
    """
    return f"{re.sub(r'[^A-Za-z0-9_.]+', '-', label).strip('-.')[:60]}-{key[:8]}"


class Stages:
    """A folder of finished stages: JSON records and arrays, each with the key of its settings.

    A stage that is not there, damaged, or of another key counts as not done. Writing replaces in one step, so a process
    that is killed leaves the old state or the new one.

    Parameters
    ----------
    folder
        Made if absent.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> stages = Stages(Path(tempfile.mkdtemp()))
    >>> stages.save("codes", "key", {"n": 2}, {"codes": np.eye(2)})
    >>> stages.load("codes", "key")[0], stages.load("codes", "other key")
    ({'n': 2}, None)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the folder {folder}: {error}") from error

    def save(
        self, name: str, key: str, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None
    ) -> None:
        """Write a stage: its arrays first, then the record that makes it count."""
        if arrays is not None:
            content = io.BytesIO()
            named: dict[str, Any] = dict(arrays)
            np.savez(content, **named)
            with atomic_binary(self.folder / f"{name}.npz") as file:
                file.write(content.getbuffer())
        document = {"key": key, "arrays": arrays is not None, "record": dict(record)}
        atomic_text(self.folder / f"{name}.json", json.dumps(document, indent=1, allow_nan=False) + "\n")

    def load(self, name: str, key: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
        """Return record and arrays of a stage that is done, else None."""
        try:
            document = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
            if document["key"] != key:
                return None
            arrays = {}
            if document["arrays"]:
                with np.load(self.folder / f"{name}.npz", allow_pickle=False) as stored:
                    arrays = {entry: stored[entry] for entry in stored.files}
            return dict(document["record"]), arrays
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            return None
