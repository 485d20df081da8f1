"""Decoding: a film's file to float32 (h, w) in [0, 1], larger = brighter as displayed.

Every way a file can be bad ends in a `FilmError` with a plain reason: the decoders' own exceptions never
leave this module, and a picture that is only partly there is refused, not filled with grey.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
)

from graphret._errors import FilmError, InvalidParameterError
from graphret.files import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float32Array

__all__ = ["DICOM_SUFFIXES", "FILM_SUFFIXES", "MAX_PIXELS", "read_film", "read_pixels", "write_png"]

MAX_PIXELS = 89_000_000
"""Larger pictures are refused before a pixel is decoded. Three times the largest detectors, and just below the number
at which Pillow prints a warning of its own."""

DICOM_SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
FILM_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", *DICOM_SUFFIXES)
"""What a folder of films is searched for; `read_film` itself looks at the content, not at the name."""

_BITS, _PHOTOMETRIC, _ORIENTATION = 258, 262, 274
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1


class _TiffFile(TiffImagePlugin.TiffImageFile):
    """TIFF with two things put right that Pillow (11 to 13) gets wrong.

    An uncompressed picture whose orientation swaps the sides is scrambled: without the tag at set-up its rows have the
    right length, and the picture is still turned afterwards. MinIsWhite is inverted up to 8 bits only, and
    is unknown for big-endian 16 bits: deeper pictures are read as MinIsBlack and marked.
    """

    is_inverted = False

    def _setup(self) -> None:
        self.tag_v2.pop(_ORIENTATION, None)
        if self.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO and min(self.tag_v2.get(_BITS, (1,))) > 8:
            self.is_inverted = True
            self.tag_v2[_PHOTOMETRIC] = _BLACK_IS_ZERO
        super()._setup()


_Opener: TypeAlias = Callable[[str], ImageFile.ImageFile]

# The plugins are called directly: Image.open would print its own warning for a large picture, and
# would try forty formats that are no films.
_SIGNATURES: tuple[tuple[bytes, str, _Opener], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG", PngImagePlugin.PngImageFile),
    (b"\xff\xd8\xff", "JPEG", JpegImagePlugin.JpegImageFile),
    (b"II\x2a\x00", "TIFF", _TiffFile),
    (b"MM\x00\x2a", "TIFF", _TiffFile),
    (b"II\x2b\x00", "TIFF", _TiffFile),
    (b"MM\x00\x2b", "TIFF", _TiffFile),
    (b"BM", "BMP", BmpImagePlugin.BmpImageFile),
    (b"GIF8", "GIF", GifImagePlugin.GifImageFile),
)
_SHOWN = {"L", "I;16"} if sys.byteorder == "little" else {"L"}
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def read_film(path: str | Path) -> Float32Array:
    """Decode one film.

    PNG, JPEG, TIFF, BMP, GIF and DICOM, recognised by content (a DICOM file without its preamble by its suffix, a raw
    film of JSRT by its suffix .IMG and its size).

    ============================== ==========================================================================
    in the file                    in the film
    ============================== ==========================================================================
    8 bit, 1 bit, palette          value / 255 (a palette by its colours, 1 bit as 0 and 1)
    16 bit (also 32 bit integers)  value / 65535; integers beyond 0..65535 from their minimum to their maximum
    floating point                 as it is inside [0, 1], otherwise from its minimum to its maximum
    colour                         luma of ITU-R 601: 0.299 R + 0.587 G + 0.114 B
    transparency                   composited over black, the background of a light box's viewer
    MinIsWhite, MONOCHROME1        inverted
    EXIF / TIFF orientation        applied
    DICOM                          modality LUT or rescale; then the first VOI LUT, else the first window; without
                                   either, the range that the stored bits can hold goes to [0, 1]
    raw film of JSRT               12 bits, inverted: 1 - value / 4095
    ============================== ==========================================================================

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    numpy.ndarray
        float32 (h, w), C-contiguous, in [0, 1], larger = brighter as displayed.

    Raises
    ------
    FilmError
        Missing, a folder, unreadable, empty, truncated, no picture, more than one frame, values that are not
        finite, or more than `MAX_PIXELS` pixels.

    Notes
    -----
    O(h w). Safe to call from many threads.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_png(Path(folder, "film.png"), np.array([[0.0, 0.2], [0.6, 1.0]], dtype=np.float32))
    ...     read_film(Path(folder, "film.png"))
    array([[0. , 0.2],
           [0.6, 1. ]], dtype=float32)
    """
    return np.require(_as_film(read_pixels(path)), np.float32, ["C_CONTIGUOUS", "WRITEABLE"])  # rarely a copy


def read_pixels(path: str | Path) -> NDArray[Any]:
    """Decode one film and leave its pixels as they are stored where that is what they mean.

    A quarter of the memory of :func:`read_film` for most films, and no pass over it: for those who go on with few of
    the pixels, as an encoder's resize does.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    numpy.ndarray
        (h, w), C-contiguous, perhaps not writeable: uint8 or uint16 for grey films of 8 or 16 bits, the largest value
        of the dtype being 1; any other film float32 in [0, 1]. `read_film` is this as float32.

    Raises
    ------
    FilmError
        As `read_film`.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_png(Path(folder, "film.png"), np.array([[0.0, 0.2], [0.6, 1.0]], dtype=np.float32))
    ...     read_pixels(Path(folder, "film.png"))
    array([[  0,  51],
           [153, 255]], dtype=uint8)
    """
    path = Path(path)
    head = _head(path)
    try:
        if head[128:132] == b"DICM":
            from graphret.data.dicom import read_dicom

            pixels = read_dicom(path)
        else:
            for signature, kind, opener in _SIGNATURES:
                if head.startswith(signature):
                    pixels = _read_picture(path, kind, opener)
                    break
            else:
                pixels = _read_without_signature(path)
    except (FilmError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes decoders fail in ways that no list of exceptions covers
        raise FilmError(path, _plain(error)) from error
    if pixels.size == 0:
        raise FilmError(path, "the picture has no pixels")
    if pixels.dtype.kind == "u":
        return np.ascontiguousarray(pixels)
    low, high = float(pixels.min()), float(pixels.max())  # NaN anywhere makes both of them NaN
    if not (math.isfinite(low) and math.isfinite(high)):
        raise FilmError(path, "it holds values that are not finite (NaN or infinity)")
    if low < 0.0 or high > 1.0:
        pixels = np.clip(pixels, 0.0, 1.0)
    return np.ascontiguousarray(pixels, dtype=np.float32)


def _read_without_signature(path: Path) -> NDArray[Any]:
    """A raw film of JSRT, known by its name and size, or a DICOM file without its preamble, known by its suffix."""
    from graphret.data.raw import is_raw, read_raw

    if is_raw(path):
        return read_raw(path)
    if path.suffix.lower() not in DICOM_SUFFIXES:
        raise FilmError(path, "not an image: it does not begin like PNG, JPEG, TIFF, BMP, GIF or DICOM")
    from graphret.data.dicom import read_dicom

    return read_dicom(path, force=True)


def write_png(path: str | Path, film: Float32Array) -> None:
    """Write a film in [0, 1] as an 8-bit grey PNG (rounded to 1/255, lightly compressed); not flushed to the disk.

    Raises
    ------
    InvalidParameterError
        The film is not two-dimensional, or has values outside [0, 1].
    """
    film = np.asarray(film)
    if film.ndim != 2 or film.size == 0:
        raise InvalidParameterError("film", film.shape, "an array (h, w)")
    low, high = float(film.min()), float(film.max())
    if not (low >= 0.0 and high <= 1.0):
        raise InvalidParameterError("film", (low, high), "values in [0, 1]", "scale it before writing")
    with replacing(path, durable=False) as file:
        Image.fromarray(np.rint(film * 255).astype(np.uint8)).save(file, format="PNG", compress_level=1)


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse a picture whose header announces more than `MAX_PIXELS` pixels."""
    if width * height > MAX_PIXELS:
        raise FilmError(path, f"{width} x {height} pixels, more than the {MAX_PIXELS:,} that a film may have")


def min_to_max(values: np.ndarray[Any, Any]) -> Float32Array:
    """Scale so that the minimum is 0 and the maximum 1; a constant picture is 0."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return np.zeros(values.shape, dtype=np.float32)
    return ((values.astype(np.float64) - low) / (high - low)).astype(np.float32)


def luma(colours: np.ndarray[Any, Any], white: float) -> Float32Array:
    """ITU-R 601 luma of (h, w, 3) colours whose white is ``white``."""
    return colours.astype(np.float32) @ (_LUMA / np.float32(white))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except FileNotFoundError:
        raise FilmError(path, "there is no such file") from None
    except IsADirectoryError:
        raise FilmError(path, "it is a folder, not a film") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise FilmError(path, f"it cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    if not head:
        raise FilmError(path, "the file is empty (0 bytes)")
    return head


def _read_picture(path: Path, kind: str, opener: _Opener) -> NDArray[Any]:
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise FilmError(
            path,
            "Pillow's LOAD_TRUNCATED_IMAGES was switched on, so that half a picture would pass for a whole one: "
            "set PIL.ImageFile.LOAD_TRUNCATED_IMAGES = False",
        )
    try:
        picture = opener(str(path))
    except SyntaxError as error:  # Pillow's way to say that the header makes no sense
        raise FilmError(path, f"damaged {kind} header: {error}") from error
    with picture:
        check_size(path, *picture.size)
        n_frames = getattr(picture, "n_frames", 1)
        if n_frames > 1:
            raise FilmError(path, f"it holds {n_frames} pictures: give one picture a file")
        try:
            picture.load()
        except OSError as error:
            raise FilmError(path, f"the {kind} file is truncated or damaged: {error}") from error
        ImageOps.exif_transpose(picture, in_place=True)
        pixels = _grey(picture)
        return 1.0 - _as_film(pixels) if isinstance(picture, _TiffFile) and picture.is_inverted else pixels


def _grey(picture: Image.Image) -> NDArray[Any]:
    mode = picture.mode
    if mode.startswith("I"):
        values = _values(picture)
        if mode == "I" and (values.min() < 0 or values.max() > 65535):
            return min_to_max(values)
        return values.astype(np.uint16, copy=False)
    if mode == "F":
        values = np.asarray(picture)
        is_displayable = (values.min() >= 0.0 and values.max() <= 1.0) or not np.isfinite(values).all()
        return values if is_displayable else min_to_max(values)
    if mode == "1":
        return np.asarray(picture).astype(np.float32)
    if mode == "L" and "transparency" not in picture.info:
        return _values(picture)
    if mode.endswith(("A", "a")) or "transparency" in picture.info:
        colours = np.asarray(picture.convert("RGBA"))
        return luma(colours[..., :3], 255.0) * (colours[..., 3].astype(np.float32) / np.float32(255))
    return luma(np.asarray(picture.convert("RGB")), 255.0)


def _values(picture: Image.Image) -> NDArray[Any]:
    """Pixels of one band, not copied where Pillow shows its memory.

    ``np.asarray`` goes through a list of pieces and a joined copy. New memory of that size is new to the process too:
    for a film of 1 MB the page faults took 2 ms of 10, decoding included.
    """
    if picture.mode in _SHOWN and hasattr(picture, "__arrow_c_array__"):  # Pillow 11.2 and later
        try:
            shown: NDArray[Any] = pa.array(picture).to_numpy(zero_copy_only=True)
        except ValueError:  # a picture beyond Pillow's largest block has its rows in several
            return np.asarray(picture)
        return shown.reshape(picture.height, picture.width)
    return np.asarray(picture)


def _as_film(pixels: NDArray[Any]) -> Float32Array:
    """As float32: integers with the largest value of their dtype at 1, in one pass over the picture."""
    if pixels.dtype.kind == "f":
        return pixels
    white = np.float32(np.iinfo(pixels.dtype).max)
    film: Float32Array = np.divide(pixels, white, dtype=np.float32, casting="unsafe")
    return film


def _plain(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"it cannot be decoded: {text[:300]}" if text else f"it cannot be decoded ({type(error).__name__})"
