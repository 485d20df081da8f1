"""Which class the nearest films say, against the class that a query has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError
from graphret.evaluation.queries import resolve_queries
from graphret.figures import axes_of
from graphret.index import as_index
from graphret.plotting.asked import ask_queries, said_of_queries
from graphret.plotting.drawn import Plot, label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import BoolArray, Int32Array, Int64Array, Progress

__all__ = ["confusion", "majority_classes"]

NO_FINDING = "no finding"


def majority_classes(positions: Int32Array, classes: BoolArray) -> Int64Array:
    """Find the class that most hits of each query have.

    Parameters
    ----------
    positions
        int (q, K), rows of ``classes``, best first, -1 pads.
    classes
        bool (n, C). A film of several classes votes for each.

    Returns
    -------
    numpy.ndarray
        int64 (q,); of classes with as many votes that of the nearest hit that has one of them (of its own the
        first); -1 for a query without a vote. O(q K C).

    Examples
    --------
    >>> classes = np.eye(3, dtype=bool)[[0, 1, 1, 2]]
    >>> majority_classes(np.array([[0, 1, 2], [3, 0, -1], [-1, -1, -1]]), classes).tolist()
    [1, 2, -1]
    """
    voting = classes[positions] & (positions >= 0)[:, :, None]
    votes = voting.sum(axis=1)
    most = (votes == votes.max(axis=1, keepdims=True)) & (votes > 0)
    first = np.where(voting.any(axis=1), voting.argmax(axis=1), positions.shape[1])
    return np.where(most.any(axis=1), np.where(most, first, positions.shape[1] + 1).argmin(axis=1), -1)


def confusion(
    source: Any, *, split: str = "test", ranking: Any = None, k: int = 10, progress: Progress | None = None
) -> Plot:
    """Films by their true class and by that of most of their first K hits; "no finding" is a class of its own."""
    index = as_index(source)
    names = [*index.films.label_names, NO_FINDING]
    if len(names) == 1:
        raise InvalidParameterError("source", f"{len(index)} films without labels", "films with labels")
    given = resolve_queries(index, split, progress)
    classes = _with_no_finding(given.films.labels)
    single = (classes.sum(axis=1) == 1) & (given.films.labels >= 0).all(axis=1)
    if not single.any():
        raise InvalidParameterError(
            "split", split, "queries of one class", f"each of {len(single)} has several findings, or uncertain ones"
        )
    asked = given.select(single)
    positions, choice = ask_queries(index, asked, ranking, k, progress)
    predicted = majority_classes(positions, _with_no_finding(index.films.labels))
    truth = classes[single].argmax(axis=1)
    voted = predicted >= 0
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (truth[voted], predicted[voted]), 1)
    shown = [place for place in range(len(names)) if counts[place].any() or counts[:, place].any()]
    rows = tuple((names[true], names[said], int(counts[true, said])) for true in shown for said in shown)
    notes = [f"class of most of the first {k} hits of {choice}", *said_of_queries(asked)]
    if voted.any():
        notes.insert(1, f"{int(np.trace(counts))} of {int(voted.sum())} are said right: {_share(counts)}")
    for number, reason in (
        (len(single) - int(single.sum()), "several findings, or uncertain ones"),
        (int((~voted).sum()), "no hit has a certain label"),
    ):
        if number:
            notes.append(f"left out, {reason}: {number}")
    return Plot("confusion", ("true", "predicted", "films"), rows, _drawn(counts, names, shown), tuple(notes))


def _share(counts: Int64Array) -> str:
    return f"{np.trace(counts) / counts.sum():.3f}"


def _with_no_finding(labels: NDArray[np.int8]) -> BoolArray:
    """Positive labels, and one class more for films of which every finding is denied."""
    return np.column_stack([labels == 1, (labels == 0).all(axis=1)])


def _drawn(counts: Int64Array, names: list[str], shown: list[int]) -> Any:
    """Squares as dark as the share of the true class, with the number of films in each."""
    side = max(3.6, 1.8 + 0.42 * len(shown))
    figure, axes = axes_of(side + 1.2, side)
    part = counts[np.ix_(shown, shown)]
    shares = part / np.maximum(part.sum(axis=1, keepdims=True), 1)
    axes.grid(visible=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(part.shape):
        ink = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, str(part[row, column]), ha="center", va="center", fontsize=7, color=ink)
    texts = [label(names[place]) for place in shown]
    axes.set_xticks(range(len(shown)), texts, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(shown)), texts, fontsize=7)
    axes.set_xlabel("class of most hits")
    axes.set_ylabel("true class")
    return figure
