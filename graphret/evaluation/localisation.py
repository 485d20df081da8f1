"""How well a saliency map finds the boxes that a reader drew around findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_number
from graphret._errors import InvalidParameterError
from graphret.data import parse_boxes
from graphret.encoders.inference.colours import reads_colour

if TYPE_CHECKING:
    from graphret._types import Float32Array, Float64Array
    from graphret.data import ImageTable
    from graphret.encoders import Encoder

__all__ = ["Localisation", "box_around", "localise", "localise_findings"]


@dataclass(frozen=True)
class Localisation:
    """One saliency map against the boxes of one film.

    Parameters
    ----------
    hit
        The largest value of the map lies in a box (pointing game, Zhang et al. 2018).
    inside
        Share of the map's sum that lies in the boxes, in [0, 1]; NaN for a map of zeros.
    by_chance
        Share of the film that the boxes cover: what ``inside`` of a constant map is.
    overlap
        Intersection over union of the best box with the box around the map's values of at least ``threshold``.
    """

    hit: bool
    inside: float
    by_chance: float
    overlap: float


def localise(saliency: Float32Array, boxes: Any, *, threshold: float = 0.5) -> Localisation:
    """Compare a saliency map with boxes.

    Guan et al. (2023, Fig. 6) draw predicted places beside those of ChestX-ray14's boxes and print no measure of them;
    these are the usual ones. The predicted box is that around the map's values of at least ``threshold`` of its largest
    (Zhou et al., CVPR 2016, take the box around the largest connected part).

    Parameters
    ----------
    saliency
        Floating (h, w), finite and not negative.
    boxes
        float (n, 4), n >= 1: left, top, width, height as shares of the film's width and height, in [0, 1]. A column
        ``boxes`` of `read_dataset` is read by `graphret.data.parse_boxes`.
    threshold
        Share of the largest value, in (0, 1].

    Returns
    -------
    Localisation
        Of ties the first value in the order of rows is the largest one.

    Raises
    ------
    InvalidParameterError
        A map or boxes of another shape or range, or a threshold that is not allowed.

    Notes
    -----
    O(n (h + n) (w + n)). A position of the map is inside the boxes with the share of its area that is.

    Examples
    --------
    >>> saliency = np.zeros((4, 4), dtype=np.float32)
    >>> saliency[:2, :2] = 1
    >>> localise(saliency, [[0.0, 0.0, 0.5, 0.25]])
    Localisation(hit=True, inside=0.5, by_chance=0.125, overlap=0.5)
    """
    check_number("threshold", threshold, above=0, at_most=1)
    values = np.asarray(saliency)
    if values.ndim != 2 or values.dtype.kind != "f" or not values.size or not np.isfinite(values).all():
        raise InvalidParameterError("saliency", f"{values.dtype} {values.shape}", "floating (h, w), finite")
    if values.min() < 0:
        raise InvalidParameterError("saliency", float(values.min()), "values >= 0")
    drawn = np.asarray(boxes, dtype=np.float64)
    if drawn.ndim != 2 or drawn.shape[1] != 4 or not len(drawn):
        raise InvalidParameterError("boxes", drawn.shape, "(n, 4): left, top, width, height, of at least one box")
    corners = np.concatenate([drawn[:, :2], drawn[:, :2] + drawn[:, 2:]], axis=1)
    if not (np.isfinite(drawn).all() and corners.min() >= 0 and corners.max() <= 1 + 1e-6 and drawn[:, 2:].min() > 0):
        raise InvalidParameterError("boxes", drawn.tolist(), "shares of the film in [0, 1], wider and higher than 0")
    height, width = values.shape
    covered = _covered(corners, height, width)
    row, column = np.unravel_index(np.argmax(values), values.shape)
    x, y = (column + 0.5) / width, (row + 0.5) / height
    hit = bool(((corners[:, 0] <= x) & (x < corners[:, 2]) & (corners[:, 1] <= y) & (y < corners[:, 3])).any())
    total = float(values.sum(dtype=np.float64))
    inside = float((values * covered).sum(dtype=np.float64)) / total if total else float("nan")
    overlap = 0.0
    if total:
        found = box_around(values, threshold)
        overlap = max(_intersection_over_union(found, box) for box in corners)
    return Localisation(hit, inside, float(covered.mean()), overlap)


def localise_findings(encoder: Encoder, films: ImageTable, *, threshold: float = 0.5) -> dict[str, dict[str, float]]:
    """Compare where an encoder looks with the boxes of every finding, over all films that have one.

    A saliency map is of the film, not of a finding: a film with boxes of two findings counts for both.

    Parameters
    ----------
    encoder
        One with a spatial attention (`Encoder.saliency`).
    films
        With a column ``boxes`` (`read_dataset` of a dataset spec with ``files.boxes``, as nih-12).
    threshold
        As in `localise`.

    Returns
    -------
    dict
        By finding, the most frequent first: ``n`` films, and means over them of ``hit``, ``inside``, ``by_chance`` and
        ``overlap``. ``inside`` leaves maps of zeros out.

    Raises
    ------
    InvalidParameterError
        The table has no boxes.
    EncoderError
        The encoder draws no map.

    Notes
    -----
    One film at a time is decoded and encoded.
    """
    cells = films.columns.get("boxes")
    rows = [] if cells is None else [row for row, cell in enumerate(cells.tolist()) if cell]
    if cells is None or not rows:
        raise InvalidParameterError(
            "films",
            f"{len(films)} films, none with a box",
            'a table with a column "boxes"',
            "read the data set with files.boxes in its dataset spec (nih-12 has it), and the list beside the films",
        )
    found: dict[str, list[Localisation]] = {}
    for row in rows:
        saliency = encoder.saliency(encoder.prepare(films.read_pixels(row, colour=reads_colour(encoder)))[None])[0]
        for name, boxes in parse_boxes(str(cells[row])).items():
            found.setdefault(name, []).append(localise(saliency, boxes, threshold=threshold))
    order = sorted(found, key=lambda name: (-len(found[name]), name))
    return {name: _means(found[name]) for name in order}


def _means(of_films: list[Localisation]) -> dict[str, float]:
    inside = [one.inside for one in of_films if not np.isnan(one.inside)]
    return {
        "n": len(of_films),
        "hit": float(np.mean([one.hit for one in of_films])),
        "inside": float(np.mean(inside)) if inside else float("nan"),
        "by_chance": float(np.mean([one.by_chance for one in of_films])),
        "overlap": float(np.mean([one.overlap for one in of_films])),
    }


def box_around(saliency: Float32Array, threshold: float) -> tuple[float, float, float, float]:
    """Left, top, right, bottom, as shares, of the box around all values of at least ``threshold`` of the largest.

    Examples
    --------
    >>> box_around(np.eye(4, dtype=np.float32)[:, ::-1][:2], 1.0)
    (0.5, 0.0, 1.0, 1.0)
    """
    height, width = saliency.shape
    strong = saliency >= threshold * saliency.max()
    rows, columns = np.flatnonzero(strong.any(axis=1)), np.flatnonzero(strong.any(axis=0))
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )


def _covered(corners: Float64Array, height: int, width: int) -> Float64Array:
    """Share of every position of a map (h, w) that lies in a box; the film is cut at every edge of either."""
    columns, rows = (
        np.unique(np.concatenate([np.arange(n + 1) / n, corners[:, [place, place + 2]].ravel().clip(0, 1)]))
        for n, place in ((width, 0), (height, 1))
    )
    x, y = (columns[:-1] + columns[1:]) / 2, (rows[:-1] + rows[1:]) / 2
    inside = np.zeros((len(y), len(x)), dtype=np.bool_)
    for left, top, right, bottom in corners:
        inside |= np.outer((top < y) & (y < bottom), (left < x) & (x < right))
    covered = np.zeros((height, width))
    places = (np.floor(y * height).astype(np.intp)[:, None], np.floor(x * width).astype(np.intp))
    np.add.at(covered, places, inside * np.outer(np.diff(rows), np.diff(columns)) * (height * width))
    return covered


def _intersection_over_union(one: Any, other: Any) -> float:
    shared = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    shared *= max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return float(shared / (areas - shared))
