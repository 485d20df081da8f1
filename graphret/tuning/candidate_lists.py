"""Lists of many candidates for a block of queries; what candidates share is computed once."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from graphret.retrieval import Contextual, create_ranking, rank_forms

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from graphret._types import Int32Array, Int64Array
    from graphret.retrieval import Archive, QueryBatch
    from graphret.tuning.candidates import Candidate
    from graphret.tuning.metric_learner import MetricLearner

__all__ = ["CandidateLists"]

LISTS_AT_ONCE = 20_000
"""Lists that are held at one time: some 8 MB for each hundred hits."""


class CandidateLists:
    """Ranks queries by candidates; each query by the metric that its own patient had no part in.

    Parameters
    ----------
    archive
        The films.
    queries
        All queries of the tuning.
    candidates
        What they are ranked by.
    depth
        Films of a list.
    learner
        For candidates that learn a metric.
    n_threads
        ``None`` for all processors; the lists do not depend on it.
    """

    def __init__(
        self,
        archive: Archive,
        queries: QueryBatch,
        candidates: Sequence[Candidate],
        depth: int,
        learner: MetricLearner | None,
        n_threads: int | None,
    ) -> None:
        self.archive, self.queries, self.candidates, self.depth = archive, queries, candidates, depth
        self.learner, self.n_threads = learner, n_threads
        self._prepared = False

    def chunks(self, numbers: Sequence[int], n_queries: int) -> list[list[int]]:
        """Divide candidates into parts that share a pool, few enough for the memory; the first one comes alone."""
        groups: dict[Hashable, list[int]] = {}
        for number in numbers[1:]:
            groups.setdefault(self._group(number), []).append(number)
        at_once = max(1, LISTS_AT_ONCE // n_queries)
        chunks = [[numbers[0]]]
        for group in groups.values():
            chunks += [group[start : start + at_once] for start in range(0, len(group), at_once)]
        return chunks

    def rank(self, numbers: Sequence[int], rows: slice) -> Int32Array:
        """Rank the queries ``rows`` by candidates of one chunk; int32 (candidates, queries, depth)."""
        batch = rows_of(self.queries, np.arange(rows.start, rows.stop))
        if self.learner is None or self.candidates[numbers[0]].metric is None:
            return self._lists(self.archive, numbers, batch)
        lists = np.empty((len(numbers), len(batch), self.depth), np.int32)
        self._prepare(self.learner)
        folds = self.learner.query_folds[rows]
        for fold in np.unique(folds).tolist():
            of_fold = np.flatnonzero(folds == fold)
            archive = self.learner.archive_for(cast("Any", self.candidates[numbers[0]].metric), fold)
            lists[:, of_fold] = self._lists(archive, numbers, rows_of(batch, of_fold))
        return lists

    def _lists(self, archive: Archive, numbers: Sequence[int], batch: QueryBatch) -> Int32Array:
        chosen = [self.candidates[number] for number in numbers]
        rankers = [create_ranking(candidate.ranking, archive, **candidate.options) for candidate in chosen]
        if isinstance(rankers[0], Contextual) and rankers[0].pool >= self.depth:
            return rank_forms(cast("Any", rankers), batch, self.depth, n_threads=self.n_threads)
        return np.stack([ranker.rank(batch, self.depth, n_threads=self.n_threads).positions for ranker in rankers])

    def forget_others(self, numbers: Sequence[int]) -> None:
        """Free what only candidates that are not among ``numbers`` need."""
        if self.learner is not None:
            kept = [self.candidates[number].metric for number in numbers]
            for metric in self._metrics:
                if metric not in kept:
                    self.learner.forget(metric)

    @cached_property
    def _metrics(self) -> list[Mapping[str, Any]]:
        """The metrics that candidates learn, each once."""
        metrics: list[Mapping[str, Any]] = []
        for candidate in self.candidates:
            if candidate.metric is not None and candidate.metric not in metrics:
                metrics.append(candidate.metric)
        return metrics

    def _prepare(self, learner: MetricLearner) -> None:
        if not self._prepared:
            learner.prepare(self._metrics, np.unique(learner.query_folds).tolist(), self.n_threads)
            self._prepared = True

    def _group(self, number: int) -> Hashable:
        candidate = self.candidates[number]
        metric = None if candidate.metric is None else tuple(sorted(candidate.metric.items()))
        shared = candidate.ranking == Contextual.name
        return metric, candidate.options.get("pool") if shared else number


def rows_of(queries: QueryBatch, rows: Int64Array) -> QueryBatch:
    """Some queries of a batch."""
    forbidden = None if queries.forbidden is None else [queries.forbidden[row] for row in rows]
    return replace(
        queries,
        codes=queries.codes[rows],
        neighbors=queries.neighbors[rows],
        similarities=queries.similarities[rows],
        forbidden=forbidden,
    )
