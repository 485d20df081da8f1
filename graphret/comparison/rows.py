"""One row of a comparison: a method, a length of its code, and a ranking, measured as `graphret.evaluate` measures."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError
from graphret.comparison.compare_ranking import CompareRanking
from graphret.comparison.cost import bytes_per_film, query_milliseconds
from graphret.comparison.ties import expected_under_ties
from graphret.evaluation import evaluate
from graphret.evaluation.column_measures import split_measures
from graphret.files import Stage, digest
from graphret.index import build
from graphret.index import open as open_index
from graphret.retrieval import RankingChoice
from graphret.tuning import tune

if TYPE_CHECKING:
    from pathlib import Path

    from graphret._types import Float32Array, Float64Array, Int32Array, Int64Array, Progress
    from graphret.comparison.experiment import Experiment, MethodSettings
    from graphret.comparison.films import ComparedFilms
    from graphret.comparison.representation import Representation
    from graphret.data import ImageTable
    from graphret.index import Index
    from graphret.tuning import Tuning

__all__ = ["MeasuredRow", "RowMaker", "failed_row", "row_name"]

_ORDER = 3
"""Of the order in which films are searched; in the keys of rows, so that those of another order are measured again."""


@dataclass(frozen=True, eq=False)
class MeasuredRow:
    """One row.

    Attributes
    ----------
    name
        Method, bits and ranking in words; unique in a comparison.
    method, kind, registered
        Label, kind and registry name of the method.
    n_bits
        Length of the binary code, None for real values.
    ranking
        As the experiment names it; ``chosen`` says what "tuned" has chosen, and for several seeds that of the first,
        with all of them as ``of_seeds``.
    measures
        Mean and interval over patients by measure, as plain values.
    ties
        For a ranking by Hamming distance: mean over queries of what the measures are expected to be if films at one
        distance came in random order. None for other rankings.
    costs
        auc, training_seconds, films_per_second, query_milliseconds, bytes_per_film; trainings (`training_state` of
        every seed).
    error
        Why there are no figures; "" when there are.
    values
        float64 (q,) by measure, one value per query; NaN where undefined. Of several seeds: their means.
    seed_values
        float64 (s, q) by measure, of every seed; empty for one seed.
    positions, similarities
        int32 and float32 (q, K): the lists.
    """

    name: str
    method: str
    kind: str
    registered: str
    n_bits: int | None
    ranking: str
    chosen: dict[str, Any] | None = None
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)
    ties: dict[str, float | None] | None = None
    costs: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    values: dict[str, Float64Array] = field(default_factory=dict, repr=False)
    seed_values: dict[str, Float64Array] = field(default_factory=dict, repr=False)
    positions: Int32Array | None = field(default=None, repr=False)
    similarities: Float32Array | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        kept = ("name", "method", "kind", "registered", "n_bits", "ranking", "chosen", "measures", "ties", "costs")
        return {**{name: getattr(self, name) for name in kept}, "error": self.error or None}


def row_name(method: MethodSettings, n_bits: int | None, ranking: str) -> str:
    """Call a row; without a ranking, all rows of a method at one length.

    Examples
    --------
    >>> from graphret.comparison.experiment import MethodSettings
    >>> row_name(MethodSettings("encoder", "siamese_hash"), 48, "hamming")
    'siamese_hash, 48 bits, hamming'
    """
    bits = "" if n_bits is None else f"{n_bits} bits"
    return ", ".join(part for part in (method.label, bits, ranking) if part)


def failed_row(method: MethodSettings, n_bits: int | None, ranking: str, error: BaseException) -> MeasuredRow:
    """A row that says why it has no figures."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return MeasuredRow(
        row_name(method, n_bits, ranking), method.label, method.kind, method.name, n_bits, ranking, error=reason
    )


class RowMaker:
    """Measures the rankings of one representation after the other, on the same queries.

    Films are searched in an order that is drawn by ``data.seed``: of films at one distance the first is found first, so
    a data set in folders would give the first class those places. Positions are those of
    ``films.database``.

    Parameters
    ----------
    experiment, films
        What is compared, and on what.
    progress
        Called by the long steps.
    """

    def __init__(self, experiment: Experiment, films: ComparedFilms, progress: Progress | None) -> None:
        self.experiment, self.films, self.progress = experiment, films, progress

    @cached_property
    def _order(self) -> Int64Array:
        """Rows of the searched films in the drawn order."""
        rng = np.random.default_rng([self.experiment.data.seed, _ORDER])
        return rng.permutation(len(self.films.database))

    @cached_property
    def _searched(self) -> ImageTable:
        return self.films.database.select(self._order)

    def rankings(self, method: MethodSettings, n_bits: int | None) -> tuple[str, ...]:
        """Rankings of a method: its own, or those of the experiment that suit what it gives."""
        if method.rankings:
            return method.rankings
        defaults = self.experiment.rankings
        return defaults.dense if n_bits is None else defaults.hash

    def make(self, made: Representation, ranking: str) -> MeasuredRow:
        """Measure one ranking, or read what was measured before.

        Raises
        ------
        InvalidParameterError
            A ranking of bits for a method that has none.
        """
        asked = CompareRanking.parse(ranking)
        if made.n_bits is None and asked.of_bits:
            raise InvalidParameterError(
                "rankings", ranking, "a ranking of real values", f"{made.method.label} gives no bits"
            )
        key = self.key(made.key, ranking)
        stage = f"row-{ranking.replace(':', '-')}"
        done = made.stages.load(stage, key)
        if done is None:
            done = self._measure(made, asked)
            made.stages.save(stage, key, *done)
        record, arrays = done
        return MeasuredRow(
            name=row_name(made.method, made.n_bits, ranking),
            method=made.method.label,
            kind=made.method.kind,
            registered=made.method.name,
            n_bits=made.n_bits,
            ranking=ranking,
            chosen=record["chosen"],
            measures=record["measures"],
            ties=record["ties"],
            costs={**made.costs, **record["costs"]},
            values={measure: arrays[f"values {measure}"] for measure in self.experiment.measures},
            positions=arrays["positions"],
            similarities=arrays["similarities"],
        )

    def clear(self, folder: Path) -> None:
        """Remove what can be made again quickly: the indexes of a representation that is measured."""
        for kind in ("index-*", "encode-*"):
            for entry in folder.glob(kind):
                shutil.rmtree(entry, ignore_errors=True)

    def costs_of_search(self, made: Representation, row: MeasuredRow) -> dict[str, Any]:
        """Time the queries of a row that has figures once more, and count its bytes."""
        asked = CompareRanking.parse(row.ranking)
        codes, query_codes = made.as_bits() if asked.form else (made.codes, made.query_codes)
        choice = asked.choice
        if row.chosen is not None:
            choice = RankingChoice(row.chosen["ranking"], row.chosen["options"])
        with self._index(made, codes, asked.form) as index:
            return self._costs(index, query_codes, index.choose(choice), made.n_bits)

    def _costs(
        self, index: Index, query_codes: Float32Array, choice: RankingChoice, n_bits: int | None
    ) -> dict[str, Any]:
        timed = query_codes[: self.experiment.timed_queries]
        return {
            "query_milliseconds": query_milliseconds(index, timed, choice, n_bits),
            "bytes_per_film": bytes_per_film(index, choice.name, n_bits),
        }

    def key(self, key_of_codes: str, ranking: str) -> str:
        """Digest of everything that decides a row."""
        experiment = self.experiment
        deciding = {
            "ranking": ranking,
            "measures": experiment.measures,
            "intervals": [experiment.intervals.n_resamples, experiment.intervals.seed],
            "exclude": experiment.data.exclude,
            "engine": experiment.engine,
            "order": _ORDER,
            "timed": experiment.timed_queries,
            "tune": [experiment.tune_queries, experiment.tune_seconds]
            if CompareRanking.parse(ranking).is_tuned
            else [],
        }
        return digest(key_of_codes, deciding)

    def _measure(self, made: Representation, asked: CompareRanking) -> Stage:
        experiment, films = self.experiment, self.films
        codes, query_codes = made.as_bits() if asked.form else (made.codes, made.query_codes)
        with self._index(made, codes, asked.form) as index:
            tuned = self._tune(index) if asked.is_tuned else None
            choice = index.choose(asked.choice if tuned is None else tuned.choice)
            report = evaluate(
                index,
                (query_codes, films.queries),
                measures=experiment.measures,
                rankings=choice,
                baselines=(),
                exclude=None if experiment.data.exclude == "none" else experiment.data.exclude,
                n_resamples=experiment.intervals.n_resamples,
                seed=experiment.intervals.seed,
                progress=self.progress,
            )
            scores = report.rankings[0]
            costs = self._costs(index, query_codes, choice, made.n_bits)
        chosen = None
        if tuned is not None:
            chosen = {"ranking": tuned.ranking, "options": dict(tuned.options), "complete": tuned.complete}
        ties = None
        of_labels, _ = split_measures(experiment.measures)
        if choice.name == "hamming" and of_labels:
            ties = expected_under_ties(
                (query_codes, codes[self._order]), (films.queries, self._searched), report.excluded, of_labels
            )
        plain = scores.to_dict()["measures"]
        arrays: dict[str, Any] = {f"values {measure}": scores.values[measure] for measure in experiment.measures}
        positions = np.where(scores.positions < 0, -1, self._order[scores.positions]).astype(scores.positions.dtype)
        arrays |= {"positions": positions, "similarities": scores.similarities}
        return Stage({"chosen": chosen, "measures": plain, "ties": ties, "costs": costs}, arrays)

    def _index(self, made: Representation, codes: Float32Array, form: str) -> Index:
        """Index of the codes, in the drawn order; it is built once for all rankings of a representation."""
        name = f"index-{form or 'values'}"
        key = digest(made.key, self.experiment.engine, _ORDER)
        folder = made.stages.folder / name
        if made.stages.load(f"{name}-built", key) is not None and (folder / "CURRENT").is_file():
            return open_index(folder)
        index = build(
            codes[self._order], out=folder, films=self._searched, progress=self.progress, **self.experiment.engine
        )
        made.stages.save(f"{name}-built", key)
        return index

    def _tune(self, index: Index) -> Tuning:
        """Choose the ranking on the searched films: those that validated, where there are some."""
        has_valid = bool((index.films.splits == "valid").any()) and bool((index.films.splits != "valid").any())
        return tune(
            index,
            split="valid" if has_valid else None,
            n_queries=self.experiment.tune_queries,
            budget=self.experiment.tune_seconds,
            seed=self.experiment.seed,
            progress=self.progress,
        )
