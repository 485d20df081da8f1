"""The outcome of an evaluation: figures with intervals, what they were measured on, and files that others can check."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import UnknownNameError
from graphret.evaluation.contact_sheet import contact_sheet
from graphret.evaluation.markdown import USES_LABELS, to_markdown
from graphret.evaluation.trec import qrels_text, write_qrels, write_run
from graphret.files import storage_errors, write_text

if TYPE_CHECKING:
    from graphret._types import BoolArray, Float32Array, Float64Array, Int32Array, Int64Array
    from graphret.data import ImageTable
    from graphret.evaluation.bootstrap import Difference, Interval
    from graphret.evaluation.judgements import Judgements
    from graphret.retrieval import RankingChoice

__all__ = ["RankingScores", "Report"]

_SCHEMA = 1


@dataclass(frozen=True, eq=False)
class RankingScores:
    """One row of the comparison.

    Attributes
    ----------
    name
        The ranking, in the text form of `RankingChoice`, or a baseline such as "random".
    scores
        Mean and interval of every measure.
    macro
        Of every measure the mean over labels of its mean over the queries that have the label, with its interval.
    label_measure, per_label
        P@10 (or P at the depth of the lists, if that is smaller) over the queries that have a label, by label.
    milliseconds
        Median time per query, in batches; None for a baseline. It depends on the machine and is no quality figure.
    fill_share
        Share of the hits that are the nearest remaining films, in the place of hits that the ranking did not find by
        itself; None for a baseline.
    values
        float64 (q,) per measure, one value per scored query; NaN where undefined.
    positions, similarities
        int32 and float32 (q, k), rows of the archive (-1 pads) and their cosine to the query.
    choice
        Ranking, options and metric; None for a baseline.
    asked
        How the ranking was asked for ("tuned", say); `Report` finds the row by it, too.
    notes
        What a reader should know of how this archive was ranked.
    judged_share
        Share of the first ten hits that somebody judged, where judgements and not labels say what is relevant.
    """

    name: str
    scores: dict[str, Interval]
    macro: dict[str, Interval]
    label_measure: str
    per_label: dict[str, Interval]
    milliseconds: float | None
    fill_share: float | None
    values: dict[str, Float64Array] = field(repr=False)
    positions: Int32Array = field(repr=False)
    similarities: Float32Array | None = field(repr=False)
    choice: RankingChoice | None = field(default=None, repr=False)
    asked: str = field(default="", repr=False)
    notes: tuple[str, ...] = ()
    judged_share: float | None = None

    @property
    def uses_labels(self) -> bool:
        """Whether it read the labels of the archive's films at query time.

        What it is judged by is then what it was told: it is shown apart from rankings that see codes only, and is
        nobody's reference.
        """
        return self.choice is not None and self.choice.uses_labels

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as a dictionary; NaN becomes None."""
        no_ranking: dict[str, Any] = {"ranking": None, "options": {}, "learned_metric": False}
        return {
            "name": self.name,
            **(no_ranking if self.choice is None else self.choice.to_dict()),
            "uses_labels": self.uses_labels,
            "notes": list(self.notes),
            "measures": {measure: _plain(interval) for measure, interval in self.scores.items()},
            "macro": {measure: _plain(interval) for measure, interval in self.macro.items()},
            "per_label": {
                "measure": self.label_measure,
                "labels": {label: _plain(interval) for label, interval in self.per_label.items()},
            },
            "milliseconds_per_query": self.milliseconds,
            "fill_share": self.fill_share,
            "judged_share": self.judged_share,
        }


@dataclass(frozen=True, eq=False)
class Report:
    """Figures of one or more rankings on the same queries; made by `evaluate`.

    Attributes
    ----------
    rankings
        One `RankingScores` per ranking, then the baselines. ``report["nearest"]`` finds one by name.
    reference, differences
        The ranking that the others are compared with, and for every other one and every measure its `Difference`.
    description
        What was measured: archive, queries, who was left out and why, settings, versions.
    queries, archive
        The films that were scored as queries, and all films of the archive.
    excluded, allowed
        The rows of the archive that a query could not get, and the mask of those that any could (None for all).
    judgements
        What people judged, where that and not labels says what is relevant.
    """

    rankings: tuple[RankingScores, ...]
    reference: str | None
    differences: dict[str, dict[str, Difference]]
    description: dict[str, Any]
    queries: ImageTable = field(repr=False)
    archive: ImageTable = field(repr=False)
    excluded: list[Int64Array] = field(repr=False)
    allowed: BoolArray | None = field(repr=False)
    judgements: Judgements | None = field(default=None, repr=False)

    def __getitem__(self, name: str) -> RankingScores:
        for row in self.rankings:
            if name in {row.name, row.asked}:
                return row
        raise UnknownNameError("ranking", name, [row.name for row in self.rankings], "measure it with evaluate")

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the lists of hits as plain data; NaN becomes None."""
        return {
            "schema": _SCHEMA,
            **self.description,
            "rankings": [row.to_dict() for row in self.rankings],
            "reference": self.reference,
            "differences": {
                name: {measure: _plain(difference) for measure, difference in of_ranking.items()}
                for name, of_ranking in self.differences.items()
            },
        }

    def to_json(self) -> str:
        """Return `to_dict` as one JSON document."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)

    def to_markdown(self) -> str:
        """Return tables for a reader: figures, differences, labels, and what they were measured on."""
        return to_markdown(self.to_dict())

    def save(self, folder: str | Path, *, n_sheet_queries: int = 8, n_sheet_hits: int = 5) -> list[Path]:
        """Write the report and everything that is needed to check it.

        Parameters
        ----------
        folder
            Made if absent; files of an earlier report in it are replaced one by one.
        n_sheet_queries, n_sheet_hits
            Rows and columns of the contact sheet, which shows the first ranking.

        Returns
        -------
        list of Path
            ``report.json``, ``report.md``, ``qrels.txt`` (the judgements that were given; of labels the grades of all
            retrieved films and of the best ones to the depth of the lists), ``runs/NAME.run`` per ranking, and
            ``contact_sheet.png`` if a query has a film. Run and qrels files hold the ids of films; the sheet holds
            none.

        Raises
        ------
        StoreError
            The folder cannot be made or written.
        """
        home = Path(folder)
        written = [home / "report.json", home / "report.md", home / "qrels.txt"]
        with storage_errors(home, "write the report to"):
            (home / "runs").mkdir(parents=True, exist_ok=True)
            write_text(written[0], self.to_json() + "\n")
            write_text(written[1], self.to_markdown())
            self._write_qrels(written[2])
            for row in self.rankings:
                written.append(home / "runs" / f"{_file_name(row.name)}.run")
                write_run(
                    written[-1], self.queries.ids.tolist(), row.positions, self.archive.ids.tolist(), tag=row.name
                )
            if np.any(self.queries.paths != "") and np.any(self.archive.paths != ""):
                written.append(home / "contact_sheet.png")
                first = self.rankings[0]
                contact_sheet(
                    written[-1],
                    self.queries,
                    self.archive,
                    first.positions,
                    first.similarities,
                    title=f"{first.name}, {USES_LABELS}" if first.uses_labels else first.name,
                    n_queries=n_sheet_queries,
                    n_hits=n_sheet_hits,
                    seed=self.description["settings"]["seed"],
                )
        return written

    def _write_qrels(self, path: Path) -> None:
        if self.judgements is not None:
            possible = self.judgements.without(self.excluded, len(self.archive))
            write_text(path, qrels_text(possible.by_id(self.archive.ids)))
            return
        write_qrels(
            path,
            self.queries.ids.tolist(),
            self.queries.relevance(),
            self.archive.ids.tolist(),
            self.archive.relevance(),
            pool=np.hstack([row.positions for row in self.rankings]),
            depth=self.rankings[0].positions.shape[1],
            excluded=self.excluded,
            allowed=self.allowed,
        )


def _file_name(ranking: str) -> str:
    """What every file system takes: a ranking's name has no hyphen, so that two never get one name."""
    return ranking.replace(":", "-")


def _plain(figures: Interval) -> dict[str, float | int | None]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(figures).items()
    }
