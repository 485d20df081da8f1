"""Measures against K: precision, mAP, and precision against recall, as `evaluate` measures them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret.evaluation import evaluate
from graphret.figures import COLOURS, MARKERS, axes_of
from graphret.plotting.drawn import Plot, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import Progress
    from graphret.evaluation import Report

__all__ = ["map_at_k", "precision_at_k", "precision_recall"]

_DEPTHS = (1, 2, 5, 10, 20, 50, 100)


def precision_at_k(
    source: Any,
    *,
    split: str = "test",
    rankings: Any = None,
    depths: Sequence[int] = _DEPTHS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Plot:
    """Precision at K against K, with 95 % intervals, and chance."""
    report = _measured(source, ("P",), split, rankings, depths, seed, progress)
    return _against_k("precision-at-k", "P", "precision at K", report, depths)


def map_at_k(
    source: Any,
    *,
    split: str = "test",
    rankings: Any = None,
    depths: Sequence[int] = _DEPTHS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Plot:
    """MAP at K against K, with 95 % intervals, and chance."""
    report = _measured(source, ("mAP",), split, rankings, depths, seed, progress)
    return _against_k("map-at-k", "mAP", "mAP at K", report, depths)


def precision_recall(
    source: Any,
    *,
    split: str = "test",
    rankings: Any = None,
    depths: Sequence[int] = _DEPTHS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Plot:
    """Mean precision at K against mean recall at K, one point a K, and chance."""
    report = _measured(source, ("P", "R"), split, rankings, depths, seed, progress)
    figure, axes = axes_of()
    rows: list[tuple[Any, ...]] = []
    for number, ranking in enumerate(report.rankings):
        points = [(ranking.scores[f"R@{k}"].mean, ranking.scores[f"P@{k}"].mean) for k in depths]
        axes.plot(*zip(*points, strict=True), **_look(number, ranking))
        rows += [(ranking.name, k, _defined(r), _defined(p)) for k, (r, p) in zip(depths, points, strict=True)]
    axes.set_xlabel("recall at K")
    _finish(axes, "precision at K")
    return Plot("precision-recall", ("ranking", "k", "recall", "precision"), tuple(rows), figure, _notes(report))


def _measured(
    source: Any,
    names: Sequence[str],
    split: str,
    rankings: Any,
    depths: Sequence[int],
    seed: int,
    progress: Progress | None,
) -> Report:
    for k in depths:
        check_integer("depths", k, 1)
    if not depths or sorted(set(depths)) != list(depths):
        raise InvalidParameterError("depths", list(depths), "at least one K, each once, from small to large")
    measures = [f"{name}@{k}" for name in names for k in depths]
    return evaluate(source, split, measures=measures, rankings=rankings, seed=seed, progress=progress)


def _against_k(kind: str, measure: str, words: str, report: Report, depths: Sequence[int]) -> Plot:
    figure, axes = axes_of()
    rows: list[tuple[Any, ...]] = []
    for number, ranking in enumerate(report.rankings):
        scores = [ranking.scores[f"{measure}@{k}"] for k in depths]
        axes.plot(depths, [score.mean for score in scores], **_look(number, ranking))
        axes.fill_between(
            depths, [score.low for score in scores], [score.high for score in scores],
            color=COLOURS[number % len(COLOURS)], alpha=0.15, linewidth=0,
        )  # fmt: skip
        rows += [
            (ranking.name, k, _defined(score.mean), _defined(score.low), _defined(score.high), score.n_queries)
            for k, score in zip(depths, scores, strict=True)
        ]
    axes.set_xscale("log")
    axes.set_xticks(depths, [str(k) for k in depths])
    axes.minorticks_off()
    axes.set_xlabel("K")
    _finish(axes, words)
    return Plot(kind, ("ranking", "k", "mean", "low", "high", "n_queries"), tuple(rows), figure, _notes(report))


def _look(number: int, ranking: Any) -> dict[str, Any]:
    name = f"{ranking.name} (uses labels)" if ranking.uses_labels else ranking.name
    return {
        "color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)], "markersize": 4,
        "linestyle": ":" if ranking.choice is None else "-", "label": label(name),
    }  # fmt: skip


def _finish(axes: Any, words: str) -> None:
    axes.set_ylabel(words)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def _notes(report: Report) -> tuple[str, ...]:
    """What was left out, and what else a reader of the curves should know."""
    queries = report.description["queries"]
    said = [f"{queries['n_scored']} queries of {queries['n_patients']} patients"]
    said += [f"left out, {reason}: {count}" for reason, count in queries["left_out"].items() if count]
    if queries["transductive"]:
        said.append("the queries are films of the archive, and part of its graph")
    said += [f"{ranking.name}: {note}" for ranking in report.rankings for note in ranking.notes]
    return tuple(said)
