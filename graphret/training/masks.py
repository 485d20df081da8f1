"""Masks of films: which pixels show what a segmentation is to find."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from graphret._errors import GraphretError
from graphret.data.columns import is_text
from graphret.data.masks import n_mask_classes, read_mask
from graphret.encoders.inference.resize import prepare_film

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float32Array
    from graphret.data import ImageTable

__all__ = ["MASK_COLUMN", "Masks", "has_masks"]

logger = logging.getLogger(__name__)

MASK_COLUMN = "mask"
"""Column of a table with the path of a film's mask, "" where it has none; relative to the table's root. Several paths
with "|" between them are parts of one mask (left and right lung); `MaskPart` reads the classes that stand behind."""


def has_masks(table: ImageTable) -> bool:
    """Whether any film of a table has a mask."""
    column = table.columns.get(MASK_COLUMN)
    return column is not None and is_text(column) and bool((column != "").any())


class Masks:
    """Read masks as pictures of 8 bits, which take a quarter of the memory of the films.

    Every class of a mask is resized as the film is, so that its pixels become shares. A column without classes has one:
    every pixel of a file that is not 0.

    Parameters
    ----------
    table
        Films with a column "mask".
    size
        Side of the result in px.
    """

    NONE: ClassVar[int] = 255
    """Marks the pixels of a film without a mask."""

    def __init__(self, table: ImageTable, size: int) -> None:
        self._table, self._size = table, size
        self._root = Path(table.root)
        self.n_classes = n_mask_classes(table.columns[MASK_COLUMN]) if has_masks(table) else 1

    def read(self, row: int) -> NDArray[np.uint8]:
        """Mask of a film, uint8 (n_classes, size, size), 0 to 254; :attr:`NONE` everywhere without one that is read."""
        name = str(self._table.columns[MASK_COLUMN][row]) if MASK_COLUMN in self._table.columns else ""
        if name:
            try:
                classes = read_mask(self._root, name)
                shares = [
                    prepare_film((classes == number).astype(np.float32), self._size)
                    for number in range(1, self.n_classes + 1)
                ]
                return np.rint(np.stack(shares) * (self.NONE - 1)).astype(np.uint8)
            except (GraphretError, OSError, ValueError) as error:
                logger.warning("the mask of film %s is left out: %s", self._table.ids[row], error)
        return np.full((self.n_classes, self._size, self._size), self.NONE, dtype=np.uint8)

    @classmethod
    def decode(cls, stored: NDArray[np.uint8]) -> Float32Array:
        """Shares float32 in [0, 1] of what :meth:`read` gave, NaN without a mask."""
        shares = stored.astype(np.float32) / (cls.NONE - 1)
        return np.where(stored == cls.NONE, np.float32(np.nan), shares)
