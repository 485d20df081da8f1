"""A data frame of pandas as the columns of a table of films; pandas itself is never imported here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret._labels import is_absent, read_labels
from graphret.data.columns import text_column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["LABEL_PREFIX", "fields_of_frame"]

LABEL_PREFIX = "label:"
"""Of columns that hold 1, 0 and -1, as `ImageTable.to_arrow` writes them."""


def fields_of_frame(frame: Any, labels: Any, named: Mapping[str, tuple[str, str | None]], root: str) -> dict[str, Any]:
    """Return the fields of an `ImageTable` that a data frame holds; see `ImageTable.from_pandas`.

    Parameters
    ----------
    frame
        pandas DataFrame.
    labels
        Name of a column, list of names, or labels themselves.
    named
        Field of the table -> its usual column, and the one that the caller named.
    root
        What relative paths are relative to.
    """
    if not (hasattr(frame, "columns") and hasattr(frame, "index")):
        raise InvalidParameterError("frame", type(frame).__name__, "a pandas DataFrame")
    known = list(frame.columns)
    used: set[Any] = set()
    fields: dict[str, Any] = {}
    for field, (usual, given) in named.items():
        if given is not None and given not in known:
            raise UnknownNameError(f"column of {field}", given, map(str, known))
        column = usual if given is None else given
        if column in known:
            used.add(column)
            fields[field] = np.array(_texts(frame[column]), dtype=np.str_)
    if "ids" not in fields:
        fields["ids"] = np.array(_texts(frame.index), dtype=np.str_)
    fields["paths"] = np.array([_absolute(path, root) for path in fields.get("paths", ())], dtype=np.str_)
    read, of_labels = _labels(frame, labels, known)
    rest = [name for name in known if name not in used | of_labels]
    columns = {str(name): _further(frame[name]) for name in rest}
    return fields | {"labels": read.matrix, "label_names": read.names, "columns": columns, "root": root}


def _labels(frame: Any, labels: Any, known: list[Any]) -> tuple[Any, set[Any]]:
    if labels is None:
        prefixed = [name for name in known if isinstance(name, str) and name.startswith(LABEL_PREFIX)]
        columns = {name.removeprefix(LABEL_PREFIX): np.asarray(frame[name]) for name in prefixed}
        nothing: Any = columns or np.zeros((len(frame), 0), dtype=np.int8)
        return read_labels(nothing), set(prefixed)
    if isinstance(labels, str):
        if labels not in known:
            raise UnknownNameError("column of labels", labels, map(str, known))
        return read_labels(frame[labels]), {labels}
    if isinstance(labels, list | tuple) and labels and all(isinstance(name, str) and name in known for name in labels):
        return read_labels(frame[list(labels)]), set(labels)
    return read_labels(labels), set()


def _texts(values: Any) -> list[str]:
    """Texts as they are, whole numbers as their digits, "" where there is none."""
    return [_text(value) for value in np.asarray(values, dtype=object).tolist()]


def _text(value: Any) -> str:
    if is_absent(value):
        return ""
    whole = isinstance(value, float) and value == int(value)
    return str(int(value)) if whole else str(value)


def _absolute(path: str, root: str) -> str:
    return os.path.abspath(Path(root, path)) if path else ""  # noqa: PTH100 - links stay as they are


def _further(column: Any) -> NDArray[Any]:
    """Numbers and truth values where all are, NaN for a missing number; else text."""
    array = np.asarray(column)
    if array.dtype.kind in "biuf":
        return array
    values = array.tolist() if array.dtype.kind == "O" else _texts(array)
    present = [value for value in values if not is_absent(value)]
    has_all = len(present) == len(values)
    if present and has_all and all(isinstance(value, bool | np.bool_) for value in present):
        return np.array(values, dtype=np.bool_)
    if present and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        if has_all and all(isinstance(value, int) for value in present):
            return np.array(values)
        return np.array([np.nan if is_absent(value) else value for value in values], dtype=np.float64)
    return text_column([_text(value) for value in values])
