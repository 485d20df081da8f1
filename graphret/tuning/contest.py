"""Choose a ranking and its options among candidates, by queries whose answers can be judged."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer, check_number
from graphret._errors import InvalidParameterError
from graphret._numba import compile_seconds
from graphret._progress import Stage
from graphret.evaluation.bootstrap import paired_difference
from graphret.tuning.candidate_lists import CandidateLists
from graphret.tuning.candidates import REFERENCE, Candidate, default_candidates
from graphret.tuning.criteria import SHORT
from graphret.tuning.dealt_lists import DealtLists
from graphret.tuning.metric_learner import folds_of
from graphret.tuning.outcome import Trial, Tuning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from graphret._types import Float64Array, Int32Array, Progress
    from graphret.evaluation.bootstrap import Difference
    from graphret.retrieval import Archive, QueryBatch
    from graphret.tuning.criteria import Criterion
    from graphret.tuning.metric_learner import MetricLearner

__all__ = ["choose_ranking"]

logger = logging.getLogger(__name__)

FIRST_BLOCK = 64
"""Queries of the first block; each further block asks as many as all before it."""
BEATEN_BY = 4.0
"""Standard errors that a candidate may lie behind the best before it is asked no further."""
FOLDS = 5
"""Parts of the patients: the queries of each are judged by a choice that the others made."""
ALPHA = 0.001
"""A gain is clear where chance would give one as large, on either side, in fewer than this share of samples; divided by
the number of choices that are judged, which are two where metrics are learned from labels."""
N_RESAMPLES = 10_000


def choose_ranking(
    archive: Archive,
    queries: QueryBatch,
    criterion: Criterion,
    candidates: Sequence[Candidate] | None = None,
    *,
    budget: float | None = None,
    variety: float = 0.5,
    seed: int = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
    learner: MetricLearner | None = None,
) -> Tuning:
    """Find the best candidate, or keep "nearest" where none is clearly better on queries that did not choose it.

    All candidates rank the same queries, block by block; one that lies more than four standard errors behind the best
    so far is dropped ("racing": Maron and Moore, NIPS 1993). "nearest" stays to the end. A candidate whose variety is
    below ``variety`` times that of "nearest" comes after all others; of equal candidates the first is better.

    The best of all queries is chosen if the rule that found it gains on queries that took no part: the patients are
    divided into five, and the queries of each part are ranked by what is best for the other four. What that gains over
    "nearest" is the promise (`Tuning.difference`). It must be clear (p < 0.001 by bootstrap over patients), and so must
    be what is left of it without what the same lists gain for other queries (`Tuning.own_gain`, `DealtLists`). If it is
    not, the same is tried without the candidates that learn a metric from labels, and where that is not clear either,
    "nearest" is chosen. Where metrics are learned, two rules are judged, and each must have p < 0.0005. Of n patients
    whose queries gain or lose, none gives a p below ``2 / 2^n``, that of chance turning all their signs alike: with
    fewer than 11 (12 where two rules are judged) nothing is clear.

    Parameters
    ----------
    archive
        The films.
    queries
        In random order: a block takes the next ones. From `QueryBatch.of`, with what each of them may not get.
    criterion
        `SharedFindings` or `JudgedHits`.
    candidates
        ``None``: `default_candidates`, with learned metrics if there is a ``learner``. "nearest" is added where it is
        missing.
    budget
        Seconds; when they are over, the blocks that were finished decide, and a warning says so. ``None``: no limit.
        Kernels that are compiled meanwhile, once on a machine, take nothing of it.
    variety
        Share of the variety of "nearest" that the choice must keep, 0 to 1.
    seed
        Of the bootstrap and of the division, and recorded for whoever drew the queries with it.
    n_threads
        ``None`` for all processors; the choice does not depend on it.
    progress
        Called as ``progress("tune", queries done, queries)``.
    learner
        Learns the metrics of candidates that ask for one. While they are tried, no query is ranked by a metric
        that was learned from films of its patient.

    Raises
    ------
    InvalidParameterError
        No queries, a value out of its range, or a candidate that learns a metric without a ``learner``.

    Notes
    -----
    The time is that of `rank_forms` for the grid of "contextual", and of a query for every other candidate.
    """
    check_integer("seed", seed, 0)
    check_number("variety", variety, at_least=0, at_most=1, hint="0.5 keeps half of nearest's variety")
    if budget is not None:
        check_number("budget", budget, above=0, hint="seconds, or None")
    if not len(queries):
        raise InvalidParameterError("queries", "0 queries", "at least one film to ask with")
    others = list(default_candidates(learned=learner is not None) if candidates is None else candidates)
    if learner is None and any(candidate.metric is not None for candidate in others):
        raise InvalidParameterError("learner", None, "a MetricLearner", "some candidates learn a metric from labels")
    contest = [Candidate(REFERENCE, {}), *(candidate for candidate in others if candidate.ranking != REFERENCE)]
    lists = CandidateLists(archive, queries, contest, criterion.depth, learner, n_threads)
    race = _Race(contest, criterion, variety, seed, archive.n_films)
    complete, done, begun = True, 0, time.monotonic()
    with compile_seconds() as compiled:

        def is_over() -> bool:
            return budget is not None and time.monotonic() - begun - compiled() > budget

        while complete and done < len(queries):
            rows = slice(done, min(max(FIRST_BLOCK, 2 * done), len(queries)))
            complete = _run_block(race, lists, rows, is_over, progress)
            if complete or done == 0:
                done = rows.stop
            lists.forget_others(race.alive)
    if not complete:
        logger.warning(
            "the time of the tuning (%s s) was over after %d of %d queries and %d of %d candidates: give it more",
            budget,
            done,
            len(queries),
            len(race.tried),
            len(contest),
        )
    promise = race.choice(DealtLists(lists, criterion, done, seed))
    chosen = race.trial(promise.best if promise.is_clear else 0)
    return Tuning(
        ranking=chosen.ranking,
        options=chosen.options,
        criterion=criterion.name,
        n_queries=chosen.n_queries,
        difference=promise.gain,
        own_gain=promise.own_gain,
        variety_floor=race.floor,
        seed=seed,
        complete=complete,
        trials=tuple(sorted(map(race.trial, race.tried), key=lambda trial: (-trial.n_queries, -trial.value))),
        metric=None if learner is None or chosen.metric is None else learner.fit(chosen.metric),
    )


def _run_block(
    race: _Race, lists: CandidateLists, rows: slice, is_over: Callable[[], bool], progress: Progress | None
) -> bool:
    """Rank a block of queries by all that are still in the race; False where the time was over before its end.

    Then the block does not count; but of the first block, those count that have ranked it.
    """
    chunks = lists.chunks(race.alive, rows.stop - rows.start)
    n_queries = len(lists.queries)
    judged: list[tuple[list[int], dict[str, Float64Array], Int32Array, float]] = []
    for number, chunk in enumerate(chunks):
        if judged and is_over():
            break
        started = time.monotonic()
        positions = lists.rank(chunk, rows)
        values = race.criterion.values(positions, rows)
        hits = positions[:, :, :SHORT].copy()  # a view would keep whole lists
        judged.append((chunk, values, hits, time.monotonic() - started))
        if progress is not None:
            note = race.best_so_far or f"first {rows.stop} queries, by {len(race.alive)} candidates"
            progress(
                Stage("tune", note), rows.start + (rows.stop - rows.start) * (number + 1) // len(chunks), n_queries
            )
    in_time = len(judged) == len(chunks)
    if in_time or rows.start == 0:
        for entry in judged:
            race.add(*entry)
        race.drop_beaten()
        logger.info("%s", race.best_so_far)
    if progress is not None and not in_time:
        progress("tune", n_queries, n_queries)
    return in_time


@dataclass(frozen=True)
class _Promise:
    """The best candidate, what choosing it gains, and what of that is no gain for every other query too."""

    best: int
    gain: Difference
    own_gain: Difference | None
    is_clear: bool


class _Race:
    """The scores of all candidates so far, and who is still in."""

    def __init__(
        self, contest: Sequence[Candidate], criterion: Criterion, variety: float, seed: int, n_films: int
    ) -> None:
        self.contest, self.criterion, self.n_films = contest, criterion, n_films
        self.variety, self.seed = variety, seed
        self.alive = list(range(len(contest)))
        self._scores: list[list[dict[str, Float64Array]]] = [[] for _ in contest]
        self._hits: list[list[NDArray[Any]]] = [[] for _ in contest]
        self._seconds = [0.0] * len(contest)
        self._varieties: dict[tuple[int, int], float] = {}
        self.best_so_far = ""

    @property
    def tried(self) -> list[int]:
        """Candidates that ranked at least one block."""
        return [number for number, scores in enumerate(self._scores) if scores]

    def add(self, numbers: Sequence[int], values: dict[str, Float64Array], hits: NDArray[Any], seconds: float) -> None:
        """Take the scores (candidates, units) and the first hits (candidates, queries, 10) of a block."""
        for place, number in enumerate(numbers):
            self._scores[number].append({name: of_all[place] for name, of_all in values.items()})
            self._hits[number].append(hits[place])
            self._seconds[number] += seconds / len(numbers)

    def drop_beaten(self) -> None:
        """Keep "nearest", and all that may still be the best."""
        there = [number for number in self.alive if len(self._scores[number]) == len(self._scores[0])]
        values = np.stack([self.values(number) for number in there])
        means = dict(zip(there, np.nanmean(values, axis=1).tolist(), strict=True))
        leader = self._first(self._by_mean(means))
        behind = values[there.index(leader)] - values
        error = np.nanstd(behind, axis=1) / np.sqrt(values.shape[1])
        beaten = np.nanmean(behind, axis=1) > BEATEN_BY * error + 1e-12
        self.alive = [number for number, out in zip(there, beaten, strict=True) if number == 0 or not out]
        self.best_so_far = self._note(leader)

    def values(self, number: int) -> Float64Array:
        """Mean of the measures for every unit, float64 (u,)."""
        scores = self._scores[number]
        return np.concatenate([np.mean(list(block.values()), axis=0) for block in scores])

    def _note(self, leader: int) -> str:
        """Say who leads, beside "nearest", and how many are still in the race."""
        best, reference = self.trial(leader), self.trial(0)
        options = ",".join(f"{name}={value}" for name, value in {**best.options, **(best.metric or {})}.items())
        return (
            f"after {best.n_queries} queries: best {best.ranking}{':' if options else ''}{options} {best.value:.4f}, "
            f"{REFERENCE} {reference.value:.4f}; {len(self.alive)} of {len(self.contest)} candidates left"
        )

    def trial(self, number: int) -> Trial:
        """The record of a candidate."""
        candidate, scores = self.contest[number], self._scores[number]
        means = {name: float(np.nanmean(np.concatenate([block[name] for block in scores]))) for name in scores[0]}
        return Trial(
            ranking=candidate.ranking,
            options=dict(candidate.options),
            n_queries=sum(len(hits) for hits in self._hits[number]),
            scores=means,
            value=float(np.mean(list(means.values()))),
            variety=self._variety_of(number),
            seconds=self._seconds[number],
            metric=candidate.metric,
        )

    @property
    def floor(self) -> float:
        """The least variety that a choice must have."""
        return self.variety * self._variety_of(0)

    def choice(self, dealt: DealtLists) -> _Promise:
        """What choosing the best candidate promises, or the best that learns nothing if only that gain is clear."""
        plain = [number for number in self.alive if self.contest[number].metric is None]
        rules = [self.alive, plain] if any(candidate.metric for candidate in self.contest) else [self.alive]
        first = self._promise(rules[0], dealt, ALPHA / len(rules))
        if first.is_clear or len(rules) == 1:
            return first
        second = self._promise(plain, dealt, ALPHA / len(rules))
        return second if second.is_clear else first

    def _promise(self, numbers: Sequence[int], dealt: DealtLists, alpha: float) -> _Promise:
        """Choose among some candidates, nearest first, by four fifths of the patients for the last one."""
        values = np.stack([self.values(number) for number in numbers])
        units = self.criterion.patients(values.shape[1])
        folds = folds_of(units, min(FOLDS, len(np.unique(units))), self.seed)
        chosen = np.zeros(len(units), np.int64)
        for fold in np.unique(folds).tolist() if folds.max(initial=0) else []:
            chosen[folds == fold] = numbers.index(self._best(numbers, values[:, folds != fold]))
        queries = np.arange(len(units))
        best = self._best(numbers, values)
        gain = self._difference(values[chosen, queries], values[0], units)
        if not _is_clear(gain, alpha):
            return _Promise(best, gain, None, is_clear=False)
        of_others = np.zeros_like(values)
        for place in np.unique(np.append(chosen, 0)).tolist():
            of_others[place] = dealt.values(numbers[place])
        own = values - of_others
        own_gain = self._difference(own[chosen, queries], own[0], units)
        return _Promise(best, gain, own_gain, is_clear=_is_clear(own_gain, alpha))

    def _difference(self, ours: Float64Array, theirs: Float64Array, units: NDArray[Any]) -> Difference:
        return paired_difference(ours, theirs, units, n_resamples=N_RESAMPLES, seed=self.seed)

    def _best(self, numbers: Sequence[int], values: Float64Array) -> int:
        """The best candidate by values (candidates, queries)."""
        return self._first(self._by_mean(dict(zip(numbers, np.nanmean(values, axis=1).tolist(), strict=True))))

    def _by_mean(self, means: dict[int, float]) -> list[int]:
        return sorted(means, key=lambda number: (-means[number], number))

    def _first(self, order: Sequence[int]) -> int:
        """The first candidate with enough variety; nearest has it, and stays in the race."""
        return next(number for number in order if self._variety_of(number) >= self.floor)

    def _variety_of(self, number: int) -> float:
        """Share of different films among the first hits of a candidate so far."""
        key = (number, len(self._hits[number]))
        if key not in self._varieties:
            hits = np.concatenate([block[block >= 0] for block in self._hits[number]])
            self._varieties[key] = float(np.unique(hits).size / max(1, min(hits.size, self.n_films)))
        return self._varieties[key]


def _is_clear(difference: Difference, alpha: float) -> bool:
    return bool(difference.mean > 0 and difference.low > 0 and difference.p_value < alpha)
