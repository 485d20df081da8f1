"""Every oddity that a film's file can have: a stated value range, or a FilmError with a plain reason."""

from __future__ import annotations

import struct
import threading
import zlib

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageFile, TiffImagePlugin

from graphret._errors import FilmError, InvalidParameterError
from graphret.data.images import read_film, read_pixels, write_png

RAMP8 = (np.arange(20 * 24).reshape(20, 24) % 256).astype(np.uint8)
RAMP16 = (np.arange(20 * 24).reshape(20, 24) * 136).astype(np.uint16)
NOISE = np.random.default_rng(0).integers(0, 256, (96, 80), dtype=np.uint8)


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_8_bit_is_divided_by_255(tmp_path, suffix):
    film = read_film(save(tmp_path / f"film.{suffix}", RAMP8))
    np.testing.assert_array_equal(film, RAMP8.astype(np.float32) / np.float32(255))
    assert film.dtype == np.float32
    assert film.flags.c_contiguous


def test_jpeg(tmp_path):
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    film = read_film(save(tmp_path / "film.jpg", smooth, quality=95))
    assert film.shape == (48, 64)
    np.testing.assert_allclose(film, smooth / 255.0, atol=0.02)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_is_divided_by_65535(tmp_path, suffix):
    film = read_film(save(tmp_path / f"film.{suffix}", RAMP16))
    np.testing.assert_allclose(film, RAMP16 / 65535.0, atol=1e-7)


def test_big_endian_16_bit_tiff(tmp_path):
    path = tmp_path / "film.tif"
    write_tiff(path, RAMP16, photometric=1, order=">")
    np.testing.assert_allclose(read_film(path), RAMP16 / 65535.0, atol=1e-7)


def test_1_bit_is_black_and_white(tmp_path):
    Image.fromarray(RAMP8 > 100).save(tmp_path / "film.png")
    np.testing.assert_array_equal(read_film(tmp_path / "film.png"), (RAMP8 > 100).astype(np.float32))


def test_palette_is_read_by_its_colours(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8), mode="P")
    picture.putpalette([0, 0, 0, 255, 255, 255, 255, 0, 0])
    picture.save(tmp_path / "film.png")
    np.testing.assert_allclose(read_film(tmp_path / "film.png"), [[0, 1], [0.299, 1]], atol=1e-6)


def test_colour_becomes_luma(tmp_path):
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]], dtype=np.uint8)
    film = read_film(save(tmp_path / "film.png", colours))
    np.testing.assert_allclose(film, [[0.299, 0.587, 0.114, 90 / 255]], atol=1e-6)


def test_transparency_is_composited_over_black(tmp_path):
    rgba = np.array([[[200, 200, 200, 255], [200, 200, 200, 0], [200, 200, 200, 51]]], dtype=np.uint8)
    film = read_film(save(tmp_path / "rgba.png", rgba))
    np.testing.assert_allclose(film, [[200 / 255, 0, 40 / 255]], atol=1e-6)
    film = read_film(save(tmp_path / "la.png", rgba[..., 2:]))
    np.testing.assert_allclose(film, [[200 / 255, 0, 40 / 255]], atol=1e-6)
    Image.fromarray(np.array([[7, 9]], dtype=np.uint8)).save(tmp_path / "l.png", transparency=7)
    np.testing.assert_allclose(read_film(tmp_path / "l.png"), [[0, 9 / 255]], atol=1e-6)


def write_tiff(path, array, *, photometric, order="<"):
    """A plain one-strip TIFF, written by hand: Pillow does not write MinIsWhite."""
    height, width = array.shape
    bits, data = array.dtype.itemsize * 8, array.astype(array.dtype.newbyteorder(order)).tobytes()
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(data)),
    ]
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, value in entries:
        packed = struct.pack(order + ("I" if kind == 4 else "HH"), *([value] if kind == 4 else [value, 0]))
        directory += struct.pack(order + "HHI", tag, kind, 1) + packed
    magic = b"II\x2a\x00" if order == "<" else b"MM\x00\x2a"
    path.write_bytes(magic + struct.pack(order + "I", 8 + len(data)) + data + directory + b"\0\0\0\0")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("array", "white"), [(RAMP8, 255), (RAMP16, 65535)])
def test_min_is_white_tiff_is_inverted(tmp_path, array, white, order):
    write_tiff(tmp_path / "white.tif", array, photometric=0, order=order)
    np.testing.assert_allclose(read_film(tmp_path / "white.tif"), 1 - array / white, atol=1e-6)
    write_tiff(tmp_path / "black.tif", array, photometric=1, order=order)
    np.testing.assert_allclose(read_film(tmp_path / "black.tif"), array / white, atol=1e-6)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_min_is_white_tiff_is_inverted(tmp_path, compression):
    Image.fromarray(RAMP8).save(tmp_path / "film.tif", compression=compression, tiffinfo={262: 0})
    with Image.open(tmp_path / "film.tif") as picture:
        assert picture.tag_v2[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] == 0  # type: ignore[attr-defined]
    # Pillow inverts when it writes MinIsWhite as well as when it reads it, so the picture comes back.
    film = read_film(tmp_path / "film.tif")
    np.testing.assert_allclose(film, RAMP8 / 255.0, atol=1e-6)


def test_float_tiff(tmp_path):
    inside = np.linspace(0.2, 0.7, 12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(read_film(save(tmp_path / "inside.tif", inside)), inside)
    outside = inside * 1000 - 300
    film = read_film(save(tmp_path / "outside.tif", outside))
    np.testing.assert_allclose(film, (inside - 0.2) / 0.5, atol=1e-6)
    assert not read_film(save(tmp_path / "flat.tif", np.full((3, 3), 7.0, np.float32))).any()


def test_values_that_are_not_finite(tmp_path):
    with pytest.raises(FilmError, match="not finite"):
        read_film(save(tmp_path / "nan.tif", np.array([[0.1, np.nan]], np.float32)))


def test_32_bit_integers(tmp_path):
    counts = np.array([[0, 65535], [13107, 6]], dtype=np.int32)
    np.testing.assert_allclose(read_film(save(tmp_path / "a.tif", counts)), counts / 65535.0, atol=1e-7)
    film = read_film(save(tmp_path / "b.tif", counts * 10 - 5))
    np.testing.assert_allclose(film, counts / 65535.0, atol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("array", [RAMP8, RAMP16], ids=["8 bit", "16 bit"])
def test_tiff_orientations(tmp_path, orientation, compression, array):
    turned = {
        1: array,
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        4: array[::-1],
        5: array.T,
        6: np.rot90(array, -1),
        7: array[::-1, ::-1].T,
        8: np.rot90(array),
    }[orientation]
    path = save(tmp_path / "film.tif", array, tiffinfo={274: orientation}, compression=compression)
    np.testing.assert_allclose(read_film(path), turned / np.iinfo(array.dtype).max, atol=1e-6)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_orientation_is_honoured(tmp_path, suffix):
    upright = np.zeros((32, 64), np.uint8)
    upright[:, :32] = 255  # bright on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise for display
    film = read_film(save(tmp_path / f"film.{suffix}", upright, exif=exif))
    assert film.shape == (64, 32)
    assert film[:30].mean() > 0.9
    assert film[34:].mean() < 0.1


def test_missing_and_folder(tmp_path):
    with pytest.raises(FilmError, match="no such file") as caught:
        read_film(tmp_path / "film.png")
    assert caught.value.path == tmp_path / "film.png"
    with pytest.raises(FilmError, match="a folder"):
        read_film(tmp_path)


def test_zero_bytes(tmp_path):
    (tmp_path / "film.png").write_bytes(b"")
    with pytest.raises(FilmError, match=r"empty \(0 bytes\)"):
        read_film(tmp_path / "film.png")


def test_text_renamed_png(tmp_path):
    (tmp_path / "film.png").write_text("this is a letter, not a film\n" * 20)
    with pytest.raises(FilmError, match="not an image"):
        read_film(tmp_path / "film.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_is_never_half_decoded(tmp_path, suffix, share):
    whole = save(tmp_path / f"whole.{suffix}", NOISE).read_bytes()
    path = tmp_path / f"film.{suffix}"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(FilmError) as caught:
        read_film(path)
    assert caught.value.path == path


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
def test_damaged_bytes_give_a_film_or_a_film_error(tmp_path, suffix):
    whole = bytearray(save(tmp_path / f"whole.{suffix}", NOISE).read_bytes())
    rng = np.random.default_rng(1)
    path, errors = tmp_path / f"film.{suffix}", 0
    for _ in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(len(damaged), 400), 4):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            film = read_film(path)
        except FilmError:
            errors += 1
        else:
            assert film.min() >= 0
            assert film.max() <= 1
    assert errors > 0


def test_load_truncated_images_is_refused(tmp_path, monkeypatch):
    save(tmp_path / "film.png", RAMP8)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(FilmError, match="LOAD_TRUNCATED_IMAGES"):
        read_film(tmp_path / "film.png")


def test_several_pictures_in_one_file(tmp_path):
    first = Image.fromarray(RAMP8)
    first.save(tmp_path / "film.tif", save_all=True, append_images=[first, first])
    with pytest.raises(FilmError, match="3 pictures"):
        read_film(tmp_path / "film.tif")
    first.save(tmp_path / "film.png", save_all=True, append_images=[Image.fromarray(255 - RAMP8)])
    with pytest.raises(FilmError, match="2 pictures"):
        read_film(tmp_path / "film.png")


def test_decompression_bomb(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(60001))) + chunk(b"IEND", b"")
    (tmp_path / "film.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    with pytest.raises(FilmError, match="60000 x 60000 pixels"):
        read_film(tmp_path / "film.png")


def test_content_counts_not_the_name(tmp_path):
    path = save(tmp_path / "film.png", RAMP8)
    path.rename(tmp_path / "film.dcm")
    np.testing.assert_array_equal(read_film(tmp_path / "film.dcm"), RAMP8.astype(np.float32) / np.float32(255))


def test_many_threads(tmp_path):
    for number in range(8):
        save(tmp_path / f"{number}.png", np.full((40, 40), number, np.uint8))
    films = {}
    threads = [
        threading.Thread(target=lambda n=n: films.update({n: read_film(tmp_path / f"{n}.png")})) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: round(float(film.mean() * 255)) for n, film in films.items()} == {n: n for n in range(8)}


def test_write_png(tmp_path):
    film = RAMP8.astype(np.float32) / np.float32(255)
    write_png(tmp_path / "film.png", film)
    np.testing.assert_array_equal(read_film(tmp_path / "film.png"), film)
    for bad in (film + 1, film - 1, np.full((2, 2), np.nan, np.float32), film[0]):
        with pytest.raises(InvalidParameterError, match="film="):
            write_png(tmp_path / "bad.png", bad)
    assert not (tmp_path / "bad.png").exists()


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("array", [RAMP8, RAMP16], ids=["8 bit", "16 bit"])
def test_pixels_are_as_stored(tmp_path, array, suffix):
    pixels = read_pixels(save(tmp_path / f"film.{suffix}", array))
    assert pixels.dtype == array.dtype
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, array)


@pytest.mark.parametrize(
    "picture",
    [
        RAMP8,
        RAMP16,
        RAMP16.astype(">u2"),
        RAMP16.astype(np.int32),
        RAMP16.astype(np.int32) * 3 - 7,
        np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4),
        np.linspace(-2, 9, 12, dtype=np.float32).reshape(3, 4),
        np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8),
    ],
    ids=["8", "16", "16 big-endian", "32", "32 beyond 16", "float", "float beyond 1", "colour"],
)
def test_a_film_is_its_pixels_by_the_largest_value(tmp_path, picture):
    path = save(tmp_path / "film.tif", picture)
    film, pixels = read_film(path), read_pixels(path)
    assert film.dtype == np.float32
    assert film.flags.writeable
    assert pixels.dtype in (np.uint8, np.uint16, np.float32)
    assert pixels.dtype.isnative
    white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    np.testing.assert_array_equal(film, pixels.astype(np.float32) / np.float32(white))


def test_pixels_of_turned_and_inverted_films(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    np.testing.assert_array_equal(read_pixels(save(tmp_path / "film.png", RAMP8, exif=exif)), np.rot90(RAMP8, -1))
    write_tiff(tmp_path / "white.tif", RAMP16, photometric=0, order="<")
    np.testing.assert_array_equal(read_pixels(tmp_path / "white.tif"), 65535 - RAMP16)


@pytest.mark.parametrize("array", [NOISE, NOISE.astype(np.uint16) * 257], ids=["8 bit", "16 bit"])
def test_pixels_outlive_their_picture_and_are_not_copied(tmp_path, array, monkeypatch):
    with monkeypatch.context() as without:
        without.setattr(Image.Image, "tobytes", None)  # what a copy is made of
        pixels = read_pixels(save(tmp_path / "film.png", array))
    others = [read_pixels(save(tmp_path / "other.png", 255 - array)) for _ in range(50)]  # would reuse freed memory
    np.testing.assert_array_equal(pixels, array)
    assert all((other == 255 - array).all() for other in others)


@pytest.mark.parametrize("width", [*range(1, 10), 255, 257])
def test_pixels_of_every_width(tmp_path, width):
    for array in (NOISE.reshape(-1)[: 7 * width].reshape(7, width), RAMP16.reshape(-1)[:width].reshape(1, width)):
        np.testing.assert_array_equal(read_pixels(save(tmp_path / "film.png", array)), array)


def test_pixels_in_several_blocks(tmp_path):
    path = save(tmp_path / "film.png", NOISE)
    before = Image.core.get_block_size()  # type: ignore[attr-defined]
    Image.core.set_block_size(4096)  # type: ignore[attr-defined]
    try:
        with Image.open(path) as picture, pytest.raises(ValueError, match=r"contiguous|layout"):
            pa.array(picture)
        np.testing.assert_array_equal(read_pixels(path), NOISE)
    finally:
        Image.core.set_block_size(before)  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n and then nothing"])
def test_pixels_of_what_is_no_film(tmp_path, content):
    (tmp_path / "film.png").write_bytes(content)
    with pytest.raises(FilmError):
        read_pixels(tmp_path / "film.png")
