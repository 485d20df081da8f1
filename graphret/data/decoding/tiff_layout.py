"""The directory of a TIFF file: how its samples lie in the file, checked before one of them is read."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import FilmError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TIFF_SIGNATURES", "TiffLayout", "read_layout"]

TIFF_SIGNATURES = (b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")
_BIG = 43

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_COUNTS, _PLANAR = 273, 274, 277, 278, 279, 284
_T4_OPTIONS, _T6_OPTIONS, _PREDICTOR, _COLORMAP = 292, 293, 317, 320
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_INK_SET, _EXTRA, _FORMAT, _JPEG_TABLES, _SUBSAMPLING = 332, 338, 339, 347, 530
_WANTED = {
    *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _STRIP_OFFSETS, _ORIENTATION, _SAMPLES),
    *(_ROWS_PER_STRIP, _STRIP_COUNTS, _PLANAR, _T4_OPTIONS, _T6_OPTIONS, _PREDICTOR, _COLORMAP, _TILE_WIDTH),
    *(_TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS, _INK_SET, _EXTRA, _FORMAT, _JPEG_TABLES, _SUBSAMPLING),
}
_TYPES = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_MOST_PAGES = 10_000
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}

_Tags = dict[int, "np.ndarray[Any, Any]"]


@dataclass(frozen=True)
class TiffLayout:
    """One picture of a TIFF file: ``order`` is "<" or ">", ``kind`` "u", "i" or "f", a chunk a strip or a tile."""

    order: str
    width: int
    height: int
    bits: int
    kind: str
    n_samples: int
    is_planar: bool
    photometric: int
    compression: int
    predictor: int
    is_bit_reversed: bool
    extra: tuple[int, ...]
    orientation: int
    ink_set: int
    colormap: np.ndarray[Any, Any] | None
    codec_tags: dict[int, tuple[int, ...]]
    is_tiled: bool
    chunk_width: int
    chunk_height: int
    offsets: np.ndarray[Any, Any]
    counts: np.ndarray[Any, Any]

    @property
    def chunk_samples(self) -> int:
        """Samples of a pixel that lie in one chunk."""
        return 1 if self.is_planar else self.n_samples

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a chunk, once it is not compressed."""
        return -(-self.chunk_width * self.chunk_samples * self.bits // 8)

    @property
    def n_across(self) -> int:
        """Chunks beside each other."""
        return -(-self.width // self.chunk_width)

    @property
    def n_down(self) -> int:
        """Chunks below each other."""
        return -(-self.height // self.chunk_height)

    @property
    def n_rows(self) -> int:
        """Rows of all chunks of a plane, put below each other; only the last strip is shorter."""
        return self.n_across * self.n_down * self.chunk_height if self.is_tiled else self.height


def read_layout(path: Path, data: bytes) -> TiffLayout:
    """Read the one directory of a TIFF or BigTIFF file.

    Raises
    ------
    FilmError
        A damaged directory, several pictures, samples of different depths, or chunks that are missing, lie beyond the
        end of the file, or hold fewer rows than the picture.
    """
    try:
        tags, order = _read_directory(path, data)
    except (struct.error, ValueError, OverflowError):
        raise FilmError(path, "damaged TIFF header") from None
    width, height = _one(path, tags, _WIDTH), _one(path, tags, _HEIGHT)
    if width < 1 or height < 1:
        raise FilmError(path, "the picture has no pixels")
    n_samples = _one(path, tags, _SAMPLES, 1)
    bits = _same(path, tags, _BITS, 1, "bits a sample")
    kind = _KINDS.get(_same(path, tags, _FORMAT, 1, "sample formats"))
    if kind is None:
        raise FilmError(path, "a TIFF of complex numbers is no picture")
    is_tiled = _TILE_OFFSETS in tags
    layout = TiffLayout(
        order=order,
        width=width,
        height=height,
        bits=bits,
        kind=kind,
        n_samples=n_samples,
        is_planar=_one(path, tags, _PLANAR, 1) == 2 and n_samples > 1,
        photometric=_one(path, tags, _PHOTOMETRIC),
        compression=_one(path, tags, _COMPRESSION, 1),
        predictor=_one(path, tags, _PREDICTOR, 1),
        is_bit_reversed=_one(path, tags, _FILL_ORDER, 1) == 2,
        extra=tuple(int(value) for value in tags.get(_EXTRA, ())),
        orientation=_one(path, tags, _ORIENTATION, 1),
        ink_set=_one(path, tags, _INK_SET, 1),
        colormap=tags.get(_COLORMAP),
        codec_tags={
            tag: tuple(int(value) for value in tags[tag])
            for tag in (_T4_OPTIONS, _T6_OPTIONS, _JPEG_TABLES, _SUBSAMPLING)
            if tag in tags
        },
        is_tiled=is_tiled,
        chunk_width=_one(path, tags, _TILE_WIDTH) if is_tiled else width,
        chunk_height=_one(path, tags, _TILE_HEIGHT)
        if is_tiled
        else min(_one(path, tags, _ROWS_PER_STRIP, height), height),
        offsets=_many(path, tags, _TILE_OFFSETS if is_tiled else _STRIP_OFFSETS),
        counts=tags.get(_TILE_COUNTS if is_tiled else _STRIP_COUNTS, np.empty(0, np.uint64)),
    )
    return _checked(path, layout, len(data))


def _checked(path: Path, layout: TiffLayout, n_bytes: int) -> TiffLayout:
    if not (1 <= layout.bits <= 64 and 1 <= layout.n_samples <= 64):
        raise FilmError(path, "damaged TIFF header")
    if layout.chunk_width < 1 or layout.chunk_height < 1:
        raise FilmError(path, "damaged TIFF header: its strips or tiles have no size")
    n_chunks = layout.n_across * layout.n_down * (layout.n_samples if layout.is_planar else 1)
    counts = layout.counts
    if len(counts) == 0 and layout.compression == 1 and len(layout.offsets) == n_chunks == 1:
        counts = np.array([layout.row_bytes * layout.n_rows], dtype=np.uint64)  # early writers left it out
    if len(layout.offsets) != n_chunks or len(counts) != n_chunks:
        raise FilmError(
            path,
            f"the TIFF file is only partly there: {len(layout.offsets)} strips or tiles, where {layout.width} x "
            f"{layout.height} pixels take {n_chunks}",
        )
    ends = layout.offsets.astype(np.float64) + counts.astype(np.float64)
    if (counts == 0).any() or (layout.offsets == 0).any():
        raise FilmError(path, "the TIFF file is only partly there: a strip or tile has no data")
    if ends.max() > n_bytes:
        raise FilmError(path, "the TIFF file is truncated: a strip or tile lies beyond its end")
    return layout if counts is layout.counts else TiffLayout(**{**vars(layout), "counts": counts})


def _read_directory(path: Path, data: bytes) -> tuple[_Tags, str]:
    order = "<" if data[:2] == b"II" else ">"
    is_big = struct.unpack_from(order + "H", data, 2)[0] == _BIG
    count_format, place_format = ("Q", "Q") if is_big else ("H", "I")
    entry_bytes, count_bytes = (20, 8) if is_big else (12, 2)
    first = struct.unpack_from(order + place_format, data, 8 if is_big else 4)[0]
    n_pages, place, seen = 0, first, set()
    while place and n_pages < _MOST_PAGES:
        if place in seen:
            raise FilmError(path, "damaged TIFF header: its directories form a circle")
        seen.add(place)
        n_entries = struct.unpack_from(order + count_format, data, place)[0]
        place = struct.unpack_from(order + place_format, data, place + count_bytes + entry_bytes * n_entries)[0]
        n_pages += 1
    if n_pages > 1:
        raise FilmError(path, f"it holds {n_pages} pictures: give one picture a file")
    if n_pages == 0:
        raise FilmError(path, "damaged TIFF header: no directory")
    n_entries = struct.unpack_from(order + count_format, data, first)[0]
    tags: _Tags = {}
    for entry in range(first + count_bytes, first + count_bytes + entry_bytes * n_entries, entry_bytes):
        tag, kind, count = struct.unpack_from(order + ("HHQ" if is_big else "HHI"), data, entry)
        if tag in _WANTED and kind in _TYPES:
            dtype = np.dtype(order + _TYPES[kind])
            inline = entry + (12 if is_big else 8)
            fits = count * dtype.itemsize <= (8 if is_big else 4)
            at = inline if fits else struct.unpack_from(order + place_format, data, inline)[0]
            tags[tag] = np.frombuffer(data, dtype, count, at)
    return tags, order


def _one(path: Path, tags: _Tags, tag: int, default: int | None = None) -> int:
    values = tags.get(tag)
    if values is not None and len(values) > 0:
        return int(values[0])
    if default is None:
        raise FilmError(path, f"damaged TIFF header: tag {tag} is missing")
    return default


def _many(path: Path, tags: _Tags, tag: int) -> np.ndarray[Any, Any]:
    if tag not in tags:
        raise FilmError(path, f"damaged TIFF header: tag {tag} is missing")
    return tags[tag]


def _same(path: Path, tags: _Tags, tag: int, default: int, what: str) -> int:
    """Return the one value that all samples share."""
    values = tags.get(tag)
    if values is None or len(values) == 0:
        return default
    if (values != values[0]).any():
        raise FilmError(path, f"a TIFF whose samples have different {what} is not read")
    return int(values[0])
