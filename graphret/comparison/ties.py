"""What measures of a Hamming ranking are worth when films at one distance come in random order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret.evaluation import evaluate_hamming
from graphret.evaluation.measures import parse_measure
from graphret.evaluation.ties import EXPECTED
from graphret.hashing import pack_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import Codes, Float64Array, Int64Array
    from graphret.data import ImageTable

__all__ = ["expected_under_ties"]


def expected_under_ties(
    codes: tuple[Codes, Codes],
    films: tuple[ImageTable, ImageTable],
    excluded: Sequence[Int64Array],
    measures: Sequence[str],
) -> dict[str, float | None]:
    """Mean over queries of every measure, each its expectation over all orders of films at the same distance.

    Parameters
    ----------
    codes, films
        Of the queries, and of the films that are searched; the signs of codes are the bits.
    excluded
        For each query the rows that it could not get.
    measures
        See `list_measures`.

    Returns
    -------
    dict
        None where a measure is defined for no query, or has no expectation (MMV).

    Examples
    --------
    >>> from graphret.data import ImageTable
    >>> films = ImageTable(ids=["a", "b"], paths=[], labels=[[1, 0], [0, 1]], label_names=("Edema", "Mass"))
    >>> same = np.ones((2, 4), dtype=np.float32)
    >>> expected_under_ties((same[:1], same), (films.select([0]), films), [np.array([], np.int64)], ["P@1"])
    {'P@1': 0.5}
    """
    (asked, searched), (queries, database) = codes, films
    known = [measure for measure in measures if parse_measure(measure).form in EXPECTED]
    labels = queries.relevance(), database.relevance()
    values = evaluate_hamming(pack_bits(asked), pack_bits(searched), *labels, known, excluded=excluded) if known else {}
    return {
        measure: float(np.nanmean(values[measure])) if measure in values and _is_defined(values[measure]) else None
        for measure in measures
    }


def _is_defined(of_queries: Float64Array) -> bool:
    return not bool(np.isnan(of_queries).all())
