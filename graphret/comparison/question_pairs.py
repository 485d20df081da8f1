"""Which rows of a report a question compares, and what is known of their difference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphret.comparison.pooled import NORMAL, PairedSet
from graphret.comparison.question_settings import names_a_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret.comparison.query_values import QueryValues
    from graphret.comparison.question_settings import QuestionSettings

__all__ = ["AskedReport", "RowPair", "named_row", "paired_set", "pairs_of_rankings", "set_name"]

_CONTROLS = ("random", "untrained")
_NO_NAMES = ("folder", "csv")


@dataclass(frozen=True, eq=False)
class AskedReport:
    """A report that is asked.

    Parameters
    ----------
    name
        Of its set, for the table.
    document
        What `Comparison.to_dict` returns.
    values
        Of its queries; None where the report kept none: its intervals are taken.
    """

    name: str
    document: dict[str, Any]
    values: QueryValues | None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows with figures."""
        return [row for row in self.document["rows"] if not row["error"]]


class RowPair(NamedTuple):
    """Two rows of a report, under a name that the same pair has in other reports."""

    name: str
    first: dict[str, Any]
    second: dict[str, Any]


def set_name(document: dict[str, Any]) -> str:
    """Name of the set of a report: the dataset spec, or the folder of films that are no more than a folder or a table.

    Examples
    --------
    >>> set_name({"films": {"spec": "folder"}, "experiment": {"data": {"root": "/archive/mednist"}}})
    'mednist'
    """
    spec = str(document["films"]["spec"])
    root = PurePath(str(document["experiment"]["data"]["root"])).name
    return root if spec in _NO_NAMES and root else spec


def pairs_of_rankings(question: QuestionSettings, report: AskedReport) -> list[RowPair]:
    """All pairs of a question about rankings."""
    rows = report.rows
    labels = {row["method"] for row in rows}
    rival = named_row(question.against, "", rows) if names_a_row(question.against, labels) else None
    pairs = []
    for row in rows:
        asked = row["method"] in question.methods if question.methods else row["kind"] not in _CONTROLS
        if row["ranking"] != question.ranking or not asked:
            continue
        second = rival if rival is not None else _rival(row, question, rows)
        if second is not None and second is not row:
            bits = "" if row["n_bits"] is None else f", {row['n_bits']} bits"
            pairs.append(RowPair(f"{row['method']}{bits}", row, second))
    return pairs


def _rival(row: dict[str, Any], question: QuestionSettings, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The row of the same method that a row is compared with: of the same codes, or of as many bytes."""
    others = [other for other in rows if other["method"] == row["method"] and other["ranking"] == question.against]
    if not question.equal_bytes:
        return next((other for other in others if other["n_bits"] == row["n_bits"]), None)
    size = row["costs"]["bytes_per_film"]
    fitting = [other for other in others if size / 2 <= other["costs"]["bytes_per_film"] <= size]
    return max(fitting, key=lambda other: float(other["costs"]["bytes_per_film"]), default=None)


def named_row(name: str, ranking: str, rows: Sequence[Any]) -> Any | None:
    """The row of that name, or the longest code of a method by the ranking, or by the first one that it has.

    ``rows`` are dicts of a report, all with figures.
    """
    own = [row for row in rows if row["name"] == name or (row["method"] == name and ranking in {"", row["ranking"]})]
    return max(own, key=lambda row: row["n_bits"] or 0, default=None)  # the first of equals


def paired_set(pairs: Sequence[RowPair], report: AskedReport, measure: str) -> PairedSet | None:
    """Differences of pairs in one report: by query where it kept them, else from its intervals.

    Pairs without a defined difference are left out; None where none is left.
    """
    if not pairs:
        return None
    values = report.values
    if values is not None:
        first = np.stack([values.of(pair.first["name"], measure) for pair in pairs])
        second = np.stack([values.of(pair.second["name"], measure) for pair in pairs])
        sides = np.stack([first, second])
        defined = ~np.isnan(first - second).all(axis=(1, 2))
        left = [pairs[place] for place in np.flatnonzero(defined).tolist()]
        names, groups = tuple(pair.name for pair in left), tuple(pair.first["method"] for pair in left)
        trainings = tuple((_training(pair.first, report), _training(pair.second, report)) for pair in left)
        kept = sides[:, defined], values.patients
        return PairedSet(report.name, names, *kept, groups=groups, trainings=trainings) if left else None
    found = {pair.name: _from_intervals(pair, report.document, measure) for pair in pairs}
    read = {name: known for name, known in found.items() if known is not None}
    if not read:
        return None
    means, errors = np.array(list(read.values())).T
    groups = tuple(pair.first["method"] for pair in pairs if pair.name in read)
    return PairedSet(report.name, tuple(read), means=means, errors=errors, groups=groups)


def _training(row: dict[str, Any], report: AskedReport) -> str:
    """What was trained for a row with a seed: itself at its length, or what it stands on."""
    on = next((one["on"] for one in report.document["experiment"]["methods"] if one["label"] == row["method"]), "")
    if on:
        base = next((one for one in report.rows if one["method"] == on), None)
        return str(on) if base is None else _training(base, report)
    return str(row["method"]) if row["n_bits"] is None else f"{row['method']}, {row['n_bits']} bits"


def _from_intervals(pair: RowPair, document: dict[str, Any], measure: str) -> tuple[float, float] | None:
    """Mean and standard error of a difference, from the interval that the report has of it.

    Where it has only the differences of both from its reference, their errors are added, which is the most that the
    error of the difference can be.
    """
    first, second = pair.first["name"], pair.second["name"]
    known: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in document["orders"]:
        known[entry["better"], entry["worse"]] = entry["differences"]
    for entry in document["same_codes"]:
        known[entry["row"], entry["reference"]] = entry["differences"]
    for name, differences in document["differences"].items():
        known[name, document["reference"]] = differences
    for names, sign in (((first, second), 1.0), ((second, first), -1.0)):
        if names in known and measure in known[names]:
            read = _read(known[names][measure])
            return None if read is None else (sign * read[0], read[1])
    sides = []
    for name in (first, second):
        figures = known.get((name, document["reference"]), {}).get(measure)
        read = (0.0, 0.0) if name == document["reference"] else None if figures is None else _read(figures)
        if read is None:
            return None
        sides.append(read)
    return sides[0][0] - sides[1][0], sides[0][1] + sides[1][1]


def _read(figures: dict[str, Any]) -> tuple[float, float] | None:
    if figures["mean"] is None or figures["low"] is None:
        return None
    return figures["mean"], (figures["high"] - figures["low"]) / (2 * NORMAL)
