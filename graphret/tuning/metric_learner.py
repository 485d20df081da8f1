"""Metrics learned from the labels of an archive, with those films left out whose patients ask while it is tuned."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._threads import available_threads
from graphret.retrieval import LabelScatter, LearnedMetric
from graphret.retrieval.learned_metric import WithinScatter, mean_direction, project_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from graphret._types import BoolArray, Int64Array
    from graphret.retrieval import Archive

__all__ = ["OUTSIDE", "MetricLearner", "folds_of"]

OUTSIDE = -1
"""Fold of a query from outside the archive: no film need be left out."""


def folds_of(patients: NDArray[Any], n_folds: int, seed: int) -> Int64Array:
    """Give every patient, with all films, a fold from 0 to ``n_folds - 1``; int64 (n,).

    Examples
    --------
    >>> folds = folds_of(np.array(["a", "b", "a", "c"]), 2, seed=0)
    >>> bool(folds[0] == folds[2]), sorted(set(folds.tolist()))
    (True, [0, 1])
    """
    names, numbers = np.unique(patients, return_inverse=True)
    folds: Int64Array = np.random.default_rng(seed).permutation(np.arange(len(names)) % n_folds)[numbers]
    return folds


@dataclass(frozen=True, eq=False)
class MetricLearner:
    """Learns metrics of an archive, for every fold from the films of the others.

    Parameters
    ----------
    archive
        The films.
    labels
        bool (n, L), what is learned from.
    folds
        int64 (n,), fold of every film (`folds_of`).
    query_folds
        int64 (q,), fold of every query's patient, or `OUTSIDE`.
    """

    archive: Archive
    labels: BoolArray
    folds: Int64Array
    query_folds: Int64Array

    @cached_property
    def _scatters(self) -> dict[int, LabelScatter]:
        codes = self.archive.search.read_codes()
        origin = mean_direction(codes)
        parts = {}
        for fold in np.unique(self.folds).tolist():
            rows = np.flatnonzero(self.folds == fold)
            parts[fold] = LabelScatter.of(codes[rows], self.labels[rows], origin)
        return parts

    @cached_property
    def _metrics(self) -> dict[tuple[Any, ...], LearnedMetric]:
        return {}

    @cached_property
    def _archives(self) -> dict[tuple[Any, ...], Archive]:
        return {}

    def _within(self, left_out: int) -> WithinScatter:
        """Decompose the sums over the films of all folds but one; once for all metrics."""
        if left_out not in self._decomposed:
            kept = (scatter for fold, scatter in self._scatters.items() if fold != left_out)
            self._decomposed[left_out] = WithinScatter.of(reduce(add, kept))
        return self._decomposed[left_out]

    @cached_property
    def _decomposed(self) -> dict[int, WithinScatter]:
        return {}

    def fit(self, options: Mapping[str, Any], left_out: int = OUTSIDE) -> LearnedMetric:
        """Learn a metric, with the films of one fold left out; once for all shares, which only weigh its two parts."""
        key = (left_out, *self._unshared(options))
        if key not in self._metrics:
            self._metrics[key] = LearnedMetric.fit(self._within(left_out), **options)
        return replace(self._metrics[key], discriminant_share=options["discriminant_share"])

    @staticmethod
    def _unshared(options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
        """Options of a metric without its share."""
        return tuple(sorted((name, value) for name, value in options.items() if name != "discriminant_share"))

    def archive_for(self, options: Mapping[str, Any], fold: int) -> Archive:
        """The archive with the metric for queries of one fold; made at the first call."""
        key = (fold, *sorted(options.items()))
        if key not in self._archives:
            self.prepare([options], [fold])
        return self._archives[key]

    def prepare(self, metrics: Sequence[Mapping[str, Any]], folds: Sequence[int], n_threads: int | None = None) -> None:
        """Learn several metrics for several folds of queries, and project the codes by all of them in one pass.

        They are learned in threads; each by itself is single-threaded, so that nothing depends on their number. What
        the metric that is chosen will be learned from, all films, is decomposed beside them.
        """
        wanted = [(fold, options) for fold in folds for options in metrics]
        different = list({self._unshared(options): options for options in metrics}.values())
        _ = self._scatters, self._decomposed, self._metrics  # once, for all threads
        with ThreadPoolExecutor(max_workers=n_threads or available_threads()) as pool:
            last = pool.submit(self._within, OUTSIDE)
            list(pool.map(lambda fold: [self.fit(one, fold) for one in different], folds))
            last.result()
        learned = [self.fit(options, fold) for fold, options in wanted]
        vectors = project_all(learned, self.archive.search.read_codes())
        for (fold, options), metric, projected in zip(wanted, learned, vectors, strict=True):
            self._archives[fold, *sorted(options.items())] = self.archive.with_metric(metric, projected)

    def forget(self, options: Mapping[str, Any]) -> None:
        """Drop the vectors of a metric that nobody asks for any more."""
        for fold in np.unique(self.query_folds).tolist():
            self._archives.pop((fold, *sorted(options.items())), None)
