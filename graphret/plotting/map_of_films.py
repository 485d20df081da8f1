"""The films of an archive on its map."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.figures import COLOURS, axes_of
from graphret.index import as_index
from graphret.mapping import archive_map
from graphret.plotting.drawn import Plot, label

__all__ = ["map_of_films"]

_MOST_GROUPS = 9


def map_of_films(source: Any, *, colour: str = "community") -> Plot:
    """Every film at its place on the archive map, coloured by community, split, view or a finding."""
    index = as_index(source)
    films = index.films
    if colour in films.label_names:
        column = films.labels[:, films.label_names.index(colour)]
        values = np.array(["not known or uncertain", "without it", "with it"])[column + 1]
        order = ["with it", "not known or uncertain", "without it"]
    elif colour in {"community", "split", "view"}:
        given = {"community": index.communities, "split": films.splits, "view": films.views}[colour]
        values = np.array([str(value) or "not known" for value in given])
        names, counts = np.unique(values, return_counts=True)
        order = [str(names[place]) for place in np.argsort(-counts, kind="stable")]
    else:
        raise UnknownNameError("colour", colour, ["community", "split", "view", *films.label_names])
    if not len(films):
        raise InvalidParameterError("source", "an index without films", "an index with films")
    places = archive_map(index)
    figure, axes = axes_of(7.5, 6.0)
    for number, (name, chosen) in reversed(list(enumerate(_groups(values, order)))):
        shade = COLOURS[number] if number < _MOST_GROUPS and name not in {"without it", "others"} else "#C4C4C4"
        words = f"{label(name)} ({int(chosen.sum()):,})"
        axes.scatter(
            *places[chosen].T, s=max(1.0, min(12.0, 20_000 / len(films))), color=shade, linewidths=0, label=words
        )
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(title=label(colour), fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    rows = zip(range(len(films)), places[:, 0].tolist(), places[:, 1].tolist(), values.tolist(), strict=True)
    more = len(order) - _MOST_GROUPS
    notes = (f"the {more} smaller groups of {len(order)} are drawn in grey",) if more > 0 else ()
    return Plot("archive-map", ("position", "x", "y", colour), tuple(rows), figure, notes)


def _groups(values: Any, order: list[str]) -> list[tuple[str, Any]]:
    """Masks of the largest groups, and one of all others together."""
    shown = [(name, values == name) for name in order[:_MOST_GROUPS] if (values == name).any()]
    return shown + ([("others", ~np.isin(values, order[:_MOST_GROUPS]))] if len(order) > _MOST_GROUPS else [])
