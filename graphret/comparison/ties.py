"""What measures of a Hamming ranking are worth when films at one distance come in random order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret.evaluation import evaluate_hamming
from graphret.hashing import pack_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import Codes, Int64Array
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
        As `evaluate_hamming` takes them.

    Returns
    -------
    dict
        None where a measure is defined for no query.

    Examples
    --------
    >>> from graphret.data import ImageTable
    >>> films = ImageTable(ids=["a", "b"], paths=[], labels=[[1, 0], [0, 1]], label_names=("Edema", "Mass"))
    >>> same = np.ones((2, 4), dtype=np.float32)
    >>> expected_under_ties((same[:1], same), (films.select([0]), films), [np.array([], np.int64)], ["P@1"])
    {'P@1': 0.5}
    """
    (asked, searched), (queries, database) = codes, films
    values = evaluate_hamming(
        pack_bits(asked),
        pack_bits(searched),
        queries.relevance(),
        database.relevance(),
        measures,
        excluded=excluded,
    )
    return {
        measure: None if np.isnan(of_queries).all() else float(np.nanmean(of_queries))
        for measure, of_queries in values.items()
    }
