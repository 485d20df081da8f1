"""Sheets of films: where an encoder looks, and the masks that it draws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphret._checks import check_integer
from graphret._errors import DataError, EncoderError, InvalidParameterError
from graphret.data import ImageTable
from graphret.data.masks import n_mask_classes, read_mask
from graphret.encoders import load_encoder
from graphret.encoders.inference.colours import reads_colour
from graphret.encoders.inference.resize import prepare_film
from graphret.evaluation import mask_overlap, saliency_overlay
from graphret.evaluation.segmentation import mask_at_size
from graphret.figures import COLOURS, axes_of
from graphret.index import as_index
from graphret.plotting.drawn import Plot

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from graphret._types import Float32Array
    from graphret.encoders import Encoder

__all__ = ["saliency_sheet", "segmentation_sheet"]

_INCH = 2.1


class _Sheet(NamedTuple):
    """What a sheet is made of: films in a random order, of which the first that can be read are shown."""

    films: ImageTable
    encoder: Encoder
    order: list[int]
    n_films: int


def saliency_sheet(
    source: Any, *, encoder: Any = None, split: str | None = None, n_films: int = 6, seed: int = 0
) -> Plot:
    """Films, drawn at random, each beside its saliency map laid over it in red; of an index or a table of films."""
    sheet = _sheet_of(source, encoder, split, n_films, seed)

    def shown(row: int) -> tuple[list[tuple[str, Any]], list[tuple[Any, ...]]]:
        film = sheet.films.read(row)
        saliency = sheet.encoder.saliency(_input_of(sheet, row)[None])[0]
        y, x = np.unravel_index(int(np.argmax(saliency)), saliency.shape)
        side = len(saliency)
        numbers = (row, float(saliency.mean(dtype=np.float64)), (float(x) + 0.5) / side, (float(y) + 0.5) / side)
        return [("film", film), ("saliency", saliency_overlay(film, saliency))], [numbers]

    return _drawn("saliency", sheet, shown, ("position", "mean", "largest_x", "largest_y"))


def segmentation_sheet(
    source: Any, *, encoder: Any = None, split: str | None = None, n_films: int = 6, seed: int = 0
) -> Plot:
    """Films, drawn at random, the masks that the encoder draws, and their true masks where the table has them.

    Where some films have a mask, films without one are not drawn. Masks are compared at the size of the encoder, as
    `segmentation_quality` does.
    """
    sheet = _sheet_of(source, encoder, split, n_films, seed)
    if not sheet.encoder.draws_masks:
        raise EncoderError(f"{sheet.encoder.name!r} draws no masks (ynet with fpn=True does)")
    column = sheet.films.columns.get("mask")
    names = [""] * len(sheet.films) if column is None else [str(name) for name in column]
    drawn = int(sheet.encoder.config.options["mask_classes"])
    n_classes = n_mask_classes(names)
    if n_classes and drawn not in {1, n_classes}:
        raise DataError(f"the encoder draws {drawn} classes of masks, and those of the films have {n_classes}")
    if n_classes:
        sheet = sheet._replace(order=[row for row in sheet.order if names[row]])

    def shown(row: int) -> tuple[list[tuple[str, Any]], list[tuple[Any, ...]]]:
        film = prepare_film(sheet.films.read(row), sheet.encoder.size)
        found = sheet.encoder.segmentation(_input_of(sheet, row)[None])[0]
        panels = [("film", film), ("drawn mask", _painted(film, found))]
        if not names[row]:
            sizes = [float((found == number).mean()) for number in range(1, drawn + 1)]
            return panels, [(row, number, size, None, None, None) for number, size in enumerate(sizes, 1)]
        whole = mask_at_size(read_mask(Path(sheet.films.root), names[row]), n_classes, sheet.encoder.size)
        truth = np.minimum(whole, drawn)
        dice, iou = mask_overlap(truth[None], found[None], drawn)
        rows = [
            (
                row, number, float((found == number).mean()), float((truth == number).mean()),
                _defined(dice[0, number - 1]), _defined(iou[0, number - 1]),
            )
            for number in range(1, drawn + 1)
        ]  # fmt: skip
        words = ", ".join("-" if entry[4] is None else f"{entry[4]:.2f}" for entry in rows)
        return [*panels, (f"true mask, Dice {words}", _painted(film, truth))], rows

    columns = ("position", "class", "share_found", "share_true", "dice", "iou")
    return _drawn("segmentation", sheet, shown, columns)


def _sheet_of(source: Any, encoder: Any, split: str | None, n_films: int, seed: int) -> _Sheet:
    check_integer("n_films", n_films, 1)
    check_integer("seed", seed, 0)
    if isinstance(source, ImageTable):
        films, own = source, None
    else:
        index = as_index(source)
        films, own = index.films, index.encoder
    chosen = own if encoder is None else (load_encoder(encoder) if isinstance(encoder, str | Path) else encoder)
    if chosen is None:
        raise InvalidParameterError("encoder", None, "an encoder or its folder", "the films come without one")
    rows = np.arange(len(films)) if split is None else np.flatnonzero(films.splits == split)
    if not len(rows):
        raise InvalidParameterError("split", split, f"a split of these films ({', '.join(np.unique(films.splits))})")
    order = np.random.default_rng(seed).permutation(rows).tolist()
    return _Sheet(films, chosen, order, n_films)


def _drawn(
    kind: str,
    sheet: _Sheet,
    shown: Callable[[int], tuple[list[tuple[str, Any]], list[tuple[Any, ...]]]],
    columns: tuple[str, ...],
) -> Plot:
    """Lines of panels, one a film; films that cannot be read are passed over and counted."""
    lines: list[tuple[int, list[tuple[str, Any]]]] = []
    rows: list[tuple[Any, ...]] = []
    n_unreadable = 0
    for row in sheet.order:
        if len(lines) == sheet.n_films:
            break
        try:
            panels, numbers = shown(row)
        except (DataError, OSError):
            n_unreadable += 1
            continue
        lines.append((row, panels))
        rows += numbers
    if not lines:
        raise DataError(f"none of the {len(sheet.order)} films can be read with its mask: nothing can be drawn")
    widest = max(len(panels) for _, panels in lines)
    figure, first = axes_of(_INCH * widest + 0.4, _INCH * len(lines) + 0.3)
    first.remove()
    grid = figure.subplots(len(lines), widest, squeeze=False)
    for axes_of_line, (row, panels) in zip(grid, lines, strict=True):
        for axes in axes_of_line:
            axes.set_axis_off()
        for axes, (words, picture) in zip(axes_of_line, panels, strict=False):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
            axes.set_title(f"{words} {row}" if words == "film" else words, fontsize=7)
    encoder = sheet.encoder
    notes = [f"{len(lines)} of {len(sheet.order)} films, drawn at random, by {encoder.name}"]
    if not encoder.trained:
        notes.append("the encoder was not trained: its weights are random")
    if n_unreadable:
        notes.append(f"{n_unreadable} films were passed over: they, or their masks, cannot be read")
    return Plot(kind, columns, tuple(rows), figure, tuple(notes))


def _input_of(sheet: _Sheet, row: int) -> Float32Array:
    """A film as the encoder takes it."""
    image: Float32Array = sheet.encoder.prepare(sheet.films.read_pixels(row, colour=reads_colour(sheet.encoder)))
    return image


def _painted(film: Float32Array, classes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The film in grey with the pixels of every class half in its colour, (s, s, 3)."""
    picture = np.repeat(np.asarray(film, dtype=np.float64)[..., None], 3, axis=2)
    for number in np.unique(classes[classes > 0]).tolist():
        hexadecimal = COLOURS[number % len(COLOURS)].lstrip("#")
        colour = np.array([int(hexadecimal[place : place + 2], 16) / 255 for place in (0, 2, 4)])
        picture[classes == number] = 0.5 * picture[classes == number] + 0.5 * colour
    return picture


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
