"""Relevance judgements of people, for queries that are films of the archive: read from files, put on its films."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError, InvalidParameterError, MissingFileError
from graphret._plain import csv_cell
from graphret.data.table_file import TableFile
from graphret.data.text_lines import TextLines
from graphret.evaluation._grades import PairGrader
from graphret.evaluation._inputs import excluded_pairs
from graphret.evaluation.trec import read_qrels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret._types import Int64Array
    from graphret.index import Index

__all__ = ["LARGEST_GRADE", "Judgements", "read_judgements", "resolve_judgements"]

LARGEST_GRADE = 100
"""nDCG has 2^grade in it, and grades of people are few."""
_COLUMNS = ("query", "film", "relevance")
_KINDS = "a file of TREC judgements (qrels), a CSV with the columns query, film and relevance, or a mapping"


@dataclass(frozen=True, eq=False)
class Judgements:
    """What people judged, as positions of an archive.

    Attributes
    ----------
    queries
        int64 (q,), films that ask, ascending; each has a film that was judged relevant.
    of, films, grades
        int64 (p,) each: a judged pair's place among ``queries``, its film and its grade, 0 to `LARGEST_GRADE`.
    left_out
        Queries that were left out, by reason.
    origin
        Where they come from, in words.
    """

    queries: Int64Array
    of: Int64Array
    films: Int64Array
    grades: Int64Array
    left_out: dict[str, int]
    origin: str

    def select(self, places: NDArray[Any]) -> Judgements:
        """Keep some queries, in the order of their places."""
        new = np.full(len(self.queries), -1)
        new[places] = np.arange(len(places))
        kept = new[self.of] >= 0
        return replace(
            self, queries=self.queries[places], of=new[self.of[kept]], films=self.films[kept], grades=self.grades[kept]
        )

    def without(self, excluded: Sequence[Any], n_films: int) -> Judgements:
        """Leave out the pairs that a ranking could not find: ``excluded`` has their films (rows) for every query."""
        forbidden = excluded_pairs(excluded, len(self.queries), n_films)
        possible = ~np.isin(self.of * n_films + self.films, forbidden)
        return replace(self, of=self.of[possible], films=self.films[possible], grades=self.grades[possible])

    @property
    def with_relevant(self) -> Int64Array:
        """Places of the queries of which a film was judged relevant."""
        return np.unique(self.of[self.grades > 0])

    def grader(self, n_films: int, excluded: Sequence[Any]) -> PairGrader:
        """Return the grades of all queries; the films that a query could not get do not count."""
        kept = self.without(excluded, n_films)
        n_possible = n_films - np.array([len(np.unique(rows)) for rows in excluded], dtype=np.int64)
        return PairGrader(kept.of, kept.films, kept.grades, n_films, n_possible)

    def by_id(self, ids: NDArray[np.str_]) -> dict[str, dict[str, int]]:
        """Return for every query the grades of its films, by the ids of the archive."""
        found: dict[str, dict[str, int]] = {str(ids[query]): {} for query in self.queries}
        asking = ids[self.queries[self.of]]
        for query, film, grade in zip(asking.tolist(), ids[self.films].tolist(), self.grades.tolist(), strict=True):
            found[query][film] = grade
        return found


def read_judgements(path: str | os.PathLike[str], index: str = "") -> dict[str, dict[str, int]]:
    r"""Read judgements: TREC qrels, or a table with the columns query, film and relevance.

    A list of `graphret serve`, exported as CSV, is such a table. Its rows without a relevance are notes, and judge
    nothing. Where a column "index" names several indexes, the rows of ``index`` are read.

    Parameters
    ----------
    path
        The file. A table is known by its header.
    index
        Name of the index, as the service calls it: the name of its folder.

    Returns
    -------
    dict
        For every query the grades of its films, 0: not relevant; ids as they are written in the file.

    Raises
    ------
    MissingFileError
        There is no such file.
    DataError
        A line that is none of judgements, one pair with two grades, or several indexes without the one that is asked.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "marks.csv"
    >>> _ = path.write_text("query,film,relevance,note\nq.png,a.png,1,\nq.png,b.png,0,dark\nq.png,c.png,,a note\n")
    >>> read_judgements(path)
    {'q.png': {'a.png': 1, 'b.png': 0}}
    """
    file = Path(path)
    if not file.is_file():
        raise MissingFileError(file, "file of judgements", f"give {_KINDS}")
    if not _is_table(file):
        return read_qrels(file)
    table = TableFile(file)
    query, film, relevance = (table.position(name) for name in _COLUMNS)
    of_index = table.position("index") if "index" in table.header else None
    rows = [(table.line, row) for row in table.rows() if row[relevance].strip()]
    if of_index is not None:
        named = {row[of_index] for _, row in rows}
        if len(named) > 1:
            if index not in named:
                some = ", ".join(sorted(named)[:5])
                raise DataError(
                    f"{file} has judgements of the indexes {some}, and none of {index!r}: keep the rows of one"
                )
            rows = [(line, row) for line, row in rows if row[of_index] == index]
    found: dict[str, dict[str, int]] = {}
    for line, row in rows:
        grade = row[relevance].strip()
        if not re.fullmatch(r"[+-]?\d{1,9}", grade):
            raise DataError(f"{file}, line {line}: the relevance must be an integer or empty, got {grade[:40]!r}")
        if found.setdefault(row[query], {}).setdefault(row[film], int(grade)) != int(grade):
            raise DataError(f"{file}, line {line}: {row[query]!r} and {row[film]!r} have two grades: keep one")
    return found


def resolve_judgements(index: Index, given: Any) -> Judgements:
    """Put judgements on the films of an archive.

    Parameters
    ----------
    index
        The archive.
    given
        A file (see `read_judgements`), or for every query id the grades of film ids.

    Returns
    -------
    Judgements
        Queries that are no film of the archive (films that were sent, examples) have no code here: they are left out
        and counted, and so are queries of which no film was judged relevant.

    Raises
    ------
    InvalidParameterError
        A judged film that the archive does not have, a grade that is no whole number up to `LARGEST_GRADE`, or no
        query left.
    MissingFileError, DataError
        As `read_judgements`.
    """
    if isinstance(given, str | os.PathLike):
        name = Path(getattr(index, "path", "")).name
        grades, source = read_judgements(given, name), Path(given).name
    elif isinstance(given, Mapping) and all(isinstance(films, Mapping) for films in given.values()):
        grades, source = {str(query): dict(films) for query, films in given.items()}, "a mapping"
    else:
        raise InvalidParameterError("judgements", type(given).__name__, _KINDS)
    rows = dict(zip(index.films.ids.tolist(), range(len(index.films)), strict=True))
    asked = {query: _row(query, rows) for query in grades}
    unknown = [query for query, row in asked.items() if row is None]
    if len(unknown) == len(grades):
        first = f"{len(grades)} queries, first {unknown[0]!r}" if unknown else "no judgement"
        raise InvalidParameterError(
            "judgements", first, "queries that are films of the archive, by their ids",
            "films that were sent have no code in it: add them first",
        )  # fmt: skip
    pairs = [
        (row, *_pair(query, film, grade, rows))
        for query, row in asked.items()
        if row is not None
        for film, grade in grades[query].items()
    ]
    asking, films, values = np.array(pairs, dtype=np.int64).reshape(-1, 3).T
    queries = np.unique(asking[values > 0])
    if not len(queries):
        raise InvalidParameterError(
            "judgements", f"{len(pairs)} judged pairs, none relevant", "at least one film that is relevant for a query"
        )
    judged = np.isin(asking, queries)
    return Judgements(
        queries=queries,
        of=np.searchsorted(queries, asking[judged]),
        films=films[judged],
        grades=values[judged],
        left_out={
            "no film of the archive": len(unknown),
            "no film judged relevant": len(grades) - len(unknown) - len(queries),
        },
        origin=f"relevance judgements ({source}) of films of the archive",
    )


def _pair(query: str, film: Any, grade: Any, rows: Mapping[str, int]) -> tuple[int, int]:
    row = _row(str(film), rows)
    if row is None:
        raise InvalidParameterError(
            "judgements", f"the film {str(film)[:60]!r} of the query {query[:60]!r}", "ids of films of the archive",
            "take judgements of films that were removed out of the file; ids are compared as texts",
        )  # fmt: skip
    if isinstance(grade, bool | np.bool_) or not isinstance(grade, int | np.integer) or grade > LARGEST_GRADE:
        raise InvalidParameterError(
            "judgements", f"the grade {grade!r} of {str(film)[:60]!r}",
            f"whole numbers up to {LARGEST_GRADE}; 0 or less: not relevant",
        )  # fmt: skip
    return row, max(0, int(grade))


def _row(text: str, rows: Mapping[str, int]) -> int | None:
    """Row of an id, also where a table wrote an apostrophe before it, which keeps it from being a formula."""
    if text not in rows and text.startswith("'") and csv_cell(text[1:]) == text:
        return rows.get(text[1:])
    return rows.get(text)


def _is_table(file: Path) -> bool:
    """Whether the first line that is not blank, or the one after ``sep=``, is the header of a table of judgements."""
    lines = [line for line in islice(TextLines(file), 100) if line.strip()]
    if lines and lines[0].strip('"').startswith("sep="):
        return True
    names = re.split(r"[,;\t]", lines[0]) if lines else []
    return set(_COLUMNS) <= {name.strip().strip('"') for name in names}
