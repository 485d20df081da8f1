"""TIFF and BigTIFF to grey pixels, by what its samples mean: right, or refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import FilmError
from graphret.data.decoding.grey import as_film, inverted, luma, min_to_max, row_blocks, upright
from graphret.data.decoding.limits import check_memory, check_size
from graphret.data.decoding.tiff_layout import TIFF_SIGNATURES, read_layout
from graphret.data.decoding.tiff_samples import check_codec, read_samples

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret._types import Float32Array
    from graphret.data.decoding.limits import FilmLimits
    from graphret.data.decoding.tiff_layout import TiffLayout

__all__ = ["TIFF_SIGNATURES", "read_tiff"]

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOUR_SAMPLES = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_ALPHA = 2


def read_tiff(path: Path, limits: FilmLimits) -> NDArray[Any]:
    """Decode a TIFF file to grey pixels (h, w): uint8 or uint16 by their dtype's largest value, or float32.

    Raises
    ------
    FilmError
        Damaged, only partly there, several pictures, a kind that is not read, or beyond the limits.
    """
    data = path.read_bytes()
    layout = read_layout(path, data)
    check_size(path, layout.width, layout.height, limits)
    if layout.photometric not in _COLOUR_SAMPLES:
        raise FilmError(
            path, f"TIFF photometric interpretation {layout.photometric} is not read: save it as grey or RGB"
        )
    check_codec(path, layout)
    extra = _extra_samples(path, layout)
    check_memory(path, len(data) + _memory(layout), limits)
    samples = read_samples(path, layout, data)
    pixels = _grey(path, layout, samples[..., : layout.n_samples - len(extra)])
    if _ALPHA in extra:
        alpha = samples[..., layout.n_samples - len(extra) + extra.index(_ALPHA)]
        pixels = as_film(pixels) * _fraction(alpha, layout.bits)
    return upright(pixels, layout.orientation)


def _memory(layout: TiffLayout) -> int:
    """Bytes: compressed or joined chunks, samples and one copy of them, the film and a turned copy of it."""
    n_planes = layout.n_samples if layout.is_planar else 1
    return 3 * layout.n_rows * layout.row_bytes * n_planes + 8 * layout.width * layout.height


def _extra_samples(path: Path, layout: TiffLayout) -> tuple[int, ...]:
    """What the samples behind the colours are; colours that alpha was multiplied with are right over black."""
    n_colours, extra = _COLOUR_SAMPLES[layout.photometric], layout.extra
    if not extra and layout.photometric == _RGB and layout.n_samples == 4:
        extra = (_ALPHA,)  # as Pillow and others read files that forgot to say so
    if layout.n_samples != n_colours + len(extra):
        raise FilmError(
            path, f"damaged TIFF header: {layout.n_samples} samples a pixel, {n_colours} colours, {len(extra)} more"
        )
    if _ALPHA in extra and (layout.kind != "u" or layout.bits > 16):
        raise FilmError(path, "a TIFF with transparency is read with unsigned samples of up to 16 bits")
    return extra


def _grey(path: Path, layout: TiffLayout, colours: NDArray[Any]) -> NDArray[Any]:
    if layout.photometric in {_WHITE_IS_ZERO, _BLACK_IS_ZERO}:
        pixels = _grey_values(layout, colours[..., 0])
        return inverted(pixels) if layout.photometric == _WHITE_IS_ZERO else pixels
    if layout.kind == "f" and layout.photometric == _RGB:
        if colours.size and not (colours.min() >= 0 and colours.max() <= 1):  # NaN fails it too
            raise FilmError(path, "a TIFF of floating-point colours is read with values in [0, 1] only")
        return luma(colours, 1.0)
    if layout.kind != "u" or layout.bits > 16:
        raise FilmError(path, "a TIFF in colour is read with unsigned samples of up to 16 bits, or floating RGB")
    if layout.photometric == _PALETTE:
        return _by_palette(path, layout, colours[..., 0])
    white = float(2**layout.bits - 1)
    return luma(colours, white) if layout.photometric != _CMYK else _from_inks(path, layout, colours, white)


def _grey_values(layout: TiffLayout, values: NDArray[Any]) -> NDArray[Any]:
    if layout.kind == "f":
        low, high = values.min(), values.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            return values  # the caller refuses it
        return values.astype(np.float32) if low >= 0 and high <= 1 else min_to_max(values)
    if layout.kind == "u" and layout.bits <= 16:
        if layout.bits in {8, 16}:
            return values
        if layout.bits in {1, 2, 4}:
            return values * np.uint8(255 // (2**layout.bits - 1))
        return _fraction(values, layout.bits)
    if values.min() >= 0 and 2**15 <= values.max() < 2**16:
        return values.astype(np.uint16)
    return min_to_max(values)


def _fraction(values: NDArray[Any], bits: int) -> Float32Array:
    film: Float32Array = np.divide(values, np.float32(2**bits - 1), dtype=np.float32, casting="unsafe")
    return film


def _by_palette(path: Path, layout: TiffLayout, indices: NDArray[Any]) -> Float32Array:
    if layout.colormap is None or len(layout.colormap) != 3 * 2**layout.bits:
        raise FilmError(path, "damaged TIFF header: the palette has not as many colours as the pixels can name")
    colours = layout.colormap.reshape(3, -1).T
    white = 65535.0 if colours.max() > 255 else 255.0  # some writers store 8 bits where 16 are meant
    film: Float32Array = luma(colours[np.newaxis], white)[0][indices]
    return film


def _from_inks(path: Path, layout: TiffLayout, inks: NDArray[Any], white: float) -> Float32Array:
    if layout.ink_set != 1:
        raise FilmError(path, "a TIFF of inks other than cyan, magenta, yellow and black is not read")
    film = np.empty(inks.shape[:2], dtype=np.float32)
    for rows in row_blocks(*inks.shape[:2]):
        shares = 1 - inks[rows].astype(np.float32) / np.float32(white)
        film[rows] = luma(shares, 1.0) * shares[..., 3]
    return film
