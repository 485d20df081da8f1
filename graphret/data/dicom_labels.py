"""Labels of DICOM films from a table, one row a film or a study, joined by the value of a tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphret._errors import DataError
from graphret.data.label_columns import labels_of_rows
from graphret.data.records import find_table
from graphret.data.table_file import LONGEST_NAME, LONGEST_TEXT, TableFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from graphret.data.cards import DatasetSpec
    from graphret.data.records import Records

__all__ = ["table_labels"]


def table_labels(spec: DatasetSpec, root: Path, records: Records, joined: Sequence[str]) -> list[int]:
    """Give films the labels of a table; return the rows that it knows, ascending.

    Parameters
    ----------
    spec
        Names the table (``files.tables``), its column of ids (``columns.id``, else "id") and its labels, as for the
        reader ``csv``.
    root
        Folder of the table.
    records
        The films; label names and labels are set, in all rows.
    joined
        The value of each film that stands in the table's column.

    Raises
    ------
    MissingFileError
        The table is not there.
    DataError
        A column is missing, a value is not allowed, or an id comes twice.
    """
    path = find_table(root, spec.files.tables, "table of labels")
    table = TableFile(path)
    place = table.position(spec.columns.id or "id")
    column = spec.columns.labels or ("labels" if "labels" in table.header else "")
    labels = table.position(column) if column else None
    longest = {place: LONGEST_NAME, **({} if labels is None else {labels: LONGEST_TEXT})}
    rows, names = [], []
    for row in table.rows(longest):
        rows.append([value.strip() for value in row])
        names.append((f"line {table.line}", table.line))
    records.label_names, matrix, _ = labels_of_rows(spec, table, labels, rows, names)
    row_of = {row[place]: number for number, row in enumerate(rows)}
    if len(row_of) < len(rows):
        number = next(number for number, row in enumerate(rows) if row_of[row[place]] != number)
        raise DataError(f"line {names[number][1]} of {path}: its {table.header[place]!r} comes again further down")
    kept = [row for row, value in enumerate(joined) if value and value in row_of]
    known = [row_of.get(value, 0) for value in joined]
    if rows:
        records.labels = matrix[known]
    return kept if rows else []
