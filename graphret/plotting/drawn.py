"""A plot that was drawn: the figure, and the numbers that it shows."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphret._plain import csv_cell, plain_text
from graphret.figures import save_figure, svg_of
from graphret.files import write_text

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["Plot", "label"]


def label(text: str) -> str:
    r"""Return a name from outside as matplotlib shows it letter by letter: ``$`` begins no formula, ``_`` hides none.

    Examples
    --------
    >>> label("$x$"), label("_Mass")
    ('\\$x\\$', ' _Mass')
    """
    shown = plain_text(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure and its numbers; made by `plot`.

    Attributes
    ----------
    kind
        One of `list_plots`.
    columns, rows
        The numbers that are drawn, as a table; None where a value is not defined.
    notes
        What a reader should know of them.
    figure
        Of matplotlib.
    """

    kind: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...] = field(repr=False)
    figure: Any = field(repr=False)
    notes: tuple[str, ...] = ()

    def save(self, path: str | PathLike[str]) -> None:
        """Write the figure as ``.svg`` or ``.png``, whole or not at all.

        Raises
        ------
        InvalidParameterError
            Another suffix.
        MissingFileError, StoreError
            The folder is not there, or cannot be written to.
        """
        save_figure(self.figure, path)

    def csv_text(self) -> str:
        """Return the numbers as comma-separated values with a header; a value that is not defined is empty."""
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(map(csv_cell, self.columns))
        writer.writerows(map(csv_cell, row) for row in self.rows)
        return lines.getvalue()

    def save_csv(self, path: str | PathLike[str]) -> None:
        """Write `csv_text`, whole or not at all, as UTF-8.

        Raises
        ------
        MissingFileError, StoreError
            The folder is not there, or cannot be written to.
        """
        write_text(path, self.csv_text())  # type: ignore[arg-type]

    def _repr_html_(self) -> str:
        return svg_of(self.figure)
