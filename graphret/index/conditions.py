"""One condition of ``where`` on one column, compared in the column's own type: equal, different, in a range."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret._labels import is_missing
from graphret.data.columns import is_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from graphret._types import BoolArray
    from graphret.index.lookup import FilmLookup

__all__ = ["COMPARISONS", "LABEL", "as_list", "column_values", "films_that_pass"]

LABEL = "label"
"""The name under which ``where`` asks for films by their labels, where no column is called so."""
_RANGES: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
COMPARISONS = ("=", "!=", *_RANGES)
_LARGEST_EXACT, _MOST = 2**53, 1e300  # of whole floats, and of numbers; NaN compares with nothing
_NAMED_VALUES = 20
_ORDERED = re.compile(r"0{4}([-/]0{2}){1,2}([T ]0{2}(:0{2}){1,2})?|0{2}(:0{2}){1,2}|0+[^\W\d_]*")
"""Shapes of texts that their letters bring into the right order if all have the same: dates that begin with the year,
times, and numbers with leading zeros, perhaps with a unit (the ages of DICOM, 058Y)."""


def films_that_pass(lookup: FilmLookup, column: str, given: Any) -> BoolArray:
    """Return the mask (n,) of the films that meet the condition on one column.

    Parameters
    ----------
    lookup
        The archive.
    column
        A column of its table, or "label": then the values are names of labels, and a film has those that are positive.
    given
        A value, or a list of values of which a film must have one; or comparison -> value, of which a film must meet
        all: "=" and "!=" take lists as well, "<", "<=", ">" and ">=" one value each.

    Raises
    ------
    InvalidParameterError
        An unknown column or comparison, a value of another type than the column, a range of a column without an order,
        or a condition that no film meets: most likely a slip of the pen.

    Notes
    -----
    Numbers are compared exactly, also whole ones with fractions. A film without a value is in no range, and has no
    value that "!=" names. Texts have no order, but where all are written alike: dates that begin with the year, times,
    numbers with leading zeros.
    """
    mask = np.ones(len(lookup.films), dtype=np.bool_)
    for comparison, value in (given if isinstance(given, Mapping) else {"=": given}).items():
        if comparison not in COMPARISONS:
            raise UnknownNameError(f"comparison of where[{column!r}]", comparison, COMPARISONS)
        sign = "" if comparison == "=" else f"[{comparison!r}]"
        name = f"where[{column!r}]{sign}"
        if comparison in _RANGES:
            mask &= _in_range(lookup, name, column, comparison, value)
            continue
        equal = _equal(lookup, name, column, as_list(value))
        if not equal.any():
            raise InvalidParameterError(name, value, f"a value that some film has: {_shown(_known(lookup, column))}")
        if comparison == "!=" and equal.all():
            raise InvalidParameterError(name, value, "a value that some film has not", "no film would be left")
        mask &= ~equal if comparison == "!=" else equal
    return mask


def as_list(given: Any) -> list[Any]:
    """Return a list of values, of one where a single value was given."""
    return list(given) if isinstance(given, list | tuple | set | frozenset | np.ndarray) else [given]


def column_values(lookup: FilmLookup, name: str, column: Any, values: list[Any]) -> list[Any]:
    """Return values in the type of a column, so that equal ones are found equal; ``name`` is for the messages.

    Raises
    ------
    InvalidParameterError
        An unknown column, or a value of another type.
    """
    entries = lookup.films.column(column)
    return [_as_entry(name, value, entries) for value in values]


def _is_label(lookup: FilmLookup, column: str) -> bool:
    return column == LABEL and LABEL not in lookup.films.columns


def _known(lookup: FilmLookup, column: str) -> list[Any]:
    films = lookup.films
    if not _is_label(lookup, column):
        return list(np.unique(films.column(column)).tolist())
    return [name for name, positive in zip(films.label_names, (films.labels == 1).any(axis=0), strict=True) if positive]


def _equal(lookup: FilmLookup, name: str, column: str, values: list[Any]) -> BoolArray:
    films = lookup.films
    if _is_label(lookup, column):
        if not films.label_names:
            raise InvalidParameterError(name, values, "columns only: the films of this index have no labels")
        for value in values:
            if value not in films.label_names:
                raise UnknownNameError(name, value, films.label_names)
        places = [films.label_names.index(value) for value in values]
        return np.asarray((films.labels[:, places] == 1).any(axis=1))
    mask = np.zeros(len(films), dtype=np.bool_)
    mask[lookup.rows(column, column_values(lookup, name, column, values))] = True
    return mask


def _in_range(lookup: FilmLookup, name: str, column: str, comparison: str, value: Any) -> BoolArray:
    if _is_label(lookup, column):
        raise InvalidParameterError(name, value, "'=' or '!=' for labels", "they have no order")
    entries = lookup.films.column(column)
    known = [entry for entry in lookup.values(column) if not (isinstance(entry, str) and is_missing(entry))]
    bound = _bound(name, value, entries, known)
    passing = [entry for entry in known if _RANGES[comparison](entry, bound)]
    if not passing:
        some = [entry for entry in known if entry == entry]  # noqa: PLR0124 - NaN is no value
        span = f"{min(some)!r} to {max(some)!r}" if some else "no value at all"
        raise InvalidParameterError(name, value, f"a range that some film is in: the column holds {span}")
    mask = np.zeros(len(lookup.films), dtype=np.bool_)
    mask[lookup.rows(column, passing)] = True
    return mask


def _bound(name: str, value: Any, entries: NDArray[Any], known: list[Any]) -> Any:
    """The end of a range in the type of the column."""
    if entries.dtype.kind == "b":
        raise InvalidParameterError(name, value, "'=' or '!=' for a column of True and False")
    if not is_text(entries):
        number = _number(name, value)
        return _of_floats(number, entries) if entries.dtype.kind == "f" else number
    shapes = {_shape(entry) for entry in known}
    if len(shapes) != 1 or not _ORDERED.fullmatch(next(iter(shapes))):
        allowed = "'=' or '!=': the column holds text, which has no order unless all are dates like 2019-05-31 or"
        raise InvalidParameterError(name, value, f"{allowed} numbers of one length", f"it holds {_shown(known[:3])}")
    if not isinstance(value, str) or _shape(value) not in shapes:
        raise InvalidParameterError(name, value, f"a text as the column holds, as {known[0]!r}")
    return str(value)


def _shape(text: str) -> str:
    return re.sub(r"[0-9]", "0", text)


def _shown(values: Any) -> str:
    shown = ", ".join(repr(value) for value in list(values)[:_NAMED_VALUES])
    return shown + (f", ... ({len(values)} values)" if len(values) > _NAMED_VALUES else "")


def _as_entry(name: str, value: Any, entries: NDArray[Any]) -> Any:
    kind = entries.dtype.kind
    if is_text(entries):
        if isinstance(value, str):
            return value
        example = f", as {str(entries[0])!r}" if len(entries) else ""
        raise InvalidParameterError(name, value, f"text, as the column holds{example}")
    if kind == "b":
        if isinstance(value, bool | np.bool_):
            return bool(value)
        raise InvalidParameterError(name, value, "True or False, as the column holds")
    number = _number(name, value)
    if kind == "f":
        return _of_floats(number, entries)
    if number != int(number) or (isinstance(number, float) and abs(number) > _LARGEST_EXACT):
        raise InvalidParameterError(name, value, "a whole number as an int, as the column holds")
    return int(number)


def _number(name: str, value: Any) -> int | float:
    number = value.item() if isinstance(value, np.integer | np.floating) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not -_MOST < number < _MOST:
        raise InvalidParameterError(name, value, "a number, as the column holds")
    return number


def _of_floats(number: int | float, entries: NDArray[Any]) -> float:
    """As the column's own type holds it: 0.1 of float32 is its own nearest number."""
    with np.errstate(over="ignore"):
        return float(entries.dtype.type(number))
