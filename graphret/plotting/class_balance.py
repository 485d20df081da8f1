"""How many films have each finding."""

from __future__ import annotations

from typing import Any

from graphret._errors import InvalidParameterError
from graphret.data import ImageTable
from graphret.figures import COLOURS, axes_of
from graphret.index import as_index
from graphret.plotting.drawn import Plot, label

__all__ = ["class_balance"]


def class_balance(source: Any) -> Plot:
    """Positive and uncertain films of every finding, the most frequent first; of an index or a table of films."""
    films = source if isinstance(source, ImageTable) else as_index(source).films
    if not films.label_names:
        raise InvalidParameterError("source", f"{len(films)} films without labels", "films with labels")
    counts = [
        (name, int((column == 1).sum()), int((column < 0).sum()), int((column == 0).sum()))
        for name, column in zip(films.label_names, films.labels.T, strict=True)
    ]
    counts.sort(key=lambda row: -row[1])
    figure, axes = axes_of(height=max(2.5, 0.8 + 0.28 * len(counts)))
    places = range(len(counts))
    positive = [row[1] for row in counts]
    axes.barh(places, positive, color=COLOURS[0], label="positive")
    axes.barh(places, [row[2] for row in counts], left=positive, color=COLOURS[4], label="uncertain")
    axes.set_yticks(places, [label(row[0]) for row in counts])
    axes.invert_yaxis()
    axes.set_xlabel(f"films, of {len(films):,}")
    axes.legend(fontsize=7, frameon=False)
    none = int((films.labels == 0).all(axis=1).sum())
    return Plot(
        "class-balance", ("finding", "positive", "uncertain", "negative"), tuple(counts), figure,
        (f"{none} of {len(films)} films have no finding",),
    )  # fmt: skip
