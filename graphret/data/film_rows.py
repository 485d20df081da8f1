"""A table that describes codes, or corrects labels: one row a film, by its id, without a dataset spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, MissingFileError
from graphret._labels import is_missing
from graphret.data.columns import further_column, label_matrix, names_of
from graphret.data.frames import LABEL_PREFIX
from graphret.data.table import ImageTable
from graphret.data.table_file import LONGEST_NAME, LONGEST_TEXT, TableFile
from graphret.files import check_path

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.data.splits import StrArray

__all__ = ["read_film_labels", "read_film_rows"]

_FIELDS = ("path", "patient", "view", "split")
_NUMBERS = {"1": 1, "0": 0, "-1": -1}
_SEPARATOR = "|"


def read_film_rows(path: str | os.PathLike[str], *, at_most: int | None = None) -> ImageTable:
    r"""Read a table with a column ``id``: CSV, also with semicolons or tabs, or Parquet as `graphret encode` writes.

    Of a CSV file the columns ``path``, ``patient``, ``view`` and ``split`` are what their names say, a column
    ``label:NAME`` holds 1, 0 or -1 (uncertain; an empty cell is no finding), or one column ``labels`` the names of the
    findings with ``|`` between them. Other columns are kept.

    Parameters
    ----------
    path
        The file.
    at_most
        Rows that there may be, where that is known: a small Parquet file can say that it has any number, and with more
        none is read.

    Returns
    -------
    ImageTable
        In the order of the rows.

    Raises
    ------
    MissingFileError
        There is no such file.
    DataError
        It has no column ``id``, an id twice, or a value that is not allowed; the line is named; or too many rows.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = pathlib.Path(folder, "table.csv")
    ...     _ = table.write_text("id,label:Mass,age\na,1,50\nb,,61\n")
    ...     films = read_film_rows(table)
    >>> films.ids.tolist(), films.label_names, films.labels.tolist(), films.columns["age"].tolist()
    (['a', 'b'], ('Mass',), [[1], [0]], [50, 61])
    """
    path = _checked_file(path)
    if path.suffix == ".parquet":
        return _read_parquet(path, at_most)
    return _table_of(*_read_cells(path))


def read_film_labels(
    path: str | os.PathLike[str], *, at_most: int | None = None
) -> tuple[StrArray, dict[str, NDArray[np.float32]]]:
    r"""Read what a table says of the labels of films, where an empty cell of a column ``label:NAME`` says nothing.

    Parameters
    ----------
    path, at_most
        As for `read_film_rows`.

    Returns
    -------
    tuple
        The ids, and for each label a float32 column (n,) of 1, 0 and -1, with NaN where nothing is said. From a column
        ``labels``, as from a Parquet table, every film has all labels that occur there, or has them not.

    Raises
    ------
    MissingFileError, DataError
        As `read_film_rows`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = pathlib.Path(folder, "table.csv")
    ...     _ = table.write_text("id,label:Mass\na,1\nb,\n")
    ...     ids, labels = read_film_labels(table)
    >>> ids.tolist(), labels["Mass"].tolist()
    (['a', 'b'], [1.0, nan])
    """
    path = _checked_file(path)
    columns: dict[str, list[str]] = {}
    if path.suffix == ".parquet":
        films = _read_parquet(path, at_most)
    else:
        columns, labels = _read_cells(path)
        films = _table_of(columns, labels)
    said = {name: films.labels[:, place].astype(np.float32) for place, name in enumerate(films.label_names)}
    for name, values in said.items():
        cells = columns.get(LABEL_PREFIX + name, ())
        values[[row for row, cell in enumerate(cells) if is_missing(cell)]] = np.nan
    return films.ids, said


def _checked_file(path: str | os.PathLike[str]) -> Path:
    checked = check_path("table", path)
    if not checked.is_file():
        raise MissingFileError(checked, "table of films", "give a .csv or .parquet file")
    return checked


def _read_cells(path: Path) -> tuple[dict[str, list[str]], list[str]]:
    """The columns of a CSV file, and the names of those that are a label each."""
    table = TableFile(path)
    header = table.header
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"the table {path} has two columns {twice!r}: give each its own name")
    if "id" not in header:
        raise DataError(f"the table {path} has no column 'id': it has {', '.join(header[:10])}")
    limits = {header.index(name): LONGEST_NAME for name in ("id", "patient", "view", "split") if name in header}
    limits |= {header.index(name): LONGEST_TEXT for name in ("path", "labels") if name in header}
    labels = [name for name in header if name.startswith(LABEL_PREFIX)]
    cells: list[list[str]] = []
    for row in table.rows(limits):
        values = [cell.strip() for cell in row]
        for name in labels:
            value = values[header.index(name)]
            if value not in _NUMBERS and not is_missing(value):
                raise DataError(f"line {table.line} of {path}: column {name!r} holds {value[:40]!r}: give 1, 0 or -1")
        cells.append(values)
    columns = {name: [row[place] for row in cells] for place, name in enumerate(header)}
    return columns, labels


def _table_of(columns: dict[str, list[str]], labels: list[str]) -> ImageTable:
    matrix, names = _labels_of(columns, labels)
    further = [name for name in columns if name not in {"id", *_FIELDS, *(labels or ["labels"])}]
    texts = {name: _texts(columns.get(name, []), "train" if name == "split" else "") for name in _FIELDS}
    return ImageTable(
        ids=_texts(columns["id"], ""),
        paths=texts["path"],
        labels=matrix,
        label_names=names,
        patients=texts["patient"],
        views=texts["view"],
        splits=texts["split"],
        columns={name: further_column(columns[name]) for name in further},
    )


def _texts(cells: list[str], unknown: str) -> NDArray[np.str_]:
    return np.array([unknown if is_missing(text) else text for text in cells], dtype=np.str_)


def _labels_of(columns: dict[str, list[str]], labels: list[str]) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    n_films = len(columns["id"])
    if labels or "labels" not in columns:
        matrix = np.zeros((n_films, len(labels)), np.int8)
        for place, name in enumerate(labels):
            matrix[:, place] = [_NUMBERS.get(value, 0) for value in columns[name]]
        return matrix, tuple(name.removeprefix(LABEL_PREFIX) for name in labels)
    names = sorted({name for text in columns["labels"] for name in names_of(text, _SEPARATOR)})
    return label_matrix(columns["labels"], _SEPARATOR, names), tuple(names)


def _read_parquet(path: Path, at_most: int | None) -> ImageTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            n_rows = file.metadata.num_rows
            films = ImageTable.from_arrow(file.read()) if at_most is None or n_rows <= at_most else None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"the table {path} cannot be read as Parquet: give one that graphret wrote, or CSV") from error
    if films is None:
        raise DataError(f"the table {path} has {n_rows:,} rows: at most {at_most:,} films are asked for")
    return films
