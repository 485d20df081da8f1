"""How many films have each finding, in all or by split."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.data import ImageTable
from graphret.data.splits import SPLITS
from graphret.figures import COLOURS, axes_of
from graphret.index import as_index
from graphret.plotting.drawn import Plot, label

__all__ = ["class_balance"]

_BY = ("split",)


def class_balance(source: Any, *, by: str | None = None) -> Plot:
    """Positive and uncertain films of every finding, the most frequent first; of an index or a table of films."""
    if by is not None and by not in _BY:
        raise UnknownNameError("by", by, _BY)
    films = source if isinstance(source, ImageTable) else as_index(source).films
    if not films.label_names:
        raise InvalidParameterError("source", f"{len(films)} films without labels", "films with labels")
    none = int((films.labels == 0).all(axis=1).sum())
    notes = (f"{none} of {len(films)} films have no finding",)
    order = np.argsort(-(films.labels == 1).sum(axis=0), kind="stable").tolist()
    if by == "split":
        return _by_split(films, order, notes)
    counts = [(films.label_names[place], *_counted(films.labels[:, place])) for place in order]
    figure, axes = axes_of(height=max(2.5, 0.8 + 0.28 * len(counts)))
    places = range(len(counts))
    positive = [row[1] for row in counts]
    axes.barh(places, positive, color=COLOURS[0], label="positive")
    axes.barh(places, [row[2] for row in counts], left=positive, color=COLOURS[4], label="uncertain")
    _finish(axes, films, order)
    return Plot("class-balance", ("finding", "positive", "uncertain", "negative"), tuple(counts), figure, notes)


def _by_split(films: ImageTable, order: list[int], notes: tuple[str, ...]) -> Plot:
    """Share of the films of each split that have a finding: splits differ in size, and shares can be compared."""
    splits = [name for name in SPLITS if (films.splits == name).any()]
    rows: list[tuple[Any, ...]] = []
    for place in order:
        for split in splits:
            counts = _counted(films.labels[films.splits == split, place])
            rows.append((films.label_names[place], split, *counts, counts[0] / sum(counts)))
    height = 0.8 / len(splits)
    figure, axes = axes_of(height=max(2.5, 0.8 + 0.34 * len(order)))
    for number, split in enumerate(splits):
        shares = [row[5] for row in rows if row[1] == split]
        places = np.arange(len(order)) + (number - (len(splits) - 1) / 2) * height
        size = int((films.splits == split).sum())
        axes.barh(places, shares, height=height, color=COLOURS[number], label=f"{split} ({size:,} films)")
    _finish(axes, films, order)
    axes.set_xlabel("share of the films of the split")
    return Plot(
        "class-balance", ("finding", "split", "positive", "uncertain", "negative", "share_positive"), tuple(rows),
        figure, notes,
    )  # fmt: skip


def _counted(column: Any) -> tuple[int, int, int]:
    """Positive, uncertain and negative films."""
    return int((column == 1).sum()), int((column < 0).sum()), int((column == 0).sum())


def _finish(axes: Any, films: ImageTable, order: list[int]) -> None:
    axes.set_yticks(range(len(order)), [label(films.label_names[place]) for place in order])
    axes.invert_yaxis()
    axes.set_xlabel(f"films, of {len(films):,}")
    axes.legend(fontsize=7, frameon=False)
