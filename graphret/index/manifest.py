"""The manifest of a generation: what it holds, how it was made, and the checksum of every file, its own included."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeAlias

from graphret._errors import DamagedIndexError, StoreError
from graphret.files import canonical_json, parse_json, read_plain, sha256_of
from graphret.index.manifest_keys import key_problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "MANIFEST",
    "SCHEMA_VERSION",
    "Manifest",
    "file_entry",
    "file_table",
    "read_manifest",
    "read_signed",
    "serialise",
]

MANIFEST = "manifest.json"
FORMAT = "graphret index"
SCHEMA_VERSION = 2
MANIFEST_BYTES = 2**26
"""A manifest is a few KB, and the similarities of `Novelty` in it: what is larger was not written by graphret."""

Manifest: TypeAlias = dict[str, Any]


def serialise(content: Manifest) -> bytes:
    """Return the bytes of a manifest: canonical JSON with the sha256 of itself without that key.

    Examples
    --------
    >>> import json
    >>> sorted(json.loads(serialise({"b": 1, "a": 2})))
    ['a', 'b', 'sha256']
    """
    bare = {key: value for key, value in content.items() if key != "sha256"}
    return canonical_json({**bare, "sha256": hashlib.sha256(canonical_json(bare)).hexdigest()})


def read_signed(path: Path, advice: str = "") -> Manifest:
    """Read a file that `serialise` wrote; ``advice`` is put to what is said of it where it is damaged.

    Raises
    ------
    DamagedIndexError
        It is missing, no plain file, no JSON, or not byte for byte what was written.
    StoreError
        It may not be read.
    """
    try:
        raw = read_plain(path, MANIFEST_BYTES)
    except FileNotFoundError as error:
        raise DamagedIndexError(path, f"it is missing{advice}") from error
    except PermissionError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}{advice}") from error
    except OSError as error:
        raise DamagedIndexError(path, f"it cannot be read ({error.strerror}){advice}") from error
    try:
        content = parse_json(raw)
    except ValueError as error:
        raise DamagedIndexError(path, f"{error}{advice}") from error
    if serialise(content) != raw:
        raise DamagedIndexError(path, f"its text does not fit its own checksum{advice}")
    return content


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a generation.

    Raises
    ------
    DamagedIndexError
        It is missing, not byte for byte what was written, or lacks a key.
    StoreError
        It was written by a graphret with another format.
    """
    path = folder / MANIFEST
    content = read_signed(path)
    version = content.get("schema_version")
    if content.get("format") != FORMAT or not isinstance(version, int) or version < 1:
        raise DamagedIndexError(path, f"format {content.get('format')!r}, schema version {version!r}")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has the schema version {version}, written by graphret {content.get('graphret_version')}; "
            f"this graphret reads {SCHEMA_VERSION}: upgrade graphret, or build the index again with this one"
        )
    if version < SCHEMA_VERSION:
        raise StoreError(
            f"{path} has the schema version {version}, written by graphret {content.get('graphret_version')}; "
            f"this graphret reads {SCHEMA_VERSION} only: build the index again"
        )
    problem = key_problem(content)
    if problem is not None:
        raise DamagedIndexError(path, problem)
    return content


def file_entry(path: Path) -> dict[str, Any]:
    """Return size and sha256 of a file, as a manifest lists them."""
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def file_table(folder: Path, known: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return size and sha256 of every file of a folder, by its path inside it.

    ``known`` has the entries of files that another generation holds as well (hard links), or that were hashed while
    they were written: they are not read again.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: known.get(name) or file_entry(path) for name, path in names.items()}
