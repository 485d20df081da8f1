"""Text that is burned into a film: lines of small sharp shapes of one brightness."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from graphret._types import Float32Array

__all__ = ["text_lines"]

_BAND = 0.05
"""Letters lie this close to the film's largest, or smallest, value."""
_EDGE = 0.15
"""Within two pixels around a letter the film is on average this much darker, or brighter."""
_SHORTEST, _TALLEST = 7, 1 / 8
"""Height of a letter: pixels, and share of the film's shorter side."""
_WIDEST = 2.5
_FILL = 0.12, 0.92
_LETTERS = 4
_MOST_SHAPES = 20_000


class _Letter(NamedTuple):
    top: int
    left: int
    height: int
    width: int


def text_lines(film: Float32Array) -> int:
    """Count the lines of what looks like text burned into a film.

    A letter is a connected shape of pixels within 5 % of the film's largest value (or smallest, for dark text). It is
    7 px to an eighth of the film high, at most 2.5 times as wide as high, fills 12 to 92 % of its box, and has a sharp
    edge: the two pixels around it differ by 0.15 on average. A line is four letters or more beside each other: alike in
    height and foot, and less than one and a half heights apart. Marks of side of one to three letters are none. Text of
    a middle grey, larger, smaller, or turned text is not found: this is a help, no proof.

    Parameters
    ----------
    film
        float32 (h, w) in [0, 1].

    Notes
    -----
    O(h w).

    Examples
    --------
    >>> text_lines(np.zeros((64, 64), dtype=np.float32))
    0
    """
    low, high = float(film.min()), float(film.max())
    if high - low < 2 * _EDGE:
        return 0
    bright = film >= high - _BAND * (high - low)
    dark = film <= low + _BAND * (high - low)
    return max(_lines(_letters(film, mask)) for mask in (bright, dark))


def _letters(film: Float32Array, mask: NDArray[np.bool_]) -> list[_Letter]:
    from scipy import ndimage

    labels, n_shapes = ndimage.label(mask, structure=np.ones((3, 3)))
    if n_shapes > _MOST_SHAPES:  # noise, of which no shape is a letter
        return []
    tallest = min(film.shape) * _TALLEST
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        height, width = (part.stop - part.start for part in box)
        if not (_SHORTEST <= height <= tallest and width <= _WIDEST * height):
            continue
        shape = labels[box] == number
        if _FILL[0] <= shape.mean() <= _FILL[1] and _is_sharp(film, labels, box, number):
            found.append(_Letter(box[0].start, box[1].start, height, width))
    return found


def _is_sharp(film: Float32Array, labels: NDArray[np.int32], box: tuple[slice, ...], number: int) -> bool:
    from scipy import ndimage

    around = tuple(slice(max(part.start - 2, 0), part.stop + 2) for part in box)
    inside = labels[around] == number
    ring = ndimage.binary_dilation(inside, iterations=2) & (labels[around] != number)
    part = film[around]
    return bool(ring.any() and abs(float(part[inside].mean()) - float(part[ring].mean())) >= _EDGE)


def _lines(letters: list[_Letter]) -> int:
    """Lines of letters: each shape goes on with the nearest one to its right."""
    ordered = sorted(letters, key=lambda letter: letter.left)
    lengths = [length for length in _runs(ordered) if length >= _LETTERS]
    return len(lengths)


def _runs(letters: list[_Letter]) -> Iterator[int]:
    taken: set[int] = set()
    for start in range(len(letters)):
        if start in taken:
            continue
        last, length = start, 1
        for other in range(start + 1, len(letters)):
            if other not in taken and _follows(letters[last], letters[other]):
                taken.add(other)
                last, length = other, length + 1
        yield length


def _follows(one: _Letter, other: _Letter) -> bool:
    tall = max(one.height, other.height)
    gap = other.left - (one.left + one.width)
    feet = abs(one.top + one.height - other.top - other.height)
    return -0.2 * tall <= gap <= 1.5 * tall and feet <= 0.35 * tall and tall <= 1.8 * min(one.height, other.height)
