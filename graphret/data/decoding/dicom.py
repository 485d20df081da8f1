"""DICOM films: modality and VOI transforms to [0, 1]; pydicom is imported on the first DICOM file only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import FilmError
from graphret.data.decoding.dicom_frame import read_frame
from graphret.data.decoding.dicom_header import DicomHeader, LookUpTable, Rescale, Window, read_header
from graphret.data.decoding.grey import luma, row_blocks

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret._types import Float32Array, Float64Array
    from graphret.data.decoding.limits import FilmLimits

__all__ = ["read_dicom"]


def read_dicom(path: Path, limits: FilmLimits, *, force: bool = False, frame: int | None = None) -> Float32Array:
    """Decode one DICOM film to float32 (h, w) in [0, 1]; ``force`` also takes a file without the preamble.

    ``frame`` is counted from 1; None is the only one, and a file of several is refused.

    Raises
    ------
    FilmError
        Damaged, without pixels, several frames, a kind or compression that is not read, or beyond the limits.
    """
    try:
        header = read_header(path, limits, force=force, frame=frame)
        stored = read_frame(path, header)
    except (FilmError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - the texts of pydicom may hold values of the file
        raise FilmError(path, f"the DICOM file is damaged and cannot be read ({type(error).__name__})") from None
    if header.photometric == "PALETTE COLOR":
        return _by_palette(header, stored)
    if header.n_samples == 3:
        return luma(stored, float(2**header.bits_stored - 1))
    return _displayed(header, stored)


def _by_palette(header: DicomHeader, stored: NDArray[Any]) -> Float32Array:
    low, high = int(stored.min()), int(stored.max())
    values = np.arange(low, high + 1)
    colours = np.stack([_look_up(values, table, table.first) for table in header.palette], axis=-1)
    greys = luma(colours[np.newaxis], float(max(table.white for table in header.palette)))[0]
    return _through_table(stored, low, greys)


def _displayed(header: DicomHeader, stored: NDArray[Any]) -> Float32Array:
    """Values in [0, 1] after the modality and the VOI transform (PS3.3 C.11.1 and C.11.2).

    A film mostly has more pixels than values: then every value goes through the transforms once.
    """
    transform = _Transform(header, stored)
    low, high = int(stored.min()), int(stored.max())
    if high - low < stored.size:
        return _through_table(stored, low, transform(np.arange(low, high + 1)).astype(np.float32))
    film = np.empty(stored.shape, dtype=np.float32)
    for rows in row_blocks(*stored.shape):
        film[rows] = transform(stored[rows])
    return film


def _through_table(stored: NDArray[Any], low: int, table: Float32Array) -> Float32Array:
    film = np.empty(stored.shape, dtype=np.float32)
    for rows in row_blocks(*stored.shape):
        places = stored[rows].astype(np.intp)
        places -= low
        np.take(table, places, out=film[rows], mode="clip")  # three times as fast as indexing; nothing is outside
    return film


class _Transform:
    """From stored values to [0, 1]; what depends on the whole film is found out once."""

    def __init__(self, header: DicomHeader, stored: NDArray[Any]) -> None:
        self.header = header
        self.modality_first = (
            _first_value(header.modality, int(stored.min()), int(stored.max()))
            if isinstance(header.modality, LookUpTable)
            else 0
        )
        used = _used_values(header, stored)
        ends = self.modality(np.arange(used[0], used[1] + 1) if self._is_table() else np.array(used))
        self.low, self.high = float(ends.min()), float(ends.max())
        if isinstance(header.voi, LookUpTable):
            self.voi_first = _first_value(header.voi, self.low, self.high)
        elif header.voi is None:
            self.low, self.high = self._range()

    def __call__(self, stored: NDArray[Any]) -> Float64Array:
        values, voi = self.modality(stored), self.header.voi
        if isinstance(voi, LookUpTable):
            displayed = _look_up(values, voi, self.voi_first) / float(voi.white)
        elif isinstance(voi, Window):
            displayed = _window(values, voi)
        else:
            displayed = np.clip((values - self.low) / (self.high - self.low), 0.0, 1.0)
        return 1.0 - displayed if self.header.photometric == "MONOCHROME1" else displayed

    def modality(self, stored: NDArray[Any]) -> Float64Array:
        modality = self.header.modality
        if isinstance(modality, Rescale):
            return stored.astype(np.float64) * modality.slope + modality.intercept
        return _look_up(stored, modality, self.modality_first)

    def _is_table(self) -> bool:
        return isinstance(self.header.modality, LookUpTable)

    def _range(self) -> tuple[float, float]:
        """What goes to 0 and 1 where the file does not say.

        What the stored bits can hold, as other films of the detector have it. But of more than 8 bits many say 16
        where the detector has 12: where the film uses less than half of the range, or leaves it, its own values.
        """
        header = self.header
        if isinstance(header.modality, LookUpTable):
            low, high = 0.0, float(header.modality.white)
        else:
            bits, signed = header.bits_stored, header.is_signed
            ends = self.modality(np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1]))
            low, high = float(ends.min()), float(ends.max())
        is_within = low <= self.low and self.high <= high
        is_used = self.high - self.low >= (high - low) / 2
        if self.high > self.low and not (is_within and (is_used or header.bits_stored <= 8)):
            return self.low, self.high
        return low, high


def _used_values(header: DicomHeader, stored: NDArray[Any]) -> tuple[int, int]:
    """The smallest and largest stored value of the film, its padding aside."""
    if header.padding is not None:
        film = stored[(stored < header.padding[0]) | (stored > header.padding[1])]
        if film.size:
            return int(film.min()), int(film.max())
    return int(stored.min()), int(stored.max())


def _first_value(table: LookUpTable, low: float, high: float) -> int:
    """The first value that a table is for, with the sign under which it covers more of the film's values.

    Whether the number is signed depends on the values that it stands for, and writers and VRs get that wrong.
    """
    n_entries = len(table.entries)

    def covered(first: int) -> float:
        return min(high, first + n_entries - 1) - max(low, first)

    other = table.first - 2**16 if table.first >= 2**15 else table.first + 2**16 if table.first < 0 else table.first
    return max((table.first, other), key=covered)


def _look_up(values: NDArray[Any], table: LookUpTable, first: int) -> Float64Array:
    rows = np.clip(np.rint(values) - first, 0, len(table.entries) - 1).astype(np.int64)
    entries: Float64Array = table.entries[rows].astype(np.float64)
    return entries


def _window(values: Float64Array, window: Window) -> Float64Array:
    center, width = window.center, window.width
    if window.function == "SIGMOID":
        return np.reciprocal(1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0)))
    if window.function == "LINEAR" and width >= 1:  # the standard's half pixel; narrower windows are meant exactly
        center, width = center - 0.5, width - 1.0
    if width == 0:
        return (values > center).astype(np.float64)
    displayed: Float64Array = np.clip((values - center) / width + 0.5, 0.0, 1.0)
    return displayed
