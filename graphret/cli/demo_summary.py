"""The figures of a demo: as plain data, and as the table that is printed last."""

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import RenderableType
from rich.table import Table

if TYPE_CHECKING:
    from graphret.evaluation import Report

__all__ = ["MEASURES", "show_summary", "summarise"]

MEASURES = ("P@10", "ACG@10", "nDCG@100")


def summarise(
    *,
    settings: dict[str, Any],
    epochs_done: float,
    auc: dict[str, dict[str, float]],
    default_ranking: str,
    report: "Report",
    untrained: "Report",
) -> dict[str, Any]:
    """Put the figures of a demo together.

    Parameters
    ----------
    settings, epochs_done
        What was asked for, and how far the training came.
    auc
        Area under the ROC curve on test films by label, of the encoder "trained" and "untrained".
    default_ranking
        The one that `graphret query` uses when none is named.
    report
        Rankings on the codes of the trained encoder, with the baseline "random".
    untrained
        "nearest" on the codes of the untrained one: what the training has to beat.
    """
    rows = [("trained", row) for row in report.rankings if row.name != "random"]
    rows += [("untrained", untrained["nearest"]), ("none", report["random"])]
    return {
        "settings": settings,
        "epochs_done": epochs_done,
        "auc": {name: {"mean": float(np.mean(list(of.values()))), "labels": of} for name, of in auc.items()},
        "default_ranking": default_ranking,
        "rankings": [
            {
                "name": row.name,
                "encoder": encoder,
                "measures": {measure: row.scores[measure].to_dict() for measure in MEASURES},
            }
            for encoder, row in rows
        ],
        "differences": report.to_dict()["differences"],
        "queries": report.description["queries"],
        "archive": report.description["archive"],
    }


def show_summary(summary: dict[str, Any], out: Path, *, query: str) -> Iterator[RenderableType]:
    """Yield what is printed last: the table of figures, what was written, and what to try next."""
    queries, archive = summary["queries"], summary["archive"]
    table = Table(
        "ranking",
        "encoder",
        *MEASURES,
        title=f"{queries['n_scored']} test films with a finding, of {queries['n_patients']} patients, searched in "
        f"{archive['n_searched']} films of other patients",
        caption="mean over queries [95 % interval over patients]; generated films: this says nothing about real ones",
    )
    for row in summary["rankings"]:
        is_default = row["name"] == summary["default_ranking"] and row["encoder"] == "trained"
        name = f"{row['name']} (default)" if is_default else row["name"]
        table.add_row(name, row["encoder"], *(_interval(row["measures"][measure]) for measure in MEASURES))
    yield table
    for name, of in summary["auc"].items():
        yield f"AUC of the {name} classifier, mean over {len(of['labels'])} labels, test films: {of['mean']:.3f}"
    index = quote(str(out / "index"))
    yield f"\n{summary['seconds']:.0f} s, {summary['epochs_done']:g} epochs. Written:"
    yield from (f"  {path}" for path in summary["files"])
    yield "\nNext:"
    yield f"  graphret query {index} {quote(query)} -k 10"
    yield f"  graphret info {index}"
    yield f"  graphret evaluate {index} --split test --rankings region_growing,nearest"
    yield "  graphret train --data folder --root YOUR_FILMS --encoder densenet121 --out YOUR_ENCODER"


def _interval(figures: dict[str, Any]) -> str:
    return f"{figures['mean']:.3f} [{figures['low']:.3f}, {figures['high']:.3f}]"
