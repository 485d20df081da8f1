"""Lists of marked films as CSV, and as TREC judgements (qrels) that any evaluation tool reads."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from graphret._plain import csv_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["as_csv", "as_qrels"]

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
