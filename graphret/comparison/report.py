"""The outcome of a comparison: rows, differences, and the files of its report."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphret._errors import UnknownNameError
from graphret.comparison.html import to_html
from graphret.comparison.markdown import to_markdown
from graphret.comparison.query_values import gather_values, values_path, write_values
from graphret.evaluation import contact_sheet
from graphret.files import make_folder, safe_name, storage_errors, write_text

if TYPE_CHECKING:
    from graphret.comparison.experiment import Experiment
    from graphret.comparison.rows import MeasuredRow
    from graphret.data import ImageTable

__all__ = ["Comparison", "without_nan"]

_SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Comparison:
    """Figures of all methods on the same films; made by `compare`.

    Attributes
    ----------
    experiment
        What was compared.
    rows
        One `MeasuredRow` per method, length of code and ranking, in the order of the experiment.
        ``comparison["densenet121, nearest"]`` finds one by name.
    reference, differences
        Name of the row that the others are compared with, and for every other row and measure: mean, low, high,
        p_value, p_holm.
    same_codes
        Rankings compared with the first one of the same codes: row, reference, differences by measure.
    orders
        Orders of papers, pair by pair: title, better and worse (as the paper has them), differences by measure.
    costs_of
        Where the costs come from: ``alone``, and if they were measured alone, machine, threads, load before, and
        warnings.
    answers
        To the questions of the experiment, as `answer_questions` returns them.
    films
        Counts of films, queries and what was left out.
    published
        Published tables, each with the reason why its figures are of other images ("" when they are not).
    machine
        Versions, processors and seconds.
    queries, database
        The films that asked and those that were searched.
    """

    experiment: Experiment
    rows: tuple[MeasuredRow, ...]
    reference: str | None
    differences: dict[str, dict[str, dict[str, Any]]]
    same_codes: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    films: dict[str, Any]
    published: list[dict[str, Any]]
    machine: dict[str, Any]
    queries: ImageTable = field(repr=False)
    database: ImageTable = field(repr=False)
    costs_of: dict[str, Any] = field(default_factory=lambda: {"alone": False})
    answers: list[dict[str, Any]] = field(default_factory=list)

    def __getitem__(self, name: str) -> MeasuredRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise UnknownNameError("row", name, [row.name for row in self.rows])

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the lists of hits as plain data; NaN becomes None."""
        document: dict[str, Any] = without_nan(
            {
                "schema": _SCHEMA,
                "experiment": self.experiment.to_json(),
                "films": self.films,
                "rows": [row.to_dict() for row in self.rows],
                "reference": self.reference,
                "differences": self.differences,
                "same_codes": self.same_codes,
                "orders": self.orders,
                "costs_of": self.costs_of,
                "answers": self.answers,
                "published": self.published,
                "machine": self.machine,
            }
        )
        return document

    def to_json(self) -> str:
        """Return `to_dict` as one JSON document."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)

    def to_markdown(self) -> str:
        """Return the tables of the report."""
        return to_markdown(self.to_dict())

    def to_html(self, sheets: dict[str, bytes] | None = None) -> str:
        """Return the report as one HTML page with plots, and contact sheets (PNG by title), that needs nothing else."""
        return to_html(self.to_dict(), sheets or {})

    def save(self, folder: str | Path) -> list[Path]:
        """Write the report.

        Returns
        -------
        list of Path
            ``comparison.json``, ``comparison.md``, ``comparison.html``, ``comparison_values.npz`` (a value for every
            row and query, which `pool_reports` needs) and ``sheets/*.png``. The HTML holds the sheets, so films of
            patients where the films are such; the others hold figures only.

        Raises
        ------
        StoreError
            The folder cannot be made or written.
        """
        home = Path(folder)
        written = [home / f"comparison.{kind}" for kind in ("json", "md", "html")]
        with storage_errors(home, "write the report to"):
            home.mkdir(parents=True, exist_ok=True)
            sheets = self._sheets(home / "sheets")
            write_text(written[0], self.to_json() + "\n")
            write_text(written[1], self.to_markdown())
            write_text(written[2], self.to_html({title: path.read_bytes() for title, path in sheets.items()}))
            seeds = self.experiment.seeds or (self.experiment.seed,)
            write_values(values_path(written[0]), gather_values(self.rows, self.queries.patients.tolist(), seeds))
        return [*written, values_path(written[0]), *sheets.values()]

    def _sheets(self, folder: Path) -> dict[str, Path]:
        """Draw the first row of every method, asked by the same queries."""
        settings = self.experiment.sheets
        first: dict[str, MeasuredRow] = {}
        for row in self.rows:
            if row.positions is not None:
                first.setdefault(row.method, row)
        if not settings.queries or not first or not (self.queries.paths != "").any():
            return {}
        make_folder(folder)
        sheets = {}
        for row in list(first.values())[: settings.methods]:
            path = folder / f"{safe_name(row.name)}.png"
            contact_sheet(
                path,
                self.queries,
                self.database,
                row.positions,
                row.similarities,
                n_queries=settings.queries,
                n_hits=settings.hits,
                tile=96,
                seed=self.experiment.seed,
                title=row.name,
            )
            sheets[row.name] = path
        return sheets


def without_nan(value: Any) -> Any:
    """Replace NaN and infinity by None, tuples by lists; JSON has no word for them.

    Examples
    --------
    >>> without_nan({"a": (float("nan"), 1.0)})
    {'a': [None, 1.0]}
    """
    if isinstance(value, dict):
        return {str(key): without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
