"""What a tuning compares rankings by: findings that hits share with the query, or what people judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from graphret.evaluation.measures import RankingJudge, largest_k

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret._types import BoolArray, Float64Array, Int32Array
    from graphret.evaluation.judgements import Judgements

__all__ = ["SHORT", "Criterion", "JudgedHits", "SharedFindings"]

SHORT = 10
"""Hits that somebody looks at."""


class Criterion(Protocol):
    """What lists are worth."""

    name: str
    depth: int

    def values(self, lists: Int32Array, rows: slice) -> dict[str, Float64Array]:
        """Score lists int32 (c, b, depth) of c rankings for the b queries of ``rows``.

        By name float64 (c, b), NaN where undefined.
        """
        ...

    def patients(self, n_values: int) -> NDArray[Any]:
        """Whom each of the first ``n_values`` values belongs to, for the bootstrap."""
        ...


class _Measured:
    """Retrieval measures of hits, by what a judge knows to be relevant."""

    def __init__(self, judge: RankingJudge, query_patients: NDArray[Any], measures: Sequence[str]) -> None:
        self._judge, self._patients = judge, query_patients
        self.depth = max(SHORT, largest_k(measures))
        self.name = f"mean of {', '.join(measures)}"

    def values(self, lists: Int32Array, rows: slice) -> dict[str, Float64Array]:
        """Score every query; see `Criterion.values`."""
        return self._judge.scores(lists, rows)

    def patients(self, n_values: int) -> NDArray[Any]:
        """The patients of the queries."""
        return self._patients[:n_values]


class SharedFindings(_Measured):
    """Criterion with labels: retrieval measures, see `evaluate_ranking`.

    Parameters
    ----------
    query_labels, database_labels
        bool (q, L) and (n, L).
    query_patients
        str (q,).
    excluded
        For each query the rows that it could not get.
    measures
        Their mean is compared.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[1, 0], [0, 1]], dtype=bool)
    >>> criterion = SharedFindings(labels[:1], labels, np.array(["a"]), [[]], ["P@2"])
    >>> criterion.values(np.array([[[1, 0]]], np.int32), slice(0, 1))
    {'P@2': array([[0.5]])}
    """

    def __init__(
        self,
        query_labels: BoolArray,
        database_labels: BoolArray,
        query_patients: NDArray[Any],
        excluded: Sequence[Any],
        measures: Sequence[str] = ("P@10", "nDCG@100", "mAP@100"),
    ) -> None:
        super().__init__(
            RankingJudge.of_labels(query_labels, database_labels, measures, excluded=excluded), query_patients, measures
        )


class JudgedHits(_Measured):
    """Criterion with judgements of people: retrieval measures of judged pairs.

    Parameters
    ----------
    judgements
        Of the queries, in their order.
    query_patients
        str (q,).
    n_films
        Films of the archive.
    excluded
        For each query the rows that it could not get.
    measures
        Their mean is compared; none that asks for labels.
    """

    def __init__(
        self,
        judgements: Judgements,
        query_patients: NDArray[Any],
        n_films: int,
        excluded: Sequence[Any],
        measures: Sequence[str] = ("P@10", "nDCG@100", "mAP@100"),
    ) -> None:
        super().__init__(RankingJudge(judgements.grader(n_films, excluded), measures), query_patients, measures)
        self.name += ", by relevance judgements"
