"""Films as coloured points: which group each belongs to, and the picture of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.figures import COLOURS, axes_of
from graphret.plotting.drawn import Plot, label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret.index import Index

__all__ = ["Groups", "draw_points", "groups_of"]

_MOST_GROUPS = 9


class Groups(NamedTuple):
    """The group of every film, and the names of the groups in the order of their colours."""

    values: NDArray[Any]
    order: list[str]


def groups_of(index: Index, colour: str) -> Groups:
    """Group the films by community, split, view or a finding; the largest group first, a finding in a fixed order.

    Raises
    ------
    UnknownNameError
        Another colour.
    InvalidParameterError
        The index has no films.
    """
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
    return Groups(values, order)


def draw_points(
    kind: str, positions: NDArray[Any], places: NDArray[Any], groups: Groups, colour: str, notes: tuple[str, ...] = ()
) -> Plot:
    """Draw films (positions, int (m,)) at their places (m, 2), in the colours of their groups."""
    values, order = groups.values[positions], groups.order
    figure, axes = axes_of(7.5, 6.0)
    for number, (name, chosen) in reversed(list(enumerate(_shown(values, order)))):
        shade = COLOURS[number] if number < _MOST_GROUPS and name not in {"without it", "others"} else "#C4C4C4"
        words = f"{label(name)} ({int(chosen.sum()):,})"
        axes.scatter(
            *places[chosen].T, s=max(1.0, min(12.0, 20_000 / len(values))), color=shade, linewidths=0, label=words
        )
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(title=label(colour), fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    rows = zip(positions.tolist(), places[:, 0].tolist(), places[:, 1].tolist(), values.tolist(), strict=True)
    more = len(order) - _MOST_GROUPS
    grey = (f"the {more} smaller groups of {len(order)} are drawn in grey",) if more > 0 else ()
    return Plot(kind, ("position", "x", "y", colour), tuple(rows), figure, (*notes, *grey))


def _shown(values: NDArray[Any], order: list[str]) -> list[tuple[str, Any]]:
    """Masks of the largest groups, and one of all others together."""
    shown = [(name, values == name) for name in order[:_MOST_GROUPS] if (values == name).any()]
    return shown + ([("others", ~np.isin(values, order[:_MOST_GROUPS]))] if len(order) > _MOST_GROUPS else [])
