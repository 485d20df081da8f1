"""Anyone's table: one row a film, columns named by the dataset spec."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from graphret._errors import DataError
from graphret._labels import is_missing
from graphret.data.columns import further_column, whole_numbers
from graphret.data.images import FILM_SUFFIXES
from graphret.data.label_columns import labels_of_rows
from graphret.data.listing import Folders
from graphret.data.records import Records, find_table
from graphret.data.splits import SPLITS
from graphret.data.table import FilmProblem
from graphret.data.table_file import LONGEST_NAME, LONGEST_TEXT, TableFile

if TYPE_CHECKING:
    from pathlib import Path

    from graphret.data.cards import DatasetSpec

__all__ = ["read_csv"]

_FIELDS = ("id", "path", "labels", "patient", "view", "split")


def read_csv(spec: DatasetSpec, root: Path) -> Records:
    """Read a table of films; paths are absolute or relative to ``root`` (or to an image folder of the spec).

    A path that does not end with the dataset spec's ``files.suffix`` gets it. Without a column of paths the ids are
    the paths, if the dataset spec names a suffix.

    A missing value (`_labels.MISSING`: an empty cell, NaN, N/A, None, ...) is no finding, and no patient, view or
    split. Columns that the dataset spec does not name become further columns: integers or numbers where every value is
    one, else text, see `columns.further_column`.

    Raises
    ------
    MissingFileError
        The folder or the table is not there.
    DataError
        The table is not whole (see `table_file.TableFile`), a column is missing, a value is not allowed, or none of the
        films is there.
    """
    path = find_table(root, spec.files.tables or ("films.csv", "labels.csv"), "table of films")
    table = TableFile(path)
    places = _places(spec, table)
    looking = _Films(spec, root)
    rows, lines = _rows(table, places, looking)
    named = [(row[places["path"]], line) for row, line in zip(rows, lines, strict=True)]
    label_names, labels, label_columns = labels_of_rows(spec, table, places.get("labels"), rows, named)
    texts = {name: [row[place] for row in rows] for name, place in places.items()}
    unknown = [""] * len(rows)
    for name in ("patient", "view", "split"):
        texts[name] = ["" if is_missing(text) else text for text in texts.get(name, unknown)]
    used = {*places.values(), *label_columns}
    records = Records(
        ids=texts.get("id", texts["path"]),
        labels=labels,
        label_names=label_names,
        patients=whole_numbers(texts["patient"]),
        views=texts["view"],
        splits=_splits(path, texts["split"]),
        columns={
            name: further_column([row[place] for row in rows])
            for place, name in enumerate(table.header)
            if place not in used and name and name not in _FIELDS
        },
    )
    kept = []
    for number, (film, text) in enumerate(zip(records.ids, texts["path"], strict=True)):
        place, reason = looking.find(text)
        records.paths.append(place)
        if reason:
            records.problems.append(FilmProblem(film, place, reason))
        else:
            kept.append(number)
    if not kept:
        first = f"; first {records.paths[0]}: {records.problems[0].reason}" if records.problems else ""
        raise DataError(f"none of the {len(rows)} films of {path} can be used{first}")
    records.keep(kept)
    return records


class _Films:
    """Where the films of a table are."""

    def __init__(self, spec: DatasetSpec, root: Path) -> None:
        self._places = [root / image for image in spec.files.images]
        self._suffix, self._folders = spec.files.suffix, Folders()

    def find(self, text: str) -> tuple[str, str]:
        """Path of a film, and why it cannot be used ("" if it can)."""
        if not text:
            return "", "the table gives it no path"
        name = text if text.lower().endswith(self._suffix.lower()) else text + self._suffix
        tried = [(str(place / name), self._folders.problem(place / name)) for place in self._places]
        return next(((path, reason) for path, reason in tried if not reason), tried[0])

    def looks_like_one(self, text: str) -> bool:
        """Whether a text is the name of a film that is there."""
        is_name = 0 < len(text) <= LONGEST_TEXT and (self._suffix or text.lower().endswith(FILM_SUFFIXES))
        return bool(is_name) and not self.find(text)[1]


def _places(spec: DatasetSpec, table: TableFile) -> dict[str, int]:
    """Position of every field's column: the dataset spec's name must be there, the field's own name may be."""
    places = {}
    for name in _FIELDS:
        named = getattr(spec.columns, name)
        if named:
            places[name] = table.position(named)
        elif name in table.header:
            places[name] = table.position(name)
    if "path" not in places and "id" in places and spec.files.suffix:
        places["path"] = places["id"]
    if "path" not in places:
        raise DataError(
            f"the table {table.path} has no column path: its header is {table.header}; name yours in [columns]"
            + ("" if "id" not in places else ", or give [files] suffix if the ids are file names without it")
        )
    further = [name for name in table.header if name]
    twice = next((name for name in further if further.count(name) > 1), "")
    if twice:
        table.position(twice)
    return places


def _rows(table: TableFile, places: dict[str, int], looking: _Films) -> tuple[list[list[str]], list[int]]:
    """Rows, and the line at which each begins."""
    longest = {place: LONGEST_TEXT if name in {"path", "labels"} else LONGEST_NAME for name, place in places.items()}
    rows, lines = [], []
    for row in table.rows(longest):
        if table.n_lines > 1:
            _check_lines(table, row, places["path"], looking)
        rows.append([value.strip() for value in row])
        lines.append(table.line)
    return rows, lines


def _check_lines(table: TableFile, row: list[str], path: int, looking: _Films) -> None:
    """Refuse a row that swallowed others: a quote is missing, and one further down happens to close it."""
    for place, cell in enumerate(row):
        for line in cell.splitlines()[1:]:
            values = next(csv.reader([line], delimiter=table.delimiter, skipinitialspace=True), [])
            if len(values) > path and looking.looks_like_one(values[path].strip()):
                raise DataError(
                    f"line {table.line_of(place)} of {table.path}: the quote that opens column {table.header[place]!r} "
                    f"is closed only after the row of the film {values[path].strip()}: close it where the cell ends"
                )


def _splits(path: Path, splits: list[str]) -> list[str]:
    splits = ["valid" if split in {"val", "validation"} else split for split in splits]
    unknown = sorted(set(splits) - {*SPLITS, ""})
    if unknown:
        raise DataError(f"{path}: split {unknown[0]!r} is not known: give one of {', '.join(SPLITS)}")
    return splits
