"""Measures of Hamming search that no order of ties can sway: their mean over all orders of equally near films.

McSherry and Najork, Computing information retrieval performance measures efficiently in the presence of tied scores,
ECIR 2008. A code of b bits has b + 1 distances, so that most films share theirs with others; which of them come first
is up to whoever ranked. Here nobody ranks: a *tie* is a set of films at one distance, all its orders are alike likely,
and every measure is its expectation, from no more than how many films of each grade lie at each distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.evaluation._inputs import check_allowed, excluded_pairs, label_pair
from graphret.evaluation.measures import evaluate_ranking, parse_measure
from graphret.hashing import HammingSearch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphret._types import BoolArray, Float64Array, Int32Array, Int64Array

__all__ = ["EXPECTED", "evaluate_hamming"]

TIES = ("expected", "position")
LARGEST_DCG_GRADE = 1000
"""Above this grade ``2**r`` summed over a list leaves the range of float64."""


@dataclass(frozen=True, eq=False)
class _Tied:
    """One query: how many films of each grade lie at each distance that occurs."""

    counts: Int64Array  # (t, L + 1): films of tie i with grade 0 ... L, nearest tie first, none empty
    n_positive: int  # |q|

    @cached_property
    def sizes(self) -> Int64Array:
        return np.asarray(self.counts.sum(axis=1))

    @cached_property
    def relevant(self) -> Int64Array:
        """Relevant films of every tie."""
        return np.asarray(self.counts[:, 1:].sum(axis=1))

    @cached_property
    def gained(self) -> Int64Array:
        """Sum of the grades of every tie."""
        return np.asarray(self.counts @ np.arange(self.counts.shape[1]))

    @property
    def n_relevant(self) -> int:
        return int(self.relevant.sum())

    def ranks(self, k: int) -> tuple[Int64Array, Int64Array]:
        """Tie of each of the first k ranks, and the place in it, from 0; fewer than k where fewer films are there."""
        ends = np.cumsum(self.sizes)
        ranks = np.arange(min(k, int(ends[-1]) if ends.size else 0))
        ties = np.searchsorted(ends, ranks, side="right")
        return ties, ranks - (ends - self.sizes)[ties]

    def before(self, amounts: Int64Array) -> Int64Array:
        """Sum of the amounts of all nearer ties, for every tie."""
        return np.asarray(np.cumsum(amounts) - amounts)

    def cut(self, k: int) -> tuple[int, int, int, Float64Array]:
        """The tie that rank k falls in: its number, places before the cut, relevant films before it, and chances.

        The chances are those of j = 0, 1, ... relevant films before the cut within the tie (hypergeometric).
        """
        from scipy.stats import hypergeom

        ties, places = self.ranks(k)
        tie, inside = int(ties[-1]), int(places[-1]) + 1
        size, relevant = int(self.sizes[tie]), int(self.relevant[tie])
        chances = hypergeom.pmf(np.arange(inside + 1), size, relevant, inside)
        return tie, inside, int(self.before(self.relevant)[tie]), np.asarray(chances, np.float64)


def _mean_gain(tied: _Tied, k: int, gains: Float64Array, discounts: Float64Array) -> float:
    """Sum over ranks of the mean gain of the rank's tie times the discount of the rank."""
    ties, _ = tied.ranks(k)
    means = (tied.counts @ gains) / tied.sizes
    return float(means[ties] @ discounts[: ties.size])


def _sum_of_grades(tied: _Tied, k: int) -> float:
    return _mean_gain(tied, k, np.arange(tied.counts.shape[1], dtype=np.float64), np.ones(k))


def _hits(tied: _Tied, k: int) -> float:
    return _mean_gain(tied, k, (np.arange(tied.counts.shape[1]) > 0).astype(np.float64), np.ones(k))


def _precision(tied: _Tied, k: int) -> float:
    return _hits(tied, k) / k


def _precision_relevant(tied: _Tied, k: int) -> float:
    return _hits(tied, k) / min(k, tied.n_relevant) if tied.n_relevant else np.nan


def _recall(tied: _Tied, k: int) -> float:
    return _hits(tied, k) / tied.n_relevant if tied.n_relevant else np.nan


def _average_cumulative_gain(tied: _Tied, k: int) -> float:
    return _sum_of_grades(tied, k) / (k * tied.n_positive)


def _discounted(tied: _Tied, k: int, *, normalised: bool) -> float:
    best = int(np.flatnonzero(tied.counts.sum(axis=0))[-1]) if tied.sizes.size else 0
    if normalised and best == 0:
        return float("nan")
    if not normalised and best > LARGEST_DCG_GRADE:
        raise InvalidParameterError(
            "measures",
            f"DCG@{k}",
            f"nDCG@{k} where films share more than {LARGEST_DCG_GRADE} labels",
            "2^r is beyond float64 there; nDCG is a ratio and stays exact",
        )
    # The ratio does not change when all gains are divided by 2^(best grade), and nothing can overflow then.
    shift = best if normalised else 0
    grades = np.minimum(np.arange(tied.counts.shape[1]), best)  # larger ones do not occur
    gains = np.ldexp(1.0, grades - shift) - np.ldexp(1.0, -shift)
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    reached = _mean_gain(tied, k, gains, discounts)
    if not normalised:
        return reached
    totals = tied.counts.sum(axis=0)
    ideal = _Tied(np.diag(totals)[::-1][totals[::-1] > 0], tied.n_positive)
    return reached / _mean_gain(ideal, k, gains, discounts)


def _hit_rate(tied: _Tied, k: int) -> float:
    if not tied.sizes.size:
        return 0.0
    _, _, before, chances = tied.cut(k)
    return 1.0 if before else float(1.0 - chances[0])


def _summed_precision(tied: _Tied, k: int, *, graded: bool) -> Float64Array:
    """Expected precision at a rank if it is relevant, else 0, for the first k ranks; graded: the mean grade instead.

    At place i (from 0) of a tie of m films with r relevant ones of grades g that sum to G, after A in nearer ties:
    ``(r / m) A + G / m + i (r - 1) G / (m (m - 1))``, over the rank. For precision itself every g is 1, and G = r.
    """
    ties, places = tied.ranks(k)
    amounts = tied.gained if graded else tied.relevant
    size, relevant, amount = tied.sizes[ties], tied.relevant[ties], amounts[ties]
    others = places * (relevant - 1) * amount / (size * np.maximum(size - 1, 1))
    sums = relevant / size * tied.before(amounts)[ties] + amount / size + others
    return np.asarray(np.where(relevant > 0, sums, 0.0) / np.arange(1, ties.size + 1))


def _average_precision_relevant(tied: _Tied, k: int, *, graded: bool = False) -> float:
    if not tied.n_relevant:
        return float("nan")
    return float(_summed_precision(tied, k, graded=graded).sum()) / min(k, tied.n_relevant)


def _average_precision_retrieved(tied: _Tied, k: int, *, graded: bool = False) -> float:
    """Expected average precision over the relevant films among the first k, whose number is a matter of chance too.

    Given j relevant films before the cut of the tie that rank k falls in, their places are alike likely, so that the
    formula above holds with the tie cut to its c places, r = j, and G = j times the mean grade of a relevant film.
    """
    if not tied.sizes.size:
        return 0.0
    tie, inside, before, chances = tied.cut(k)
    amounts = tied.gained if graded else tied.relevant
    n_full = int(tied.sizes[:tie].sum())
    full = float(_summed_precision(tied, n_full, graded=graded).sum()) if n_full else 0.0
    mean_grade = amounts[tie] / max(int(tied.relevant[tie]), 1)
    found = np.arange(inside + 1)
    ranks = n_full + np.arange(1, inside + 1)
    # of one rank each: sum of 1 / rank, and of place / rank
    single, place = float((1.0 / ranks).sum()), float((np.arange(inside) / ranks).sum())
    pairs = found * (found - 1) / (inside * max(inside - 1, 1))
    nearer = int(tied.before(amounts)[tie])
    sums = full + found / inside * (nearer + mean_grade) * single + pairs * mean_grade * place
    return float(chances @ (sums / np.maximum(before + found, 1)))


_MEASURES: dict[str, Callable[[_Tied, int], float]] = {
    "P@K": _precision,
    "ACG@K": _average_cumulative_gain,
    "DCG@K": lambda tied, k: _discounted(tied, k, normalised=False),
    "nDCG@K": lambda tied, k: _discounted(tied, k, normalised=True),
    "mAP@K": _average_precision_retrieved,
    "mAP@K:relevant": _average_precision_relevant,
    "gmAP@K": lambda tied, k: _average_precision_retrieved(tied, k, graded=True),
    "gmAP@K:relevant": lambda tied, k: _average_precision_relevant(tied, k, graded=True),
    "R@K": _recall,
    "HR@K": _hit_rate,
    "P@K:relevant": _precision_relevant,
}
EXPECTED = tuple(_MEASURES)
"""Forms of `list_measures` that have an expectation here; a majority vote (MMV) has none."""


def evaluate_hamming(
    query_bits: Any,
    database_bits: Any,
    query_labels: Any,
    database_labels: Any,
    measures: Sequence[str],
    *,
    ties: str = "expected",
    excluded: Sequence[Any] | None = None,
    allowed: Any | None = None,
    n_threads: int | None = None,
) -> dict[str, Float64Array]:
    """Score Hamming search over packed codes, one value per query and measure, whatever the order of ties.

    The measures are those of `evaluate_ranking`. With ``ties="expected"`` each is its mean over all orders of films at
    the same distance, all alike likely (McSherry and Najork 2008): for P, ACG, DCG, nDCG and R every rank gains the
    mean gain of its tie; the average precisions and HR need how relevant films are spread within it, see the source.

    Parameters
    ----------
    query_bits, database_bits
        uint8 (q, bytes) and (n, bytes), packed codes.
    query_labels, database_labels
        bool (q, L) and (n, L), positive labels.
    measures
        Names such as ``"mAP@100"``; see `list_measures`.
    ties
        ``"expected"``, or ``"position"``: the one order in which films at the same distance come by their position.
    excluded
        For each query, the rows that it could not get (films of the same patient).
    allowed
        bool (n,), the films that any query could get; all by default.
    n_threads
        Threads of the search; the result does not depend on it.

    Returns
    -------
    dict of str to float64 (q,)
        In the order of ``measures``; NaN where `evaluate_ranking` has it. K may exceed the number of films.

    Raises
    ------
    UnknownNameError, InvalidParameterError, CodesError
        As `evaluate_ranking` and `HammingSearch` do; ties of another name; MMV with ``ties="expected"``.

    Notes
    -----
    Expected: O(q (n bytes / 8 + n + u L + K)) for u distinct rows of labels; O(n) memory.

    Examples
    --------
    >>> from graphret.hashing import pack_bits
    >>> database = pack_bits([[1, 1], [1, -1], [-1, 1]])
    >>> labels = np.array([[1], [0], [1]], dtype=bool)
    >>> query = (pack_bits([[1, 1]]), database, labels[:1], labels, ["P@2", "mAP@3:relevant"])
    >>> evaluate_hamming(*query)
    {'P@2': array([0.75]), 'mAP@3:relevant': array([0.91666667])}
    >>> evaluate_hamming(*query, ties="position")
    {'P@2': array([0.5]), 'mAP@3:relevant': array([0.83333333])}
    """
    if ties not in TIES:
        raise UnknownNameError("ties", ties, TIES)
    wanted = [parse_measure(name) for name in ([measures] if isinstance(measures, str) else measures)]
    if not wanted:
        raise InvalidParameterError("measures", list(measures), "at least one, for example 'P@10'")
    for measure in wanted:
        if ties == "expected" and measure.form not in _MEASURES:
            hint = 'a vote has no closed expectation over orders of ties; ties="position" scores one order'
            raise InvalidParameterError("measures", measure.name, f"one of {', '.join(EXPECTED)}", hint)
    search = HammingSearch(database_bits)
    of_queries, of_films = label_pair(query_labels, database_labels)
    n_queries = len(np.asarray(query_bits))
    for name, labels, number in (("query_labels", of_queries, n_queries), ("database_labels", of_films, len(search))):
        if len(labels) != number:
            raise InvalidParameterError(name, labels.shape, f"one row for each of {number} codes")
    searchable = check_allowed(allowed, len(search))
    pairs = excluded_pairs(excluded, n_queries, len(search))
    forbidden = np.split(pairs % len(search), np.searchsorted(pairs, np.arange(1, n_queries) * len(search)))
    if ties == "position":
        k = max(measure.k for measure in wanted)
        films = [rows.astype(np.int32) for rows in forbidden[:n_queries]]
        ranked, _ = search.search(query_bits, k, allowed=searchable, forbidden=films, n_threads=n_threads)
        return evaluate_ranking(
            ranked, of_queries, of_films, [measure.name for measure in wanted], excluded=excluded, allowed=allowed
        )
    scores = {measure.name: np.full(n_queries, np.nan) for measure in wanted}
    patterns, pattern_of = np.unique(of_films, axis=0, return_inverse=True)
    for query in range(n_queries):
        if not of_queries[query].any():
            continue
        kept = searchable.copy()
        kept[forbidden[query]] = False
        distances = search.distances(query_bits[query : query + 1], n_threads=n_threads)[0]
        grades = (patterns & of_queries[query]).sum(axis=1)[pattern_of.ravel()]
        tied = _tied(distances[kept], grades[kept], of_queries[query])
        for measure in wanted:
            scores[measure.name][query] = _MEASURES[measure.form](tied, measure.k)
    return scores


def _tied(distances: Int32Array, grades: Int64Array, labels: BoolArray) -> _Tied:
    """Count the films of a query by distance and grade."""
    n_grades = labels.size + 1
    size = (int(distances.max(initial=-1)) + 1) * n_grades
    counts = np.bincount(distances.astype(np.int64) * n_grades + grades, minlength=size).reshape(-1, n_grades)
    return _Tied(counts[counts.any(axis=1)], int(labels.sum()))
