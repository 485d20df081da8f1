"""PNG of every kind against its bits; BMP, GIF and CMYK; and pictures that end before their last row."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from graphret._errors import FilmError
from graphret.data.images import read_film

LUMA = np.array([0.299, 0.587, 0.114])
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
N_SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}


def samples(n_samples, bits, height=13, width=21):
    values = np.random.default_rng(bits).integers(0, 2**bits, (height, width, n_samples))
    values[0, 0], values[0, 1] = 0, 2**bits - 1
    return values


def expected(values, bits, colour_type, shown_bits):
    """Literal: grey or luma, times alpha; what Pillow shows of 16-bit colours are their upper 8 bits."""
    shares = (values >> (bits - shown_bits)) / (2**shown_bits - 1)
    colours = shares[..., 0] if colour_type in {GREY, GREY_ALPHA} else shares[..., :3] @ LUMA
    return colours * shares[..., -1] if colour_type in {GREY_ALPHA, RGBA} else colours


@pytest.mark.parametrize("is_interlaced", [False, True], ids=["plain", "interlaced"])
@pytest.mark.parametrize(
    ("colour_type", "bits"),
    [*((GREY, bits) for bits in (1, 2, 4, 8, 16)), *((kind, bits) for kind in (RGB, 4, RGBA) for bits in (8, 16))],
)
def test_png_of_every_kind(tmp_path, write_png_bits, read_both, colour_type, bits, is_interlaced):
    values = samples(N_SAMPLES[colour_type], bits)
    path = write_png_bits(tmp_path / "film.png", values, bits, colour_type, is_interlaced=is_interlaced)
    shown_bits = 8 if bits == 16 and colour_type != GREY else bits
    np.testing.assert_allclose(read_both(path), expected(values, bits, colour_type, shown_bits), atol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("is_interlaced", [False, True], ids=["plain", "interlaced"])
def test_png_palettes(tmp_path, write_png_bits, read_both, bits, is_interlaced):
    palette = np.random.default_rng(0).integers(0, 256, (2**bits, 3)).astype(np.uint8)
    values = samples(1, bits)
    chunks = [(b"PLTE", palette.tobytes())]
    path = write_png_bits(tmp_path / "film.png", values, bits, PALETTE, chunks=chunks, is_interlaced=is_interlaced)
    np.testing.assert_allclose(read_both(path), palette[values[..., 0]] @ LUMA / 255, atol=1e-6)
    alphas = (np.arange(2**bits - 1) * 40 % 256).astype(np.uint8)  # the last one is not given: opaque
    path = write_png_bits(tmp_path / "film.png", values, bits, PALETTE, chunks=[*chunks, (b"tRNS", alphas.tobytes())])
    weights = np.append(alphas, 255)[values[..., 0]] / 255
    np.testing.assert_allclose(read_both(path), palette[values[..., 0]] @ LUMA / 255 * weights, atol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_png_with_one_transparent_grey(tmp_path, write_png_bits, read_both, bits):
    values = samples(1, bits)
    for clear in (int(values[3, 3, 0]), 2**bits - 1):
        path = write_png_bits(tmp_path / "film.png", values, bits, GREY, chunks=[(b"tRNS", struct.pack(">H", clear))])
        shown = np.where(values[..., 0] == clear, 0, values[..., 0])
        np.testing.assert_allclose(read_both(path), shown / (2**bits - 1), atol=1e-6)


def test_png_with_one_transparent_colour(tmp_path, write_png_bits, read_both):
    values = samples(3, 8)
    clear = values[5, 5]
    chunks = [(b"tRNS", struct.pack(">HHH", *clear))]
    film = read_both(write_png_bits(tmp_path / "film.png", values, 8, RGB, chunks=chunks))
    shown = np.where((values == clear).all(axis=2), 0, values @ LUMA / 255)
    np.testing.assert_allclose(film, shown, atol=1e-6)
    assert film[5, 5] == 0
    with pytest.raises(FilmError, match="16-bit colours with a transparent colour"):
        read_film(write_png_bits(tmp_path / "film.png", samples(3, 16), 16, RGB, chunks=chunks))


@pytest.mark.parametrize("is_interlaced", [False, True], ids=["plain", "interlaced"])
@pytest.mark.parametrize(("colour_type", "bits"), [(GREY, 1), (GREY, 8), (GREY, 16), (RGB, 8), (RGBA, 8), (PALETTE, 4)])
@pytest.mark.parametrize("missing", [1, 2, 7, 1000])
def test_png_whose_data_end_with_a_row(tmp_path, write_png_bits, colour_type, bits, is_interlaced, missing):
    """Whatever the value of the last pixels, and of what Pillow leaves there."""
    chunks = [(b"PLTE", bytes(range(48)))] if colour_type == PALETTE else []
    for seed in range(8):
        values = np.random.default_rng(seed).integers(0, 2**bits, (16, 21, N_SAMPLES[colour_type]))
        options = {"chunks": chunks, "height": 16 + missing, "is_interlaced": is_interlaced}
        path = write_png_bits(tmp_path / "film.png", values, bits, colour_type, **options)
        with pytest.raises(FilmError, match=r"partly there|damaged"):
            read_film(path)


@pytest.mark.parametrize("value", [0xA6, 0x59, 0, 255])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (9, 9)])
def test_marks_are_no_pixels(tmp_path, read_both, value, size):
    """A film whose last pixels have the value of a mark is whole."""
    Image.fromarray(np.full(size, value, np.uint8)).save(tmp_path / "film.png")
    np.testing.assert_allclose(read_both(tmp_path / "film.png"), value / 255, atol=1e-6)


@pytest.mark.parametrize("interlace", [0, 1])
def test_gif(tmp_path, read_both, interlace):
    grey = samples(1, 8)[..., 0].astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "film.gif", interlace=interlace)
    np.testing.assert_allclose(read_both(tmp_path / "film.gif"), grey / 255, atol=1e-6)
    content = bytearray((tmp_path / "film.gif").read_bytes())
    block = content.index(b"\x2c\x00\x00\x00\x00")
    content[8:10] = struct.pack("<H", 40)  # a picture that leaves the lower part of the screen black
    (tmp_path / "film.gif").write_bytes(content)
    np.testing.assert_allclose(read_both(tmp_path / "film.gif")[: len(grey)], grey / 255, atol=1e-6)
    content[block + 7 : block + 9] = struct.pack("<H", 40)  # a picture of which the lower part is missing
    (tmp_path / "film.gif").write_bytes(content)
    with pytest.raises(FilmError, match="truncated or damaged"):
        read_film(tmp_path / "film.gif")


@pytest.mark.parametrize("bits", [1, 4, 8, 24, 32])
@pytest.mark.parametrize("is_short", [False, True], ids=["whole", "short"])
def test_bmp(tmp_path, read_both, bits, is_short):
    values = np.random.default_rng(bits).integers(0, 256, (9, 13, 3)).astype(np.uint8)
    picture = Image.fromarray(values)
    if bits < 24:
        picture = Image.fromarray(values[..., 0]).convert("1" if bits == 1 else "L", dither=Image.Dither.NONE)
    if bits == 4:
        picture = Image.fromarray(values[..., 0] >> 4)
        picture = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    if bits == 32:
        picture = picture.convert("RGBA")
    picture.save(tmp_path / "film.bmp")
    if is_short:
        content = bytearray((tmp_path / "film.bmp").read_bytes())
        content[22:26] = struct.pack("<i", 10)
        (tmp_path / "film.bmp").write_bytes(content)
        with pytest.raises(FilmError, match="truncated or damaged"):
            read_film(tmp_path / "film.bmp")
        return
    np.testing.assert_allclose(
        read_both(tmp_path / "film.bmp"), np.asarray(picture.convert("RGB")) @ LUMA / 255, atol=1e-6
    )


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("is_progressive", [False, True], ids=["baseline", "progressive"])
def test_jpeg_colours(tmp_path, read_both, mode, is_progressive):
    grey = (np.add.outer(np.arange(64), np.arange(48)) * 2).astype(np.uint8)
    Image.fromarray(grey).convert(mode).save(tmp_path / "film.jpg", quality=95, progressive=is_progressive)
    np.testing.assert_allclose(read_both(tmp_path / "film.jpg"), grey / 255, atol=0.02)


def test_inks_of_a_jpeg(tmp_path, read_both):
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[..., 0], inks[..., 3] = 51, 102
    Image.fromarray(inks, "CMYK").save(tmp_path / "film.jpg", quality=100)
    np.testing.assert_allclose(read_both(tmp_path / "film.jpg"), [0.8, 1, 1] @ LUMA * 0.6, atol=0.02)


def test_colours_do_not_depend_on_the_blocks_of_rows(tmp_path, read_both, monkeypatch):
    from graphret.data.decoding import grey

    values = np.random.default_rng(0).integers(0, 256, (23, 17, 4)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "film.png")
    whole = read_both(tmp_path / "film.png")
    monkeypatch.setattr(grey, "_BLOCK_PIXELS", 40)
    np.testing.assert_array_equal(read_both(tmp_path / "film.png"), whole)


@pytest.mark.parametrize("corner", [(0xA6, 0x59, 0, 0), (0x59, 0xA6, 0xA6, 0), (0xA6, 0xA6, 0xA6, 0xA6)])
def test_a_whole_film_whose_corner_holds_both_marks_is_read(tmp_path, read_both, corner):
    """Each mark by chance in another pixel: one random film in some thousands was refused as only partly there."""
    pixels = np.full((8, 8), 7, dtype=np.uint8)
    pixels[-2:, -2:] = np.reshape(corner, (2, 2))
    Image.fromarray(pixels).save(tmp_path / "film.png")
    np.testing.assert_allclose(read_both(tmp_path / "film.png"), pixels / 255, atol=1e-6)
