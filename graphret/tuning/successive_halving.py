"""Choose a ranking and its options among candidates, by successive halving on queries whose answers can be judged."""

from __future__ import annotations

import itertools
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer, check_number
from graphret._errors import InvalidParameterError
from graphret.evaluation.bootstrap import Difference, paired_difference
from graphret.retrieval import RankingChoice, create_ranking
from graphret.tuning.criteria import SHORT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphret._types import Float64Array, Int32Array, Int64Array, Progress
    from graphret.retrieval import Archive, LearnedMetric, QueryBatch
    from graphret.tuning.criteria import Criterion
    from graphret.tuning.metric_learner import MetricLearner

__all__ = ["Candidate", "Trial", "Tuning", "choose_ranking", "default_candidates"]

FIRST_RUNG, RUNG_FACTOR = 64, 4
"""Queries of the first rung; each further rung asks four times as many and keeps a quarter of the candidates."""
REFERENCE = "nearest"


@dataclass(frozen=True)
class Candidate:
    """A ranking with options, as `create_ranking` takes them.

    ``metric`` holds the ``discriminant_share`` and ``ridge`` of the metric that it learns from labels
    (`LearnedMetric.fit`), if any.
    """

    ranking: str
    options: Mapping[str, Any]
    metric: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Trial:
    """What one candidate reached on the queries of the last rung that it came to.

    ``value`` is what is compared, the mean of ``scores``; ``variety`` is the share of different films among all
    first ten hits: a ranking that gives every query the same films has little.
    """

    ranking: str
    options: Mapping[str, Any]
    n_queries: int
    scores: Mapping[str, float]
    value: float
    variety: float
    seconds: float
    metric: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Tuning:
    """The ranking that was chosen, why, and every trial, best first within the rung that it reached.

    ``difference`` is that of the best candidate from "nearest" on the same queries, with its interval over patients;
    where ``low`` is not above 0, "nearest" was chosen. ``complete`` says that the time sufficed for all rungs; only
    then does the choice not depend on the machine. ``metric`` is what the chosen ranking learned from the labels of all
    films, None where it learns nothing.
    """

    ranking: str
    options: Mapping[str, Any]
    criterion: str
    n_queries: int
    difference: Difference
    variety_floor: float
    seed: int
    complete: bool
    trials: tuple[Trial, ...]
    metric: LearnedMetric | None = None

    @property
    def choice(self) -> RankingChoice:
        """What was chosen, for `Index.query` and `evaluate`: it need not be recorded with the index."""
        return RankingChoice(self.ranking, dict(self.options), self.metric)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes None."""
        values = asdict(replace(self, metric=None))
        values["metric"] = None if self.metric is None else self.metric.to_record()
        values["difference"] = {
            name: None if value != value else value  # noqa: PLR0124 - NaN
            for name, value in values["difference"].items()
        }
        return values


def default_candidates(*, learned: bool = False) -> list[Candidate]:
    """List the candidates of a tuning: nearest first, the rankings of the papers, and a grid of "contextual".

    "alpha_qe" is in it as "contextual" without context and density, which needs no second search of the archive.

    Parameters
    ----------
    learned
        Add a grid of "contextual" in metrics that are learned from the archive's labels.

    Examples
    --------
    >>> candidates = default_candidates()
    >>> candidates[0].ranking, len(candidates), len(default_candidates(learned=True))
    ('nearest', 543, 759)
    """
    candidates = [Candidate(REFERENCE, {}), Candidate("region_growing", {}), Candidate("diffusion", {})]
    if learned:  # before the large grid, which a short budget may not get through
        candidates += _learned_candidates()
    contexts = [(0.0, 1), (0.5, 1), (0.9, 1), (0.9, 3)]
    densities = [(0.0, "archive"), *itertools.product((-1.0, 1.0, 2.0, 3.0), ("archive", "community"))]
    grid = itertools.product((None, 0.5, 1.0), (0, 3, 10, 30, 100), contexts, densities)
    for whitening, n, (context, rounds), (density, among) in grid:
        options = {"whitening": whitening, "n": n, "context": context, "rounds": rounds}
        candidates.append(Candidate("contextual", {**options, "density": density, "among": among}))
    return candidates


def _learned_candidates() -> list[Candidate]:
    """A coarser grid than that of unlabelled forms: a metric that knows findings leaves less to the other parts."""
    metrics = [
        {"discriminant_share": share, "ridge": ridge}
        for share, ridge in itertools.product((0.5, 0.8), (0.001, 0.01, 0.1))
    ]
    contexts = [(0.0, 1), (0.5, 1), (0.9, 1)]
    densities = [(0.0, "archive"), (1.0, "archive"), (1.0, "community"), (3.0, "archive")]
    grid = itertools.product(metrics, (0, 10, 100), contexts, densities)
    return [
        Candidate(
            "contextual",
            {"learned": True, "n": n, "context": context, "rounds": rounds, "density": density, "among": among},
            metric,
        )
        for metric, n, (context, rounds), (density, among) in grid
    ]


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
    """Find the best candidate by successive halving (Jamieson and Talwalkar, AISTATS 2016), or keep "nearest".

    All candidates rank the first 64 queries; the best quarter ranks four times as many, and so on to all queries.
    "nearest" is in every rung. A candidate whose variety is below ``variety`` times that of "nearest" comes after all
    others and is never chosen; of equal candidates the first is. The best of the last rung is chosen if the 95 %
    interval of its difference from "nearest", over patients, lies above 0; otherwise "nearest" is. One that learns
    a metric from labels must in the same way be clearly better than the best that does not, or else that one counts.

    Parameters
    ----------
    archive
        The films.
    queries
        In random order: a rung takes the first ones. From `QueryBatch.of`, with what each of them may not get.
    criterion
        `SharedFindings` or `ListAgreement`.
    candidates
        ``None``: `default_candidates`, with learned metrics if there is a ``learner``. "nearest" is added where it is
        missing.
    budget
        Seconds; when they are over, the last rung that was finished decides. ``None``: no limit.
    variety
        Share of the variety of "nearest" that the choice must keep, 0 to 1.
    seed
        Of the bootstrap, and recorded for whoever drew the queries with it.
    n_threads
        ``None`` for all processors; the choice does not depend on it.
    progress
        Called as ``progress("tune", trials done, trials in all)``.
    learner
        Learns the metrics of candidates that ask for one. While they are tried, no query is ranked by a metric
        that was learned from films of its patient.

    Raises
    ------
    InvalidParameterError
        No queries, a value out of its range, or a candidate that learns a metric without a ``learner``.
    """
    check_integer("seed", seed, 0)
    check_number("variety", variety, at_least=0, at_most=1, hint="0.5 keeps half of nearest's variety")
    if budget is not None:
        check_number("budget", budget, above=0, hint="seconds, or None")
    if not len(queries):
        raise InvalidParameterError("queries", "0 queries", "at least one film to ask with")
    # The reference goes first, so that it is in any rung that was begun.
    others = list(default_candidates(learned=learner is not None) if candidates is None else candidates)
    if learner is None and any(candidate.metric is not None for candidate in others):
        raise InvalidParameterError("learner", None, "a MetricLearner", "some candidates learn a metric from labels")
    contest = [Candidate(REFERENCE, {}), *(candidate for candidate in others if candidate.ranking != REFERENCE)]
    rungs = _rungs(len(queries), len(contest))
    started, done, complete = time.monotonic(), 0, True
    order = list(range(len(contest)))
    last: dict[int, Trial] = {}
    decided: dict[int, tuple[Trial, Float64Array]] = {}
    for size, _ in rungs:
        batch = _rows(queries, np.arange(size))
        rung: dict[int, tuple[Trial, Float64Array]] = {}
        for number in order:
            if budget is not None and rung and time.monotonic() - started > budget:
                complete = False
                break
            rung[number] = _try(archive, batch, criterion, contest[number], learner, n_threads)
            last[number] = rung[number][0]
            done += 1
            if progress is not None:
                progress("tune", done, sum(count for _, count in rungs))
        if complete or not decided:
            decided = rung
        if not complete:
            break
        order = sorted({0, *_ranked(rung, variety)[: max(1, len(rung) // RUNG_FACTOR)]})
    if progress is not None and done < sum(count for _, count in rungs):
        progress("tune", done, done)
    best, *others_in_turn = _ranked(decided, variety)
    units = criterion.patients(len(decided[0][1]))
    if contest[best].metric is not None:
        # labels of the archive are learned from only where that is clearly better than the best that does without
        plain = next(number for number in others_in_turn if contest[number].metric is None)
        if not paired_difference(decided[best][1], decided[plain][1], units, seed=seed).low > 0:
            best = plain
    difference = paired_difference(decided[best][1], decided[0][1], units, seed=seed)
    chosen = decided[best if difference.low > 0 else 0][0]
    return Tuning(
        ranking=chosen.ranking,
        options=chosen.options,
        criterion=criterion.name,
        n_queries=chosen.n_queries,
        difference=difference,
        variety_floor=variety * decided[0][0].variety,
        seed=seed,
        complete=complete,
        trials=tuple(sorted(last.values(), key=lambda trial: (-trial.n_queries, -trial.value))),
        metric=None if learner is None or chosen.metric is None else learner.fit(chosen.metric),
    )


def _rungs(n_queries: int, n_candidates: int) -> list[tuple[int, int]]:
    """Queries and largest number of candidates of every rung."""
    rungs = []
    size = FIRST_RUNG
    while size < n_queries:
        rungs.append((size, n_candidates))
        size, n_candidates = size * RUNG_FACTOR, 1 + max(1, n_candidates // RUNG_FACTOR)
    return [*rungs, (n_queries, n_candidates)]


def _ranked(rung: Mapping[int, tuple[Trial, Float64Array]], variety: float) -> list[int]:
    """Candidates of a rung, best first; those without enough variety last."""
    floor = variety * rung[0][0].variety
    return sorted(rung, key=lambda number: (rung[number][0].variety < floor, -rung[number][0].value, number))


def _rows(queries: QueryBatch, rows: Int64Array) -> QueryBatch:
    forbidden = None if queries.forbidden is None else [queries.forbidden[row] for row in rows]
    return replace(
        queries,
        codes=queries.codes[rows],
        neighbors=queries.neighbors[rows],
        similarities=queries.similarities[rows],
        forbidden=forbidden,
    )


def _lists(
    archive: Archive,
    batch: QueryBatch,
    candidate: Candidate,
    depth: int,
    learner: MetricLearner | None,
    n_threads: int | None,
) -> Int32Array:
    """Lists of the first queries; with a learned metric each by the one that its own patient had no part in."""
    if learner is None or candidate.metric is None:
        ranker = create_ranking(candidate.ranking, archive, **candidate.options)
        return ranker.rank(batch, depth, n_threads=n_threads).positions
    lists = np.empty((len(batch), depth), np.int32)
    folds = learner.query_folds[: len(batch)]
    for fold in np.unique(folds).tolist():
        rows = np.flatnonzero(folds == fold)
        ranker = create_ranking(candidate.ranking, learner.archive_for(candidate.metric, fold), **candidate.options)
        lists[rows] = ranker.rank(_rows(batch, rows), depth, n_threads=n_threads).positions
    return lists


def _try(
    archive: Archive,
    batch: QueryBatch,
    criterion: Criterion,
    candidate: Candidate,
    learner: MetricLearner | None,
    n_threads: int | None,
) -> tuple[Trial, Float64Array]:
    """One trial, and for every query the mean of its scores."""
    started = time.monotonic()
    lists = _lists(archive, batch, candidate, criterion.depth, learner, n_threads)
    values = criterion.values(lists)
    scores = {name: float(np.nanmean(of_queries)) for name, of_queries in values.items()}
    hits = lists[:, :SHORT][lists[:, :SHORT] >= 0]
    trial = Trial(
        ranking=candidate.ranking,
        options=dict(candidate.options),
        n_queries=len(batch),
        scores=scores,
        value=float(np.mean(list(scores.values()))),
        variety=float(np.unique(hits).size / max(1, min(hits.size, archive.n_films))),
        seconds=time.monotonic() - started,
        metric=candidate.metric,
    )
    return trial, np.mean(list(values.values()), axis=0)
