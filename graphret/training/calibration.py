"""The films that a network is calibrated on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from graphret._types import Float32Array, Int64Array
    from graphret.training.films import PreparedFilms

__all__ = ["CalibrationFilms"]


class CalibrationFilms:
    """Batches of films, the same at every pass; nothing is read before they are asked for.

    Parameters
    ----------
    films, rows
        The films.
    at_most
        How many are taken, evenly spaced.
    batch_size
        Films of a batch.
    to_device
        Makes a tensor (b, 1, s, s) of images.
    """

    def __init__(
        self,
        films: PreparedFilms,
        rows: Int64Array,
        at_most: int,
        batch_size: int,
        to_device: Callable[[Float32Array | Tensor], Tensor],
    ) -> None:
        self._films, self._to_device = films, to_device
        kept = rows[np.linspace(0, len(rows) - 1, min(len(rows), at_most)).round().astype(np.int64)]
        self.n_films = len(kept)
        self._groups = [kept[start : start + batch_size] for start in range(0, len(kept), batch_size)]

    def __iter__(self) -> Iterator[Tensor]:
        for _, images, readable in self._films.batches(self._groups):
            if readable.any():
                yield self._to_device(images[readable])
