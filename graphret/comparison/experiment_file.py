"""Experiment files: TOML to the dataclasses of `experiment`, refusing what they do not know."""

from __future__ import annotations

import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

from graphret import files
from graphret._errors import ExperimentError, GraphretError, MissingFileError
from graphret.comparison.experiment import Experiment

if typing.TYPE_CHECKING:
    from pathlib import Path

__all__ = ["fill_toml", "parse_experiment", "read_experiment", "read_toml"]

T = TypeVar("T")
_WORDS = {str: "a text", bool: "true or false", int: "an integer", float: "a number"}


def read_experiment(path: str | Path) -> Experiment:
    """Read an experiment file.

    Raises
    ------
    MissingFileError
        There is no such file.
    ExperimentError
        It is not TOML, has an unknown key, lacks one, or holds a value that is not allowed; the message names the file,
        the key and what is allowed.
    """
    path = files.check_path("experiment", path)
    if not path.is_file():
        raise MissingFileError(
            path, "experiment file", "`graphret compare --list-templates` names those that come along"
        )
    return parse_experiment(read_toml(path), str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file, or say that it is none."""
    try:
        return files.read_toml(path)
    except ValueError as error:
        raise ExperimentError(f"experiment {path}: {error}") from error


def parse_experiment(record: dict[str, Any], source: str) -> Experiment:
    """Make an experiment of a TOML table.

    Parameters
    ----------
    record
        What `tomllib` read.
    source
        Name of the file, for messages.

    Examples
    --------
    >>> parse_experiment({"name": "mine", "methods": [{"kind": "random", "bits": [16]}]}, "mine.toml").methods[0].bits
    (16,)
    """
    return _fill(Experiment, record, source, "")


def fill_toml(kind: type[T], record: dict[str, Any], source: str) -> T:
    """Make a frozen dataclass of a TOML table, as `parse_experiment` makes an `Experiment`."""
    return _fill(kind, record, source, "")


def _fill(kind: type[T], record: dict[str, Any], source: str, prefix: str) -> T:
    known = {item.name: item for item in fields(typing.cast("Any", kind))}
    for key in record:
        if key not in known:
            allowed = ", ".join(prefix + name for name in known)
            raise ExperimentError(f"experiment {source}: unknown key {prefix + key!r}: known are {allowed}")
    missing = [
        prefix + name
        for name, item in known.items()
        if name not in record and item.default is MISSING and item.default_factory is MISSING
    ]
    if missing:
        raise ExperimentError(f"experiment {source}: the keys {', '.join(missing)} are missing: add them")
    hints = typing.get_type_hints(kind)
    values = {key: _value(hints[key], value, source, prefix + key) for key, value in record.items()}
    try:
        return kind(**values)
    except GraphretError as error:
        text = str(error)
        raise ExperimentError(text if text.startswith("experiment ") else f"experiment {source}: {text}") from error


def _value(hint: Any, value: Any, source: str, key: str) -> Any:
    """Return ``value`` as the type that the dataclass wants: tuples from lists, floats from integers."""
    if is_dataclass(hint) and isinstance(value, dict):
        return _fill(typing.cast("type[Any]", hint), value, source, f"{key}.")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and isinstance(value, list):
        numbered = is_dataclass(arguments[0])
        return tuple(
            _value(arguments[0], item, source, f"{key}[{place}]" if numbered else key)
            for place, item in enumerate(value)
        )
    if origin is dict and isinstance(value, dict):
        return dict(value)
    if hint is float and type(value) is int:
        return float(value)
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias) and type(value) is hint:
        return value
    wanted = _WORDS.get(hint, "a list" if origin is tuple else "a table")
    raise ExperimentError(f"experiment {source}: {key} = {value!r}: give {wanted}")
