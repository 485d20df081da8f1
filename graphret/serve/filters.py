"""What films may be filtered by: columns that say nothing of who the patient is, with their values or their range."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import UnknownNameError
from graphret._labels import is_absent
from graphret.data.columns import is_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graphret.data import ImageTable

__all__ = ["check_columns", "facts_of", "filters_of"]

MOST_VALUES = 40
"""A column of more texts is no filter: it is a list of names, or free text."""
_OF_A_PERSON = re.compile(
    r"patient|person|name|path|file|folder|dir|mask|uid|\bid\b|_id$|^id|accession|mrn|birth|dob|address|phone|study",
    re.IGNORECASE,
)


def filters_of(films: ImageTable) -> list[dict[str, Any]]:
    """Return the filters of a table, as JSON values.

    Returns
    -------
    list of dict
        column, and either ``values`` (of which a film has one) or ``low`` and ``high`` (the ends of the range of its
        numbers). First "label" with the findings that some film has, where there are any; then view, split and the
        further columns. Columns that may say who somebody is (ids, patients, names, paths, dates of birth), and those
        of more than 40 texts, are left out.

    Examples
    --------
    >>> from graphret.data import ImageTable
    >>> columns = {"age": [57, 80], "name": ["x", "y"]}
    >>> films = ImageTable(["a", "b"], [], [["Mass"], []], views=["PA", "AP"], columns=columns)
    >>> [filter["column"] for filter in filters_of(films)]
    ['label', 'view', 'split', 'age']
    """
    found: list[dict[str, Any]] = []
    positive = [
        str(name) for name, some in zip(films.label_names, (films.labels == 1).any(axis=0), strict=True) if some
    ]
    if positive and "label" not in films.columns:
        found.append({"column": "label", "values": positive})
    for column in ("view", "split", *films.columns):
        if column in films.columns and _OF_A_PERSON.search(column):
            continue
        entries = films.column(column)
        if is_text(entries) or entries.dtype.kind == "b":
            values = [value for value in np.unique(entries).tolist() if not is_absent(value)]
            if 0 < len(values) <= MOST_VALUES:
                found.append({"column": column, "values": values})
        elif entries.dtype.kind in "iuf":
            known = entries[np.isfinite(entries)]
            if len(known):
                found.append({"column": column, "low": known.min().item(), "high": known.max().item()})
    return found


def check_columns(filters: Iterable[Mapping[str, Any]], name: str, asked: Iterable[str]) -> None:
    """Refuse columns that are no filters: an error about their values would name them.

    Raises
    ------
    UnknownNameError
        A column that is not among the filters.
    """
    known = [str(entry["column"]) for entry in filters]
    for column in asked:
        if column not in known:
            raise UnknownNameError(name, column, known or ["nothing: this index has no filters"])


def facts_of(films: ImageTable, filters: Iterable[Mapping[str, Any]], row: int) -> dict[str, Any]:
    """Return what may be shown of one film: its value in every column that is a filter, None where it has none."""
    facts = {}
    for entry in filters:
        column = str(entry["column"])
        if column == "label" and "label" not in films.columns:
            continue
        value = films.column(column)[row : row + 1].tolist()[0]
        facts[column] = None if is_absent(value) else value
    return facts
