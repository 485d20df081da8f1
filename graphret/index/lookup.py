"""Which films hold a value: grouped once a column, at its first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._labels import is_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from graphret._types import Int32Array, Int64Array
    from graphret.data import ImageTable

__all__ = ["FilmLookup"]


class FilmLookup:
    """Find the rows of a table by the values of its columns.

    Parameters
    ----------
    read_films
        Gives the table, which does not change; called at the first question.

    Examples
    --------
    >>> from graphret.data import ImageTable
    >>> films = ImageTable(ids=["a", "b", "c"], paths=[], labels=[], label_names=(), views=["PA", "AP", "PA"])
    >>> lookup = FilmLookup(lambda: films)
    >>> lookup.rows("view", ["PA"]).tolist(), lookup.row_of_id("b")
    ([0, 2], 1)
    """

    def __init__(self, read_films: Callable[[], ImageTable]) -> None:
        self._read_films = read_films
        self._groups: dict[str, dict[Any, Int32Array]] = {}

    @cached_property
    def films(self) -> ImageTable:
        """The table."""
        return self._read_films()

    @cached_property
    def _rows_of_ids(self) -> dict[str, int]:
        return dict(zip(self.films.ids.tolist(), range(len(self.films)), strict=True))

    @cached_property
    def _rows_of_paths(self) -> dict[str, int]:
        rows = dict(zip(self.films.paths.tolist(), range(len(self.films)), strict=True))
        rows.pop("", None)
        return rows

    def row_of_id(self, identity: str) -> int:
        """Return the row of an id, -1 where there is none."""
        return self._rows_of_ids.get(identity, -1)

    def row_of_path(self, path: str) -> int:
        """Return a row whose film is this file, -1 where there is none."""
        return self._rows_of_paths.get(path, -1)

    def rows(self, column: str, values: Any) -> Int32Array:
        """Return the rows that hold one of some values, ascending; the first call groups the column in O(n log n)."""
        if column == "id":
            found = [self.row_of_id(value) for value in values]
            return np.unique(np.array([row for row in found if row >= 0], dtype=np.int32))
        groups = self._grouped(column)
        parts = [groups[value] for value in values if value in groups]
        return np.unique(np.concatenate([*parts, np.empty(0, np.int32)])).astype(np.int32)

    def values(self, column: str) -> list[Any]:
        """Return the values that some film holds, each once; NaN perhaps several times."""
        return list(self._rows_of_ids if column == "id" else self._grouped(column))

    def groups(self, column: str) -> Int64Array:
        """Return a number for every film, int64 (n,): equal where the column holds the same value.

        A film without a value (an empty text or another word for no value, NaN) has a number of its own.

        Raises
        ------
        UnknownNameError
            There is no such column.

        Examples
        --------
        >>> from graphret.data import ImageTable
        >>> views = ["PA", "", "PA", ""]
        >>> films = ImageTable(ids=["a", "b", "c", "d"], paths=[], labels=[], label_names=(), views=views)
        >>> FilmLookup(lambda: films).groups("view").tolist()
        [0, 1, 0, 3]
        """
        numbers = np.arange(len(self.films), dtype=np.int64)
        if column != "id":
            for value, rows in self._grouped(column).items():
                if not (isinstance(value, str) and is_missing(value)):
                    numbers[rows] = rows[0]
        return numbers

    def _grouped(self, column: str) -> dict[Any, Int32Array]:
        if column not in self._groups:
            self._groups[column] = _group(self.films.column(column))
        return self._groups[column]


def _group(entries: NDArray[Any]) -> dict[Any, Int32Array]:
    """Value -> rows that hold it, ascending. O(n log n)."""
    order = np.argsort(entries, kind="stable").astype(np.int32)
    ordered = entries[order]
    starts = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1]) if len(entries) else [0]
    return dict(zip(ordered[starts].tolist(), np.split(order, starts[1:]), strict=True))
