"""Which films hold a value: grouped once a column, at its first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from graphret._types import Int32Array
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
        if column not in self._groups:
            self._groups[column] = _group(self.films.column(column))
        groups = self._groups[column]
        parts = [groups[value] for value in values if value in groups]
        return np.unique(np.concatenate([*parts, np.empty(0, np.int32)])).astype(np.int32)


def _group(entries: NDArray[Any]) -> dict[Any, Int32Array]:
    """Value -> rows that hold it, ascending. O(n log n)."""
    order = np.argsort(entries, kind="stable").astype(np.int32)
    ordered = entries[order]
    starts = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1]) if len(entries) else [0]
    return dict(zip(ordered[starts].tolist(), np.split(order, starts[1:]), strict=True))
