"""Plots of a comparison as SVG: precision against K, against bytes per film, against query time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from graphret.comparison.row_texts import measured
from graphret.figures import COLOURS, MARKERS, axes_of, svg_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cost_curves", "plots"]

_MOST_LINES = 10
_COSTS = {"bytes_per_film": "bytes per film", "query_milliseconds": "milliseconds per query"}


def plots(report: dict[str, Any]) -> dict[str, str]:
    """Draw the plots of a report (what `Comparison.to_dict` returns).

    Returns
    -------
    dict
        SVG by title; empty without a measured precision. Nothing in it refers to another file.
    """
    rows = measured(report)
    cuts = _cuts(report)
    if not rows or not cuts:
        return {}
    main = f"P@{10 if 10 in cuts else cuts[0]}"
    drawn = {}
    if len(cuts) > 1:
        drawn["Precision against K"] = _against_k(rows, cuts, main)
    for cost, words in _COSTS.items():
        drawn[f"{main} against {words}"] = _against_cost(rows, cost, main, words)
    return drawn


def cost_curves(reports: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Draw precision against bytes and against query time for several sets.

    A point is a row; the line of a set is the best row that costs no more. It was chosen among many on the queries
    that it is drawn for, so it lies somewhat too high.

    Parameters
    ----------
    reports
        Plain data of reports by the name of their set.

    Returns
    -------
    dict
        SVG by title; empty where the reports share no precision.
    """
    shared = set.intersection(*(set(_cuts(report)) for report in reports.values())) if reports else set()
    if not shared:
        return {}
    main = f"P@{10 if 10 in shared else min(shared)}"
    drawn = {}
    for cost, words in _COSTS.items():
        figure, axes = axes_of()
        for number, (name, report) in enumerate(reports.items()):
            rows = [row for row in measured(report) if row["costs"].get(cost)]
            colour = COLOURS[number % len(COLOURS)]
            places = [row["costs"][cost] for row in rows], [_mean(row, main) for row in rows]
            axes.scatter(*places, s=12, alpha=0.45, color=colour, marker=MARKERS[number % len(MARKERS)], linewidths=0)
            axes.step(*_front(rows, cost, main), where="post", color=colour, linewidth=1.6, label=name)
        axes.set_xscale("log")
        axes.set_xlabel(words)
        axes.set_ylabel(main)
        axes.set_title("Line: best row that costs no more", loc="left", fontsize=10)
        axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
        drawn[f"{main} against {words}, by set"] = svg_of(figure)
    return drawn


def _cuts(report: dict[str, Any]) -> list[int]:
    return sorted(int(name[2:]) for name in report["experiment"]["measures"] if re.fullmatch(r"P@\d+", name))


def _front(rows: Sequence[dict[str, Any]], cost: str, main: str) -> tuple[list[float], list[float]]:
    """Costs in their order, and the best mean among the rows that cost no more, up to the dearest row."""
    costs: list[float] = []
    means: list[float] = []
    ordered = sorted((row for row in rows if row["costs"].get(cost)), key=lambda row: row["costs"][cost])
    for row in ordered:
        if not means or _mean(row, main) > means[-1]:
            costs.append(row["costs"][cost])
            means.append(_mean(row, main))
    if ordered:
        costs.append(ordered[-1]["costs"][cost])
        means.append(means[-1])
    return costs, means


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
    axes.step(*_front(rows, cost, main), where="post", color="#444444", linewidth=1.0, linestyle="--", zorder=0,
              label="best that costs no more")  # fmt: skip
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
