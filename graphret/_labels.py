"""Labels as people have them (classes, names, columns, a 0/1 matrix) as one matrix with names, or what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError, InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret._types import BoolArray

__all__ = ["FORMS", "MISSING", "Labels", "is_absent", "is_missing", "read_labels"]

MISSING = frozenset({"", "nan", "-nan", "na", "n/a", "#n/a", "#na", "<na>", "nat", "none", "null"})
"""What stands for no value, in upper or lower case: an empty cell, or what pandas, R, Excel and SQL write into one."""

FORMS = (
    "one class a film (texts or whole numbers), names for each film (lists or sets of texts), a matrix (n, L) of 1, 0 "
    "and -1, or a table whose columns are the labels"
)
_LARGEST_EXACT = 2**53  # of whole floats


def is_missing(text: str) -> bool:
    """Whether a cell stands for no value, see `MISSING`.

    Examples
    --------
    >>> [is_missing(text) for text in ("", "NaN", " n/a ", "0", "nano")]
    [True, True, True, False, False]
    """
    return text.strip().casefold() in MISSING


def is_absent(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, what pandas has for them, or a text of `MISSING`.

    Examples
    --------
    >>> [is_absent(value) for value in (None, float("nan"), "N/A", 0, "Edema")]
    [True, True, True, False, False]
    """
    if isinstance(value, str):
        return is_missing(value)
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in {"NAType", "NaTType"}


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of films.

    Parameters
    ----------
    matrix
        int8 (n, L): 1 positive, 0 negative, -1 uncertain.
    names
        L names, unique.
    kind
        "matrix" (its names only number the columns), "columns" (a table), "names", or "numbers" (a class a film).
    unsaid
        bool (n, L), where a cell of a matrix or a table stands for no value; None where every label is said. The
        matrix is 0 there.
    """

    matrix: NDArray[np.int8]
    names: tuple[str, ...]
    kind: str
    unsaid: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.matrix)

    def named(self, names: Sequence[Any], *, parameter: str = "labels") -> tuple[Labels, dict[str, int]]:
        """Put the labels under given names, in their order.

        Columns of a matrix are those names one by one. Whole numbers mean the names that are written so where all names
        are whole numbers, else their places, from 0. A table must have a column for every name; where films are named
        by what they show, a name that no film has is a column of zeros.

        Returns
        -------
        labels, others
            The labels, and for each label beyond the given names the number of films that have it.

        Raises
        ------
        InvalidParameterError
            Another number of columns, a place that is not there, a table that lacks a column.
        """
        wanted = tuple(map(str, names))
        own = self.names
        if self.kind == "matrix":
            if len(wanted) != len(own):
                allowed = f"{len(own)} names, one for every column of {parameter}"
                raise InvalidParameterError("label_names", list(wanted), allowed)
            return Labels(self.matrix, wanted, self.kind, self.unsaid), {}
        if self.kind == "numbers" and not all(name.isdecimal() for name in wanted):
            far = [name for name in own if int(name) >= len(wanted)]
            if far:
                hint = f"whole numbers are places in {', '.join(wanted[:5])}{', ...' if len(wanted) > 5 else ''}"
                raise InvalidParameterError(parameter, int(far[0]), f"classes 0 to {len(wanted) - 1}", hint)
            own = tuple(wanted[int(name)] for name in own)
        places = {name: place for place, name in enumerate(own)}
        missing = [name for name in wanted if name not in places]
        if missing and self.kind == "columns":
            hint = f"it has {', '.join(own[:10])}"
            raise InvalidParameterError(parameter, f"no column {missing[0]!r}", "a column for every label", hint)
        matrix = np.zeros((len(self), len(wanted)), dtype=np.int8)
        for number, name in enumerate(wanted):
            if name in places:
                matrix[:, number] = self.matrix[:, places[name]]
        others = {name: int((self.matrix[:, places[name]] != 0).sum()) for name in own if name not in wanted}
        unsaid = None if self.unsaid is None else self.unsaid[:, [places[name] for name in wanted]]
        return Labels(matrix, wanted, self.kind, unsaid), others


def read_labels(labels: Any, names: Sequence[Any] | None = None, *, parameter: str = "labels") -> Labels:
    """Read labels in any of the forms in which people have them.

    ================================================== ======================================================
    given                                              read as
    ================================================== ======================================================
    texts (n,), list or array or pandas Series         one class a film, names sorted
    whole numbers (n,)                                 one class a film, names "0", "1", ...; -1 is no class
    pandas Categorical, or a Series of that type       one class a film, names are its categories
    n lists, tuples or sets of texts (sets of numbers) the names of each film
    array, nested lists, sparse matrix (n, L)          1 positive, 0 negative, -1 uncertain, NaN as 0
    pandas DataFrame, mapping of names to columns      the same, names are those of the columns
    ================================================== ======================================================

    What stands for no value (None, NaN, "n/a", ...: `MISSING`) is no finding.

    Parameters
    ----------
    labels
        One of those, n rows.
    names
        L names in their order; no others may occur. Whole numbers in ``labels`` are places among them, from 0, unless
        all names are whole numbers themselves. ``None``: those of the labels; "label_0", ... for a matrix.
    parameter
        What errors call the labels.

    Returns
    -------
    Labels
        ``matrix`` int8 (n, L), ``names``.

    Raises
    ------
    InvalidParameterError
        Another form, forms mixed, or a name that is not among ``names``.
    DataError
        A value of a matrix that is none of 1, 0, -1.

    Examples
    --------
    >>> found = read_labels(["Mass", "Edema", None])
    >>> found.names, found.matrix.tolist()
    (('Edema', 'Mass'), [[0, 1], [1, 0], [0, 0]])
    >>> read_labels([["Edema", "Mass"], []]).matrix.tolist(), read_labels([2, 0], ["A", "B", "C"]).matrix.tolist()
    ([[1, 1], [0, 0]], [[0, 0, 1], [1, 0, 0]])
    """
    read = _recognised(labels, parameter, names)
    if names is None:
        return read
    found, others = read.named(names, parameter=parameter)
    if others:
        allowed = f"one of label_names: {', '.join(found.names[:10])}{', ...' if len(found.names) > 10 else ''}"
        raise InvalidParameterError(parameter, next(iter(others)), allowed)
    return found


def _recognised(labels: Any, parameter: str, names: Sequence[Any] | None) -> Labels:
    if isinstance(labels, Mapping):
        return _table({name: np.asarray(column) for name, column in labels.items()}, parameter)
    if hasattr(labels, "columns") and hasattr(labels, "to_numpy"):  # a data frame
        columns = list(labels.columns)
        twice = next((name for name in columns if columns.count(name) > 1), None)
        if twice is not None:
            raise InvalidParameterError(parameter, f"two columns {twice!r}", "columns with different names")
        return _table({name: np.asarray(labels[name]) for name in columns}, parameter)
    categories = getattr(labels, "categories", None)
    if categories is None:
        categories = getattr(getattr(labels, "dtype", None), "categories", None)
    if categories is not None:
        order = [_name(value, parameter) for value in list(categories)]
        return _by_names([[] if is_absent(value) else [value] for value in labels], parameter, order)
    if hasattr(labels, "toarray"):  # a sparse matrix
        labels = labels.toarray()
    if isinstance(labels, str | bytes) or not hasattr(labels, "__len__"):
        raise InvalidParameterError(parameter, labels, FORMS)
    if not isinstance(labels, list | tuple):
        array = np.asarray(labels)
        if array.ndim == 2 and array.dtype.kind in "biuf":
            return _matrix(array, names)
        if array.ndim not in {1, 2} or array.dtype.kind not in "biufUTO":
            raise InvalidParameterError(parameter, f"{type(labels).__name__} {array.dtype} {array.shape}", FORMS)
        labels = array if array.ndim == 2 else array.tolist()
    rows = list(labels)
    if any(isinstance(row, list | tuple | set | frozenset | np.ndarray) for row in rows):
        return _rows(rows, parameter, names)
    return _classes(rows, parameter)


def _table(columns: dict[Any, NDArray[Any]], parameter: str) -> Labels:
    for name in columns:
        if not isinstance(name, str | int | np.integer):
            raise InvalidParameterError(parameter, f"a column {name!r}", "columns named by texts", "flatten the header")
    names = tuple(str(name).strip() for name in columns)
    n_rows = {len(column) for column in columns.values()}
    if len(n_rows) > 1:
        raise InvalidParameterError(parameter, f"columns of {sorted(n_rows)} rows", "columns of the same length")
    matrix = np.zeros((max(n_rows, default=0), len(names)), dtype=np.int8)
    unsaid = np.zeros(matrix.shape, dtype=np.bool_)
    for number, (name, column) in enumerate(zip(names, columns.values(), strict=True)):
        unsaid[:, number] = _absent(column)
        if column.dtype.kind not in "biuf":
            column = np.array([0 if is_absent(value) else value for value in column.tolist()], dtype=object)  # noqa: PLW2901
        text = next((value for value in column if isinstance(value, str)), None) if column.dtype == object else None
        if text is not None:
            hint = "one column of names is given by itself, as labels=frame[column]"
            raise InvalidParameterError(parameter, f"{text!r} in the column {name!r}", "columns of 1, 0 and -1", hint)
        matrix[:, number] = _checked(column, name)
    return Labels(matrix, names, "columns", unsaid if unsaid.any() else None)


def _matrix(array: NDArray[Any], names: Sequence[Any] | None) -> Labels:
    own = tuple(f"label_{number}" for number in range(array.shape[1]))
    shown = own if names is None or len(names) != len(own) else tuple(map(str, names))
    matrix = np.empty(array.shape, dtype=np.int8)
    for number, name in enumerate(shown):
        matrix[:, number] = _checked(array[:, number], name)
    unsaid = np.isnan(array) if array.dtype.kind == "f" else None
    return Labels(matrix, own, "matrix", unsaid if unsaid is not None and unsaid.any() else None)


def _absent(column: NDArray[Any]) -> BoolArray:
    """Which values of a column stand for none, bool (n,)."""
    if column.dtype.kind in "biu":
        return np.zeros(len(column), np.bool_)
    if column.dtype.kind == "f":
        absent: BoolArray = np.isnan(column)
        return absent
    return np.array([is_absent(value) for value in column.tolist()], np.bool_)


def _checked(values: NDArray[Any], name: str) -> NDArray[np.int8]:
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), 0, values)
    wrong = np.flatnonzero(~np.isin(values, (-1, 0, 1)))
    if wrong.size:
        value = values[wrong[0]]
        raise DataError(
            f"label {name!r} of row {wrong[0]} is {value!r}: give 1 (positive), 0 (negative) or -1 (uncertain)"
        )
    return values.astype(np.int8)


def _rows(rows: list[Any], parameter: str, names: Sequence[Any] | None) -> Labels:
    """Lists of names, or the rows of a matrix."""
    given: list[list[Any]] = []
    numeric = 0
    for number, row in enumerate(rows):
        members = list(row) if isinstance(row, list | tuple | set | frozenset | np.ndarray) else row
        if not isinstance(members, list):
            if not is_absent(members):
                raise InvalidParameterError(parameter, members, "one form for all films", f"row {number} is no list")
            members = []
        numeric += bool(members) and not isinstance(row, set | frozenset) and all(map(_is_number, members))
        given.append(members)
    if not numeric:
        return _by_names([[name for name in row if not is_absent(name)] for row in given], parameter)
    if len({len(row) for row in given}) > 1 or numeric < len(given):
        hint = "rows of a matrix have one length; classes of a film are a set of numbers, {0, 2}, or texts"
        raise InvalidParameterError(parameter, "lists of numbers and other rows", FORMS, hint)
    return _matrix(np.array(given), names)


def _classes(values: list[Any], parameter: str) -> Labels:
    """One class a film, or none."""
    barred = next((value for value in values if isinstance(value, str) and "|" in value), None)
    if barred is not None:
        allowed = 'one class a film, or lists of names: [text.split("|") for text in labels]'
        raise InvalidParameterError(parameter, barred, allowed)
    truth = next((value for value in values if isinstance(value, bool | np.bool_)), None)
    if truth is not None:
        hint = "one label alone is a matrix of one column: labels[:, None], or {name: labels}"
        raise InvalidParameterError(parameter, truth, "classes as texts or whole numbers", hint)
    kept = [[] if is_absent(value) or (_is_number(value) and value == -1) else [value] for value in values]
    return _by_names(kept, parameter)


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating)


def _by_names(rows: list[list[Any]], parameter: str, order: list[str] | None = None) -> Labels:
    kinds = {_is_number(value) for row in rows for value in row}
    if len(kinds) > 1:
        raise InvalidParameterError(parameter, "texts and numbers", "one of them for all films")
    named = [[_name(value, parameter) for value in row] for row in rows]
    numbers = kinds == {True} and order is None
    if order is None:
        found = {name for row in named for name in row}
        order = sorted(found, key=int) if numbers else sorted(found)
    places = {name: place for place, name in enumerate(order)}
    matrix = np.zeros((len(rows), len(order)), dtype=np.int8)
    for number, row in enumerate(named):
        matrix[number, [places[name] for name in row]] = 1
    return Labels(matrix, tuple(order), "numbers" if numbers else "names")


def _name(value: Any, parameter: str) -> str:
    if isinstance(value, str):
        return value.strip()
    if (
        _is_number(value)
        and not isinstance(value, bool | np.bool_)
        and value == int(value)
        and 0 <= value < _LARGEST_EXACT
    ):
        return str(int(value))
    raise InvalidParameterError(parameter, value, "texts, or whole numbers >= 0 (-1 for a film without a class)")
