"""Where an encoder looks, drawn over the film."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._checks import check_number
from graphret._errors import InvalidParameterError
from graphret.encoders.inference.resize import prepare_film
from graphret.files import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret._types import Float32Array

__all__ = ["draw_saliency", "saliency_overlay"]


def saliency_overlay(film: Float32Array, saliency: Float32Array, *, strength: float = 0.6) -> NDArray[np.uint8]:
    """Lay a saliency map over a film, in red: ``(1 - a) film + a red`` with ``a = strength * saliency``.

    Parameters
    ----------
    film
        Floating (h, w) in [0, 1], as :func:`graphret.data.read_film` gives it.
    saliency
        Floating (s, s) in [0, 1] of :meth:`graphret.encoders.Encoder.saliency`; stretched to the height and width of
        the film, as the film was to the input of the network.
    strength
        How much of the film is hidden where the saliency is 1, in (0, 1].

    Returns
    -------
    ndarray
        uint8 (h, w, 3).

    Raises
    ------
    InvalidParameterError
        An array of another shape or range, or a strength that is not allowed.

    Examples
    --------
    >>> film = np.zeros((2, 3), dtype=np.float32)
    >>> saliency_overlay(film, np.ones((4, 4), dtype=np.float32), strength=1.0)[0, 0]
    array([255,   0,   0], dtype=uint8)
    """
    check_number("strength", strength, above=0, at_most=1)
    for name, values in (("film", film), ("saliency", saliency)):
        array = np.asarray(values)
        if array.ndim != 2 or array.dtype.kind != "f" or not array.size or array.min() < 0 or array.max() > 1:
            raise InvalidParameterError(name, f"{array.dtype} {array.shape}", "floating (h, w) with values in [0, 1]")
    share = strength * _stretched(saliency, *film.shape)[..., None]
    red = np.array([1.0, 0.0, 0.0])
    mixed = (1 - share) * np.asarray(film)[..., None] + share * red
    shown: NDArray[np.uint8] = np.rint(mixed * 255).clip(0, 255).astype(np.uint8)
    return shown


def draw_saliency(film: Float32Array, saliency: Float32Array, path: str | Path, *, strength: float = 0.6) -> None:
    """Write the film and, to the right of it, the film with its saliency, as a PNG.

    Parameters
    ----------
    film, saliency, strength
        As in :func:`saliency_overlay`.
    path
        Of the PNG.
    """
    from PIL import Image

    overlay = saliency_overlay(film, saliency, strength=strength)
    plain = np.rint(np.asarray(film)[..., None] * 255).astype(np.uint8).repeat(3, axis=2)
    with replacing(path) as file:
        Image.fromarray(np.concatenate([plain, overlay], axis=1)).save(file, format="PNG")


def _stretched(saliency: Float32Array, height: int, width: int) -> Float32Array:
    """A square of the longer side, and of it the rows and columns that the film has."""
    side = max(height, width)
    square = prepare_film(np.asarray(saliency, dtype=np.float32), side)
    rows, columns = (np.minimum(((np.arange(n) + 0.5) * side / n).astype(np.int64), side - 1) for n in (height, width))
    stretched: Float32Array = square[rows][:, columns]
    return stretched
