"""How well an encoder that draws masks finds the masks of films: Dice and intersection over union of every class."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer
from graphret._errors import DataError, GraphretError, InvalidParameterError
from graphret.data.masks import n_mask_classes, read_mask
from graphret.encoders.inference.colours import reads_colour
from graphret.encoders.inference.resize import prepare_film

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float64Array
    from graphret.data import ImageTable
    from graphret.encoders import Encoder

__all__ = ["mask_at_size", "mask_overlap", "segmentation_quality"]

logger = logging.getLogger(__name__)


def mask_overlap(truth: Any, found: Any, n_classes: int) -> tuple[Float64Array, Float64Array]:
    """Compare masks of the same films, class by class.

    With the pixels T of a class and those F that were found: Dice ``2 |T and F| / (|T| + |F|)``, and intersection over
    union ``|T and F| / |T or F|``.

    Parameters
    ----------
    truth, found
        Integers (n, h, w), the class of every pixel, 0 outside.
    n_classes
        Beside the outside, >= 1.

    Returns
    -------
    dice, iou
        float64 (n, n_classes) each; NaN for a class that is in neither mask of a film.

    Raises
    ------
    InvalidParameterError
        Other shapes, or a class beyond ``n_classes``.

    Notes
    -----
    O(n h w n_classes).

    Examples
    --------
    >>> dice, iou = mask_overlap([[[0, 1], [1, 2]]], [[[0, 1], [0, 2]]], 2)
    >>> dice.round(3).tolist(), iou.tolist()
    ([[0.667, 1.0]], [[0.5, 1.0]])
    """
    n_classes = check_integer("n_classes", n_classes, 1)
    one, other = np.asarray(truth), np.asarray(found)
    if one.shape != other.shape or one.ndim != 3 or one.dtype.kind not in "iu" or other.dtype.kind not in "iu":
        raise InvalidParameterError(
            "truth, found", f"{one.dtype} {one.shape}, {other.dtype} {other.shape}", "integers (n, h, w), both alike"
        )
    for name, classes in (("truth", one), ("found", other)):
        if classes.size and (classes.min() < 0 or classes.max() > n_classes):
            raise InvalidParameterError(name, f"{classes.min()} to {classes.max()}", f"classes from 0 to {n_classes}")
    dice, iou = np.full((2, len(one), n_classes), np.nan)
    for number in range(1, n_classes + 1):
        of_truth, of_found = one == number, other == number
        both = (of_truth & of_found).sum(axis=(1, 2))
        total = of_truth.sum(axis=(1, 2)) + of_found.sum(axis=(1, 2))
        some = total > 0
        dice[some, number - 1] = 2 * both[some] / total[some]
        iou[some, number - 1] = both[some] / (total - both)[some]
    return dice, iou


def segmentation_quality(encoder: Encoder, table: ImageTable, *, batch_size: int = 16) -> dict[str, Any]:
    """Measure the masks that an encoder draws on the films of a table that have one.

    Masks are compared at the size of the encoder: every class is resized as a film is, and a pixel is of the class, or
    of the outside, that has the most of it. An encoder that tells inside from outside only is measured on the union.

    Parameters
    ----------
    encoder
        One that draws masks, as "ynet".
    table
        Films with a column "mask".
    batch_size
        Films that go through the network at once.

    Returns
    -------
    dict
        ``dice`` and ``iou``: for every class, by its number as text, the mean over the films where it is defined (None
        if nowhere); ``n_films`` that were measured, ``n_without_mask``, and ``n_left_out``, of which the film or its
        mask could not be read.

    Raises
    ------
    EncoderError
        The encoder draws no masks.
    DataError
        No film of the table has a mask that can be read, or the encoder draws several classes, and other ones than the
        masks have.
    """
    column = table.columns.get("mask")
    names = [] if column is None else [str(name) for name in column]
    having = [row for row, name in enumerate(names) if name]
    n_classes = n_mask_classes(names)
    drawn = int(encoder.config.options.get("mask_classes", n_classes))
    if having and drawn not in {1, n_classes}:
        raise DataError(f"the encoder draws {drawn} classes of masks, and those of the table have {n_classes}")
    dice: list[Float64Array] = []
    iou: list[Float64Array] = []
    n_left_out = 0
    for start in range(0, len(having), batch_size):
        films, truths = [], []
        for row in having[start : start + batch_size]:
            try:
                truth = mask_at_size(read_mask(Path(table.root), names[row]), n_classes, encoder.size)
                film = encoder.prepare(table.read_pixels(row, colour=reads_colour(encoder)))
            except (GraphretError, OSError) as error:
                n_left_out += 1
                logger.warning("film %s is left out of the measure of masks: %s", table.ids[row], error)
                continue
            films.append(film)
            truths.append(np.minimum(truth, drawn))
        if films:
            found = encoder.segmentation(np.stack(films), batch_size=batch_size)
            for kept, values in zip((dice, iou), mask_overlap(np.stack(truths), found, drawn), strict=True):
                kept.append(values)
    if not dice:
        raise DataError(f"none of the {len(table)} films has a mask that can be read: there is nothing to compare with")
    return {
        "dice": _means(np.concatenate(dice)),
        "iou": _means(np.concatenate(iou)),
        "n_films": sum(len(values) for values in dice),
        "n_without_mask": len(table) - len(having),
        "n_left_out": n_left_out,
    }


def mask_at_size(mask: NDArray[np.uint8], n_classes: int, size: int) -> NDArray[np.uint8]:
    """Resize a mask (h, w) to (size, size): the class of a pixel is the one with the most of it, the lowest of equals.

    Examples
    --------
    >>> mask_at_size(np.array([[0, 2, 2], [0, 2, 1], [0, 2, 1]], dtype=np.uint8), 2, 1).tolist()
    [[2]]
    """
    shares = [prepare_film((mask == number).astype(np.float32), size) for number in range(n_classes + 1)]
    classes: NDArray[np.uint8] = np.argmax(np.stack(shares), axis=0).astype(np.uint8)
    return classes


def _means(values: Float64Array) -> dict[str, float | None]:
    return {
        str(number): None if np.isnan(column).all() else float(np.nanmean(column))
        for number, column in enumerate(values.T, 1)
    }
