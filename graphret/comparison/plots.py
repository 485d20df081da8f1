"""Plots of a comparison as SVG: precision against K, against bytes per film, against query time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from graphret.comparison.tables import measured
from graphret.figures import COLOURS, MARKERS, axes_of, svg_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["plots"]

_MOST_LINES = 10


def plots(report: dict[str, Any]) -> dict[str, str]:
    """Draw the plots of a report (what `Comparison.to_dict` returns).

    Returns
    -------
    dict
        SVG by title; empty without a measured precision. Nothing in it refers to another file.
    """
    rows = measured(report)
    cuts = sorted(int(name[2:]) for name in report["experiment"]["measures"] if re.fullmatch(r"P@\d+", name))
    if not rows or not cuts:
        return {}
    main = f"P@{10 if 10 in cuts else cuts[0]}"
    drawn = {}
    if len(cuts) > 1:
        drawn["Precision against K"] = _against_k(rows, cuts, main)
    for cost, words in (("bytes_per_film", "bytes per film"), ("query_milliseconds", "milliseconds per query")):
        drawn[f"{main} against {words}"] = _against_cost(rows, cost, main, words)
    return drawn


def _best_rows(rows: Sequence[dict[str, Any]], main: str) -> list[dict[str, Any]]:
    """The best row of every method, best first; random codes always among them."""
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = best.get(row["method"])
        if known is None or _mean(row, main) > _mean(known, main):
            best[row["method"]] = row
    ordered = sorted(best.values(), key=lambda row: -_mean(row, main))
    kept = ordered[:_MOST_LINES]
    return kept + [row for row in ordered[_MOST_LINES:] if row["kind"] == "random"]


def _mean(row: dict[str, Any], measure: str) -> float:
    mean = row["measures"][measure]["mean"]
    return -1.0 if mean is None else float(mean)


def _against_k(rows: Sequence[dict[str, Any]], cuts: Sequence[int], main: str) -> str:
    figure, axes = axes_of()
    for number, row in enumerate(_best_rows(rows, main)):
        means = [_mean(row, f"P@{k}") for k in cuts]
        axes.plot(
            cuts, means, color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)],
            linestyle=":" if row["kind"] == "random" else "-", markersize=5, linewidth=1.6, label=row["name"],
        )  # fmt: skip
    axes.set_xlabel("K")
    axes.set_ylabel("precision at K")
    axes.set_title("Best row of every method", loc="left", fontsize=10)
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return svg_of(figure)


def _against_cost(rows: Sequence[dict[str, Any]], cost: str, main: str, words: str) -> str:
    figure, axes = axes_of()
    for number, ranking in enumerate(dict.fromkeys(row["ranking"] for row in rows)):
        chosen = [row for row in rows if row["ranking"] == ranking and row["costs"].get(cost)]
        look = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        costs, means = [row["costs"][cost] for row in chosen], [_mean(row, main) for row in chosen]
        axes.scatter(costs, means, s=32, alpha=0.8, label=ranking, **look)
    for row in _best_rows(rows, main):
        if row["costs"].get(cost):
            place = row["costs"][cost], _mean(row, main)
            axes.annotate(row["method"], place, xytext=(4, 4), textcoords="offset points", fontsize=6)
    axes.set_xscale("log")
    axes.margins(x=0.15)  # room for the names of the dearest
    axes.set_xlabel(words)
    axes.set_ylabel(main)
    axes.legend(
        title="ranking", fontsize=7, title_fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5)
    )
    return svg_of(figure)
