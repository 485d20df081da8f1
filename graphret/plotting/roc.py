"""ROC curves of findings: by the votes of the nearest films, or by the classifier of the encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError, FilmError, InvalidParameterError, UnknownNameError
from graphret.encoders.inference.colours import reads_colour
from graphret.evaluation import area_under_curve, roc_curve
from graphret.evaluation.queries import resolve_queries
from graphret.figures import COLOURS, axes_of
from graphret.index import as_index
from graphret.plotting.asked import ask_queries, said_of_queries
from graphret.plotting.drawn import Plot, label

if TYPE_CHECKING:
    from graphret._types import Float64Array, Progress
    from graphret.evaluation.queries import QuerySet
    from graphret.index import Index

__all__ = ["roc"]

_BY = ("encoder", "neighbors")
_BATCH = 16
_K = 20
"""Hits that vote where nothing else is said."""


def roc(
    source: Any,
    *,
    by: str = "neighbors",
    split: str = "test",
    ranking: Any = None,
    k: int | None = None,
    progress: Progress | None = None,
) -> Plot:
    """ROC curve and area of every finding; a query of which the finding is uncertain is left out of its curve."""
    index = as_index(source)
    if by not in _BY:
        raise UnknownNameError("by", by, _BY)
    if by == "encoder" and ranking is not None:
        raise InvalidParameterError("ranking", ranking, "it with by='neighbors'", "the classifier ranks nothing")
    if by == "encoder" and k is not None:
        raise InvalidParameterError("k", k, "it with by='neighbors'", "the classifier asks no films")
    queries = resolve_queries(index, split, progress)
    if by == "encoder":
        queries, scores, words = _by_encoder(index, queries, progress)
    else:
        scores, words = _by_neighbors(index, queries, ranking, _K if k is None else k, progress)
    figure, axes = axes_of(7.5, 4.6)
    axes.plot([0, 1], [0, 1], color="#7F7F7F", linestyle=":", linewidth=1)
    rows: list[tuple[Any, ...]] = []
    areas: list[float] = []
    without: list[str] = []
    for number, name in enumerate(index.films.label_names):
        truth = queries.films.labels[:, number]
        known = (truth >= 0) & np.isfinite(scores[:, number])
        if len(np.unique(truth[known])) < 2:
            without.append(name)
            continue
        rates = roc_curve(scores[known, number], truth[known] == 1)
        area = area_under_curve(*rates)
        shade, style = COLOURS[len(areas) % len(COLOURS)], "-" if len(areas) < len(COLOURS) else "--"
        axes.plot(*rates, color=shade, linestyle=style, label=f"{label(name)} ({area:.3f})")
        rows += [(name, *point, area) for point in zip(*map(np.ndarray.tolist, rates), strict=True)]
        areas.append(area)
    if not areas:
        allowed = "queries with and without a finding"
        raise InvalidParameterError("split", split, allowed, "no finding is on some of them and not on others")
    axes.set_xlabel("share of the films without the finding")
    axes.set_ylabel("share of the films with it")
    axes.set_aspect("equal")
    axes.legend(title="finding (area)", fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    notes = [words, f"mean area of {len(areas)} findings: {np.mean(areas):.3f}", *said_of_queries(queries)]
    if without:
        notes.append(f"without a curve, as no query, or each of them, has it: {', '.join(without)}")
    columns = ("finding", "false_positive_rate", "true_positive_rate", "area")
    return Plot("roc", columns, tuple(rows), figure, tuple(notes))


def _by_neighbors(
    index: Index, queries: QuerySet, ranking: Any, k: int, progress: Progress | None
) -> tuple[Float64Array, str]:
    """Share of the hits with each finding, (q, L); uncertain ones count as having it, as in `evaluate`."""
    positions, choice = ask_queries(index, queries, ranking, k, progress)
    found = positions >= 0
    n_found = found.sum(axis=1)
    votes = (index.films.relevance()[positions] & found[:, :, None]).sum(axis=1)
    scores = np.where(n_found[:, None] > 0, votes / np.maximum(n_found, 1)[:, None], np.nan)
    words = f"score: share of the first {k} hits of {choice} that have the finding"
    n_empty = int((n_found == 0).sum())
    return scores, f"{words}; {n_empty} queries without a hit are left out" if n_empty else words


def _by_encoder(index: Index, queries: QuerySet, progress: Progress | None) -> tuple[QuerySet, Float64Array, str]:
    """The queries whose film can be read, and probabilities of the classifier (q, L); NaN for what it does not know."""
    encoder = index.encoder
    if encoder is None:
        raise InvalidParameterError("by", "encoder", "neighbors", "the index was made of codes and has no encoder")
    names = index.films.label_names
    places = {name: place for place, name in enumerate(encoder.label_names)}
    unknown = [name for name in names if name not in places]
    if len(unknown) == len(names):
        raise InvalidParameterError("by", "encoder", "neighbors", "the encoder knows none of the findings")
    kept: list[int] = []
    predicted = []
    for start in range(0, len(queries.films), _BATCH):
        images = []
        stop = min(start + _BATCH, len(queries.films))
        for row in range(start, stop):
            try:
                images.append(encoder.prepare(queries.films.read_pixels(row, colour=reads_colour(encoder))))
            except FilmError:
                continue
            kept.append(row)
        if images:
            predicted.append(encoder.predict(np.stack(images)))
        if progress is not None:
            progress("classify queries", stop, len(queries.films))
    if not kept:
        raise DataError(f"none of the {len(queries.films)} query films can be read: by='neighbors' needs codes only")
    probabilities = np.concatenate(predicted).astype(np.float64)
    scores = np.full((len(kept), len(names)), np.nan)
    for place, name in enumerate(names):
        if name in places:
            scores[:, place] = probabilities[:, places[name]]
    words = f"score: probability of the classifier of {encoder.name}"
    words += "" if encoder.trained else ", which was not trained"
    words += f"; it does not know {', '.join(unknown)}" if unknown else ""
    n_left_out = len(queries.films) - len(kept)
    words += f"; {n_left_out} queries whose film cannot be read are left out" if n_left_out else ""
    return queries.select(np.asarray(kept)), scores, words
