"""Results of finished stages, kept by the hash of what they were made from, so that a killed run goes on.

A stage is a zip archive, whose entries have checksums (CRC-32) that are compared when they are read.
"""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphret._errors import StoreError
from graphret.files.atomic import make_folder, replacing

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray

__all__ = ["Stage", "Stages", "stage_file"]

_KEY_LENGTH = 32
_RECORD = "stage"
"""Entry of a file that holds key and record as JSON; no array has this name."""


class Stage(NamedTuple):
    """The result of a stage: JSON values and arrays by name."""

    record: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


class Stages:
    """A folder of finished stages: each one uncompressed ``.npz`` under its name and key, written in one step.

    A stage that is not there, damaged, or of another key counts as not done.

    Parameters
    ----------
    folder
        Made when it is not there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stages = Stages(folder)
    ...     stages.save("graph", "key", {"n": 2}, {"indptr": np.arange(3)})
    ...     stages.load("graph", "key"), stages.load("graph", "other key")
    (Stage(record={'n': 2}, arrays={'indptr': array([0, 1, 2])}), None)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = make_folder(folder)

    def _path(self, name: str, key: str) -> Path:
        return self.folder / stage_file(name, key)

    def _writing(self, name: str, key: str) -> AbstractContextManager[IO[bytes]]:
        """Open the file of a stage, which is there when the block ends without an error."""
        return replacing(self._path(name, key))

    def _reading(self, name: str, key: str) -> AbstractContextManager[IO[bytes]]:
        """Open the file of a stage, or raise an OSError."""
        return self._path(name, key).open("rb")

    def save(
        self,
        name: str,
        key: str,
        record: Mapping[str, Any] | None = None,
        arrays: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Keep the result of a stage; arrays are written one by one, not gathered in memory.

        Raises
        ------
        StoreError
            The disk is full, or the folder cannot be written to.
        """
        text = json.dumps({"key": key, "record": dict(record or {})}, allow_nan=False)
        entries: dict[str, Any] = {_RECORD: np.frombuffer(text.encode(), np.uint8), **(arrays or {})}
        with self._writing(name, key) as file:
            np.savez(file, **entries)

    def load(self, name: str, key: str, only: Collection[str] | None = None) -> Stage | None:
        """Return a stage with all of its arrays, or ``only`` some; None where it is not done or cannot be read."""
        try:
            with self._reading(name, key) as file, np.load(file, allow_pickle=False) as stored:
                document = json.loads(stored[_RECORD].tobytes())
                if document["key"] != key:
                    return None
                names = [entry for entry in stored.files if entry != _RECORD] if only is None else only
                return Stage(document["record"], {entry: stored[entry] for entry in names})
        except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile):
            return None

    def read(self, name: str, key: str, only: Collection[str] | None = None) -> Stage:
        """Return a stage that is known to be done, as `load`.

        Raises
        ------
        StoreError
            It is gone, or was changed by something else.
        """
        stage = self.load(name, key, only)
        if stage is None:
            raise StoreError(f"{self._path(name, key)} cannot be read any more: run the same command again")
        return stage

    def keep_only(self, key: str) -> None:
        """Remove the results that were made under other keys, and what killed runs left."""
        for path in self.folder.iterdir():
            if path.is_file() and not path.name.endswith(stage_file("", key)):
                path.unlink()


def stage_file(name: str, key: str) -> str:
    """Name of the file of a stage."""
    return f"{name}-{key[:_KEY_LENGTH]}.npz"
