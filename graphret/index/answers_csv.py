"""Hits as a table of comma-separated values, one row a hit."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from graphret._plain import csv_cell
from graphret.files import write_text
from graphret.index.answers import why_in_words

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["hits_csv", "write_hits_csv"]

_COLUMNS = ("rank", "id", "similarity", "score", "community", "source", "labels", "path", "why")


def hits_csv(document: dict[str, Any]) -> str:
    r"""Return hits as text: a header, then one line a hit, quoted where need be.

    Columns are query, rank, id, similarity, score, community, source, labels (with "|" between them), path, why, and
    with ``group_by`` the group. A query without hits has one line without a rank. A text that a spreadsheet would take
    for a formula has an apostrophe before it (`_plain.csv_cell`).

    Parameters
    ----------
    document
        From `answers.describe_hits`.

    Examples
    --------
    >>> hits_csv({"group_by": None, "queries": [{"query": "a,b", "hits": []}]})
    'query,rank,id,similarity,score,community,source,labels,path,why\n"a,b",,,,,,,,,\n'
    """
    grouped = document["group_by"] is not None
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["query", *_COLUMNS, *(["group"] if grouped else [])])
    for answer in document["queries"]:
        for hit in answer["hits"]:
            written = {**hit, "labels": "|".join(hit["labels"]), "why": why_in_words(hit)}
            cells = [answer["query"], *(written[name] for name in _COLUMNS), *([hit["group"]] if grouped else [])]
            writer.writerow(map(csv_cell, cells))
        if not answer["hits"]:
            writer.writerow([csv_cell(answer["query"]), *([""] * (len(_COLUMNS) + grouped))])
    return lines.getvalue()


def write_hits_csv(path: str | Path, document: dict[str, Any]) -> None:
    """Write `hits_csv` to a file, whole or not at all, as UTF-8.

    Raises
    ------
    MissingFileError, StoreError
        The folder is not there, or cannot be written to.
    """
    write_text(path, hits_csv(document))
