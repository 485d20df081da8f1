"""Images of CIFAR-10's binary version: records of a class and a colour image of 32 x 32 px, many in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import FilmError
from graphret.data.decoding.grey import luma
from graphret.data.listing import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["CIFAR_LABELS", "CIFAR_RECORD", "CIFAR_SUFFIX", "is_cifar", "read_cifar_image"]

CIFAR_LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""Class 0 to 9 of a record."""
CIFAR_SUFFIX = ".bin"
_SIDE = 32
CIFAR_RECORD = 1 + 3 * _SIDE * _SIDE
"""Bytes of a record: its class, then red, green and blue."""
_WHITE = 255.0


def is_cifar(path: Path) -> bool:
    """Whether a file is called and sized like a batch of CIFAR-10."""
    if path.suffix.lower() != CIFAR_SUFFIX:
        return False
    size = path.stat().st_size
    return size > 0 and size % CIFAR_RECORD == 0


def read_cifar_image(path: Path, frame: int | None, *, colour: bool = False) -> NDArray[Any]:
    """Decode one image of a batch as grey: float32 (32, 32) in [0, 1], the luma of its colours; or these.

    Parameters
    ----------
    path
        A batch, see `is_cifar`.
    frame
        Number of the record, counted from 1.
    colour
        Give uint8 (32, 32, 3) instead: red, green, blue.

    Raises
    ------
    FilmError
        No record is named, or there are fewer; its class is not 0 to 9, so that this is another kind of file.
    """
    n_images = path.stat().st_size // CIFAR_RECORD
    if frame is None:
        raise FilmError(path, f"it holds {n_images:,} images: name one, as {path.name}#frame=1")
    if frame > n_images:
        raise FilmError(path, f"it has {n_images:,} images, and no image {frame:,}")
    with open_regular(path) as file:
        file.seek((frame - 1) * CIFAR_RECORD)
        record = np.frombuffer(file.read(CIFAR_RECORD), dtype=np.uint8)
    if len(record) < CIFAR_RECORD:
        raise FilmError(path, f"it ends within image {frame:,}")
    if record[0] >= len(CIFAR_LABELS):
        raise FilmError(path, f"image {frame:,} is of class {record[0]}: CIFAR-10 has the classes 0 to 9")
    colours = record[1:].reshape(3, _SIDE, _SIDE).transpose(1, 2, 0)
    return colours if colour else luma(colours, _WHITE)
