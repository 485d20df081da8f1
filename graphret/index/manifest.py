"""The manifest of a generation: what it holds, how it was made, and the checksum of every file, its own included."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

from graphret._errors import DamagedIndexError, StoreError
from graphret.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MANIFEST", "SCHEMA_VERSION", "Manifest", "file_table", "read_manifest", "serialise"]

MANIFEST = "manifest.json"
FORMAT = "graphret index"
SCHEMA_VERSION = 2

Manifest: TypeAlias = dict[str, Any]

_KEYS: dict[str, type | tuple[type, ...]] = {
    "arrays": dict,
    "codes": dict,
    "communities": dict,
    "counts": dict,
    "created": str,
    "encoder": (dict, type(None)),
    "files": dict,
    "generation": str,
    "graph": dict,
    "graphret_version": str,
    "parameters": dict,
    "parent": (str, type(None)),
    "search": dict,
    "source": dict,
}


def serialise(content: Manifest) -> bytes:
    """Return the bytes of a manifest: canonical JSON with the sha256 of itself without that key.

    Examples
    --------
    >>> sorted(json.loads(serialise({"b": 1, "a": 2})))
    ['a', 'b', 'sha256']
    """
    bare = {key: value for key, value in content.items() if key != "sha256"}
    return _json({**bare, "sha256": hashlib.sha256(_json(bare)).hexdigest()})


def _json(content: Manifest) -> bytes:
    return (json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


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
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedIndexError(path, "it is missing") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DamagedIndexError(path, f"it is not JSON ({error})") from error
    if not isinstance(content, dict) or serialise(content) != raw:
        raise DamagedIndexError(path, "its text does not fit its own checksum")
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
    _check_keys(path, content)
    return content


def _check_keys(path: Path, content: Manifest) -> None:
    for key, kind in _KEYS.items():
        if not isinstance(content.get(key), kind):
            raise DamagedIndexError(path, f"its key {key!r} is missing or of a wrong type")
    for name, entry in content["files"].items():
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts or set(entry) != {"bytes", "sha256"}:
            raise DamagedIndexError(path, f"its entry for the file {name!r} is wrong")


def file_table(folder: Path, known: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return size and sha256 of every file of a folder, by its path inside it.

    ``known`` has the entries of files that another generation holds as well (hard links): they are not read again.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        name: known.get(name) or {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for name, path in names.items()
    }
