"""Films in memory, as pictures of Pillow or arrays: to the pixels that reading their file would give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from graphret._errors import FilmError, InvalidParameterError
from graphret.data.decoding.grey import luma, upright
from graphret.data.decoding.pictures import ORIENTATION, colour_pixels, grey_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FILM_ARRAYS", "film_in_memory"]

FILM_ARRAYS = "a film: a PIL image, or uint8, uint16 or float in [0, 1], (h, w) or (h, w, 3)"
_COLOURS = {3, 4}
_BITS = {"1": 1, "L": 8, "I;16": 16}
_LARGEST_16_BITS = 65_535


def film_in_memory(film: Any, name: str = "film", *, colour: bool = False) -> NDArray[Any] | None:
    """Return the pixels of a film in memory, as `read_pixels` gives those of a file; None for what is no film.

    Parameters
    ----------
    film
        A PIL image of any mode that `read_film` reads from a file (its orientation applied, colours as luma), or of
        mode "I" with values of 16 bits, or "F" in [0, 1]; or an array (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) of
        uint8, uint16 or floats in [0, 1].
    name
        What errors call it.
    colour
        Give red, green and blue of a film that has them, (h, w, 3), as `read_pixels` does.

    Returns
    -------
    numpy.ndarray or None
        (h, w): uint8, uint16, or float32 in [0, 1] (floats of an array are not looked at here).

    Raises
    ------
    InvalidParameterError
        A PIL image of another mode, of several frames, or that cannot be decoded.

    Examples
    --------
    >>> film_in_memory(Image.new("L", (3, 2), 255)).tolist()
    [[255, 255, 255], [255, 255, 255]]
    >>> film_in_memory(np.zeros((4, 5, 3), np.uint8)).shape, film_in_memory(np.zeros(7)) is None
    ((4, 5), True)
    """
    if isinstance(film, Image.Image):
        return _of_picture(film, name, colour)
    array = np.asarray(film)
    is_bytes = array.dtype.kind == "u" and array.dtype.itemsize <= 2
    if array.ndim not in {2, 3} or array.size == 0 or not (is_bytes or array.dtype.kind == "f"):
        return None
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        return np.ascontiguousarray(array if is_bytes else array.astype(np.float32))
    if array.shape[2] not in _COLOURS:
        return None
    white = float(np.iinfo(array.dtype).max) if is_bytes else 1.0
    if colour:
        return _colours(array, white)
    grey = luma(array, white)
    return grey if array.shape[2] == 3 else grey * (array[..., 3].astype(np.float32) / np.float32(white))


def _colours(array: NDArray[Any], white: float) -> NDArray[Any]:
    """Three channels of three or four; what is transparent is over black."""
    if array.shape[2] == 3:
        return np.ascontiguousarray(array if array.dtype.kind == "u" else array.astype(np.float32))
    values = array.astype(np.float32) / np.float32(white)
    return np.ascontiguousarray(values[..., :3] * values[..., 3:])


def _of_picture(picture: Image.Image, name: str, colour: bool) -> NDArray[Any]:
    if getattr(picture, "n_frames", 1) > 1:
        raise InvalidParameterError(name, f"a PIL image of {picture.n_frames} frames", "one frame")  # type: ignore[attr-defined]
    try:
        picture.load()
        if picture.mode in {"I", "F"}:
            pixels = _of_numbers(np.asarray(picture), name)
        else:
            read = colour_pixels if colour else grey_pixels
            pixels = read(Path(name), picture, _BITS.get(picture.mode, 8))
    except FilmError as error:
        raise InvalidParameterError(name, f"a PIL image of mode {picture.mode}", FILM_ARRAYS, error.reason) from error
    except OSError as error:
        raise InvalidParameterError(name, "a PIL image", "one that can be decoded", str(error)) from error
    return np.ascontiguousarray(upright(pixels, int(picture.getexif().get(ORIENTATION) or 1)))


def _of_numbers(values: NDArray[Any], name: str) -> NDArray[Any]:
    if values.dtype.kind == "f":
        return values
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _LARGEST_16_BITS:
        raise InvalidParameterError(name, f"a PIL image with values {low} to {high}", f"values 0 to {_LARGEST_16_BITS}")
    return values.astype(np.uint16)
