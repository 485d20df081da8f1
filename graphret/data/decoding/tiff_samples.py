"""The samples of a TIFF picture as an array (h, w, samples), whatever their depth, order, compression and tiling.

Pillow is used as a codec only: it swaps no bytes of compressed big-endian numbers and knows few depths. The chunks are
put into a plain TIFF in memory whose pixels are the bytes of the rows, and what they mean is worked out here.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import TiffImagePlugin

from graphret._errors import FilmError
from graphret.data.decoding.grey import row_blocks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.data.decoding.tiff_layout import TiffLayout

__all__ = ["check_codec", "read_samples"]

_PLAIN = 1
_LOSSLESS = {5, 8, 32946, 32773, 34925, 50000}  # LZW, deflate (two numbers), PackBits, LZMA, Zstandard
_FAX = {2, 3, 4}
_JPEG = 7
_RGB, _YCBCR = 2, 6
_WORDS = {8, 16, 32, 64}
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_codec(path: Path, layout: TiffLayout) -> None:
    """Refuse compressions, depths and predictors that are not read, by name.

    Raises
    ------
    FilmError
        One of them.
    """
    compression, bits = layout.compression, layout.bits
    if compression not in {_PLAIN, _JPEG, *_LOSSLESS, *_FAX}:
        raise FilmError(
            path,
            f"TIFF compression {compression} is not read: save it plain, or with LZW, deflate, PackBits, fax or JPEG",
        )
    if compression in _FAX and (bits != 1 or layout.n_samples != 1):
        raise FilmError(path, "damaged TIFF header: fax compression of a picture that is not of 1 bit")
    if compression == _JPEG and (bits != 8 or layout.is_planar or layout.photometric not in {0, 1, _RGB, _YCBCR}):
        raise FilmError(path, "a TIFF with JPEG compression is read with 8 bits, grey, RGB or YCbCr, in one plane")
    if layout.photometric == _YCBCR and compression != _JPEG:
        raise FilmError(path, "a TIFF of YCbCr without JPEG compression is not read: save it as RGB")
    if not (bits in {16, 32, 64} if layout.kind == "f" else bits <= 16 or bits in _WORDS):
        raise FilmError(path, f"TIFF numbers of {bits} bits {'(floating) ' * (layout.kind == 'f')}are not read")
    if layout.kind == "i" and bits not in _WORDS:
        raise FilmError(path, f"signed TIFF numbers of {bits} bits are not read")
    if layout.predictor not in {1, 2, 3} or (
        compression in _LOSSLESS
        and layout.predictor > 1
        and (bits not in _WORDS or (layout.predictor == 3 and layout.kind != "f"))
    ):
        raise FilmError(path, f"TIFF predictor {layout.predictor} of numbers of {bits} bits is not read")


def read_samples(path: Path, layout: TiffLayout, data: bytes) -> NDArray[Any]:
    """Decode all chunks: native uint, int or float (h, w, samples) of 8, 16, 32 or 64 bits.

    Raises
    ------
    FilmError
        Data that are damaged, or end before the last row.
    """
    n_chunks = layout.n_across * layout.n_down
    planes, view = [], memoryview(data)
    for first in range(0, len(layout.offsets), n_chunks):
        chunks = [
            view[int(offset) : int(offset) + int(count)]
            for offset, count in zip(
                layout.offsets[first : first + n_chunks], layout.counts[first : first + n_chunks], strict=True
            )
        ]
        planes.append(_plane(path, layout, chunks))
    return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)


def _plane(path: Path, layout: TiffLayout, chunks: list[memoryview]) -> NDArray[Any]:
    if layout.compression in {_JPEG, *_FAX}:
        return _through_pillow(path, layout, chunks)
    rows = _plain_rows(path, layout, chunks) if layout.compression == _PLAIN else _unpacked_rows(path, layout, chunks)
    values = _numbers(layout, rows).reshape(layout.n_rows, layout.chunk_width, layout.chunk_samples)
    if not layout.is_tiled:
        return values
    tiles = values.reshape(layout.n_down, layout.n_across, layout.chunk_height, *values.shape[1:]).swapaxes(1, 2)
    whole = tiles.reshape(layout.n_down * layout.chunk_height, layout.n_across * layout.chunk_width, -1)
    return whole[: layout.height, : layout.width]


def _plain_rows(path: Path, layout: TiffLayout, chunks: list[memoryview]) -> NDArray[np.uint8]:
    parts = []
    for number, chunk in enumerate(chunks):
        n_rows = min(layout.chunk_height, layout.n_rows - number * layout.chunk_height)
        needed = n_rows * layout.row_bytes
        if len(chunk) < needed:
            raise FilmError(path, "the TIFF file is only partly there: a strip or tile holds fewer rows than it should")
        parts.append(chunk[:needed])
    joined = parts[0] if len(parts) == 1 else b"".join(parts)
    if layout.is_bit_reversed:
        joined = bytes(joined).translate(_REVERSED)
    return np.frombuffer(joined, np.uint8).reshape(layout.n_rows, layout.row_bytes)


def _unpacked_rows(path: Path, layout: TiffLayout, chunks: list[memoryview]) -> NDArray[np.uint8]:
    tags = {
        256: (layout.row_bytes,),
        257: (layout.n_rows,),
        258: (8,),
        262: (1,),
        266: (2 if layout.is_bit_reversed else 1,),
        278: (layout.chunk_height,),
    }
    rows = np.asarray(_decoded(path, layout.compression, tags, chunks, is_tiled=False))
    if layout.predictor == 3:
        return _undo_float_predictor(rows, layout)
    return rows


def _through_pillow(path: Path, layout: TiffLayout, chunks: list[memoryview]) -> NDArray[Any]:
    chunk_tags = {322: (layout.chunk_width,), 323: (layout.chunk_height,)}
    tags: dict[int, tuple[int, ...]] = {
        256: (layout.width,),
        257: (layout.height,),
        258: (layout.bits,) * layout.n_samples,
        262: (layout.photometric if layout.n_samples > 1 else 1,),
        266: (2 if layout.is_bit_reversed else 1,),
        277: (layout.n_samples,),
        **(chunk_tags if layout.is_tiled else {278: (layout.chunk_height,)}),
        **layout.codec_tags,
    }
    values = np.asarray(_decoded(path, layout.compression, tags, chunks, is_tiled=layout.is_tiled)).astype(np.uint8)
    return values.reshape(layout.height, layout.width, -1)


def _decoded(
    path: Path, compression: int, tags: Mapping[int, tuple[int, ...]], chunks: list[memoryview], *, is_tiled: bool
) -> TiffImagePlugin.TiffImageFile:
    try:
        with TiffImagePlugin.TiffImageFile(io.BytesIO(_plain_tiff(compression, tags, chunks, is_tiled))) as picture:
            picture.load()
            return picture
    except (OSError, SyntaxError, ValueError):
        raise FilmError(path, "the TIFF file is truncated or damaged") from None


def _plain_tiff(
    compression: int, tags: Mapping[int, tuple[int, ...]], chunks: list[memoryview], is_tiled: bool
) -> bytes:
    """Write a little-endian TIFF of the tags and chunks, each tag as 32-bit numbers (bytes for JPEG tables)."""
    place, offsets = 8, []
    for chunk in chunks:
        offsets.append(place)
        place += len(chunk)
    tags = {
        **tags,
        259: (compression,),
        324 if is_tiled else 273: tuple(offsets),
        325 if is_tiled else 279: tuple(map(len, chunks)),
    }
    directory, arrays = struct.pack("<H", len(tags)), b""
    behind = place + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        kind, letter = (7, "B") if tag == 347 else (3, "H") if tag in {258, 530} else (4, "I")
        packed = struct.pack(f"<{len(values)}{letter}", *values)
        directory += struct.pack("<HHI", tag, kind, len(values))
        if len(packed) <= 4:
            directory += packed.ljust(4, b"\0")
        else:
            directory += struct.pack("<I", behind + len(arrays))
            arrays += packed
    return b"".join((b"II\x2a\x00", struct.pack("<I", place), *chunks, directory, bytes(4), arrays))


def _numbers(layout: TiffLayout, rows: NDArray[np.uint8]) -> NDArray[Any]:
    """Rows of bytes as rows of native numbers, a predictor of differences undone."""
    if layout.bits not in _WORDS:
        return _odd_numbers(layout, rows)
    is_native_float = layout.compression in _LOSSLESS and layout.predictor == 3
    order = ">" if is_native_float else layout.order
    stored = np.ascontiguousarray(rows).view(f"{order}{layout.kind}{layout.bits // 8}")
    values = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    if layout.compression in _LOSSLESS and layout.predictor == 2:
        bits = values.view(f"u{layout.bits // 8}").reshape(len(rows), layout.chunk_width, layout.chunk_samples)
        return np.cumsum(bits, axis=1, dtype=bits.dtype).view(values.dtype).reshape(values.shape)
    return values


def _odd_numbers(layout: TiffLayout, rows: NDArray[np.uint8]) -> NDArray[Any]:
    """Numbers that end within a byte: a row is a string of bits, the highest first, whatever the order of bytes."""
    n_values = layout.chunk_width * layout.chunk_samples
    container = 8 if layout.bits < 8 else 16
    values = np.empty((len(rows), n_values), dtype=f"u{container // 8}")
    for block in row_blocks(len(rows), n_values):
        bits = np.unpackbits(rows[block], axis=1, count=n_values * layout.bits)
        wide = np.zeros((len(bits), n_values, container), dtype=np.uint8)
        wide[..., container - layout.bits :] = bits.reshape(len(bits), n_values, layout.bits)
        values[block] = np.packbits(wide, axis=2).view(f">u{container // 8}")[..., 0]
    return values


def _undo_float_predictor(rows: NDArray[np.uint8], layout: TiffLayout) -> NDArray[np.uint8]:
    """Predictor 3: byte differences, the bytes of a row sorted by significance; big-endian numbers come out."""
    n_bytes, n_rows = layout.bits // 8, len(rows)
    sums = np.cumsum(rows.reshape(n_rows, -1, layout.chunk_samples), axis=1, dtype=np.uint8)
    return sums.reshape(n_rows, n_bytes, -1).swapaxes(1, 2).reshape(n_rows, -1)
