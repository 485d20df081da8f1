"""One frame of a DICOM file as stored numbers, (rows, columns) or (rows, columns, 3) in RGB."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import FilmError
from graphret.data.decoding.jpeg import is_whole, may_be_cut, read_jpeg_header, why_unreadable
from graphret.data.decoding.quiet import no_log_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.data.decoding.dicom_header import DicomHeader

__all__ = ["read_frame"]

_COLOURS = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
_GREYS = {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"}
_RLE = "1.2.840.10008.1.2.5"
_JPEG_12_BITS = "1.2.840.10008.1.2.4.51"
_JPEG_SYNTAXES = {"1.2.840.10008.1.2.4.50", _JPEG_12_BITS}
_J2K_START = b"\xff\x4f\xff\x51"
_STARTS = (b"\xff\xd8", b"\xff\x4f", b"\x00\x00\x00\x0cjP  ")
_CONVERT = "convert the file (dcmdjpeg, gdcmconv --raw)"
_REMEDY = f"pip install 'graphret[gdcm]', or {_CONVERT}"
_REMEDY_12_BITS = (
    f"{_CONVERT}, or install pylibjpeg-libjpeg, which is under the GPL"  # GDCM's plugin does not take them
)


def read_frame(path: Path, header: DicomHeader) -> NDArray[Any]:
    """Decode the frame: integers of 8, 16 or 32 bits as pydicom gives them, bits that are not used taken out.

    Raises
    ------
    FilmError
        A kind that is not read, a frame of another size than the header says, another number of frames than it says,
        missing data, or a compression without a decoder.
    """
    from pydicom.config import IGNORE
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    _check_kind(path, header)
    syntax = UID(header.syntax, IGNORE)  # it would warn with the value
    if syntax.name == header.syntax:
        raise FilmError(path, "its pixels (of an unknown transfer syntax) cannot be decoded: save it uncompressed")
    try:
        decoder = get_decoder(syntax)
        is_compressed = syntax.is_encapsulated
    except (NotImplementedError, ValueError):
        raise FilmError(path, f"its pixels ({syntax.name}) cannot be decoded: save it uncompressed") from None
    if is_compressed:
        frame = _one_frame(path, header)
        source = header.data if header.n_frames == 1 else encapsulate([frame])
        _check_stream(path, header, frame)
    else:
        frame, source = b"", _native(path, header)
    if not decoder.is_available:
        raise FilmError(path, f"its pixels ({syntax.name}) cannot be decoded: {_REMEDY}")
    try:
        with no_log_lines():
            stored, properties = decoder.as_array(
                source,
                index=0,
                rows=header.rows,
                columns=header.columns,
                number_of_frames=1,
                samples_per_pixel=header.n_samples,
                photometric_interpretation=_coded_photometric(header, frame),
                planar_configuration=int(header.is_planar),
                bits_allocated=header.bits_allocated,
                bits_stored=header.bits_stored,
                pixel_representation=int(header.is_signed),
                pixel_keyword="PixelData",
                pixel_vr="OW" if header.is_word else "OB",
                correct_unused_bits=False,
                view_only=True,
            )
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - plugins raise what they like; their texts may hold values of the file
        kind = why_unreadable(read_jpeg_header(io.BytesIO(frame)))
        remedy = _REMEDY_12_BITS if header.syntax == _JPEG_12_BITS else _REMEDY
        reason = f"{kind}; {remedy}" if kind else "truncated or damaged"
        raise FilmError(path, f"its pixels ({syntax.name}) cannot be decoded: {reason}") from None
    if stored.shape != (header.rows, header.columns, 3)[: 2 if header.n_samples == 1 else 3]:
        raise FilmError(path, "its pixels are not the rows and columns that its header says")
    if header.n_samples == 3 and properties["photometric_interpretation"] != "RGB":
        raise FilmError(path, "its colours cannot be brought to RGB: save it as RGB or MONOCHROME2")
    if not is_compressed or header.syntax == _RLE:
        stored = _used_bits(header, stored)
    if header.syntax in _JPEG_SYNTAXES:
        _check_whole(path, frame, stored)
    pixels: NDArray[Any] = stored
    return pixels


def _check_kind(path: Path, header: DicomHeader) -> None:
    if header.n_samples not in {1, 3}:
        raise FilmError(path, f"{header.n_samples} samples a pixel: 1 or 3 are read")
    allowed = _GREYS if header.n_samples == 1 else _COLOURS
    if header.photometric not in allowed:
        raise FilmError(
            path,
            f"its PhotometricInterpretation is none of those that are read with {header.n_samples} samples a pixel: "
            f"{', '.join(sorted(allowed))}",
        )
    if header.bits_allocated not in {1, 8, 16, 32}:
        raise FilmError(path, f"{header.bits_allocated} bits allocated: 1, 8, 16 or 32 are read")
    if not 1 <= header.bits_stored <= header.high_bit + 1 <= header.bits_allocated:
        raise FilmError(
            path,
            f"damaged DICOM header: {header.bits_stored} bits stored up to bit {header.high_bit}, "
            f"{header.bits_allocated} allocated",
        )


def _native(path: Path, header: DicomHeader) -> bytes:
    """Pixel data of the frame, padding cut off; more data than the frames take are more frames."""
    n_bits = header.rows * header.columns * header.n_samples * header.bits_allocated
    length, n_frames = -(-n_bits // 8), header.n_frames
    if n_frames > 1 and (n_bits % 8 or (length % 2 and not header.is_little_endian)):
        raise FilmError(path, "its frames do not begin with a byte, or a word: save one picture a file")
    if header.photometric == "YBR_FULL_422":
        length = length // 3 * 2
    if len(header.data) < n_frames * length:
        raise FilmError(path, "the DICOM file is truncated: it holds fewer pixels than rows and columns")
    if len(header.data) >= (n_frames + 1) * length and length > 1:
        raise _other_frames(path, len(header.data) // length, n_frames)
    start, end = header.frame * length, (header.frame + 1) * length
    return header.data[start : end + length % 2]  # in big-endian words, the byte behind an odd end is the last pixel


def _other_frames(path: Path, found: int, said: int) -> FilmError:
    return FilmError(path, f"it holds {found} frames, its header says {said}: mend NumberOfFrames, or save one picture")


def _one_frame(path: Path, header: DicomHeader) -> bytes:
    fragments = list(_fragments(header.data))
    if header.syntax == _RLE:  # by the standard, a fragment is a frame
        n_frames = len(fragments)
    else:
        n_frames = max(sum(fragment.startswith(_STARTS) for fragment in fragments), min(len(fragments), 1))
    if n_frames < header.n_frames:
        what = "no compressed pixels" if n_frames == 0 else "fewer compressed frames than its header says"
        raise FilmError(path, f"the DICOM file is truncated: it has {what}")
    if n_frames > header.n_frames:
        raise _other_frames(path, n_frames, header.n_frames)
    if header.n_frames == 1:
        return b"".join(fragments)
    if header.syntax == _RLE:
        return fragments[header.frame]
    starts = [place for place, fragment in enumerate(fragments) if fragment.startswith(_STARTS)]
    if len(starts) != header.n_frames:
        raise FilmError(path, "damaged DICOM file: its compressed frames cannot be told apart")
    return b"".join(fragments[starts[header.frame] : [*starts, len(fragments)][header.frame + 1]])


def _fragments(data: bytes) -> Iterator[bytes]:
    """The items of encapsulated pixel data behind the table of offsets (PS3.5 A.4)."""
    place, is_table = 0, True
    while data[place : place + 4] == b"\xfe\xff\x00\xe0":
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        if not is_table and length:
            yield data[place + 8 : place + 8 + length]
        place += 8 + length
        is_table = False


def _check_stream(path: Path, header: DicomHeader, frame: bytes) -> None:
    """Refuse a stream of another size than the header says before it is decoded, which may take gigabytes."""
    size = None
    if frame.startswith(_J2K_START) and len(frame) >= 24:  # SIZ: the grid, less where the picture begins in it
        right, bottom, left, top = (int.from_bytes(frame[at : at + 4], "big") for at in (8, 12, 16, 20))
        size = bottom - top, right - left
    elif (jpeg := read_jpeg_header(io.BytesIO(frame))) is not None:
        size = jpeg.height, jpeg.width
    if size is not None and size != (header.rows, header.columns):
        raise FilmError(
            path,
            f"its compressed picture has {size[1]} x {size[0]} pixels, its header says {header.columns} x "
            f"{header.rows}",
        )


def _coded_photometric(header: DicomHeader, frame: bytes) -> str:
    """The colours of a JPEG stream, where they are not the header's: pydicom corrects it too, but with a warning."""
    jpeg = read_jpeg_header(io.BytesIO(frame)) if header.n_samples == 3 else None
    if jpeg is None:
        return header.photometric
    if jpeg.components in {tuple(b"RGB"), tuple(b"rgb")}:
        return "RGB"
    return "YBR_FULL" if jpeg.has_jfif and header.photometric == "RGB" else header.photometric


def _used_bits(header: DicomHeader, stored: NDArray[Any]) -> NDArray[Any]:
    """Take out bits that are not the pixel's, as old overlays above the highest bit."""
    above = header.bits_allocated - 1 - header.high_bit
    below = header.bits_allocated - header.bits_stored
    ends = (-(2 ** (header.bits_stored - 1)), 2 ** (header.bits_stored - 1) - 1)
    low, high = ends if header.is_signed else (0, 2**header.bits_stored - 1)
    if header.bits_allocated == 1 or (above == below and low <= stored.min() and stored.max() <= high):
        return stored
    shifted: NDArray[Any] = np.right_shift(np.left_shift(stored, above), below)
    return shifted


def _check_whole(path: Path, frame: bytes, stored: NDArray[Any]) -> None:
    jpeg = read_jpeg_header(io.BytesIO(frame))
    last = tuple(float(value) for value in np.atleast_1d(stored[-1, -1]))
    if jpeg is not None and jpeg.precision == 8 and may_be_cut(jpeg, last) and not is_whole(frame):
        raise FilmError(path, "its JPEG stream is only partly there: its data end before the last row")
