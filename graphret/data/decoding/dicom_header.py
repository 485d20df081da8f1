"""What a DICOM file says about its pixels, as plain numbers; pydicom's values and texts go no further.

An error here names the tag, never what is in it: that may be a patient's name in the wrong place.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from graphret._errors import FilmError
from graphret.data.decoding.deflated import check_deflated
from graphret.data.decoding.limits import check_memory, check_size
from graphret.data.decoding.quiet import no_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.data.decoding.limits import FilmLimits

__all__ = ["DicomHeader", "LookUpTable", "Rescale", "Window", "read_header"]

_WANTED = [
    *("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence", "WindowCenter", "WindowWidth"),
    *("VOILUTFunction", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *(
        f"{colour}PaletteColorLookupTable{part}"
        for colour in ("Red", "Green", "Blue")
        for part in ("Descriptor", "Data")
    ),
    *("FloatPixelData", "DoubleFloatPixelData", "PixelData"),
]
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True)
class Rescale:
    """Stored value times ``slope`` plus ``intercept`` (PS3.3 C.11.1.1.2)."""

    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True)
class LookUpTable:
    """``entries`` for the values from ``first`` on (PS3.3 C.11.1.1.1 and C.11.2.1.1)."""

    first: int
    entries: NDArray[np.uint16]

    @property
    def white(self) -> int:
        """The largest number of the bits that the entries use.

        The depth that a descriptor states is not asked: often it is the storage's, 16, where the entries have 12.
        """
        return int(2 ** max(1, int(self.entries.max()).bit_length())) - 1


@dataclass(frozen=True)
class Window:
    """A window and its function, LINEAR, LINEAR_EXACT or SIGMOID (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

    center: float
    width: float
    function: str


Modality: TypeAlias = "Rescale | LookUpTable"
Voi: TypeAlias = "Window | LookUpTable | None"


@dataclass(frozen=True)
class DicomHeader:
    """The image of one DICOM file; ``data`` is the value of its PixelData, ``padding`` a range of stored values.

    ``frame`` is the place of the frame that is asked for, from 0, among ``n_frames``.
    """

    syntax: str
    is_little_endian: bool
    rows: int
    columns: int
    n_samples: int
    photometric: str
    is_planar: bool
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    padding: tuple[int, int] | None
    modality: Modality
    voi: Voi
    palette: tuple[LookUpTable, ...]
    is_word: bool
    n_frames: int
    frame: int
    data: bytes


def read_header(path: Path, limits: FilmLimits, *, force: bool, frame: int | None = None) -> DicomHeader:
    """Read a file; ``force`` also takes one without the preamble, ``frame`` (from 1) is needed where it has several.

    Raises
    ------
    FilmError
        Not DICOM, without an image, several frames and none named, a frame that it has not, a tag whose value makes no
        sense, or beyond the limits.
    """
    import pydicom

    content = path.read_bytes()
    with no_warnings():
        check_deflated(path, content, limits)
        try:
            dataset = pydicom.dcmread(io.BytesIO(content), force=force, specific_tags=list(_WANTED))
        except pydicom.errors.InvalidDicomError:
            raise FilmError(path, "not a DICOM file") from None
        return _header(_Tags(path, dataset), len(content), limits, force=force, frame=frame)


def _header(tags: _Tags, n_bytes: int, limits: FilmLimits, *, force: bool, frame: int | None) -> DicomHeader:
    path, dataset = tags.path, tags.dataset
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise FilmError(path, "a DICOM file of floating-point pixels is not read")
    if "PixelData" not in dataset or "Rows" not in dataset or "Columns" not in dataset:
        raise FilmError(path, "a DICOM file without an image" if not force else "not a DICOM file with an image")
    rows, columns = tags.integer("Rows"), tags.integer("Columns")
    check_size(path, columns, rows, limits)
    n_frames = tags.integer("NumberOfFrames", 1) or 1
    _check_frame(path, n_frames, frame, limits)
    place = (frame or 1) - 1
    n_samples, bits = tags.integer("SamplesPerPixel", 1), tags.integer("BitsAllocated")
    check_memory(path, 2 * n_bytes + rows * columns * (n_samples * -(-bits // 8) + 8), limits)
    data = tags.value("PixelData")
    if not isinstance(data, bytes):
        raise tags.damaged("PixelData")
    bits_stored = tags.integer("BitsStored", bits)
    photometric = tags.text("PhotometricInterpretation")
    item_groups = [
        tags.item("PerFrameFunctionalGroupsSequence", place),  # the nearest first
        tags.item("SharedFunctionalGroupsSequence"),
    ]
    syntax, is_little_endian = _encoding(tags)
    return DicomHeader(
        syntax=syntax,
        is_little_endian=is_little_endian,
        rows=rows,
        columns=columns,
        n_samples=n_samples,
        photometric=photometric,
        is_planar=tags.integer("PlanarConfiguration", 0) == 1,
        bits_allocated=bits,
        bits_stored=bits_stored,
        high_bit=tags.integer("HighBit", bits_stored - 1),
        is_signed=tags.integer("PixelRepresentation", 0) == 1,
        padding=_padding(tags),
        modality=_modality([*_macros(item_groups, "PixelValueTransformationSequence"), tags], is_little_endian),
        voi=_voi([*_macros(item_groups, "FrameVOILUTSequence"), tags], is_little_endian),
        palette=_palette(tags, is_little_endian) if photometric == "PALETTE COLOR" else (),
        is_word=dataset["PixelData"].VR == "OW",
        n_frames=n_frames,
        frame=place,
        data=data,
    )


def _check_frame(path: Path, n_frames: int, frame: int | None, limits: FilmLimits) -> None:
    if n_frames < 1:
        raise FilmError(path, "damaged DICOM header: the value of NumberOfFrames makes no sense")
    if n_frames > limits.frames:
        raise FilmError(path, f"it holds {n_frames:,} frames, more than the {limits.frames:,} of FilmLimits.frames")
    if frame is None and n_frames > 1:
        raise FilmError(
            path,
            f"it holds {n_frames} frames: name one as FILE#frame=N (1 to {n_frames}), or say in a dataset spec which "
            "are read ([dicom] frames)",
        )
    if frame is not None and frame > n_frames:
        raise FilmError(path, f"it has no frame {frame}: it holds {n_frames}")


class _Tags:
    """The tags of a data set or item by keyword; a value of the wrong kind is a `FilmError` that names the tag."""

    def __init__(self, path: Path, dataset: Any) -> None:
        self.path, self.dataset = path, dataset

    def damaged(self, keyword: str, what: str = "makes no sense") -> FilmError:
        return FilmError(self.path, f"damaged DICOM header: the value of {keyword} {what}")

    def value(self, keyword: str) -> Any:
        try:
            return self.dataset.get(keyword)
        except Exception:  # noqa: BLE001 - whatever a value makes pydicom raise, its text may hold the value
            raise self.damaged(keyword) from None

    def first(self, keyword: str) -> Any:
        """Return the first of one or several values; None where there is none."""
        value = self.value(keyword)
        if not isinstance(value, str | bytes) and hasattr(value, "__len__"):
            value = value[0] if len(value) else None
        return None if value is None or value in {"", b""} else value

    def number(self, keyword: str) -> float | None:
        value = self.first(keyword)
        if value is None:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise self.damaged(keyword, "is no number")
        return number

    def integer(self, keyword: str, default: int | None = None) -> int:
        number = self.number(keyword)
        if number is None:
            if default is None:
                raise FilmError(self.path, f"damaged DICOM header: it has no {keyword}")
            return default
        if number != int(number):
            raise self.damaged(keyword, "is no integer")
        return int(number)

    def integers(self, keyword: str, n_values: int) -> list[int]:
        values = self.value(keyword)
        try:
            numbers = [int(value) for value in values]
        except (TypeError, ValueError):
            numbers = []
        if len(numbers) != n_values or isinstance(values, bytes):
            raise self.damaged(keyword, f"is not {n_values} integers")
        return numbers

    def text(self, keyword: str) -> str:
        value = self.first(keyword)
        if value is not None and not isinstance(value, str):
            raise self.damaged(keyword)
        return (value or "").strip().upper()

    def item(self, keyword: str, place: int = 0) -> _Tags | None:
        """Return an item of a sequence, the first if not said; None where the sequence is missing or empty."""
        sequence = self.value(keyword)
        if sequence is None or (hasattr(sequence, "__len__") and len(sequence) == 0):
            return None
        try:
            item = sequence[place]
            item.get("Rows")
        except Exception:  # noqa: BLE001 - as in `value`
            raise self.damaged(keyword, "is no sequence") from None
        return _Tags(self.path, item)


def _encoding(tags: _Tags) -> tuple[str, bool]:
    """The transfer syntax, guessed from how the file is written where its head does not say."""
    meta = getattr(tags.dataset, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID") or "") if meta is not None else ""
    is_implicit, is_little_endian = tags.dataset.original_encoding
    if not syntax:
        if tags.dataset["PixelData"].is_undefined_length:
            raise FilmError(tags.path, "damaged DICOM header: it does not say how its pixels are compressed")
        syntax = "1.2.840.10008.1.2" if is_implicit else f"1.2.840.10008.1.2.{1 if is_little_endian else 2}"
    return syntax, bool(is_little_endian)


def _padding(tags: _Tags) -> tuple[int, int] | None:
    value = tags.number("PixelPaddingValue")
    if value is None:
        return None
    limit = tags.number("PixelPaddingRangeLimit")
    low, high = sorted((int(value), int(value if limit is None else limit)))
    return low, high


def _macros(groups: list[_Tags | None], keyword: str) -> Iterator[_Tags]:
    for group in groups:
        macro = group.item(keyword) if group is not None else None
        if macro is not None:
            yield macro


def _modality(places: list[_Tags], is_little_endian: bool) -> Modality:
    for tags in places:
        item = tags.item("ModalityLUTSequence")
        if item is not None:
            return _table(item, "LUT", is_little_endian)
        slope, intercept = tags.number("RescaleSlope"), tags.number("RescaleIntercept")
        if slope is not None or intercept is not None:
            if slope == 0:
                raise tags.damaged("RescaleSlope", "is 0, which would make all pixels alike")
            return Rescale(1.0 if slope is None else slope, 0.0 if intercept is None else intercept)
    return Rescale()


def _voi(places: list[_Tags], is_little_endian: bool) -> Voi:
    for tags in places:
        item = tags.item("VOILUTSequence")
        if item is not None and "LUTDescriptor" in item.dataset and "LUTData" in item.dataset:
            return _table(item, "LUT", is_little_endian)
        center, width = tags.number("WindowCenter"), tags.number("WindowWidth")
        if center is not None and width is not None and width > 0:
            function = tags.text("VOILUTFunction") or "LINEAR"
            if function not in _FUNCTIONS:
                raise tags.damaged("VOILUTFunction", f"is none of {', '.join(_FUNCTIONS)}")
            return Window(center, width, function)
    return None


def _palette(tags: _Tags, is_little_endian: bool) -> tuple[LookUpTable, ...]:
    names = [f"{colour}PaletteColorLookupTable" for colour in ("Red", "Green", "Blue")]
    if not all(f"{name}Data" in tags.dataset for name in names):
        raise FilmError(tags.path, "a DICOM palette that is segmented, or missing, is not read")
    return tuple(_table(tags, name, is_little_endian) for name in names)


def _table(tags: _Tags, name: str, is_little_endian: bool) -> LookUpTable:
    n_entries, first, bits = tags.integers(f"{name}Descriptor", 3)
    n_entries = n_entries % 2**16 or 2**16
    data = tags.value(f"{name}Data")
    if isinstance(data, bytes):
        order = "<" if is_little_endian else ">"
        if len(data) >= 2 * n_entries:
            entries = np.frombuffer(data, f"{order}u2", n_entries)
        elif bits <= 8 and len(data) in {n_entries, n_entries + n_entries % 2}:
            words = np.frombuffer(data, f"{order}u2") if len(data) % 2 == 0 else None  # the first in the lower byte
            packed = data if words is None else words.astype("<u2").tobytes()
            entries = np.frombuffer(packed, np.uint8, n_entries)
        else:
            raise tags.damaged(f"{name}Data", "has fewer entries than the descriptor says")
    else:
        try:
            entries = np.atleast_1d(np.asarray(data, dtype=np.int64))[:n_entries]
        except (TypeError, ValueError, OverflowError):
            raise tags.damaged(f"{name}Data") from None
        if len(entries) < n_entries:
            raise tags.damaged(f"{name}Data", "has fewer entries than the descriptor says")
    return LookUpTable(first, (entries.astype(np.int64) % 2**16).astype(np.uint16))
