"""What rankings gave all queries of an evaluation, and its scores: by shared labels, or by what people judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphret.evaluation._inputs import check_only_allowed, excluded_pairs
from graphret.evaluation.bootstrap import Difference, macro_bootstrap, paired_difference, patient_bootstrap
from graphret.evaluation.column_measures import column_scores, split_measures
from graphret.evaluation.measures import RankingJudge, evaluate_ranking
from graphret.evaluation.report import RankingScores

if TYPE_CHECKING:
    from graphret._types import Float32Array, Float64Array, Int32Array, Int64Array
    from graphret.data import ImageTable
    from graphret.evaluation.bootstrap import Interval
    from graphret.evaluation.judgements import Judgements
    from graphret.evaluation.queries import QuerySet
    from graphret.retrieval import RankingChoice

__all__ = ["Answers", "Judge", "PairJudge"]

FIRST_HITS = 10
"""Hits that somebody looks at: measured by label, and asked whether they were judged."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What one ranking gave all queries, with the median milliseconds per query."""

    positions: Int32Array
    similarities: Float32Array | None = None
    milliseconds: float | None = None
    fill_share: float | None = None
    notes: tuple[str, ...] = ()


class Judge:
    """Scores every ranking on the same queries, with the same resampled patients: by labels that are shared.

    Parameters
    ----------
    archive
        The films that are searched.
    asked
        The queries.
    excluded
        For each query the rows that it could not get.
    measures
        Names.
    depth
        Hits of a query.
    n_resamples, seed
        Of the bootstrap.
    """

    def __init__(
        self,
        archive: ImageTable,
        asked: QuerySet,
        excluded: list[Int64Array],
        measures: list[str],
        depth: int,
        n_resamples: int,
        seed: int,
    ) -> None:
        self.tables = asked.films, archive
        self.of_queries, self.of_films = asked.films.relevance(), archive.relevance()
        self.label_names = archive.label_names
        self.patients = asked.films.patients
        self.excluded, self.allowed = excluded, asked.allowed
        self.measures = measures
        self.label_measure = f"P@{min(FIRST_HITS, depth)}"
        self.resampling = {"n_resamples": n_resamples, "seed": seed}

    def score(
        self, name: str, answers: Answers, *, choice: RankingChoice | None = None, asked: str = ""
    ) -> RankingScores:
        """Turn the hits of one ranking into means and intervals."""
        of_labels, of_columns = split_measures(dict.fromkeys([*self.measures, self.label_measure]))
        values = self.grade(answers.positions, of_labels)
        values |= column_scores(answers.positions, *self.tables, of_columns)
        macro, per_label = self.by_label(values)
        return RankingScores(
            name=name,
            scores={
                measure: patient_bootstrap(values[measure], self.patients, **self.resampling)
                for measure in self.measures
            },
            macro=macro,
            label_measure=self.label_measure,
            per_label=per_label,
            milliseconds=answers.milliseconds,
            fill_share=answers.fill_share,
            values=values,
            positions=answers.positions,
            similarities=answers.similarities,
            notes=answers.notes,
            choice=choice,
            asked=asked,
            judged_share=self.judged_share(answers.positions),
        )

    def grade(self, positions: Int32Array, measures: list[str]) -> dict[str, Float64Array]:
        """Score every query."""
        return evaluate_ranking(
            positions, self.of_queries, self.of_films, measures, excluded=self.excluded, allowed=self.allowed
        )

    def by_label(self, values: dict[str, Float64Array]) -> tuple[dict[str, Interval], dict[str, Interval]]:
        """Means over labels of every measure, and the label measure of every label."""
        macro = {
            measure: macro_bootstrap(values[measure], self.of_queries, self.patients, **self.resampling)
            for measure in self.measures
        }
        first = values[self.label_measure]
        return macro, {
            label: patient_bootstrap(first[having], self.patients[having], **self.resampling)
            for label, having in zip(self.label_names, self.of_queries.T, strict=True)
        }

    def judged_share(self, positions: Int32Array) -> float | None:  # noqa: ARG002 - labels judge every film
        """Share of the first hits that somebody judged; None where labels judge them all."""
        return None

    def differences(self, scored: list[RankingScores], against: str | None) -> dict[str, dict[str, Difference]]:
        """Compare every row with the reference, query by query."""
        base: dict[str, Float64Array] | None = next((row.values for row in scored if row.name == against), None)
        if base is None:
            return {}
        return {
            row.name: {
                measure: paired_difference(row.values[measure], base[measure], self.patients, **self.resampling)
                for measure in self.measures
            }
            for row in scored
            if row.name != against
        }


class PairJudge(Judge):
    """The same by judgements of people: the grade of a pair is what it was judged, 0 where nobody did.

    Parameters
    ----------
    judgements
        Of the queries.
    archive, asked, excluded, measures, depth, n_resamples, seed
        As for `Judge`; any query may search the whole archive.
    """

    def __init__(
        self,
        judgements: Judgements,
        archive: ImageTable,
        asked: QuerySet,
        excluded: list[Int64Array],
        measures: list[str],
        depth: int,
        n_resamples: int,
        seed: int,
    ) -> None:
        super().__init__(archive, asked, excluded, measures, depth, n_resamples, seed)
        self.pairs = judgements.grader(len(archive), excluded)

    def grade(self, positions: Int32Array, measures: list[str]) -> dict[str, Float64Array]:
        """Score every query."""
        n_queries, n_films = len(positions), len(self.tables[1])
        forbidden = excluded_pairs(self.excluded, n_queries, n_films)
        check_only_allowed(positions.astype(np.int64), np.ones(n_films, np.bool_), forbidden)
        values = RankingJudge(self.pairs, measures).scores(positions[None], slice(0, n_queries))
        return {measure: of_queries[0] for measure, of_queries in values.items()}

    def by_label(self, values: dict[str, Float64Array]) -> tuple[dict[str, Interval], dict[str, Interval]]:  # noqa: ARG002
        """Nothing: people judged films, and not labels."""
        return {}, {}

    def judged_share(self, positions: Int32Array) -> float | None:
        """Share of the first hits that somebody judged."""
        first = positions[:, :FIRST_HITS]
        return float(self.pairs.is_judged(first).sum() / max(1, int((first >= 0).sum())))
