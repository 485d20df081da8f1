"""The keys of a manifest that something reads, with their types and ranges: another manifest is refused when opened."""

from __future__ import annotations

import base64
import math
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["is_count", "is_number", "is_packed_floats", "key_problem"]

_MOST_FILES = 256
_MOST_FILMS = 2**31 - 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def is_count(value: Any) -> bool:
    """Whether a JSON value is a whole number >= 0 of 63 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**63 - 1


def _positive(value: Any) -> bool:
    return is_count(value) and 1 <= value <= _MOST_FILMS


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_packed_floats(value: Any, n: int) -> bool:
    """Whether a JSON value is ``n`` float32 in base64.

    Examples
    --------
    >>> is_packed_floats("AACAPw==", 1), is_packed_floats("AACAPw==", 2), is_packed_floats(None, 0)
    (True, False, False)
    """
    if not isinstance(value, str) or len(value) != 4 * -(-4 * n // 3):
        return False
    try:
        return len(base64.b64decode(value, validate=True)) == 4 * n
    except ValueError:
        return False


def _number_or_none(value: Any) -> bool:
    return value is None or is_number(value)


def _share(value: Any) -> bool:
    return is_number(value) and 0 < value <= 1


def _hash(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _splits(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_count, value.values()))


def _qualities(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_number, value))


def _method(value: Any) -> bool:
    return value in ("exact", "graph")


_NESTED: dict[str, dict[str, Callable[[Any], bool]]] = {
    "codes": {"sha256": _hash},
    "communities": {"sha256": _hash, "quality": is_number},
    "counts": {
        "films": _positive,
        "dimensions": _positive,
        **dict.fromkeys(("patients", "labels", "problems", "edges", "communities"), is_count),
    },
    "graph": {
        "sha256": _hash,
        "threshold": _number_or_none,
        "n_best_edge_only": is_count,
        "method": _text,
        "recall": is_number,
    },
    "parameters": {"k": _positive},
    "search": {"method": _method},
    "source": {"spec": _text, "root": _text, "splits": _splits},
}
_GRAPH_SEARCH: dict[str, Callable[[Any], bool]] = {
    "beam": _positive,
    "expanded_share": _share,
    "k": _positive,
    "recall": is_number,
}
_ENCODER: dict[str, Callable[[Any], bool]] = {
    "name": _text,
    "fingerprint": _text,
    "size": _positive,
    "code_length": _positive,
}
_CHANGES: dict[str, Callable[[Any], bool]] = {
    "next_community": _positive,
    "quality_at_rebuild": is_number,
    **dict.fromkeys(
        (
            "films_at_rebuild",
            "best_edge_only_at_rebuild",
            "films_ever",
            "added",
            "removed",
            "relabelled",
            "short_lists",
        ),
        is_count,
    ),
}
_NOVELTY: dict[str, Callable[[Any], bool]] = {"n_films": is_count, "similarities": _text}
_FLAT: dict[str, Callable[[Any], bool]] = {
    "created": _text,
    "generation": _text,
    "graphret_version": _text,
    "parent": _text_or_none,
}


def key_problem(content: Mapping[str, Any]) -> str | None:
    """Say what is wrong with the keys of a manifest; None where everything that is read of it is there.

    Examples
    --------
    >>> key_problem({"created": 3})
    "its key 'created' is missing or of a wrong type"
    """
    for key, fits in _FLAT.items():
        if key not in content or not fits(content[key]):
            return _wrong(key)
    nested = dict(_NESTED)
    if isinstance(content.get("search"), dict) and content["search"].get("method") == "graph":
        nested["search"] = _NESTED["search"] | _GRAPH_SEARCH
    if "encoder" not in content:
        return _wrong("encoder")
    if content["encoder"] is not None:
        nested["encoder"] = _ENCODER
        if isinstance(content["encoder"], dict) and not isinstance(content["encoder"].get("kept", True), bool):
            return _wrong("encoder.kept")
    if content.get("novelty") is not None:
        nested["novelty"] = _NOVELTY
    if "changes" in content:
        nested["changes"] = _CHANGES
    for key, inner in nested.items():
        part = content.get(key)
        if not isinstance(part, dict):
            return _wrong(key)
        for name, fits in inner.items():
            if name not in part or not fits(part[name]):
                return _wrong(f"{key}.{name}")
    if "start_qualities" in content["communities"] and not _qualities(content["communities"]["start_qualities"]):
        return _wrong("communities.start_qualities")
    novelty = content.get("novelty")
    if novelty is not None and not is_packed_floats(novelty["similarities"], novelty["n_films"]):
        return _wrong("novelty.similarities")
    return _files_problem(content.get("files")) or _arrays_problem(content.get("arrays"))


def _files_problem(files: Any) -> str | None:
    if not isinstance(files, dict):
        return _wrong("files")
    if len(files) > _MOST_FILES:
        return f"it lists {len(files)} files, at most {_MOST_FILES} are allowed"
    for name, entry in files.items():
        inside = PurePosixPath(name)
        fits = isinstance(entry, dict) and set(entry) == {"bytes", "sha256"} and is_count(entry["bytes"])
        plain = str(inside) == name and name != "." and len(name.encode()) < 200 and "\0" not in name
        if not fits or not _hash(entry["sha256"]) or not plain or inside.is_absolute() or ".." in inside.parts:
            return f"its entry for the file {name[:60]!r} is wrong"
    return None


def _arrays_problem(arrays: Any) -> str | None:
    if not isinstance(arrays, dict):
        return _wrong("arrays")
    for name, entry in arrays.items():
        fits = isinstance(entry, dict) and set(entry) == {"dtype", "shape"} and isinstance(entry["shape"], list)
        if not fits or not _text(entry["dtype"]) or not all(map(is_count, entry["shape"])):
            return f"its entry for the array {name[:60]!r} is wrong"
    return None


def _wrong(key: str) -> str:
    return f"its key {key!r} is missing or of a wrong type"
