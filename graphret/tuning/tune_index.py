"""Tune an index on itself: its films are the queries, each without the films of its own patient."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret.evaluation.judgements import resolve_judgements
from graphret.evaluation.queries import rows_with_same
from graphret.index import as_index
from graphret.neighbors.device_search import check_search_device, search_on
from graphret.retrieval import QueryBatch
from graphret.tuning.candidates import read_labels
from graphret.tuning.contest import choose_ranking
from graphret.tuning.criteria import JudgedHits, SharedFindings
from graphret.tuning.metric_learner import MetricLearner, folds_of

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from graphret._types import BoolArray, Int32Array, Int64Array, Progress
    from graphret.evaluation.judgements import Judgements
    from graphret.index import Index
    from graphret.tuning.candidates import Candidate
    from graphret.tuning.criteria import Criterion
    from graphret.tuning.outcome import Tuning

__all__ = ["own_films", "tune"]

logger = logging.getLogger(__name__)

NEIGHBORS = 400
"""Nearest films found once for all candidates: the default pool of "contextual"."""
TRAINED_ON, LEAST_NEW = "train", 200
"""The split whose films an encoder has seen, and how many films outside of it are enough to ask."""
FOLDS = 5
"""Parts of the patients; a query is ranked by a metric that was learned from the other four."""


def tune(
    index: Index | str | os.PathLike[str],
    *,
    judgements: str | os.PathLike[str] | Mapping[str, Mapping[str, int]] | None = None,
    measures: Sequence[str] = ("P@10", "nDCG@100", "mAP@100"),
    candidates: Sequence[Candidate] | None = None,
    learn: bool = True,
    split: str | None = None,
    n_queries: int = 1000,
    budget: float | None = 300.0,
    variety: float = 0.5,
    seed: int = 0,
    n_threads: int | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> Tuning:
    """Choose the ranking of an index by leave-one-patient-out queries inside its archive.

    The queries are films of the archive; films of a query's own patient are never among its hits. What counts is how
    many findings the hits share with them, or what people judged. Without either nothing is known of what a ranking is
    worth, and nothing is chosen. `choose_ranking` says how candidates are tried and chosen. Nothing outside the archive
    is read, and nothing is written: `Index.record_tuning` keeps the result.

    Parameters
    ----------
    index
        The archive, or its folder.
    judgements
        What people judged, in the place of labels: see `graphret.evaluate`. The films that they name as queries ask, if
        they can get one that was judged relevant; the others are counted in a warning. No metric is learned then: it
        would be learned from labels.
    measures
        Their mean is compared.
    candidates
        ``None``: `default_candidates`, with learned metrics where ``learn`` says so. Rankings that read the archive's
        labels at query time are tuned apart: `label_aware_candidates`.
    learn
        By labels, not by judgements: let candidates learn a metric from the archive's labels, for each query without
        the films of its patient (and of a fifth of the others). The metric of the choice is learned from all films and
        kept with it, so that queries need no label.
    split
        Queries of this split only. An encoder knows the films that it was trained on better than new ones, so ``None``
        asks the films outside of the split "train", where at least 200 of them can ask, and all films otherwise. A film
        that shares no finding with a film of another patient cannot be judged, and does not ask.
    n_queries
        Queries, at most; drawn by ``seed``.
    budget
        Seconds for the trials; ``None`` for no limit.
    variety, seed, n_threads, progress
        See `choose_ranking`.
    device
        As in ``Index.query``: where queries are compared with every code, and with every vector of a learned metric.
        The choice is that of exact search. Metrics are learned on the processor, whatever the device.

    Returns
    -------
    Tuning
        The choice and the table of all trials. Equal for equal index and seed where the budget sufficed.

    Raises
    ------
    InvalidParameterError
        A value out of its range, no judgements and no finding that two patients share, films of one patient only,
        nobody to ask, or a judged film that is not in the archive.
    MissingFileError, DataError
        The file of judgements is not there, or one of its lines is none.
    DeviceError, MissingDependencyError
        The device is not there, fails, or torch is not there.

    Notes
    -----
    The queries took part in the graph: its edges to other films of their patients, and those of others to them, are
    known to it. That favours rankings that use the graph a little, all of them alike.
    """
    index = as_index(index)
    check_integer("n_queries", n_queries, 2, "1000 tell good candidates apart")
    check_integer("seed", seed, 0)
    if isinstance(measures, str):
        measures = [measures]
    on = check_search_device(device)
    patients = index.films.patients
    if np.unique(patients).size < 2:
        hint = "no film gets films of its own patient, so nobody would get any"
        raise InvalidParameterError("index", "films of one patient", "films of at least two patients", hint)
    marks = None if judgements is None else _marks_that_ask(index, judgements, split, n_queries, seed)
    asking = _films_that_ask(index, split, n_queries, seed) if marks is None else marks.queries
    archive = index.labelled_archive if read_labels(candidates or ()) else index.archive
    if device is not None:
        archive = archive.with_parts(search=search_on(archive.search, on))
    forbidden = own_films(asking, patients)
    codes = archive.search.read_codes(asking)
    queries = QueryBatch.of(archive, codes, NEIGHBORS, forbidden=forbidden, n_threads=n_threads)
    criterion: Criterion
    learner = None
    if marks is not None:
        criterion = JudgedHits(marks, patients[asking], len(patients), forbidden, measures)
    else:
        relevance = index.films.relevance()
        criterion = SharedFindings(relevance[asking], relevance, patients[asking], forbidden, measures)
        if learn:
            folds = folds_of(patients, FOLDS, seed)
            learner = MetricLearner(archive, relevance, folds, folds[asking])
    return choose_ranking(
        archive,
        queries,
        criterion,
        candidates,
        budget=budget,
        variety=variety,
        seed=seed,
        n_threads=n_threads,
        progress=progress,
        learner=learner,
    )


def _films_that_ask(index: Index, split: str | None, n_queries: int, seed: int) -> Int64Array:
    """Films that share a finding with a film of another patient, drawn by the seed."""
    relevance, patients = index.films.relevance(), index.films.patients
    judged: BoolArray = np.any(relevance[:, _shared(relevance, patients)], axis=1)
    rows = _asking(index.films.splits, judged, split)
    rows = rows[judged[rows]]
    if not rows.size:
        where = "" if split is None else f" of the split {split!r}"
        raise InvalidParameterError(
            "index",
            f"no film{where} to ask",
            "labels (`update-labels`), or judgements",
            "no film that may ask shares a positive label with a film of another patient: nothing is known of what"
            " a ranking is worth, and nearest stays",
        )
    return np.random.default_rng(seed).permutation(rows)[:n_queries]


def _marks_that_ask(index: Index, given: Any, split: str | None, n_queries: int, seed: int) -> Judgements:
    """Judgements of the films that ask, drawn by the seed: those that can get a film that was judged relevant."""
    all_marks = resolve_judgements(index, given)
    patients = index.films.patients
    can_ask = all_marks.without(own_films(all_marks.queries, patients), len(patients)).with_relevant
    left_out = all_marks.left_out | {"no relevant film of another patient": len(all_marks.queries) - len(can_ask)}
    if any(left_out.values()):
        reasons = ", ".join(f"{reason}: {number}" for reason, number in left_out.items() if number)
        logger.warning("%d queries of the judgements do not ask (%s)", sum(left_out.values()), reasons)
    if split is not None:
        can_ask = can_ask[
            np.isin(all_marks.queries[can_ask], _asking(index.films.splits, np.ones(len(patients), np.bool_), split))
        ]
    if not can_ask.size:
        where = "" if split is None else f" of the split {split!r}"
        hint = "hits of a query are never films of its own patient"
        allowed = f"a query{where} with a relevant film of another patient"
        raise InvalidParameterError("judgements", all_marks.origin, allowed, hint)
    return all_marks.select(np.random.default_rng(seed).permutation(can_ask)[:n_queries])


def _asking(splits: NDArray[Any], can_ask: BoolArray, split: str | None) -> Int64Array:
    """Rows of the films that ask."""
    if split is not None:
        rows = np.flatnonzero(splits == split)
        if not rows.size:
            raise InvalidParameterError("split", split, f"a split of the archive: {', '.join(np.unique(splits))}")
        return rows
    new: BoolArray = (splits != TRAINED_ON) & can_ask
    return np.flatnonzero(new) if (splits == TRAINED_ON).any() and new.sum() >= LEAST_NEW else np.arange(len(splits))


def _shared(relevance: BoolArray, patients: NDArray[np.str_]) -> BoolArray:
    """Labels that films of two patients at least have."""
    return np.array([np.unique(patients[films]).size > 1 for films in relevance.T], dtype=np.bool_)


def own_films(films: Int64Array, patients: Any) -> list[Int32Array]:
    """For each film those of its patient, itself among them."""
    return [rows.astype(np.int32) for rows in rows_with_same(patients[films], patients)]
