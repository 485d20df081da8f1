"""Tables: a header and one row a film, refused with the line where they are not whole."""

from __future__ import annotations

import csv
import logging
import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from graphret._errors import DataError
from graphret.data.text_lines import LINE_END, TextLines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["LONGEST_NAME", "LONGEST_TEXT", "TableFile"]

logger = logging.getLogger(__name__)

LONGEST_NAME = 255
"""Characters of an id, a patient, a view: they are kept at a fixed width, so that one of them sets it for all films."""
LONGEST_TEXT = 4096
"""Characters of a path (the longest that systems open), and of the findings of a film."""

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_MOST_BLANK = 1_000_000


class TableFile:
    """A table with a header; rows come as lists, columns are found by name.

    What separates the columns is taken from the header: commas, semicolons or tabs, whichever gives the most names, and
    a first line ``sep=;`` says it outright. Anything but commas is logged.

    Parameters
    ----------
    path
        The file. Whether it is gzipped is seen from its content.
    rename
        Turns the names of the header into those of the columns.

    Attributes
    ----------
    header
        Names of the columns.
    delimiter
        What separates them.
    line
        Line at which the latest row begins, counted from 1.

    Raises
    ------
    DataError
        The file is empty, is not text, or its header is damaged.
    """

    def __init__(self, path: Path, rename: Callable[[list[str]], list[str]] | None = None) -> None:
        self.path = path
        self.line = 1
        self.header: list[str] = []
        self._lines = TextLines(path)
        lines = iter(self._lines)
        first = next((line for line in lines if line.strip()), None)
        if first is None:
            raise DataError(f"the table {path} is empty: give it a header and one row a film")
        said = re.fullmatch(r'"?sep=([^\w\s"]|\t)"?[\r\n]*', first)
        self.delimiter = said.group(1) if said else _delimiter(first)
        if self.delimiter != ",":
            name = _DELIMITERS.get(self.delimiter, repr(self.delimiter))
            logger.warning("%s: its columns are separated by %s", path, name)
        again = [] if said else [first]
        self._lines.pending[:] = again
        self._reader = csv.reader(chain(again, lines), delimiter=self.delimiter, strict=True, skipinitialspace=True)
        header = [name.strip() for name in self._next_row() or []]
        while header and not header[-1]:  # some releases end the header's line with a comma
            header.pop()
        self.header = rename(header) if rename else header

    def _next_row(self) -> list[str] | None:
        try:
            row = next(self._reader, None)
        except csv.Error as error:
            raise DataError(self._damage(error)) from error
        self.line = self._lines.number - len(self._lines.pending) + 1
        return row

    def _damage(self, error: csv.Error) -> str:
        """Where the row that cannot be read went wrong, in the words of somebody who looks at the file."""
        limit = csv.field_size_limit()
        cells = _cells("".join(self._lines.pending), self.delimiter)
        state, column = next(
            ((cell.state or "long", place) for place, cell in enumerate(cells) if cell.state or cell.length > limit),
            ("", 0),
        )
        line = self.line_of(column)
        name = repr(self.header[column]) if column < len(self.header) else str(column + 1)
        start = f"line {line} of {self.path}: "
        if state == "open":
            within = f" within {limit:,} characters" if "limit" in str(error) else ""
            return f"{start}the quote that opens column {name} is not closed{within}: close it, or remove it"
        if state == "text follows":
            return (
                f"{start}the quote that opens column {name} is closed where text follows: one of the two is missing or "
                "too many (inside a quoted cell write it twice)"
            )
        if state == "long":
            return f"{start}column {name} has more than {limit:,} characters: leave the column out"
        return f"{start}the row cannot be read: {error}"

    def line_of(self, column: int) -> int:
        """Line at which a cell of the latest row begins."""
        text = "".join(self._lines.pending)
        first = self._lines.number - len(self._lines.pending) + 1
        offset = next((cell.start for place, cell in enumerate(_cells(text, self.delimiter)) if place == column), 0)
        return first + len(LINE_END.findall(text[:offset]))

    def position(self, *names: str) -> int:
        """Position of the first of ``names`` that the header has.

        Raises
        ------
        DataError
            It has none of them, or has that one twice.
        """
        for name in names:
            if self.header.count(name) > 1:
                raise DataError(
                    f"the table {self.path} has the column {name} {self.header.count(name)} times: keep one"
                )
            if name in self.header:
                return self.header.index(name)
        raise DataError(f"the table {self.path} has no column {' or '.join(names)}: its header is {self.header}")

    def rows(self, names: Mapping[int, int] | None = None) -> Iterator[list[str]]:
        """Rows that are not blank, every one as long as the header; further fields may only be empty, and are dropped.

        Parameters
        ----------
        names
            Columns (by position) whose cells are names and not free text, and their largest number of characters. They
            have no line breaks.

        Raises
        ------
        DataError
            A row is too short or too long, a quote is not closed, or a name is none.
        """
        width, blank, pending = len(self.header), 0, self._lines.pending
        while True:
            pending.clear()
            row = self._next_row()
            if row is None:
                return
            if not row or (not row[0].strip() and not "".join(row).strip()):
                blank += 1
                if blank > _MOST_BLANK:
                    raise DataError(
                        f"line {self.line} of {self.path}: more than {_MOST_BLANK:,} blank lines in a row: the file is "
                        "damaged"
                    )
                continue
            blank = 0
            if len(row) != width:
                self._check_width(row)
                del row[width:]
            # Most rows are one short line, and nothing in it can be wrong.
            if names and (len(pending) > 1 or len(pending[0]) > LONGEST_NAME):
                self._check_names(row, names)
            yield row

    @property
    def n_lines(self) -> int:
        """Number of lines of the latest row."""
        return len(self._lines.pending)

    def _check_width(self, row: list[str]) -> None:
        width = len(self.header)
        if len(row) < width:
            raise DataError(
                f"line {self.line} of {self.path} has {len(row)} values, its header {width}: "
                "the file was cut off, or a comma needs quotes"
            )
        surplus = [value for value in row[width:] if value.strip()]
        if surplus:
            kind = {",": "comma", ";": "semicolon", "\t": "tab"}.get(self.delimiter, repr(self.delimiter))
            raise DataError(
                f"line {self.line} of {self.path} has {len(row)} values, its header {width} (too many from "
                f"{surplus[0][:40]!r} on): a {kind} inside a cell needs quotes around the cell"
            )

    def _check_names(self, row: list[str], names: Mapping[int, int]) -> None:
        for place, longest in names.items():
            value = row[place].strip()
            if "\n" in value or "\r" in value:
                problem = f"runs over several lines ({value[:40]!r} ...): its quote is not closed, or one is too many"
            elif len(value) > longest:
                problem = f"has {len(value):,} characters ({value[:20]!r} ...): give at most {longest:,}"
            else:
                continue
            raise DataError(f"line {self.line_of(place)} of {self.path}: column {self.header[place]!r} {problem}")


def _delimiter(line: str) -> str:
    """What stands most often between the names of a header; a comma where that is not clear."""
    names = re.sub('"[^"]*"', "", line)
    return max(_DELIMITERS, key=lambda mark: (names.count(mark), mark == ","))


class _Cell(NamedTuple):
    start: int
    length: int
    state: str


def _cells(text: str, delimiter: str) -> Iterator[_Cell]:
    """Cells of one row of text: offset, length, and what is wrong with the quotes ("" where nothing is)."""
    plain_end = re.compile(f"[{re.escape(delimiter)}\r\n]")
    position = 0
    while position < len(text):
        start = position
        while text[start : start + 1] == " ":
            start += 1
        state = ""
        if text[start : start + 1] == '"':
            end = text.find('"', start + 1)
            while end >= 0 and text[end + 1 : end + 2] == '"':
                end = text.find('"', end + 2)
            if end < 0:
                state, end = "open", len(text)
            elif text[end + 1 : end + 2] not in {delimiter, "\r", "\n", ""}:
                state = "text follows"
            end += 1
        else:
            found = plain_end.search(text, start)
            end = found.start() if found else len(text)
        yield _Cell(start, end - start, state)
        position = end + 1
