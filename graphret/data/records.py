"""What every reader hands back: one archive's films in the archive's own words, and the helpers to find them."""

from __future__ import annotations

import csv
import gzip
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError, MissingFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.data.table import FilmProblem

__all__ = ["Folders", "Records", "TableFile", "find_table", "label_matrix", "numbers"]


@dataclass
class Records:
    """Films of an archive before the card's labels, views and splits are applied.

    ``labels`` is int8 (n, S) over the archive's own ``label_names``; ``splits`` may hold "", not listed; ``paths`` is
    empty until the films have been looked for.
    """

    ids: list[str]
    labels: NDArray[np.int8]
    label_names: tuple[str, ...]
    patients: list[str]
    views: list[str]
    splits: list[str]
    paths: list[str] = field(default_factory=list)
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    problems: list[FilmProblem] = field(default_factory=list)

    def keep(self, rows: Sequence[int]) -> None:
        """Drop every row but these."""
        self.labels = self.labels[rows]
        for name in ("ids", "patients", "views", "splits", "paths"):
            values = getattr(self, name)
            setattr(self, name, [values[row] for row in rows] if values else [])
        self.columns = {name: values[rows] for name, values in self.columns.items()}


class TableFile:
    """A CSV file with a header, plain or gzipped; rows come as lists, columns are found by name.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DataError
        The file is empty or is not text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        rows = self._lines()
        try:
            header = [name.strip() for name in next(rows)]
        except StopIteration:
            raise DataError(f"the table {path} is empty: give it a header and one row a film") from None
        while header and not header[-1]:  # some releases end the header's line with a comma
            header.pop()
        self.header = header
        self._rows = rows

    def _lines(self) -> Iterator[list[str]]:
        opener = gzip.open if self.path.suffix == ".gz" else open
        try:
            with opener(self.path, "rt", encoding="utf-8-sig", newline="") as file:
                yield from csv.reader(file)
        except (UnicodeDecodeError, csv.Error, OSError, EOFError) as error:
            raise DataError(f"the table {self.path} cannot be read: {error}") from error

    def position(self, *names: str) -> int:
        """Position of the first of ``names`` that the header has.

        Raises
        ------
        DataError
            It has none of them.
        """
        for name in names:
            if name in self.header:
                return self.header.index(name)
        raise DataError(f"the table {self.path} has no column {' or '.join(names)}: its header is {self.header}")

    def rows(self) -> Iterator[list[str]]:
        """Rows that are not blank, every one as long as the header at least.

        Raises
        ------
        DataError
            A row is too short.
        """
        for number, row in enumerate(self._rows, start=2):
            if not any(row):
                continue
            if len(row) < len(self.header):
                raise DataError(
                    f"line {number} of {self.path} has {len(row)} values, its header {len(self.header)}: "
                    "the file was cut off, or a comma needs quotes"
                )
            yield row


def find_table(root: Path, names: Sequence[str], what: str) -> Path:
    """Path of the first of ``names`` (or ``name.gz``) under ``root``.

    Raises
    ------
    MissingFileError
        There is no such folder or none of the files.
    """
    if not root.is_dir():
        raise MissingFileError(root, "folder of the data set", "give the folder that holds the archive's files")
    for name in names:
        for candidate in (root / name, root / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise MissingFileError(root / names[0], what, f"looked for {', '.join(names)} under {root}")


class Folders:
    """Files of folders, each folder listed once, however many films are asked for.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     Folders().problem(root + "/film.png")
    'there is no such file'
    """

    def __init__(self) -> None:
        self._sizes: dict[str, dict[str, int]] = {}

    def sizes(self, folder: str | Path) -> dict[str, int]:
        """Size in bytes of every file of a folder by name; -1 for a link to nothing; empty without the folder."""
        key = str(folder)
        if key not in self._sizes:
            found = {}
            try:
                with os.scandir(key) as entries:
                    for entry in entries:
                        try:
                            if entry.is_file():
                                found[entry.name] = entry.stat().st_size
                            elif entry.is_symlink() and not entry.is_dir():
                                found[entry.name] = -1
                        except OSError:
                            found[entry.name] = -1
            except (FileNotFoundError, NotADirectoryError):
                pass
            self._sizes[key] = found
        return self._sizes[key]

    def problem(self, path: str | Path) -> str:
        """Say why a file can be no film without opening it; "" when nothing is known against it."""
        folder, name = os.path.split(path)
        return size_problem(self.sizes(folder).get(name))


def size_problem(size: int | None) -> str:
    """Reason for leaving out a file of this size; "" when there is none."""
    if size is None:
        return "there is no such file"
    if size < 0:
        return "it is a link to a file that is not there"
    return "the file is empty (0 bytes)" if size == 0 else ""


def label_matrix(texts: Sequence[str], separator: str, label_names: Sequence[str]) -> NDArray[np.int8]:
    """Turn texts such as "Edema|Mass" into an int8 (n, L) matrix; names outside ``label_names`` are passed over."""
    places = {name: number for number, name in enumerate(label_names)}
    combinations, rows = np.unique(np.asarray(texts, dtype=np.str_), return_inverse=True)
    matrix = np.zeros((len(combinations), len(label_names)), dtype=np.int8)
    for row, text in enumerate(combinations.tolist()):
        for name in text.split(separator):
            if name.strip() in places:
                matrix[row, places[name.strip()]] = 1
    return matrix[rows]


def numbers(texts: Sequence[str]) -> NDArray[np.float32]:
    """Numbers from a column of text, NaN where there is none."""
    values = np.full(len(texts), np.nan, dtype=np.float32)
    for row, text in enumerate(texts):
        try:
            values[row] = float(text)
        except ValueError:
            continue
    return values
