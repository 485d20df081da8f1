"""The folder that joins shards: graph and communities of all their films, and which films these are; no codes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DamagedIndexError, InvalidParameterError, StaleFrontError, StoreError
from graphret._version import __version__
from graphret.files import digest, new_folder, remove_partials, storage_errors, write_array
from graphret.index.contents import Contents, describe_contents
from graphret.index.generation import Generation, checked_array
from graphret.index.held import hold_files
from graphret.index.layout import ARRAYS, FILMS, FRONT
from graphret.index.manifest import file_table, read_signed, serialise
from graphret.index.manifest_keys import key_problem
from graphret.index.store import CURRENT, check_target, make_current, retire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret.index.manifest import Manifest
    from graphret.index.opened import OpenedIndex

__all__ = ["Front", "check_front_target", "films_hash", "is_front", "open_front", "write_front"]

FORMAT, SCHEMA_VERSION = "graphret front", 1
ROLES = ("indptr", "indices", "weights", "communities")
KEPT = 2
"""Folders that stay: what is current, and the one before it, for readers that are just opening it."""

_NAME = re.compile(r"joined-(\d{6,12})")


@dataclass(frozen=True, eq=False)
class Front(Generation):
    """What was made of all shards together, in the place of a generation: it has no codes and no films of its own."""

    @property
    def name(self) -> str:
        """As the manifest says; another one where it was opened with shards whose tables have changed."""
        return str(self.manifest["generation"])

    @property
    def n_films(self) -> int:
        """Number of films."""
        return int(self.communities.shape[0])

    @property
    def search_in_use(self) -> dict[str, Any]:
        """Each shard is searched as it was built."""
        return {"method": "shards"}

    @property
    def shards(self) -> list[Path]:
        """Folders of the shards, in the order of the positions; they are kept relative to that of the front."""
        root = self.folder.parent
        return [Path(os.path.normpath(root / entry["path"])) for entry in self.manifest["shards"]]

    def check(self, shards: Sequence[OpenedIndex]) -> None:
        """Compare the shards with what they were when they were joined.

        Raises
        ------
        StaleFrontError
            The films or codes of one have changed.
        """
        for entry, shard in zip(self.manifest["shards"], shards, strict=True):
            if entry["codes_sha256"] != shard.generation.manifest["codes"]["sha256"]:
                raise StaleFrontError(self.folder.parent, shard.root, self.shards)


def films_hash(shards: Sequence[OpenedIndex]) -> str:
    """Return a hash of the tables of films, patients and labels included."""
    return digest([shard.generation.manifest["files"][FILMS]["sha256"] for shard in shards])


def is_front(root: Path) -> bool:
    """Whether a folder joins shards."""
    return (root / FRONT).is_file()


def check_front_target(root: Path) -> None:
    """Say whether shards may be joined in a folder: new, empty, or one in which that was done before.

    Raises
    ------
    InvalidParameterError
        It is an index, a file, or holds other things.
    """
    if is_front(root):
        return
    if (root / CURRENT).exists():
        hint = "an index is there, and stays as it is"
        raise InvalidParameterError("out", str(root), "a new or empty folder, or one that joins shards", hint)
    check_target(root)


def write_front(root: Path, contents: Contents, shards: Sequence[OpenedIndex], *, work: Path) -> None:
    """Write what was made of all shards, and make it the current one; the caller holds the lock.

    ``work`` is the folder of what the contents were made of, see `make_current`.

    Raises
    ------
    StoreError
        The disk is full, or the folder cannot be written to.
    """
    graph = contents.linked.graph
    made: list[NDArray[Any]] = [graph.indptr, graph.indices, graph.weights, contents.partition.labels]
    arrays = dict(zip(ROLES, made, strict=True))
    with storage_errors(root):
        remove_partials(root, sole_writer=True)
        number = max(map(_number, _names(root)), default=0) + 1
        name = f"joined-{number:06d}"
        with new_folder(root / name) as folder:
            for role, array in arrays.items():
                write_array(folder / ARRAYS[role], array)
            files = file_table(folder, {})
        about = {
            **describe_contents(contents),
            "encoder": shards[0].generation.manifest["encoder"],
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "generation": name,
            "parent": None,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "graphret_version": __version__,
            "files": files,
            "arrays": {
                ARRAYS[role]: {"dtype": array.dtype.newbyteorder("<").str, "shape": list(array.shape)}
                for role, array in arrays.items()
            },
            "films_sha256": films_hash(shards),
            "shards": [
                {
                    "path": os.path.relpath(shard.root, root.absolute()),
                    "codes_sha256": shard.generation.manifest["codes"]["sha256"],
                }
                for shard in shards
            ],
        }
        make_current(root / FRONT, serialise(about), work)
        for old in sorted(_names(root), key=_number)[:-KEPT]:
            retire(root / old)


def open_front(root: Path) -> Front:
    """Open what joins shards; the shards are not looked at.

    Raises
    ------
    DamagedIndexError
        A file is missing or not what was written; it is named.
    StoreError
        A newer format, or no permission.
    """
    path = root / FRONT
    manifest = read_signed(path)
    version = manifest.get("schema_version")
    if manifest.get("format") != FORMAT or not isinstance(version, int) or version < 1:
        raise DamagedIndexError(path, f"format {manifest.get('format')!r}, schema version {version!r}")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has the schema version {version}, written by graphret {manifest.get('graphret_version')}; this "
            f"graphret reads {SCHEMA_VERSION}: upgrade graphret, or join the shards again with this one"
        )
    problem = key_problem(manifest) or _problem(manifest)
    if problem is not None:
        raise DamagedIndexError(path, problem)
    folder = root / manifest["generation"]
    if folder.is_symlink() or not folder.is_dir():
        raise DamagedIndexError(path, f"it names {folder.name}, which is not there, or is a link")
    files = hold_files(folder, manifest, [ARRAYS[role] for role in ROLES])
    arrays = {role: checked_array(files, manifest, ARRAYS[role]) for role in ROLES}
    n_films, n_entries = manifest["counts"]["films"], 2 * manifest["counts"]["edges"]
    expected = dict(zip(ROLES, ((n_films + 1,), (n_entries,), (n_entries,), (n_films,)), strict=True))
    for role, shape in expected.items():
        if arrays[role].shape != shape:
            raise DamagedIndexError(folder / ARRAYS[role], f"it has shape {arrays[role].shape}, not {shape}")
    communities = arrays["communities"]
    if communities.dtype != np.int32 or not 0 <= communities.min() <= communities.max() < n_films:
        raise DamagedIndexError(folder / ARRAYS["communities"], f"its numbers are not in 0 to {n_films - 1}")
    return Front(folder, manifest, files, arrays)


def _names(root: Path) -> list[str]:
    return [entry.name for entry in root.iterdir() if _NAME.fullmatch(entry.name)]


def _number(name: str) -> int:
    return int(name.removeprefix("joined-"))


def _problem(manifest: Manifest) -> str | None:
    """Say what is wrong with the keys that only a front has."""
    shards = manifest.get("shards")
    fits = isinstance(shards, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("path"), str) and isinstance(entry.get("codes_sha256"), str)
        for entry in shards
    )
    if not fits or not shards:
        return "its key 'shards' is missing or of a wrong type"
    if not isinstance(manifest.get("films_sha256"), str) or manifest.get("novelty") is None:
        return "it does not say how near the films are to those of other patients"
    if not _NAME.fullmatch(manifest["generation"]):
        return "its key 'generation' does not name a folder of shards that were joined"
    if any(ARRAYS[role] not in manifest["files"] for role in ROLES):
        return "it does not list the files of graph and communities"
    return None
