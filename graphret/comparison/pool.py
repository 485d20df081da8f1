"""Several reports pooled: the questions of an experiment, answered over sets and seeds."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError, ExperimentError, InvalidParameterError, MissingFileError
from graphret._plain import markdown_safe
from graphret.comparison.answer_tables import answers_table, sets_table
from graphret.comparison.answers import answer_questions
from graphret.comparison.experiment_file import fill_toml
from graphret.comparison.html import figure_of, html_of, marked
from graphret.comparison.markdown import markdown_of, not_trained_to_the_end
from graphret.comparison.plots import cost_curves
from graphret.comparison.query_values import QueryValues, read_values, values_path
from graphret.comparison.question_pairs import AskedReport, set_name
from graphret.comparison.question_settings import IntervalSettings, OrderSettings, QuestionSettings
from graphret.comparison.report import without_nan
from graphret.files import storage_errors, write_text
from graphret.html import page

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from graphret.comparison.experiment import Experiment

__all__ = ["PooledReports", "pool_reports"]

_NAME = "comparison.json"
_NEEDED = ("experiment", "films", "rows", "reference", "differences", "same_codes", "orders")
_SAME = ("size", "queries", "database", "exclude", "n_queries", "n_database", "seed")
"""Keys of [data] in which the seeds of one set are alike."""


@dataclass(frozen=True, eq=False)
class PooledReports:
    """Answers over several reports; made by `pool_reports`.

    Attributes
    ----------
    answers
        As `answer_questions` returns them.
    reports
        One for each set, its seeds together.
    notes
        What a reader has to know: where the questions come from, what was left out.
    """

    answers: list[dict[str, Any]]
    reports: tuple[AskedReport, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        sets = []
        for report in self.reports:
            films, experiment = report.document["films"], report.document["experiment"]
            sets.append(
                {
                    "name": report.name,
                    "queries": films["queries"],
                    "database": {name: films["database"][name] for name in ("n_films", "n_patients")},
                    "size": experiment["data"]["size"],
                    "budget": experiment["budget"],
                    "seeds": list(seeds_of(report)),
                    "values_of_queries": report.values is not None,
                    "n_rows": len(report.rows),
                }
            )
        document: dict[str, Any] = without_nan({"answers": self.answers, "sets": sets, "notes": list(self.notes)})
        return document

    def summary(self) -> list[str]:
        """Say in a few sentences what was pooled."""
        told = []
        for entry in self.to_dict()["sets"]:
            kept = "" if entry["values_of_queries"] else ", from its intervals"
            told.append(
                f"{entry['name']} ({entry['queries']['n_asked']} queries of {entry['queries']['n_patients']} patients, "
                f"{entry['database']['n_films']} films searched, {entry['size']} px, seeds "
                f"{', '.join(map(str, entry['seeds']))}, {entry['n_rows']} rows{kept})"
            )
        short = [
            f"{report.name}: {line}" for report in self.reports for line in not_trained_to_the_end(report.document)
        ]
        return [*short, f"Sets: {'; '.join(told)}.", *self.notes]

    def to_markdown(self) -> str:
        """Return the answers as tables."""
        safe = markdown_safe({"lines": self.summary(), "answers": self.to_dict()["answers"]})
        parts = ["# Answers", *safe["lines"]]
        for table in (answers_table(safe["answers"]), sets_table(safe["answers"])):
            parts += markdown_of(table) if table.lines else []
        return "\n\n".join(part for part in parts if part) + "\n"

    def to_html(self) -> str:
        """Return answers and curves as one page that needs nothing else."""
        answers = self.to_dict()["answers"]
        body = [f"<p>{marked(line)}</p>" for line in self.summary() if line]
        body.append(html_of(answers_table(answers)))
        drawn = cost_curves({report.name: report.document for report in self.reports})
        body += [figure_of(caption, svg) for caption, svg in drawn.items()]
        further = sets_table(answers)
        body += [html_of(further)] if further.lines else []
        return page("Answers", body)

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write ``pooled.json``, ``pooled.md`` and ``pooled.html``, and return their paths.

        Raises
        ------
        StoreError
            The folder cannot be made or written.
        """
        home = Path(folder)
        written = [home / f"pooled.{kind}" for kind in ("json", "md", "html")]
        with storage_errors(home, "write the answers to"):
            home.mkdir(parents=True, exist_ok=True)
            write_text(written[0], json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
            write_text(written[1], self.to_markdown())
            write_text(written[2], self.to_html())
        return written


def pool_reports(reports: Sequence[str | os.PathLike[str]], *, experiment: Experiment | None = None) -> PooledReports:
    """Answer questions over several reports of `compare`.

    Reports of one data set with the same films, queries and side are seeds of it, and their queries are laid side by
    side; other reports are further sets. Sets count alike, as `Resampler` says. Nothing is measured again.

    Parameters
    ----------
    reports
        Folders, or files ``NAME.json`` or ``NAME.json.gz``; ``NAME_values.npz`` beside it is read where it is there.
    experiment
        It states questions, orders, intervals and measure; the first report's own experiment when None.

    Raises
    ------
    MissingFileError, DataError
        A report is not there, or cannot be read.
    InvalidParameterError
        Two reports of one set are not seeds of it (other films, other side, the same seed).
    ExperimentError
        No question is stated.
    """
    if not reports:
        raise InvalidParameterError("pool", list(reports), "at least one report")
    documents = [(Path(path), _read(Path(path))) for path in reports]
    notes = []
    if experiment is None:
        own = documents[0][1]["experiment"]
        source = str(documents[0][0])
        questions = [fill_toml(QuestionSettings, entry, source) for entry in own.get("questions", [])]
        orders = [fill_toml(OrderSettings, entry, source) for entry in own["orders"]]
        settings, measure = fill_toml(IntervalSettings, own["intervals"], source), own["measures"][0]
        notes.append(f"The questions are those of the experiment {own['name']!r}.")
    else:
        questions, orders = list(experiment.questions), list(experiment.orders)
        settings, measure = experiment.intervals, experiment.measures[0]
        later = [str(path) for path, document in documents if not _states(document, questions)]
        if later:
            notes.append(
                f"The questions are those of {experiment.name!r}, and were not in the experiment of "
                f"{', '.join(later)}: they "
                "may have been stated when figures were known."
            )
    if not questions:
        raise ExperimentError(
            "no question is stated: give an experiment file with [[questions]] (--experiment FILE), see "
            "docs/comparison.md"
        )
    together = _by_set(documents, notes)
    answers = answer_questions(questions, orders, together, settings, measure)
    return PooledReports(answers, tuple(together), tuple(notes))


def seeds_of(report: AskedReport) -> tuple[int, ...]:
    """Seeds of a report."""
    if report.values is not None:
        return report.values.seeds
    experiment = report.document["experiment"]
    return tuple(experiment.get("seeds") or [experiment["seed"]])


def _read(path: Path) -> dict[str, Any]:
    """Read a report; ``path`` may be its folder."""
    file = path / _NAME if path.is_dir() else path
    if not file.is_file():
        raise MissingFileError(file, "report", "give the folder or the JSON file that `graphret compare` wrote")
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        document = json.loads(content)
        missing = [name for name in _NEEDED if name not in document]
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise DataError(f"{file} cannot be read as a report of `graphret compare`: {error}") from error
    if missing:
        raise DataError(f"{file} is no report of `graphret compare`: it has no {', '.join(missing)}")
    films = document["films"]
    films.setdefault("spec", films.get("card", document["experiment"]["name"]))  # reports of before called it the card
    return dict(document)


def _states(document: dict[str, Any], questions: Sequence[QuestionSettings]) -> bool:
    """Whether a report's own experiment stated these questions."""
    stated = {entry["title"] for entry in document["experiment"].get("questions") or []}
    return all(question.title in stated for question in questions)


def _by_set(documents: Sequence[tuple[Path, dict[str, Any]]], notes: list[str]) -> list[AskedReport]:
    """Lay the seeds of every set side by side."""
    of_set: dict[str, list[tuple[Path, dict[str, Any]]]] = defaultdict(list)
    for path, document in documents:
        of_set[set_name(document)].append((path, document))
    made = []
    for name, members in of_set.items():
        for path, document in members[1:]:
            _refuse_other_films(members[0], (path, document))
        found = [AskedReport(name, document, read_values(_values_of(path))) for path, document in members]
        made.append(found[0] if len(found) == 1 else _seeds_together(found, [path for path, _ in members], notes))
    return made


def _values_of(path: Path) -> Path:
    return values_path(path / _NAME if path.is_dir() else path)


def _refuse_other_films(first: tuple[Path, dict[str, Any]], second: tuple[Path, dict[str, Any]]) -> None:
    """Two reports of one set are seeds of it, or its patients would count twice."""
    (one, before), (other, after) = first, second
    differing = [
        f"data.{key} ({before['experiment']['data'].get(key)!r}, {after['experiment']['data'].get(key)!r})"
        for key in _SAME
        if before["experiment"]["data"].get(key) != after["experiment"]["data"].get(key)
    ]
    digests = before["films"].get("digest"), after["films"].get("digest")
    if digests[0] != digests[1] or digests[0] is None:
        differing.append("films and queries (or a report does not say which they were)")
    if differing:
        raise InvalidParameterError(
            "pool",
            str(other),
            f"one of {one} and {other}",
            f"both are of {set_name(before)!r} and differ in {', '.join(differing)}: its patients would count twice",
        )


def _seeds_together(reports: Sequence[AskedReport], paths: Sequence[Path], notes: list[str]) -> AskedReport:
    """One report of the seeds of a set: rows that all of them have."""
    lacking = [str(path) for path, report in zip(paths, reports, strict=True) if report.values is None]
    if lacking:
        raise DataError(
            f"{', '.join(lacking)}: no values of queries beside it ({_values_of(Path(lacking[0])).name}), and several "
            "reports of one set are pooled query by query: give one of them, or run the comparison again"
        )
    values = [report.values for report in reports if report.values is not None]
    seeds = [seed for of_report in values for seed in of_report.seeds]
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise InvalidParameterError(
            "pool", [str(path) for path in paths], f"reports of {reports[0].name!r} with other seeds", f"twice: {twice}"
        )
    if any(not np.array_equal(values[0].patients, other.patients) for other in values[1:]):
        raise DataError(f"the reports of {reports[0].name!r} have other patients: {', '.join(map(str, paths))}")
    rows = tuple(name for name in values[0].rows if all(name in other.rows for other in values))
    measures = tuple(name for name in values[0].measures if all(name in other.measures for other in values))
    n_left_out = len({name for of_report in values for name in of_report.rows}) - len(rows)
    if n_left_out:
        notes.append(f"{reports[0].name}: {n_left_out} rows that not all seeds have were left out.")
    laid = np.concatenate(
        [
            other.values[[other.rows.index(name) for name in rows]][
                :, [other.measures.index(name) for name in measures]
            ]
            for other in values
        ],
        axis=2,
    )
    document = dict(reports[0].document)
    document["rows"] = [row for row in document["rows"] if row["name"] in rows]
    return AskedReport(reports[0].name, document, QueryValues(rows, measures, tuple(seeds), values[0].patients, laid))
