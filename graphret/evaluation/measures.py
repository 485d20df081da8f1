"""Retrieval measures, per query: how many of the first K films share a finding with the query, and how many findings.

Everything rests on one number per pair, the grade ``r = |q and x|``: the positive labels that query q and film x share.
A film is relevant when ``r > 0``. ``docs/measures.md`` has every equation, its source and a worked example.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.evaluation._inputs import (
    BLOCK,
    check_allowed,
    check_labels,
    check_only_allowed,
    check_ranked,
    excluded_pairs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from graphret._types import BoolArray, Float64Array, Int32Array, Int64Array

__all__ = ["evaluate_ranking", "largest_k", "list_measures", "parse_measure"]

_LARGEST_DCG_GRADE = 1000
"""Above this grade ``2**r`` summed over a list leaves the range of float64 (2**1024)."""


@dataclass(frozen=True)
class _Judged:
    """A block of b queries with everything that a measure may look at."""

    grades: Int32Array  # (b, K): r of every hit in rank order, 0 for a pad
    n_positive: Int64Array  # (b,): |q|
    counts: Int64Array  # (b, L + 1): how many films of the database have grade 0 ... L

    @property
    def n_relevant(self) -> Int64Array:
        """Films of the database with ``r > 0``."""
        return np.asarray(self.counts[:, 1:].sum(axis=1))

    def ideal(self, k: int) -> Int32Array:
        """Grades of the best k films of the whole database, best first."""
        with_at_least = np.cumsum(self.counts[:, :0:-1], axis=1)
        grades = np.zeros((len(self.counts), k), dtype=np.int32)
        for number in with_at_least.T[with_at_least.any(axis=0)]:
            grades += number[:, None] > np.arange(k)
        return grades


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any], empty: float) -> Float64Array:
    """Divide, with ``empty`` where the denominator is 0."""
    some = denominator > 0
    return np.asarray(np.where(some, numerator / np.where(some, denominator, 1), empty))


def _precision(judged: _Judged, k: int) -> Float64Array:
    return np.asarray((judged.grades[:, :k] > 0).sum(axis=1) / k)


def _hit_rate(judged: _Judged, k: int) -> Float64Array:
    return np.asarray((judged.grades[:, :k] > 0).any(axis=1), dtype=np.float64)


def _recall(judged: _Judged, k: int) -> Float64Array:
    return _ratio((judged.grades[:, :k] > 0).sum(axis=1), judged.n_relevant, np.nan)


def _average_cumulative_gain(judged: _Judged, k: int) -> Float64Array:
    return _ratio(judged.grades[:, :k].sum(axis=1, dtype=np.int64), k * judged.n_positive, np.nan)


def _discounted(gains: Float64Array) -> Float64Array:
    return np.asarray((gains / np.log2(np.arange(2, gains.shape[1] + 2))).sum(axis=1))


def _discounted_cumulative_gain(judged: _Judged, k: int) -> Float64Array:
    grades = judged.grades[:, :k]
    if grades.size and grades.max() > _LARGEST_DCG_GRADE:
        raise InvalidParameterError(
            "measures",
            f"DCG@{k}",
            f"nDCG@{k} where films share more than {_LARGEST_DCG_GRADE} labels",
            "2^r is beyond float64 there; nDCG is a ratio and stays exact",
        )
    return _discounted(np.ldexp(1.0, grades) - 1.0)


def _normalised_discounted_cumulative_gain(judged: _Judged, k: int) -> Float64Array:
    ideal = judged.ideal(k)
    # The ratio does not change when all gains are divided by 2^(best grade), and nothing can overflow then.
    shift = ideal[:, :1]
    gained = _discounted(np.ldexp(1.0, judged.grades[:, :k] - shift) - np.ldexp(1.0, -shift))
    possible = _discounted(np.ldexp(1.0, ideal - shift) - np.ldexp(1.0, -shift))
    return _ratio(gained, possible, np.nan)


def _summed_precision(judged: _Judged, k: int, *, graded: bool) -> Float64Array:
    """Precision at every relevant rank, summed; graded: the mean grade down to that rank instead."""
    grades = judged.grades[:, :k].astype(np.int64)
    relevant = grades > 0
    precision = np.cumsum(grades if graded else relevant, axis=1, dtype=np.float64) / np.arange(1, k + 1)
    return np.asarray((precision * relevant).sum(axis=1))


def _average_precision_retrieved(judged: _Judged, k: int, *, graded: bool = False) -> Float64Array:
    return _ratio(_summed_precision(judged, k, graded=graded), (judged.grades[:, :k] > 0).sum(axis=1), 0.0)


def _average_precision_relevant(judged: _Judged, k: int, *, graded: bool = False) -> Float64Array:
    return _ratio(_summed_precision(judged, k, graded=graded), np.minimum(judged.n_relevant, k), np.nan)


_MEASURES: dict[str, Callable[[_Judged, int], Float64Array]] = {
    "P@K": _precision,
    "ACG@K": _average_cumulative_gain,
    "DCG@K": _discounted_cumulative_gain,
    "nDCG@K": _normalised_discounted_cumulative_gain,
    "mAP@K": _average_precision_retrieved,
    "mAP@K:relevant": _average_precision_relevant,
    "gmAP@K": lambda judged, k: _average_precision_retrieved(judged, k, graded=True),
    "gmAP@K:relevant": lambda judged, k: _average_precision_relevant(judged, k, graded=True),
    "R@K": _recall,
    "HR@K": _hit_rate,
}


class Measure(NamedTuple):
    """A measure that was asked for: its name as given, its form in the registry, its K."""

    name: str
    form: str
    k: int


def list_measures() -> list[str]:
    """List the forms of the measures; K is any integer >= 1.

    Examples
    --------
    >>> list_measures()
    ['P@K', 'ACG@K', 'DCG@K', 'nDCG@K', 'mAP@K', 'mAP@K:relevant', 'gmAP@K', 'gmAP@K:relevant', 'R@K', 'HR@K']
    """
    return list(_MEASURES)


def parse_measure(name: str) -> Measure:
    """Split a name such as ``"nDCG@100"`` into its form and its K.

    Raises
    ------
    UnknownNameError
        The name has none of the forms of `list_measures`.

    Examples
    --------
    >>> parse_measure("mAP@100:relevant")
    Measure(name='mAP@100:relevant', form='mAP@K:relevant', k=100)
    """
    parts = re.fullmatch(r"(\w+)@([0-9]+)(:\w+)?", name) if isinstance(name, str) else None
    form = f"{parts[1]}@K{parts[3] or ''}" if parts else ""
    if parts is None or form not in _MEASURES:
        raise UnknownNameError("measures", name, _MEASURES, "K is a number, as in 'P@10'")
    k = int(parts[2])
    if k < 1:
        raise InvalidParameterError("measures", name, "K >= 1", "for example 'P@10'")
    return Measure(name, form, k)


def largest_k(measures: Sequence[str]) -> int:
    """Return the number of hits that these measures look at.

    Examples
    --------
    >>> largest_k(["P@10", "nDCG@100"])
    100
    """
    return max(measure.k for measure in _parse_all(measures))


def evaluate_ranking(
    ranked: Any,
    query_labels: Any,
    database_labels: Any,
    measures: Sequence[str],
    *,
    excluded: Sequence[Any] | None = None,
    allowed: Any | None = None,
) -> dict[str, Float64Array]:
    """Score ranked lists, one value per query and measure.

    With ``r = |q and x|``, Haq et al. 2021, Eq. 16-19: ``P@K = #(r > 0) / K``, ``ACG@K = mean(r) / |q|``,
    ``DCG@K = sum (2^r - 1) / log2(rank + 1)`` and nDCG@K = DCG@K over that of the best K films of the database.
    ``mAP@K`` is the average precision over the relevant films among the K (Fang et al. 2021, Eq. 3), ``mAP@K:relevant``
    over min(K, all relevant films of the database); ``gmAP`` weighs precision by r (Cai et al. 2019, Eq. 8-9); ``R@K``
    is recall and ``HR@K`` is 1 when any of the K is relevant.

    Parameters
    ----------
    ranked
        int (q, K'), rows of the database, best first; -1 pads a short list at its end and counts as a miss.
    query_labels
        bool (q, L), the positive labels of the queries.
    database_labels
        bool (n, L), those of the films that were searched.
    measures
        Names such as ``"P@10"``; see `list_measures`. No K may be larger than K'.
    excluded
        For each query, the rows that it could not get (films of the same patient): they leave the ideal list and
        the count of relevant films, and must not be in its ranked list.
    allowed
        bool (n,), the films that any query could get; the others are treated like excluded ones. All by default.

    Returns
    -------
    dict of str to float64 (q,)
        In the order of ``measures``. NaN where undefined: everything for a query without a positive label; nDCG,
        R and the ``:relevant`` forms for one without a relevant film in the database. There P, ACG, DCG, mAP, gmAP
        and HR are 0, and mAP and gmAP are 0 too when nothing relevant was retrieved.

    Raises
    ------
    UnknownNameError
        A measure has no known form.
    InvalidParameterError
        ranked is narrower than a K, repeats a film, has pads before hits, or holds a film that was not allowed;
        labels of other shapes, or not boolean.

    Notes
    -----
    The order of ``ranked`` is taken as it is: ties were broken by whoever ranked. O(q K + q u L) for u distinct label
    rows in the database; about 130 MB beside the results.

    Examples
    --------
    >>> import numpy as np
    >>> database = np.array([[1, 1], [1, 0], [0, 0], [0, 1]], dtype=bool)
    >>> query = np.array([[1, 1]], dtype=bool)
    >>> evaluate_ranking([[0, 2, 3]], query, database, ["P@2", "ACG@3", "mAP@3", "mAP@3:relevant"])
    {'P@2': array([0.5]), 'ACG@3': array([0.5]), 'mAP@3': array([0.83333333]), 'mAP@3:relevant': array([0.55555556])}
    """
    wanted = _parse_all(measures)
    of_queries = check_labels("query_labels", query_labels)
    of_films = check_labels("database_labels", database_labels)
    if of_queries.shape[1] != of_films.shape[1]:
        raise InvalidParameterError(
            "query_labels",
            of_queries.shape,
            f"one column for each of the {of_films.shape[1]} labels of the database",
            "put the labels of both in the same order",
        )
    n_films = len(of_films)
    widest = max(wanted, key=lambda measure: measure.k)
    lists = check_ranked(ranked, len(of_queries), n_films, widest.k)
    searchable = check_allowed(allowed, n_films)
    forbidden = excluded_pairs(excluded, len(of_queries), n_films)
    check_only_allowed(lists, searchable, forbidden)

    lists = lists[:, : widest.k]
    scores = {measure.name: np.empty(len(lists)) for measure in wanted}
    for block, judged in _judge(lists, of_queries, of_films, searchable, forbidden):
        undefined = judged.n_positive == 0
        for measure in wanted:
            values = _MEASURES[measure.form](judged, measure.k)
            scores[measure.name][block] = np.where(undefined, np.nan, values)
    return scores


def _judge(
    lists: Int64Array, of_queries: BoolArray, of_films: BoolArray, searchable: BoolArray, forbidden: Int64Array
) -> Iterator[tuple[slice, _Judged]]:
    """Grade the lists and count the grades of the database, a block of queries at a time.

    Films with equal labels have equal grades, and archives have few distinct label rows (some 800 among the
    112,120 films of NIH), so a query is compared with those and not with every film.
    """
    n_labels = of_films.shape[1]
    n_films = len(of_films)
    patterns, pattern_of = _distinct_rows(of_films)
    films_of_pattern = np.bincount(pattern_of[searchable], minlength=len(patterns))
    columns = patterns.T.astype(np.float32)
    step = max(1, BLOCK // max(len(patterns), lists.shape[1], n_labels + 1))
    for start in range(0, len(lists), step):
        block = slice(start, min(start + step, len(lists)))
        rows = np.arange(block.stop - start)[:, None]
        # float32 holds every count below 2^24 exactly, and a float product runs on BLAS.
        common = (of_queries[block].astype(np.float32) @ columns).astype(np.int32)
        bins = rows * (n_labels + 1) + common
        weights = np.broadcast_to(films_of_pattern, common.shape)
        size = len(rows) * (n_labels + 1)
        counts = np.bincount(bins.ravel(), weights=weights.ravel(), minlength=size).astype(np.int64)

        first, last = np.searchsorted(forbidden, [start * n_films, block.stop * n_films])
        queries, films = np.divmod(forbidden[first:last], n_films)
        queries, films = (queries - start)[searchable[films]], films[searchable[films]]
        counts -= np.bincount(bins[queries, pattern_of[films]], minlength=size)

        hits = lists[block]
        grades = np.where(hits >= 0, common[rows, pattern_of[hits]], 0).astype(np.int32)
        yield block, _Judged(grades, of_queries[block].sum(axis=1), counts.reshape(len(rows), -1))


def _distinct_rows(labels: BoolArray) -> tuple[BoolArray, Int64Array]:
    """Return the distinct rows of a boolean matrix, and for every row the number of its pattern."""
    if labels.shape[1] == 0:
        return labels[:1], np.zeros(len(labels), dtype=np.int64)
    packed = np.packbits(labels, axis=1)
    keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    return labels[first], number.astype(np.int64)


def _parse_all(measures: Sequence[str]) -> list[Measure]:
    wanted = [parse_measure(name) for name in ([measures] if isinstance(measures, str) else measures)]
    if not wanted:
        raise InvalidParameterError("measures", list(measures), f"at least one of {', '.join(_MEASURES)}")
    return wanted
