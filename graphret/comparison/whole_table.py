"""Every row of a published table that stands for films of its own: one comparison for each data set and size."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError
from graphret._plain import markdown_safe
from graphret.comparison.defaults import changed
from graphret.comparison.published import OTHER_IMAGES, read_published
from graphret.comparison.report import without_nan
from graphret.comparison.runner import compare
from graphret.comparison.tables import figure_row, mean_auc
from graphret.data import read_dataset_spec
from graphret.files import make_folder, write_text

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from graphret._types import Progress
    from graphret.comparison.experiment import Experiment
    from graphret.comparison.report import Comparison

__all__ = ["WholeTable", "compare_whole_table"]


@dataclass(frozen=True)
class WholeTable:
    """Published figures, each beside what was measured for its data set and size.

    Parameters
    ----------
    title
        Of the experiment.
    entries
        One a figure: ``table``, ``name``, ``spec``, ``size``, ``measure``, ``published``, ``other_images`` (why they
        are of other images, "" where not), ``row`` (name of ours), ``mean``, ``low``, ``high``, and ``error``.
    """

    title: str
    entries: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        document: dict[str, Any] = without_nan({"title": self.title, "entries": list(self.entries)})
        return document

    def to_markdown(self) -> str:
        """Return one table, a line a figure."""
        document = markdown_safe(self.to_dict())
        head = ("data set", "px", "method of the paper", "measure", "published", "measured here", "row", "images")
        lines = [f"# {document['title']}", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for entry in document["entries"]:
            images = f"{OTHER_IMAGES}: {entry['other_images']}" if entry["other_images"] else "the same images"
            measured = entry["error"] or _measured(entry)
            cells = (
                *(entry["spec"], str(entry["size"]), entry["name"], entry["measure"], f"{entry['published']:g}"),
                *(measured, entry["row"] or "", images),
            )
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
        return "\n".join(lines) + "\n"

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write ``whole_table.json`` and ``whole_table.md``; return their paths."""
        home = make_folder(folder)
        written = [home / "whole_table.json", home / "whole_table.md"]
        write_text(written[0], json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        write_text(written[1], self.to_markdown())
        return written


def compare_whole_table(
    experiment: Experiment,
    roots: Mapping[str, str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str],
    progress: Progress | None = None,
) -> WholeTable:
    """Run an experiment for every data set and size that its published tables have figures of.

    Haq et al. (2021), Table 7, has eight rows: four label sets over two archives, each at 224 and 512 px.

    Parameters
    ----------
    experiment
        One that names published tables (`list_templates`); its own data set and size stand for figures that name none.
    roots
        Folder of each archive, by the name of a dataset spec, or by that of its reader for all specs that have it
        (``{"nih": ..., "chexpert": ...}``); that of a spec goes first.
    out
        Folder; each comparison has one of its own in it, ``SPEC-SIZE``, with its report.
    progress
        Called by the long steps.

    Returns
    -------
    WholeTable
        In the order of the tables. Stopped, the same call goes on, as `compare` does.

    Raises
    ------
    InvalidParameterError
        A root is missing (before anything is run), names no archive of the tables, or no figure has a method.

    Notes
    -----
    As `compare`, once for every data set and size.
    """
    tables = [read_published(name) for name in experiment.published]
    data = experiment.data
    places = dict.fromkeys(
        (figure.spec or data.spec, figure.size or data.size)
        for table in tables
        for figure in table.figures
        if figure.method
    )
    if not places:
        raise InvalidParameterError("experiment", experiment.name, "one with published figures of its methods")
    folders = _folders([spec for spec, _ in places], roots)
    entries = []
    for spec, size in places:
        own = changed(experiment, spec=spec, root=folders[spec], size=size)
        home = Path(out) / f"{spec}-{size}"
        comparison = compare(out=home, experiment=own, progress=progress)
        comparison.save(home)
        entries += _entries(comparison, spec, size)
    return WholeTable(experiment.title or experiment.name, tuple(entries))


def _folders(specs: list[str], roots: Mapping[str, str | os.PathLike[str]]) -> dict[str, str]:
    readers = {spec: read_dataset_spec(spec).reader for spec in specs}
    missing = [spec for spec, reader in readers.items() if spec not in roots and reader not in roots]
    unknown = [name for name in roots if name not in readers and name not in readers.values()]
    if missing or unknown:
        names = dict.fromkeys([*readers.values(), *readers])
        problem = f"nothing for {', '.join(missing)}" if missing else f"no figure is of {', '.join(unknown)}"
        raise InvalidParameterError("roots", dict(roots), f"a folder for each archive, of {', '.join(names)}", problem)
    return {spec: str(roots.get(spec) or roots[reader]) for spec, reader in readers.items()}


def _entries(comparison: Comparison, spec: str, size: int) -> list[dict[str, Any]]:
    rows = [row.to_dict() for row in comparison.rows]
    entries = []
    for table in comparison.published:
        for figure in table["figures"]:
            if not figure["method"]:
                continue
            place = figure_row(figure, rows)
            row = None if place is None else rows[place]
            measured = {"mean": None, "low": None, "high": None} if row is None else _figure_of(row, figure["measure"])
            entries.append(
                {
                    "table": table["table"],
                    "name": figure["name"],
                    "spec": spec,
                    "size": size,
                    "measure": figure["measure"],
                    "published": figure["value"],
                    "other_images": table["other_images"],
                    "row": None if row is None else row["name"],
                    **measured,
                    "error": "no such row" if row is None else row["error"] or "",
                }
            )
    return entries


def _figure_of(row: dict[str, Any], measure: str) -> dict[str, Any]:
    """Mean and interval of a measure; of a training accuracy or an AUC, the value alone."""
    if measure in row["measures"]:
        return {name: row["measures"][measure][name] for name in ("mean", "low", "high")}
    if measure == "training accuracy":
        return {"mean": row["costs"].get("training_accuracy"), "low": None, "high": None}
    name, _, label = measure.partition(" ")
    areas = (row["costs"].get("auc") or {}) if name == "AUC" else {}
    return {"mean": areas.get(label) if label else mean_auc(row) if areas else None, "low": None, "high": None}


def _measured(entry: dict[str, Any]) -> str:
    if entry["mean"] is None:
        return "not measured"
    return f"{entry['mean']:.4f}" + ("" if entry["low"] is None else f" [{entry['low']:.4f}, {entry['high']:.4f}]")
