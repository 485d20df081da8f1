"""From a film to the input of a network that reads colours; a grey film has three equal channels, which is said."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._notes import note_once
from graphret.encoders.inference.resize import prepare_film

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float32Array

__all__ = ["prepare_colours", "reads_colour", "say_channels"]

logger = logging.getLogger(__name__)


def prepare_colours(film: NDArray[Any], size: int) -> Float32Array:
    """Resize each channel of a film as `prepare_film` does.

    Parameters
    ----------
    film
        (h, w, 3) of the dtypes of `prepare_film`, as ``read_pixels(path, colour=True)`` gives colours; or a grey film
        (h, w), whose channels are then equal: this is said once.
    size
        Side of the result in px, >= 1.

    Returns
    -------
    ndarray
        float32 (3, size, size) in [0, 1]: red, green, blue.

    Raises
    ------
    InvalidParameterError
        As `prepare_film`.

    Examples
    --------
    >>> prepare_colours(np.array([[[255, 0, 255]]], dtype=np.uint8), 2)[:, 0, 0].tolist()
    [1.0, 0.0, 1.0]
    """
    array = np.asarray(film)
    if array.ndim == 3 and array.shape[2] == 3:
        return np.stack([prepare_film(array[..., channel], size) for channel in range(3)])
    plane = prepare_film(array, size)
    note_once(logger, "grey films are read by an encoder of colours (channels=3): their three channels are equal")
    return np.stack([plane] * 3)


def reads_colour(encoder: Any) -> bool:
    """Whether an encoder takes films of three channels; those of other packages need not say it, and read grey ones."""
    return bool(getattr(encoder, "reads_colour", False))


def say_channels(name: str, *, colour: bool, spec: str, channels: int | None, n_films: int) -> None:
    """Say once where the dataset spec of films has other channels than an encoder reads.

    Parameters
    ----------
    name, colour
        Of the encoder, and whether it reads colours.
    spec, channels, n_films
        Of the films, as an `ImageTable` has them; without a dataset spec, None channels, nothing is said.
    """
    if channels == 3 and not colour:
        note_once(
            logger,
            f"the {n_films} films of {spec} have colours (channels = 3 in their dataset spec), and {name} reads their "
            "luma: the option channels=3 of an encoder that has it reads colours",
        )
    elif channels == 1 and colour:
        note_once(
            logger,
            f"the {n_films} films of {spec} are grey (channels = 1 in their dataset spec), and {name} reads colours: "
            "three equal channels where a film is grey",
        )
