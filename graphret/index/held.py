"""The files of a generation, held open: compared with the manifest, and read however long their folder lasts."""

from __future__ import annotations

import errno
import gc
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from graphret._errors import DamagedIndexError, StoreError
from graphret.files import MappedFile

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from graphret.index.manifest import Manifest

__all__ = ["SMALL_FILE", "HeldFiles", "hold_files"]

SMALL_FILE = 16 * 2**20
"""Files up to this size are read in full, and their sha256 checked, whenever the index is opened."""


_TOO_MANY = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM)


class HeldFiles(Mapping[str, MappedFile]):
    """Open files of a generation by their names in its manifest.

    Parameters
    ----------
    files
        Name -> open file.
    stated
        Name -> sha256 of the manifest.
    """

    def __init__(self, files: Mapping[str, MappedFile], stated: Mapping[str, str]) -> None:
        self._files = dict(files)
        self._stated = dict(stated)

    def __getitem__(self, file: str) -> MappedFile:
        return self._files[file]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def with_others(self, others: HeldFiles) -> HeldFiles:
        """Return these and others."""
        return HeldFiles(self._files | others._files, self._stated | others._stated)

    def is_small(self, file: str) -> bool:
        """Whether the file was hashed when the index was opened."""
        return self[file].n_bytes <= SMALL_FILE

    def check(self, file: str) -> None:
        """Compare a file with its sha256 in the manifest.

        Raises
        ------
        DamagedIndexError
            They differ, or the file was cut since it was opened.
        """
        try:
            found = self[file].sha256()
        except OSError as error:
            raise DamagedIndexError(self[file].path, str(error.strerror)) from error
        if found != self._stated[file]:
            raise DamagedIndexError(
                self[file].path, f"its sha256 is {found[:16]}... and not {self._stated[file][:16]}..."
            )

    def check_if_large(self, file: str) -> None:
        """Compare a file that was too large to be hashed when the index was opened; raises as `check`."""
        if not self.is_small(file):
            self.check(file)

    def read(self, file: str) -> bytes:
        """Copy a whole file, after it was compared; raises as `check`."""
        self.check(file)
        return self[file].read()


def _hold(path: Path) -> MappedFile:
    try:
        try:
            return MappedFile(path)
        except OSError as error:
            if error.errno not in _TOO_MANY:
                raise
            gc.collect()  # indexes that nobody has any more may still hold theirs
            return MappedFile(path)
    except FileNotFoundError as error:
        raise DamagedIndexError(path, "it is missing") from error
    except OSError as error:
        if error.errno in _TOO_MANY:
            raise StoreError(
                f"cannot open {path}: {error.strerror}: an open index holds about 15 files; close indexes that are not "
                "needed (`Index.close`), or raise the limit (`ulimit -n`)"
            ) from error
        if error.errno in _NOT_ALLOWED:
            raise StoreError(f"cannot read {path}: {error.strerror} (ask for the right to read it)") from error
        raise DamagedIndexError(path, f"it cannot be read ({error.strerror})") from error


def hold_files(folder: Path, manifest: Manifest, names: Collection[str]) -> HeldFiles:
    """Open files of a generation; their kinds and sizes are checked, and the sha256 of those up to 16 MB.

    Raises
    ------
    DamagedIndexError
        A file is missing, a link, no plain file, or not what was written.
    StoreError
        It may not be read, or too many files are open.
    """
    held = {}
    for name in names:
        path = folder / name
        above = next((part for part in path.relative_to(folder).parents if (folder / part).is_symlink()), None)
        if above is not None and above.parts:
            raise DamagedIndexError(folder / above, "it is a link, which is not followed")
        held[name] = _hold(path)
        stated = manifest["files"][name]["bytes"]
        if held[name].n_bytes != stated:
            raise DamagedIndexError(path, f"it has {held[name].n_bytes:,} bytes instead of {stated:,}")
    files = HeldFiles(held, {name: manifest["files"][name]["sha256"] for name in names})
    for name in names:
        if files.is_small(name):
            files.check(name)
    return files
