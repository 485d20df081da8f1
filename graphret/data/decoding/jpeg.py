"""JPEG streams: what their header says, and whether they hold the whole picture.

libjpeg fills what is missing with grey and only counts a warning, which Pillow does not hand out. So a stream that
may have been cut is decoded a second time with noise before its end mark: noise behind a whole picture is skipped,
noise in the place of missing data is drawn.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import BinaryIO

from PIL import JpegImagePlugin

__all__ = ["JpegHeader", "is_whole", "may_be_cut", "read_jpeg_header", "why_unreadable"]

_SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7}  # 0xF7 is JPEG-LS
_SOS, _EOI, _APP0 = 0xDA, 0xD9, 0xE0
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_ARITHMETIC = {0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_NOISE = bytes((37 * n * n + 11 * n) % 255 for n in range(1, 500))  # 255 would begin a marker
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)


@dataclass(frozen=True)
class JpegHeader:
    """The frame and first scan of a JPEG or JPEG-LS stream; ``frame`` is the second byte of its SOF marker."""

    frame: int
    precision: int
    height: int
    width: int
    components: tuple[int, ...]
    n_in_first_scan: int
    has_jfif: bool


def read_jpeg_header(stream: BinaryIO) -> JpegHeader | None:
    """Read up to the first scan; None where the stream does not begin like a JPEG."""
    if stream.read(2) != b"\xff\xd8":
        return None
    frame: tuple[int, bytes] | None = None
    has_jfif = False
    while True:
        marker = _next_marker(stream)
        if marker is None or marker == _EOI:
            return None
        if marker in _STANDALONE:
            continue
        length = int.from_bytes(stream.read(2), "big")
        content = stream.read(length - 2) if length > 2 else b""
        if len(content) != length - 2:
            return None
        if marker == _APP0:
            has_jfif |= content.startswith(b"JFIF")
        elif marker in _SOF:
            frame = marker, content
        elif marker == _SOS:
            break
    if frame is None or len(frame[1]) < 6 + 3 * frame[1][5] or not content:
        return None
    sof, fields = frame
    return JpegHeader(
        frame=sof,
        precision=fields[0],
        height=int.from_bytes(fields[1:3], "big"),
        width=int.from_bytes(fields[3:5], "big"),
        components=tuple(fields[6 : 6 + 3 * fields[5] : 3]),
        n_in_first_scan=content[0],
        has_jfif=has_jfif,
    )


def why_unreadable(header: JpegHeader | None) -> str:
    """Name the kinds of JPEG that Pillow's libjpeg does not decode; "" for the others."""
    if header is None or header.frame == 0xF7:
        return ""
    if header.frame in _LOSSLESS:
        return "it is JPEG Lossless (Process 14), which is not decoded here"
    if header.precision != 8:
        return f"it is a JPEG of {header.precision} bits, which is not decoded here"
    return "it is a JPEG with arithmetic coding, which is not decoded here" if header.frame in _ARITHMETIC else ""


def may_be_cut(header: JpegHeader, last_pixel: tuple[float, ...]) -> bool:
    """Whether the last pixel looks like libjpeg's filling, middle grey, or the scans let no pixel tell.

    Parameters
    ----------
    header
        Of the stream.
    last_pixel
        The bottom right pixel, 0 to 255: grey, or R, G, B, or four inks.
    """
    if header.frame in _PROGRESSIVE or header.n_in_first_scan < len(header.components):
        return True
    if len(last_pixel) == 3:  # colour bleeds in from the left and above, brightness does not
        red, green, blue = last_pixel
        last_pixel = (0.299 * red + 0.587 * green + 0.114 * blue,)
    return all(abs(value - 128) <= 3 for value in last_pixel)


def is_whole(data: bytes) -> bool:
    """Whether a JPEG stream with an end mark holds data for every pixel; O(n), two decodings."""
    scan, end = _last_scan(data)
    if end == 0:
        return False
    # where restarts are expected, what is not behind the next restart mark is skipped
    marks = _RESTART.findall(data, scan, end)
    next_mark = bytes([0xFF, 0xD0 + (marks[-1][1] - 0xD0 + 1) % 8 if marks else 0xD0])
    return _decoded(data) == _decoded(data[:end] + _NOISE + next_mark + _NOISE + data[end:])


def _decoded(data: bytes) -> bytes:
    with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as picture:
        return picture.tobytes()


def _last_scan(data: bytes) -> tuple[int, int]:
    """The data of the first picture's last scan; zeros without an end mark, or where a scan is missing.

    A progressive picture comes in scans of some coefficients, their upper bits first: all must come, to the last bit.
    """
    header = read_jpeg_header(io.BytesIO(data))
    if header is None:
        return 0, 0
    missing_bits = {component: [1] * 64 for component in header.components}
    place, scan = 2, 0
    while (match := _MARKER.search(data, place)) is not None:
        marker, place = match[1][0], match.end()
        if marker == _EOI:
            return (scan, match.start()) if not any(map(any, missing_bits.values())) else (0, 0)
        if marker in _STANDALONE:
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        segment = data[place + 2 : place + length]
        place += length
        if marker == _SOS and len(segment) >= 4 + 2 * segment[0]:
            first, last, bits = segment[1 + 2 * segment[0] : 4 + 2 * segment[0]]
            for component in segment[1 : 1 + 2 * segment[0] : 2]:
                coefficients = missing_bits.get(component, [])
                coefficients[first : last + 1] = [bits & 15] * len(coefficients[first : last + 1])
            scan = place
    return 0, 0


def _next_marker(stream: BinaryIO) -> int | None:
    if stream.read(1) != b"\xff":
        return None
    while (byte := stream.read(1)) == b"\xff":
        pass
    return byte[0] if byte else None
