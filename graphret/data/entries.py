"""Columns of a table of films (text, further columns, labels) as arrays that nobody writes to, or what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError
from graphret._labels import read_labels
from graphret.data.columns import text_column
from graphret.data.listing import name_problem, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SURROGATES = (0xD800, 0xDFFF)

__all__ = ["further_entries", "label_entries", "read_only", "text_entries"]


def read_only(values: NDArray[Any]) -> NDArray[Any]:
    """Return a view that cannot be written to."""
    values = values.view()
    values.flags.writeable = False
    return values


def text_entries(name: str, values: Any, n: int | None = None, unknown: str = "") -> NDArray[np.str_]:
    """Return one text a film; ``unknown`` for all where nothing was given."""
    array = np.asarray(values)
    if array.size == 0:
        array = np.full(n or 0, unknown)
    is_text = array.dtype.kind == "U" or (array.dtype.kind == "O" and all(map(_is_text, array.flat)))
    if array.ndim != 1 or not is_text:
        raise DataError(f"{name} of dtype {array.dtype} and shape {array.shape}: give one text a film")
    if n is not None and len(array) != n:
        raise DataError(f"{name} has {len(array)} rows, ids has {n}: give one a film")
    texts = array.astype(np.str_, copy=False)
    if _has_surrogates(texts):
        bad = next(value for value in texts.tolist() if name_problem(value))
        raise DataError(f"{name} holds '{shown(bad)}', which is not UTF-8: an index cannot store it, rename it")
    return read_only(texts)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _has_surrogates(texts: NDArray[np.str_]) -> bool:
    """Whether a text holds halves of surrogate pairs, the only characters that UTF-8 does not have."""
    points = np.ascontiguousarray(texts).view(f"{texts.dtype.byteorder}u4")
    return bool(((points >= _SURROGATES[0]) & (points <= _SURROGATES[1])).any())


def further_entries(name: str, values: Any, n: int) -> NDArray[Any]:
    """Return one text, integer, float or truth value a film."""
    is_list = isinstance(values, list | tuple) and all(isinstance(value, str) for value in values)
    array = text_column(values) if is_list else np.asarray(values)
    if array.shape != (n,):
        raise DataError(f"column {name!r} has shape {array.shape}, the table has {n} films: give an array ({n},)")
    if array.dtype.kind not in "UTbiuf":
        raise DataError(f"column {name!r} has dtype {array.dtype}: give text, integers, floats or booleans")
    return read_only(array)


def label_entries(values: Any, n: int, names: Sequence[str]) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """Return labels of any form as int8 (n, L), and their names."""
    label_names = tuple(map(str, names))
    if len(set(label_names)) != len(label_names) or "" in label_names:
        raise DataError(f"label names {label_names}: give every label one name that is not empty")
    if not n * len(label_names) and hasattr(values, "__len__") and (not len(values) or getattr(values, "size", 1) == 0):
        return read_only(np.zeros((n, len(label_names)), dtype=np.int8)), label_names
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape != (n, len(label_names)):
        raise DataError(f"labels have shape {values.shape}: give ({n}, {len(label_names)}), films by label names")
    read = read_labels(values, label_names or None)
    if len(read) != n or (read.kind == "matrix" and not label_names):
        raise DataError(f"labels have shape {read.matrix.shape}: give ({n}, {len(label_names)}), films by label names")
    return read_only(read.matrix), read.names
