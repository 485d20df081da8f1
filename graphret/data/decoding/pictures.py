"""PNG, JPEG, BMP and GIF through Pillow, to grey pixels; a picture that is only partly there is refused."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin

from graphret._errors import FilmError
from graphret._notes import note_once
from graphret.data.decoding.grey import luma, row_blocks, upright
from graphret.data.decoding.jpeg import is_whole, may_be_cut, read_jpeg_header, why_unreadable
from graphret.data.decoding.limits import check_memory, check_size

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.data.decoding.limits import FilmLimits

__all__ = ["ORIENTATION", "colour_pixels", "grey_pixels", "picture_format", "read_picture", "stored_pixels"]

logger = logging.getLogger(__name__)

_COLOURS_AS_GREY = "films with colours are read as grey, by their luma (an encoder with channels=3 keeps them)"

ORIENTATION = 274
"""The EXIF tag."""
_SHOWN = {"L", "I;16"} if sys.byteorder == "little" else {"L"}
_COLOUR_BYTES = 24
"""A pixel of three float32 values, and a turned copy."""
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}
"""Bytes of a pixel in Pillow's memory; 4 in all other modes."""
_COLOURS = {"P", "PA", "LA", "La", "RGB", "RGBA", "CMYK", "YCbCr"}
_MARKS = (0xA6, 0x59)


class _PngFile(PngImagePlugin.PngImageFile):
    """A PNG whose last pixels are marked before it is decoded: a mark that stays was never drawn.

    Pillow takes compressed data that end with a row for a whole picture, whatever height the header says. The two by
    two pixels in the last corner hold the pixel that is drawn last, also where rows are interlaced.
    """

    mark = _MARKS[0]

    def load_prepare(self) -> None:
        super().load_prepare()
        n_bands = len(self.getbands())
        for place in _last_corner(self.size):
            self.im.putpixel(place, self.mark if n_bands == 1 else (self.mark,) * n_bands)

    def marked(self) -> set[tuple[int, int]]:
        """Return the marked pixels that have still, or again, the value of the mark in their first band."""
        values = {place: self.im.getpixel(place) for place in _last_corner(self.size)}
        return {
            place for place, value in values.items() if (value[0] if isinstance(value, tuple) else value) == self.mark
        }


_Opener: TypeAlias = Callable[[str], ImageFile.ImageFile]

# The plugins are called directly: Image.open would print its own warning for a large picture, and
# would try forty formats that are no films.
_SIGNATURES: tuple[tuple[bytes, str, _Opener], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG", _PngFile),
    (b"\xff\xd8\xff", "JPEG", JpegImagePlugin.JpegImageFile),
    (b"BM", "BMP", BmpImagePlugin.BmpImageFile),
    (b"GIF8", "GIF", GifImagePlugin.GifImageFile),
)


def picture_format(head: bytes) -> str | None:
    """Name the format by the first bytes of a file: PNG, JPEG, BMP, GIF, or None."""
    return next((name for signature, name, _ in _SIGNATURES if head.startswith(signature)), None)


def read_picture(path: Path, head: bytes, limits: FilmLimits, *, colour: bool = False) -> NDArray[Any]:
    """Decode a picture to grey pixels (h, w): uint8 or uint16 by their dtype's largest value, or float32 in [0, 1].

    Parameters
    ----------
    path
        The file.
    head
        Its first 32 bytes or more.
    limits
        What it may take.
    colour
        Give the colours of a picture that has some, (h, w, 3), as `colour_pixels` does.

    Raises
    ------
    FilmError
        Damaged, truncated, only partly there, several pictures, a kind that is not read, or beyond the limits.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise FilmError(
            path,
            "Pillow's LOAD_TRUNCATED_IMAGES was switched on, so that half a picture would pass for a whole one: "
            "set PIL.ImageFile.LOAD_TRUNCATED_IMAGES = False",
        )
    _, name, opener = next(entry for entry in _SIGNATURES if head.startswith(entry[0]))
    with _open(path, name, opener) as picture:
        check_size(path, *picture.size, limits)
        check_memory(path, _memory(picture) + colour * _COLOUR_BYTES * picture.width * picture.height, limits)
        n_frames = getattr(picture, "n_frames", 1)
        if n_frames > 1:
            raise FilmError(path, f"it holds {n_frames} pictures: give one picture a file")
        _load(path, name, picture)
        if name == "JPEG":
            _check_jpeg(path, picture)
        elif isinstance(picture, _PngFile) and (marked := picture.marked()):
            _check_marked(path, marked)
        bits = _png_bits(head) if name == "PNG" else 8
        pixels = colour_pixels(path, picture, bits) if colour else grey_pixels(path, picture, bits)
        return upright(pixels, int(picture.getexif().get(ORIENTATION) or 1))


def stored_pixels(picture: Image.Image) -> NDArray[Any]:
    """Pixels of one band, not copied where Pillow shows its memory.

    ``np.asarray`` goes through a list of pieces and a joined copy. New memory of that size is new to the process too:
    for a film of 1 MB the page faults took 2 ms of 10, decoding included.
    """
    if picture.mode in _SHOWN and hasattr(picture, "__arrow_c_array__"):  # Pillow 11.2 and later
        try:
            # pa.array would first import pandas, to ask whether this is one of its columns
            capsules = picture.__arrow_c_array__()
            shown: NDArray[Any] = np.from_dlpack(pa.Array._import_from_c_capsule(*capsules))
        except ValueError:  # a picture beyond Pillow's largest block has its rows in several
            return np.asarray(picture)
        if picture.mode == "I;16":
            shown = shown.view(np.uint16)  # Arrow is told that they are signed
        return shown.reshape(picture.height, picture.width)
    return np.asarray(picture)


def _open(path: Path, name: str, opener: _Opener) -> ImageFile.ImageFile:
    try:
        return opener(str(path))
    except (OSError, SyntaxError):  # the latter is Pillow's way to say that the header makes no sense
        raise FilmError(path, _jpeg_kind(path, name) or f"damaged {name} header") from None


def _load(path: Path, name: str, picture: ImageFile.ImageFile) -> None:
    try:
        picture.load()
    except (OSError, ValueError):  # ValueError: a decoder of Pillow's that is written in Python
        kind = _jpeg_kind(path, name)
        raise FilmError(path, kind or f"the {name} file is truncated or damaged") from None


def _jpeg_kind(path: Path, name: str) -> str:
    if name != "JPEG":
        return ""
    with path.open("rb") as file:
        return why_unreadable(read_jpeg_header(file))


def _check_jpeg(path: Path, picture: ImageFile.ImageFile) -> None:
    last = picture.im.getpixel((picture.width - 1, picture.height - 1))
    with path.open("rb") as file:
        header = read_jpeg_header(file)
    if header is None or (
        may_be_cut(header, last if isinstance(last, tuple) else (last,)) and not is_whole(path.read_bytes())
    ):
        raise FilmError(path, "the JPEG file is only partly there: its data end before the last row")


def _check_marked(path: Path, marked: set[tuple[int, int]]) -> None:
    """Decode once more with another mark: a pixel that holds both marks was never drawn."""
    with _PngFile(str(path)) as again:
        again.mark = _MARKS[1]
        _load(path, "PNG", again)
        if marked & again.marked():
            raise FilmError(path, "the PNG file is only partly there: its data end before the last row")


def _last_corner(size: tuple[int, int]) -> list[tuple[int, int]]:
    width, height = size
    return [(x, y) for y in range(max(height - 2, 0), height) for x in range(max(width - 2, 0), width)]


def _memory(picture: ImageFile.ImageFile) -> int:
    """Bytes: Pillow's picture, the film, a turned copy of it; a progressive JPEG is held as coefficients too."""
    per_pixel = _BYTES.get(picture.mode, 4) + 8
    if picture.info.get("progressive"):
        per_pixel += 2 * len(picture.getbands())
    return picture.width * picture.height * per_pixel


def _png_bits(head: bytes) -> int:
    return head[24]  # of IHDR, which comes first


def grey_pixels(path: Path, picture: Image.Image, bits: int) -> NDArray[Any]:
    """Return the grey values of a picture of Pillow whose file has ``bits`` a channel; transparency is over black.

    That a picture has other colours than grey, whose luma is taken, is said once.

    Raises
    ------
    FilmError
        A mode that is not read.
    """
    if _is_grey(picture):
        clear = picture.info.get("transparency")
        pixels = stored_pixels(picture)
        if picture.mode == "1":
            pixels = pixels.astype(np.uint8) * np.uint8(255)
        return pixels if clear is None else _without(pixels, int(clear), bits)
    film = np.empty((picture.height, picture.width), dtype=np.float32)
    for rows, colours, opacity in _colour_blocks(path, picture, bits):
        film[rows] = luma(colours, 255.0)
        if opacity is not None:
            film[rows] *= opacity
        if (colours != colours[..., :1]).any():
            note_once(
                logger, "films with colours are read as grey, by their luma (an encoder with channels=3 keeps them)"
            )
    return film


def colour_pixels(path: Path, picture: Image.Image, bits: int) -> NDArray[Any]:
    """Return red, green and blue of a picture of Pillow, (h, w, 3), or its grey values (h, w) where it has no colours.

    uint8 with 255 as the largest value; float32 in [0, 1] where it is transparent somewhere, which is over black.

    Raises
    ------
    FilmError
        A mode that is not read.
    """
    if _is_grey(picture):
        return grey_pixels(path, picture, bits)
    film: NDArray[Any] | None = None
    for rows, colours, opacity in _colour_blocks(path, picture, bits):
        if film is None:
            film = np.empty((picture.height, picture.width, 3), np.uint8 if opacity is None else np.float32)
        film[rows] = colours if opacity is None else colours / np.float32(255) * opacity[..., None]
    if film is None:
        raise FilmError(path, "the picture has no pixels")
    return film


def _is_grey(picture: Image.Image) -> bool:
    return picture.mode in {"1", "L"} or picture.mode.startswith("I;16")


def _colour_blocks(
    path: Path, picture: Image.Image, bits: int
) -> Iterator[tuple[slice, NDArray[np.uint8], NDArray[np.float32] | None]]:
    """Rows of a picture with their colours uint8 (r, w, 3), and how opaque they are, float32 (r, w), where they say."""
    clear = picture.info.get("transparency")
    if picture.mode not in _COLOURS:
        raise FilmError(path, f"pixels of Pillow's mode {picture.mode} are not read")
    if picture.mode == "RGB" and clear is not None and bits > 8:
        raise FilmError(path, "a PNG of 16-bit colours with a transparent colour is not read: save it with 8 bits")
    has_alpha = picture.mode.endswith(("A", "a")) or clear is not None
    for rows in row_blocks(picture.height, picture.width):
        part = picture.crop((0, rows.start, picture.width, rows.stop))
        colours = np.asarray(part.convert("RGBA" if has_alpha else "RGB"))
        yield rows, colours[..., :3], colours[..., 3].astype(np.float32) / np.float32(255) if has_alpha else None


def _without(pixels: NDArray[Any], clear: int, bits: int) -> NDArray[Any]:
    """Black where a PNG's one transparent grey is, which the file gives in its own ``bits``."""
    largest = 2**bits - 1
    value = (clear & largest) * (np.iinfo(pixels.dtype).max // largest)
    return np.where(pixels == value, pixels.dtype.type(0), pixels)
