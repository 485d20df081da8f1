"""Lists of marked films as CSV, as TREC judgements (qrels) that any evaluation tool reads, and as DICOM SR."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError
from graphret._plain import csv_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret.serve.served import State

__all__ = ["as_csv", "as_qrels", "as_sr"]

_FIELDS = ("index", "query", "film", "relevance", "note", "changed")


def as_csv(marks: Sequence[dict[str, Any]]) -> str:
    r"""Return marks as a table; a text that a spreadsheet would take for a formula gets a quote before it.

    Examples
    --------
    >>> mark = {"index": "nih", "query": "q", "film": "=1+1", "relevance": None, "note": "a,b", "changed": "2026"}
    >>> as_csv([mark]).splitlines()[1]
    'nih,q,\'=1+1,,"a,b",2026'
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(_FIELDS)
    for mark in marks:
        writer.writerow(["" if mark[name] is None else csv_cell(mark[name]) for name in _FIELDS])
    return lines.getvalue()


def as_qrels(marks: Sequence[dict[str, Any]]) -> str:
    r"""Return the marks that judge as TREC judgements; notes alone are none.

    Examples
    --------
    >>> mark = {"query": "q", "film": "a.png", "relevance": 1}
    >>> as_qrels([mark, {**mark, "film": "b.png", "relevance": None}])
    'q 0 a.png 1\n'
    """
    from graphret.evaluation.trec import qrels_text  # the package has all measures, which a start need not wait for

    grades: dict[str, dict[str, int]] = {}
    for mark in marks:
        if mark["relevance"] is not None:
            grades.setdefault(mark["query"], {})[mark["film"]] = mark["relevance"]
    return qrels_text(grades)


def as_sr(state: State, marks: Sequence[dict[str, Any]], query: str | None) -> tuple[bytes, int]:
    """Return the marks of one query as a DICOM SR, see `index.dicom_results.dicom_of_marks`; notes are not in it.

    Parameters
    ----------
    state
        The index whose marks are meant.
    marks
        Of a list.
    query
        A film of the index; None where the list has one query in it.

    Returns
    -------
    tuple of bytes and int
        The file, and how many marked films are not in it: no DICOM files, or no films of the index any more.

    Raises
    ------
    UnknownFilmError
        The query is no film of the index.
    InvalidParameterError
        No mark says whether a film is relevant for the query, several queries and none is named, or it is no DICOM
        film.
    MissingDependencyError
        It needs the extra ``dicomweb``.
    """
    from graphret.index.dicom_results import dicom_of_marks  # it reads DICOM, which a start need not wait for

    judged = [mark for mark in marks if mark["index"] == state.name and mark["relevance"] is not None]
    queries = list(dict.fromkeys(mark["query"] for mark in judged))
    if query is None and len(queries) == 1:
        query = queries[0]
    if query is None or query not in queries:
        allowed = f"a query of the list: {', '.join(queries[:5])}" if queries else "a list with films that were judged"
        raise InvalidParameterError("query", query, allowed)
    paths = state.films.paths
    asked = str(paths[state.row_of(query)])
    films = [
        (str(paths[state.rows[mark["film"]]]) if mark["film"] in state.rows else "", mark["relevance"])
        for mark in judged
        if mark["query"] == query
    ]
    content, n_films = dicom_of_marks(asked, films)
    return content, len(films) - n_films
