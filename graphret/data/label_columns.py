"""The labels of a table: names in one column, or a column for each label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError
from graphret._labels import is_missing
from graphret.data.columns import label_matrix, names_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret.data.cards import DatasetSpec
    from graphret.data.table_file import TableFile

__all__ = ["labels_of_rows"]


def labels_of_rows(
    spec: DatasetSpec, table: TableFile, labels: int | None, rows: list[list[str]], names: list[tuple[str, int]]
) -> tuple[tuple[str, ...], NDArray[np.int8], list[int]]:
    """Return label names, the int8 matrix (n, L), and the positions of columns that are a label each.

    Parameters
    ----------
    spec, table
        What names the labels and their values, and the table, for its header.
    labels
        Position of the one column of label names; None where every label is a column.
    rows
        The table's.
    names
        What each row is called in an error, and its line.

    Raises
    ------
    DataError
        A column is missing, or a value is none of those that the dataset spec allows.
    """
    sources = tuple(dict.fromkeys(source for label in spec.labels for source in spec.sources(label)))
    if labels is not None:
        texts, separator = [row[labels] for row in rows], spec.columns.separator
        seen = {name for text in set(texts) for name in names_of(text, separator)}
        kept = sources or tuple(sorted(seen - {spec.healthy}))
        return kept, label_matrix(texts, separator, kept), []
    if not sources:
        raise DataError(
            f"the table {table.path} has no column labels, and the dataset spec {spec.name!r} names no labels: "
            'write a dataset spec with labels = ["...", ...] for columns of that name'
        )
    positions = [table.position(source) for source in sources]
    spellings = {
        **dict.fromkeys(spec.columns.negative, 0),
        **dict.fromkeys(spec.columns.positive, 1),
        **dict.fromkeys(spec.columns.uncertain, -1),
    }
    matrix = np.zeros((len(rows), len(sources)), dtype=np.int8)
    for number, row in enumerate(rows):
        for column, place in enumerate(positions):
            value = spellings.get(row[place], 0 if is_missing(row[place]) else None)
            if value is None:
                film, line = names[number]
                raise DataError(
                    f"line {line} of {table.path}: {sources[column]} of film {film} is "
                    f"{row[place]!r}: give one of {', '.join(map(repr, spellings))}, leave it blank, or name your "
                    "values in [columns]"
                )
            matrix[number, column] = value
    return sources, matrix, positions
