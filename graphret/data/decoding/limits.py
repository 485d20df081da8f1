"""What one film may ask for: limits that are checked against a header, before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphret._checks import check_integer
from graphret._errors import FilmError
from graphret.data.decoding.budget import reserve

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MAX_AT_ONCE", "MAX_FRAMES", "MAX_MEMORY", "MAX_PIXELS", "FilmLimits", "check_memory", "check_size"]

MAX_PIXELS = 89_000_000
"""Three times the largest detectors, and just below the number at which Pillow prints a warning of its own."""
MAX_MEMORY = 2**30
"""Enough for a grey or 8-bit colour film of `MAX_PIXELS` in any format."""
MAX_AT_ONCE = 2**32
"""A film on a detector of 3,000 x 3,000 px takes 130 MB: all threads of a large machine decode such films at once."""
MAX_FRAMES = 4096
"""A cine run or a volume has some hundred, and every frame may become a film of its own."""


@dataclass(frozen=True)
class FilmLimits:
    """The pixels and the memory that one film may take; a film that announces more is refused before it is decoded.

    Parameters
    ----------
    pixels
        Largest width times height.
    memory
        Bytes for the file, the decoder's picture and the film together, as the header lets one reckon them. A file of
        more bytes is not even opened.
    frames
        Most frames of a DICOM file of which one is read.
    at_once
        Bytes for all films that are being decoded at one time, over all threads of the process: a thread waits until
        its film has room. A film that needs more than that, but not more than ``memory``, is decoded alone.

    Raises
    ------
    InvalidParameterError
        A limit is not an integer >= 1.

    Examples
    --------
    >>> FilmLimits(pixels=20_000_000)
    FilmLimits(pixels=20000000, memory=1073741824, frames=4096, at_once=4294967296)
    """

    pixels: int = MAX_PIXELS
    memory: int = MAX_MEMORY
    frames: int = MAX_FRAMES
    at_once: int = MAX_AT_ONCE

    def __post_init__(self) -> None:
        check_integer("pixels", self.pixels, 1)
        check_integer("memory", self.memory, 1)
        check_integer("frames", self.frames, 1)
        check_integer("at_once", self.at_once, 1)


def check_size(path: Path, width: int, height: int, limits: FilmLimits) -> None:
    """Refuse a picture whose header announces no pixels, or more than are allowed."""
    if width < 1 or height < 1:
        raise FilmError(path, "the picture has no pixels")
    if width * height > limits.pixels:
        raise FilmError(
            path, f"{width} x {height} pixels, more than the {limits.pixels:,} that a film may have (FilmLimits.pixels)"
        )


def check_memory(path: Path, needed: int, limits: FilmLimits) -> None:
    """Refuse a film that takes more bytes to decode than are allowed; wait for them where others are decoded too."""
    if needed > limits.memory:
        raise FilmError(
            path,
            f"it takes {-(-needed // 2**20):,} MiB to decode, more than the {limits.memory // 2**20:,} MiB that a film "
            "may take (FilmLimits.memory)",
        )
    reserve(needed)
