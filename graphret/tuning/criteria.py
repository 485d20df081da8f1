"""What a tuning compares rankings by: findings that hits share with the query, or, without labels, stable lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from graphret.evaluation.measures import evaluate_ranking, largest_k

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret._types import BoolArray, Float64Array, Int32Array

__all__ = ["SHORT", "Criterion", "ListAgreement", "SharedFindings"]

SHORT = 10
"""Hits that somebody looks at."""


class Criterion(Protocol):
    """What lists are worth."""

    name: str
    depth: int

    def values(self, lists: Int32Array) -> dict[str, Float64Array]:
        """Score the lists int32 (r, depth) of the first r queries, by name float64 (u,); NaN where undefined."""
        ...

    def patients(self, n_values: int) -> NDArray[Any]:
        """Whom each of the first ``n_values`` values belongs to, for the bootstrap."""
        ...


class SharedFindings:
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
    >>> labels = np.array([[1, 0], [0, 1]], dtype=bool)
    >>> criterion = SharedFindings(labels[:1], labels, np.array(["a"]), [[]], ["P@2"])
    >>> criterion.values(np.array([[1, 0]], np.int32))
    {'P@2': array([0.5])}
    """

    def __init__(
        self,
        query_labels: BoolArray,
        database_labels: BoolArray,
        query_patients: NDArray[Any],
        excluded: Sequence[Any],
        measures: Sequence[str] = ("P@10", "nDCG@100", "mAP@100"),
    ) -> None:
        self.query_labels, self.database_labels = query_labels, database_labels
        self.query_patients, self.excluded = query_patients, excluded
        self.measures = tuple(measures)
        self.depth = max(SHORT, largest_k(self.measures))
        self.name = f"mean of {', '.join(self.measures)}"

    def values(self, lists: Int32Array) -> dict[str, Float64Array]:
        """Score every query; see `Criterion.values`."""
        size = len(lists)
        labels, excluded = self.query_labels[:size], self.excluded[:size]
        return evaluate_ranking(lists, labels, self.database_labels, self.measures, excluded=excluded)

    def patients(self, n_values: int) -> NDArray[Any]:
        """The patients of the queries."""
        return self.query_patients[:n_values]


class ListAgreement:
    """Criterion without labels: films that are nearest to each other should get the same films, strangers others.

    The queries come in pairs, a film and its nearest film of another patient: rows 2 i and 2 i + 1. The value of a pair
    is the share of their first ten hits that the two have in common, less the share that the film has in common with
    the second film of the next pair. A ranking that gives everybody the same films has 0.

    Examples
    --------
    >>> hits = np.arange(40, dtype=np.int32).reshape(4, 10)
    >>> hits[1] = hits[0]
    >>> ListAgreement().values(hits)["agreement"].tolist()
    [1.0, 0.0]
    """

    name = "agreement of the first 10 hits of nearest films, less that of strangers"
    depth = SHORT

    def values(self, lists: Int32Array) -> dict[str, Float64Array]:
        """Score every pair; see `Criterion.values`."""
        films, partners = lists[0::2, :SHORT], lists[1::2, :SHORT]
        films = films[: len(partners)]
        strangers = np.roll(partners, -1, axis=0)
        shared = [
            _common(one, other) - _common(one, far) for one, other, far in zip(films, partners, strangers, strict=True)
        ]
        return {"agreement": np.array(shared, dtype=np.float64) / SHORT}

    def patients(self, n_values: int) -> NDArray[Any]:
        """Every pair for itself."""
        return np.arange(n_values)


def _common(one: Int32Array, other: Int32Array) -> int:
    return int(np.intersect1d(one[one >= 0], other[other >= 0]).size)
