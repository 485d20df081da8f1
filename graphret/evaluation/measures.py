"""Retrieval measures, per query: how many of the first K films share a finding with the query, and how many findings.

Everything rests on one number per pair, the grade ``r = |q and x|``: the positive labels that query q and film x share.
A film is relevant when ``r > 0``. ``docs/measures.md`` has every equation, its source and a worked example.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.evaluation._grades import Grader, Judged, PairGrader
from graphret.evaluation._inputs import (
    BLOCK,
    check_allowed,
    check_only_allowed,
    check_ranked,
    excluded_pairs,
    label_pair,
)
from graphret.evaluation.column_measures import ColumnMeasure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from graphret._types import BoolArray, Float64Array, Int32Array

__all__ = ["RankingJudge", "check_judged_measures", "evaluate_ranking", "largest_k", "list_measures", "parse_measure"]

_LARGEST_DCG_GRADE = 1000
"""Above this grade ``2**r`` summed over a list leaves the range of float64 (2**1024)."""


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any], empty: float) -> Float64Array:
    """Divide, with ``empty`` where the denominator is 0."""
    some = denominator > 0
    return np.asarray(np.where(some, numerator / np.where(some, denominator, 1), empty))


def _precision(judged: Judged, k: int) -> Float64Array:
    return np.asarray((judged.grades[:, :k] > 0).sum(axis=1) / k)


def _precision_relevant(judged: Judged, k: int) -> Float64Array:
    return _ratio((judged.grades[:, :k] > 0).sum(axis=1), np.minimum(judged.n_relevant, k), np.nan)


def _majority_vote(judged: Judged, k: int) -> Float64Array:
    """1 where the label that most of the K hits have is one of the query's; of labels that tie, the share that is."""
    votes, without = judged.votes(k)
    most = np.maximum(votes.max(axis=1, initial=0), without)[:, None]
    winning = votes == most
    right = (winning & judged.each(judged.labels)).sum(axis=1)
    return _ratio(right, winning.sum(axis=1) + (without == most[:, 0]), 0.0)


def _hit_rate(judged: Judged, k: int) -> Float64Array:
    return np.asarray((judged.grades[:, :k] > 0).any(axis=1), dtype=np.float64)


def _recall(judged: Judged, k: int) -> Float64Array:
    return _ratio((judged.grades[:, :k] > 0).sum(axis=1), judged.n_relevant, np.nan)


def _average_cumulative_gain(judged: Judged, k: int) -> Float64Array:
    return _ratio(judged.grades[:, :k].sum(axis=1, dtype=np.int64), k * judged.n_positive, np.nan)


def _discounted(gains: Float64Array) -> Float64Array:
    return np.asarray((gains / np.log2(np.arange(2, gains.shape[1] + 2))).sum(axis=1))


def _discounted_cumulative_gain(judged: Judged, k: int) -> Float64Array:
    grades = judged.grades[:, :k]
    if grades.size and grades.max() > _LARGEST_DCG_GRADE:
        raise InvalidParameterError(
            "measures",
            f"DCG@{k}",
            f"nDCG@{k} where films share more than {_LARGEST_DCG_GRADE} labels",
            "2^r is beyond float64 there; nDCG is a ratio and stays exact",
        )
    return _discounted(np.ldexp(1.0, grades) - 1.0)


def _normalised_discounted_cumulative_gain(judged: Judged, k: int) -> Float64Array:
    ideal = judged.ideal(k)
    # The ratio does not change when all gains are divided by 2^(best grade), and nothing can overflow then.
    best = ideal[:, :1]
    possible = _discounted(np.ldexp(1.0, ideal - best) - np.ldexp(1.0, -best))
    shift = judged.each(best)
    gained = _discounted(np.ldexp(1.0, judged.grades[:, :k] - shift) - np.ldexp(1.0, -shift))
    return _ratio(gained, judged.each(possible), np.nan)


def _summed_precision(judged: Judged, k: int, *, graded: bool) -> Float64Array:
    """Precision at every relevant rank, summed; graded: the mean grade down to that rank instead."""
    grades = judged.grades[:, :k].astype(np.int64)
    relevant = grades > 0
    precision = np.cumsum(grades if graded else relevant, axis=1, dtype=np.float64) / np.arange(1, k + 1)
    return np.asarray((precision * relevant).sum(axis=1))


def _average_precision_retrieved(judged: Judged, k: int, *, graded: bool = False) -> Float64Array:
    return _ratio(_summed_precision(judged, k, graded=graded), (judged.grades[:, :k] > 0).sum(axis=1), 0.0)


def _average_precision_relevant(judged: Judged, k: int, *, graded: bool = False) -> Float64Array:
    return _ratio(_summed_precision(judged, k, graded=graded), np.minimum(judged.n_relevant, k), np.nan)


_MEASURES: dict[str, Callable[[Judged, int], Float64Array]] = {
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
    "P@K:relevant": _precision_relevant,
    "MMV@K": _majority_vote,
}


_NEED_LABELS = frozenset({"ACG@K", "MMV@K"})


class Measure(NamedTuple):
    """A measure that was asked for: its name as given, its form in the registry, its K."""

    name: str
    form: str
    k: int


def list_measures() -> list[str]:
    """List the forms of the measures; K is any integer >= 1.

    Examples
    --------
    >>> list_measures()[-4:]
    ['R@K', 'HR@K', 'P@K:relevant', 'MMV@K']
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
    of_column = ColumnMeasure.of(name)
    if of_column is not None:
        return Measure(name, f"{of_column.form}@K:column", of_column.k)
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
    is recall and ``HR@K`` is 1 when any of the K is relevant. ``P@K:relevant`` is precision with K capped at the
    relevant films of the database; ``MMV@K`` is 1 when the label that most of the K have is one of the query's.

    Parameters
    ----------
    ranked
        int (q, K'), rows of the database, best first; -1 pads a short list at its end and counts as a miss.
    query_labels, database_labels
        bool (q, L) and (n, L), the positive labels of the queries and of the films that were searched; or both as
        classes, names of each film or data frames, which are put together by name (`graphret.build` takes the same).
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
        R and the ``:relevant`` forms for one without a relevant film in the database. There P, ACG, DCG, mAP, gmAP,
        HR and MMV are 0, and mAP and gmAP are 0 too when nothing relevant was retrieved.

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
    wanted = _of_labels(measures)
    of_queries, of_films = label_pair(query_labels, database_labels)
    n_films = len(of_films)
    widest = max(wanted, key=lambda measure: measure.k)
    lists = check_ranked(ranked, len(of_queries), n_films, widest.k)
    searchable = check_allowed(allowed, n_films)
    forbidden = excluded_pairs(excluded, len(of_queries), n_films)
    check_only_allowed(lists, searchable, forbidden)

    lists = lists[:, : widest.k]
    grader = Grader(of_queries, of_films, searchable, forbidden)
    scores = {measure.name: np.empty(len(lists)) for measure in wanted}
    step = max(1, BLOCK // max(grader.n_patterns, lists.shape[1], of_films.shape[1] + 1))
    for start in range(0, len(lists), step):
        rows = slice(start, min(start + step, len(lists)))
        for name, values in _score(grader.judge(rows, lists[rows]), wanted).items():
            scores[name][rows] = values
    return scores


class RankingJudge:
    """Scores many lists of the same queries as `evaluate_ranking` does, and counts only once what the lists share.

    Parameters
    ----------
    grader
        The grades: `of_labels` makes them, or judged pairs have them.
    measures
        As for `evaluate_ranking`; of judged pairs no measure that asks for labels. The lists that come are not checked:
        they are a ranking's own.

    Raises
    ------
    UnknownNameError, InvalidParameterError
        A measure that is none, or that judged pairs cannot have.

    Examples
    --------
    >>> database = np.array([[1, 1], [1, 0], [0, 0], [0, 1]], dtype=bool)
    >>> judge = RankingJudge.of_labels(database[:2], database, ["P@2"])
    >>> two_rankings_of_query_1 = np.array([[[0, 2]], [[0, 1]]], np.int32)
    >>> judge.scores(two_rankings_of_query_1, slice(1, 2))["P@2"].tolist()
    [[0.5], [1.0]]
    """

    def __init__(self, grader: Grader | PairGrader, measures: Sequence[str]) -> None:
        self._wanted, self._grader = _of_labels(measures), grader
        if isinstance(grader, PairGrader):
            check_judged_measures(measures)

    @classmethod
    def of_labels(
        cls,
        query_labels: BoolArray,
        database_labels: BoolArray,
        measures: Sequence[str],
        *,
        excluded: Sequence[Any] | None = None,
    ) -> RankingJudge:
        """Judge by shared labels; see `evaluate_ranking`."""
        of_queries, of_films = label_pair(query_labels, database_labels)
        forbidden = excluded_pairs(excluded, len(of_queries), len(of_films))
        return cls(Grader(of_queries, of_films, np.ones(len(of_films), np.bool_), forbidden), measures)

    def scores(self, lists: Int32Array, rows: slice) -> dict[str, Float64Array]:
        """Score lists int32 (c, b, K) of c rankings for the b queries of ``rows``; by measure float64 (c, b)."""
        n_rankings, n_queries, width = lists.shape
        flat = lists.reshape(n_rankings * n_queries, width)
        values = _score(self._grader.judge(rows, flat), self._wanted)
        return {name: of_lists.reshape(n_rankings, n_queries) for name, of_lists in values.items()}


def check_judged_measures(measures: Sequence[str]) -> None:
    """Refuse measures that judged pairs cannot have: they count the labels of a query, or those of its hits.

    Raises
    ------
    UnknownNameError, InvalidParameterError
        A measure that is none, or one of these.
    """
    for measure in _parse_all(measures):
        if measure.form in _NEED_LABELS:
            allowed = ", ".join(form for form in _MEASURES if form not in _NEED_LABELS)
            hint = "it counts labels, and judgements are of pairs of films"
            raise InvalidParameterError("measures", measure.name, f"with judgements one of {allowed}", hint)


def _of_labels(measures: Sequence[str]) -> list[Measure]:
    wanted = _parse_all(measures)
    for measure in wanted:
        if measure.form not in _MEASURES:
            hint = "a column of the films is needed: graphret.evaluate has them"
            raise InvalidParameterError("measures", measure.name, f"one of {', '.join(_MEASURES)}", hint)
    return wanted


def _score(judged: Judged, wanted: list[Measure]) -> dict[str, Float64Array]:
    """Every measure of every list, NaN for queries without a positive label."""
    undefined = judged.n_positive == 0
    return {measure.name: np.where(undefined, np.nan, _MEASURES[measure.form](judged, measure.k)) for measure in wanted}


def _parse_all(measures: Sequence[str]) -> list[Measure]:
    wanted = [parse_measure(name) for name in ([measures] if isinstance(measures, str) else measures)]
    if not wanted:
        raise InvalidParameterError("measures", list(measures), f"at least one of {', '.join(_MEASURES)}")
    return wanted
