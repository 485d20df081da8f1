"""Decoding: a film's file to float32 (h, w) in [0, 1], larger = brighter as displayed.

Every way a file can be bad ends in a `FilmError` with a plain reason: the decoders' own exceptions and texts never
leave this module, and a picture that is only partly there is refused, not filled with grey.
"""

from __future__ import annotations

import math
import stat
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from graphret._errors import FilmError, InvalidParameterError
from graphret.data.cifar import is_cifar, read_cifar_image
from graphret.data.decoding.budget import reserving
from graphret.data.decoding.grey import as_film
from graphret.data.decoding.limits import MAX_PIXELS, FilmLimits
from graphret.data.decoding.pictures import picture_format, read_picture
from graphret.data.decoding.tiff import TIFF_SIGNATURES, read_tiff
from graphret.data.frame_place import split_frame
from graphret.data.raw import is_raw, read_raw
from graphret.files import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret._types import Float32Array

__all__ = ["DICOM_SUFFIXES", "FILM_SUFFIXES", "MAX_PIXELS", "FilmLimits", "read_film", "read_pixels", "write_png"]

DICOM_SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
FILM_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", *DICOM_SUFFIXES)
"""What a folder of films is searched for; `read_film` itself looks at the content, not at the name."""

_HEAD_BYTES = 132
_DEFAULT_LIMITS = FilmLimits()


def read_film(path: str | Path, *, limits: FilmLimits = _DEFAULT_LIMITS) -> Float32Array:
    """Decode one film.

    PNG, JPEG, TIFF, BMP, GIF and DICOM, recognised by content (a DICOM file without its preamble by its suffix; a raw
    film of JSRT, .IMG, and a batch of CIFAR-10, .bin, by suffix and size). docs/films.md lists every kind, and those
    that are refused.

    ============================== ==========================================================================
    in the file                    in the film
    ============================== ==========================================================================
    1 to 16 bits, unsigned         value / (2^bits - 1)
    32 or 64 bits, or signed       from their minimum to their maximum; value / 65535 where they are unsigned numbers
                                   of 16 bits by their values (no negative one, the largest in 32768..65535)
    floating point                 as it is inside [0, 1], otherwise from its minimum to its maximum
    colour, palette                luma of ITU-R 601: 0.299 R + 0.587 G + 0.114 B
    transparency                   composited over black, the background of a light box's viewer
    MinIsWhite, MONOCHROME1        inverted
    EXIF / TIFF orientation        applied
    DICOM                          modality LUT or rescale; then the first VOI LUT, else the first window; without
                                   either, the range that the stored bits can hold goes to [0, 1], or the range that
                                   is used where that is less than half of it (and more than 8 bits are stored)
    raw film of JSRT               12 bits, inverted: 1 - value / 4095
    ============================== ==========================================================================

    Parameters
    ----------
    path
        The file; one frame of a DICOM file with several as ``film.dcm#frame=3``, counted from 1.
    limits
        Pixels and memory that it may take.

    Returns
    -------
    numpy.ndarray
        float32 (h, w), C-contiguous, in [0, 1], larger = brighter as displayed.

    Raises
    ------
    FilmError
        Missing, no regular file, unreadable, empty, truncated, no picture, several frames of which none is named, a
        kind that is not read, values that are not finite, beyond the limits, or more memory than there is.

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
    try:
        return np.require(as_film(read_pixels(path, limits=limits)), np.float32, ["C_CONTIGUOUS", "WRITEABLE"])
    except MemoryError:
        raise _no_memory(path) from None


def read_pixels(path: str | Path, *, limits: FilmLimits = _DEFAULT_LIMITS, colour: bool = False) -> NDArray[Any]:
    """Decode one film and leave its pixels as they are stored where that is what they mean.

    A quarter of the memory of :func:`read_film` for most films, and no pass over it: for those who go on with few of
    the pixels, as an encoder's resize does.

    Parameters
    ----------
    path
        The file.
    limits
        Pixels and memory that it may take.
    colour
        Give red, green and blue of a film that has them, (h, w, 3). Of PNG, JPEG, BMP, GIF and CIFAR-10; TIFF and
        DICOM files, grey ones too, are refused then.

    Returns
    -------
    numpy.ndarray
        (h, w), C-contiguous, perhaps not writeable: uint8 or uint16 for grey films of up to 8 or of 16 bits, the
        largest value of the dtype being 1; any other film float32 in [0, 1]. `read_film` is this as float32. With
        ``colour`` (h, w, 3), uint8 or float32, where the film is no grey picture.

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
    path, frame = split_frame(path)
    head = _head(path, limits)
    try:
        with reserving(limits.at_once):
            return _checked(path, _decode(path, head, limits, frame, colour=colour))
    except FilmError:
        raise
    except MemoryError:
        raise _no_memory(path) from None
    except Exception as error:  # a damaged file makes decoders fail in ways that no list of exceptions covers
        raise FilmError(path, f"it is damaged and cannot be decoded ({type(error).__name__})") from error


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


def _decode(path: Path, head: bytes, limits: FilmLimits, frame: int | None, *, colour: bool) -> NDArray[Any]:
    if is_cifar(path):
        return read_cifar_image(path, frame, colour=colour)
    has_preamble = head[128:132] == b"DICM"  # asked first: what precedes it may begin like a TIFF
    if not has_preamble:
        if frame is not None and path.suffix.lower() not in DICOM_SUFFIXES:
            raise FilmError(path, f"it is no DICOM file: it has no frame {frame}")
        if picture_format(head):
            return read_picture(path, head, limits, colour=colour)
        if head.startswith(TIFF_SIGNATURES):
            _refuse_colour(path, "TIFF", colour)
            return read_tiff(path, limits)
        if is_raw(path):
            return read_raw(path)
        if path.suffix.lower() not in DICOM_SUFFIXES:
            raise FilmError(path, "not an image: it does not begin like PNG, JPEG, TIFF, BMP, GIF or DICOM")
    from graphret.data.decoding.dicom import read_dicom

    _refuse_colour(path, "DICOM", colour)
    return read_dicom(path, limits, force=not has_preamble, frame=frame)


def _refuse_colour(path: Path, kind: str, colour: bool) -> None:
    """Nobody reads the colours of these files yet, and grey in their place would not be seen."""
    if colour:
        raise FilmError(
            path,
            f"colours of a {kind} file are not read: save it as PNG, or use an encoder of grey films (channels=1)",
        )


def _checked(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
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


def _head(path: Path, limits: FilmLimits) -> bytes:
    """Read the first bytes of a file that is safe to open: opening a pipe would wait for ever."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise FilmError(path, "it is a folder, not a film")
        if not stat.S_ISREG(status.st_mode):
            raise FilmError(path, "it is a pipe, socket or device, not a file")
        if status.st_size > limits.memory:
            raise FilmError(
                path, f"the file has {status.st_size:,} bytes, more than the {limits.memory:,} of FilmLimits.memory"
            )
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise FilmError(path, "there is no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise FilmError(path, f"it cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    if not head:
        raise FilmError(path, "the file is empty (0 bytes)")
    return head


def _no_memory(path: str | Path) -> FilmError:
    return FilmError(path, "there is not enough memory to decode it: decode fewer films at a time")
