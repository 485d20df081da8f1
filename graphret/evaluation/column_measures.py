"""Measures of a column of the films: the gap of its numbers (cup-to-disc ratio), equal words (diagnosis)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphret._errors import InvalidParameterError
from graphret.data.columns import is_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from graphret._types import Float64Array
    from graphret.data import ImageTable

__all__ = ["ColumnMeasure", "column_scores", "split_measures"]

_NAME = re.compile(r"(gap|P)@([1-9][0-9]*):column=(\w+)")


class ColumnMeasure(NamedTuple):
    """A measure of a column: its form ("gap" or "P"), its K, and the column."""

    form: str
    k: int
    column: str

    @classmethod
    def of(cls, name: str) -> ColumnMeasure | None:
        """Split ``"gap@10:column=cdr"`` or ``"P@10:column=diagnosis"``; None for any other name.

        Examples
        --------
        >>> ColumnMeasure.of("gap@10:column=cdr")
        ColumnMeasure(form='gap', k=10, column='cdr')
        """
        found = _NAME.fullmatch(name) if isinstance(name, str) else None
        return None if found is None else cls(found[1], int(found[2]), found[3])


def split_measures(measures: Iterable[str]) -> tuple[list[str], list[str]]:
    """Tell the measures of labels from those of columns, in their order.

    Examples
    --------
    >>> split_measures(["P@10", "gap@10:column=cdr"])
    (['P@10'], ['gap@10:column=cdr'])
    """
    names = list(measures)
    of_columns = [name for name in names if ColumnMeasure.of(name) is not None]
    return [name for name in names if name not in of_columns], of_columns


def column_scores(
    ranked: NDArray[Any], queries: ImageTable, archive: ImageTable, measures: Sequence[str]
) -> dict[str, Float64Array]:
    """Score ranked lists by columns of the films, one value per query and measure.

    ``gap@K:column=NAME`` is the mean of ``|x - y|`` over the first K films, with the number x of the query and y of the
    film; films without a number are passed over. With the cup-to-disc ratio it is the average CDR gap of Fang et al.
    (2021, section IV.C), who do not say over how many films; smaller is better. ``P@K:column=NAME`` is the share of the
    K whose word is that of the query; with the diagnoses of JSRT it is their precision on diagnosing disease. A film
    without a word, and a place without a film, is a miss.

    Parameters
    ----------
    ranked
        int (q, K'), rows of the archive, best first; -1 pads a short list.
    queries, archive
        Their tables.
    measures
        Names of the two forms.

    Returns
    -------
    dict of str to float64 (q,)
        NaN for a query without a number or word, and for a gap where no film of the list has a number.

    Raises
    ------
    InvalidParameterError
        No such column in one of the tables, a gap of words, or K beyond the lists.

    Notes
    -----
    O(q K).

    Examples
    --------
    >>> from graphret.data import ImageTable
    >>> columns = {"cdr": np.array([0.5, 0.8, 0.4])}
    >>> films = ImageTable(ids=["a", "b", "c"], paths=[], labels=[[1]] * 3, label_names=("x",), columns=columns)
    >>> column_scores(np.array([[1, 2]]), films.select([0]), films, ["gap@2:column=cdr"])["gap@2:column=cdr"].round(3)
    array([0.2])
    """
    lists = np.asarray(ranked)
    scores = {}
    for name in measures:
        measure = ColumnMeasure.of(name)
        if measure is None:
            raise InvalidParameterError("measures", name, "gap@K:column=NAME or P@K:column=NAME")
        if measure.k > lists.shape[1]:
            raise InvalidParameterError("measures", name, f"K of at most {lists.shape[1]}, the length of the lists")
        own, others = (_values(name, measure, table) for table in (queries, archive))
        hits = lists[:, : measure.k]
        found = others[np.maximum(hits, 0)]
        if measure.form == "gap":
            gaps = np.where(hits < 0, np.nan, np.abs(found - own[:, None]))
            known = ~np.isnan(gaps)
            number = known.sum(axis=1)
            total = np.where(known, gaps, 0.0).sum(axis=1)
            scores[name] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        else:
            same = (hits >= 0) & (found == own[:, None])
            scores[name] = np.where(own != "", same.sum(axis=1) / measure.k, np.nan)
    return scores


def _values(name: str, measure: ColumnMeasure, table: ImageTable) -> NDArray[Any]:
    if measure.column not in table.columns:
        known = ", ".join(sorted(table.columns)) or "none"
        raise InvalidParameterError("measures", name, f"a column of the films: there are {known}")
    values = np.asarray(table.columns[measure.column])
    if measure.form == "gap":
        if is_text(values):
            raise InvalidParameterError("measures", name, "a column of numbers", f"{measure.column!r} holds words")
        return values.astype(np.float64)
    return values if is_text(values) else np.where(np.isnan(values.astype(np.float64)), "", values.astype(np.str_))
