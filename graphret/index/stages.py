"""Results of finished stages, kept by the hash of what they were made from until the index is complete."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import StoreError
from graphret.index.files import storage_errors, sync_folder

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["StageFolder", "stage_key"]

_KEY_LENGTH = 32


def stage_key(*parts: Any) -> str:
    """Hash JSON values: the key of a result that depends on them alone.

    Examples
    --------
    >>> stage_key("graph", {"k": 5}) == stage_key("graph", {"k": 5}), stage_key(1) == stage_key(2)
    (True, False)
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


class StageFolder:
    """Named groups of arrays, each an uncompressed ``.npz`` under its name and key, written in one step.

    A file that cannot be read counts as missing: the stage is then done again.

    Parameters
    ----------
    folder
        Made when it is not there.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stages = StageFolder(pathlib.Path(folder))
    ...     stages.save("graph", stage_key(1), {"indptr": np.arange(3)})
    ...     stages.load("graph", stage_key(1))["indptr"].tolist(), stages.load("graph", stage_key(2))
    ([0, 1, 2], None)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def _path(self, stage: str, key: str) -> Path:
        return self.folder / f"{stage}-{key[:_KEY_LENGTH]}.npz"

    def save(self, stage: str, key: str, arrays: dict[str, NDArray[Any]]) -> None:
        """Keep the result of a stage."""
        path = self._path(stage, key)
        partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
        try:
            with storage_errors(path):
                with partial.open("wb") as file:
                    np.savez(file, **arrays)  # type: ignore[arg-type]
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
                sync_folder(self.folder)
        finally:
            partial.unlink(missing_ok=True)

    def load(self, stage: str, key: str, names: Collection[str] = ()) -> dict[str, NDArray[Any]] | None:
        """Return all or some arrays of a stage, or None where they are not there or cannot be read."""
        try:
            with self._path(stage, key).open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in names or archive.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None

    def read(self, stage: str, key: str, name: str) -> NDArray[Any]:
        """Return one array of a stage that is known to be there.

        Raises
        ------
        StoreError
            It is gone, or was changed by something else.
        """
        arrays = self.load(stage, key, [name])
        if arrays is None:
            raise StoreError(f"{self._path(stage, key)} cannot be read any more: run the same command again")
        return arrays[name]

    def keep_only(self, key: str) -> None:
        """Remove the results that were made under other keys, and what killed runs left."""
        for path in self.folder.iterdir():
            if path.is_file() and f"-{key[:_KEY_LENGTH]}.npz" not in path.name:
                path.unlink()
