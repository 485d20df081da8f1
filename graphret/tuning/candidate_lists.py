"""Lists of many candidates for a block of queries; what candidates share is computed once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from graphret._threads import available_threads, one_blas_thread
from graphret.retrieval import Contextual, create_ranking, rank_forms

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from graphret._types import Int32Array, Int64Array
    from graphret.retrieval import Archive, QueryBatch, Ranker
    from graphret.tuning.candidates import Candidate
    from graphret.tuning.metric_learner import MetricLearner

__all__ = ["CandidateLists"]

LISTS_AT_ONCE = 20_000
"""Lists that are held at one time: some 8 MB for each hundred hits."""
LEAST_AT_ONCE, PARTS_OF_THREAD = 8, 4
"""Queries that a thread takes at once, at least, and into how many parts its share of a block is cut."""


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
            return self._lists([(self._rankers(self.archive, numbers), np.arange(len(batch)))], batch)
        self._prepare(self.learner)
        metric = cast("Any", self.candidates[numbers[0]].metric)
        folds = self.learner.query_folds[rows]
        asked = [
            (self._rankers(self.learner.archive_for(metric, fold), numbers), np.flatnonzero(folds == fold))
            for fold in np.unique(folds).tolist()
        ]
        return self._lists(asked, batch)

    def _rankers(self, archive: Archive, numbers: Sequence[int]) -> list[Ranker]:
        chosen = [self.candidates[number] for number in numbers]
        return [create_ranking(candidate.ranking, archive, **candidate.options) for candidate in chosen]

    def _lists(self, asked: Sequence[tuple[list[Ranker], Int64Array]], batch: QueryBatch) -> Int32Array:
        """Let rankers rank the queries at their places in the batch; all have as many rankers of the same kinds."""
        lists = np.empty((len(asked[0][0]), len(batch), self.depth), np.int32)
        first = asked[0][0][0]
        if not (isinstance(first, Contextual) and first.pool >= self.depth):
            for rankers, places in asked:
                part = rows_of(batch, places)
                for number, ranker in enumerate(rankers):
                    lists[number, places] = ranker.rank(part, self.depth, n_threads=self.n_threads).positions
            return lists
        for ranker in cast("list[Contextual]", asked[0][0]):
            ranker.prepare()  # once, for all threads

        def fill(rankers: list[Ranker], places: Int64Array) -> None:
            part = rows_of(batch, places)
            lists[:, places] = rank_forms(cast("Any", rankers), part, self.depth, n_threads=1)

        # Threads that take a few queries each from their codes to their lists wait for each other once. Inside a
        # kernel they would wait at its end, and the kernels of a few queries take less time than a wait.
        n_threads = self.n_threads or available_threads()
        at_once = max(LEAST_AT_ONCE, -(-len(batch) // (PARTS_OF_THREAD * n_threads)))
        with one_blas_thread(), ThreadPoolExecutor(n_threads, thread_name_prefix="graphret-tune") as pool:
            begun = [
                pool.submit(fill, rankers, places[start : start + at_once])
                for rankers, places in asked
                for start in range(0, len(places), at_once)
            ]
            for work in begun:
                work.result()
        return lists

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
