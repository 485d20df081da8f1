"""TIFF: every depth, number format, order, layout and colour is read as a literal reference says, or refused."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from PIL import Image

from graphret._errors import FilmError
from graphret.data.images import read_film, read_pixels

HEIGHT, WIDTH = 17, 21
SHARES = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) / (HEIGHT * WIDTH - 1)
LAYOUTS = [{}, {"rows_per_strip": 5}, {"tile": (16, 16)}]
CODECS = [1, 5, 8, 32773]
LUMA = np.array([0.299, 0.587, 0.114])


def ramp(bits):
    """Grey values of so many bits, from none to all, in the smallest dtype."""
    return np.rint(SHARES * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def colours(n_samples, bits=8):
    largest = 2**bits - 1
    values = np.random.default_rng(n_samples).integers(0, largest + 1, (HEIGHT, WIDTH, n_samples))
    values[0, 0], values[0, 1] = 0, largest
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


@pytest.mark.parametrize("bits", range(1, 17))
def test_unsigned_of_every_depth(tmp_path, write_tiff, read_both, bits):
    values = ramp(bits)
    for photometric, order, layout, codec in itertools.product((0, 1), "<>", LAYOUTS, CODECS):
        options = {"bits": bits, "photometric": photometric, "order": order, "compression": codec, **layout}
        film = read_both(write_tiff(tmp_path / "film.tif", values, **options))
        expected = values / (2**bits - 1)
        np.testing.assert_allclose(film, expected if photometric else 1 - expected, atol=1e-6, err_msg=str(options))


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u4", "u8", "f2", "f4", "f8"])
def test_numbers_without_a_white_go_from_least_to_largest(tmp_path, write_tiff, read_both, dtype):
    if dtype[0] == "f":
        values = (SHARES * 3000 - 1000).astype(dtype)
    else:
        info = np.iinfo(dtype)
        values = (SHARES * 0.9 * (info.max / 2 - info.min / 2) * 2 + info.min).astype(dtype)
    expected = (values.astype(float) - float(values.min())) / (float(values.max()) - float(values.min()))
    for photometric, order, layout, codec in itertools.product((0, 1), "<>", LAYOUTS, CODECS):
        options = {"photometric": photometric, "order": order, "compression": codec, **layout}
        film = read_both(write_tiff(tmp_path / "film.tif", values, **options))
        np.testing.assert_allclose(film, expected if photometric else 1 - expected, atol=1e-6, err_msg=str(options))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_floats_inside_0_and_1_are_the_film(tmp_path, write_tiff, read_both, dtype):
    values = (SHARES * 0.5 + 0.2).astype(dtype)
    for order in "<>":
        film = read_both(write_tiff(tmp_path / "film.tif", values, order=order))
        np.testing.assert_array_equal(film, values.astype(np.float32))
        film = read_both(write_tiff(tmp_path / "film.tif", values, order=order, photometric=0))
        np.testing.assert_allclose(film, 1 - values.astype(float), atol=1e-6)


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "u8"])
@pytest.mark.parametrize(
    ("largest", "white"), [(65535, 65535), (40000, 65535), (4095, 4095), (300, 300), (70000, 70000)]
)
def test_wide_integers_that_are_16_bit_numbers_keep_their_white(tmp_path, write_tiff, read_both, dtype, largest, white):
    values = np.rint(SHARES * largest).astype(dtype)
    np.testing.assert_allclose(read_both(write_tiff(tmp_path / "film.tif", values)), values / white, atol=1e-6)


def test_the_widest_floats(tmp_path, write_tiff, read_both):
    values = np.array([[-1.7e308, 0.0], [1.7e308, 1.7e307]])
    np.testing.assert_allclose(read_both(write_tiff(tmp_path / "film.tif", values)), [[0, 0.5], [1, 0.55]], atol=1e-6)
    for bad in (np.nan, np.inf, -np.inf):
        values[0, 0] = bad
        with pytest.raises(FilmError, match="not finite"):
            read_film(write_tiff(tmp_path / "film.tif", values))


@pytest.mark.parametrize("bits", [8, 16, 12, 4])
@pytest.mark.parametrize("is_planar", [False, True], ids=["interleaved", "planar"])
def test_colours(tmp_path, write_tiff, read_both, bits, is_planar):
    rgb, inks = colours(3, bits), colours(4, bits)
    white = 2**bits - 1
    parts = 1 - inks / white
    for order, layout, codec in itertools.product("<>", LAYOUTS, CODECS):
        options = {"bits": bits, "order": order, "compression": codec, "is_planar": is_planar, **layout}
        film = read_both(write_tiff(tmp_path / "film.tif", rgb, photometric=2, **options))
        np.testing.assert_allclose(film, rgb / white @ LUMA, atol=1e-6, err_msg=str(options))
        film = read_both(write_tiff(tmp_path / "film.tif", inks, photometric=5, **options))
        np.testing.assert_allclose(film, parts[..., :3] @ LUMA * parts[..., 3], atol=1e-6, err_msg=str(options))


def test_floating_colours(tmp_path, write_tiff, read_both):
    rgb = (colours(3) / 255).astype(np.float32)
    np.testing.assert_allclose(read_both(write_tiff(tmp_path / "film.tif", rgb, photometric=2)), rgb @ LUMA, atol=1e-6)
    with pytest.raises(FilmError, match=r"values in \[0, 1\] only"):
        read_film(write_tiff(tmp_path / "film.tif", rgb * 2, photometric=2))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("photometric", "n_colours"), [(0, 1), (1, 1), (2, 3)], ids=["white", "black", "rgb"])
@pytest.mark.parametrize("extra", [[0], [1], [2], [0, 2], None], ids=str)
def test_further_samples(tmp_path, write_tiff, read_both, bits, photometric, n_colours, extra):
    """0 says nothing, 1 is alpha that the colours were multiplied with, 2 is alpha to be multiplied with."""
    values = colours(n_colours + len(extra or [2]), bits)
    path = write_tiff(
        tmp_path / "film.tif", values, photometric=photometric, tags=None if extra is None else {338: extra}
    )
    if extra is None and n_colours == 1:
        with pytest.raises(FilmError, match="2 samples a pixel, 1 colours, 0 more"):
            read_film(path)
        return
    film = read_both(path)
    shares = values / (2**bits - 1)
    expected = shares[..., :3] @ LUMA if n_colours == 3 else shares[..., 0]
    expected = 1 - expected if photometric == 0 else expected
    if 2 in (extra or [2]):
        expected = expected * shares[..., -1]
    np.testing.assert_allclose(film, expected, atol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("scale", [1, 257], ids=["8-bit colours", "16-bit colours"])
def test_palette(tmp_path, write_tiff, read_both, bits, scale):
    palette = np.random.default_rng(bits).integers(0, 256, (3, 2**bits)) * scale
    palette[:, -1] = 255 * scale
    tags = {320: palette.reshape(-1).tolist()}
    film = read_both(write_tiff(tmp_path / "film.tif", ramp(bits), bits=bits, photometric=3, tags=tags))
    np.testing.assert_allclose(film, LUMA @ palette[:, ramp(bits)].transpose(1, 0, 2) / (255 * scale), atol=1e-6)


@pytest.mark.parametrize("orientation", range(9))
def test_orientation(tmp_path, write_tiff, read_both, orientation):
    values = ramp(12)
    turned = {
        2: values[:, ::-1],
        3: values[::-1, ::-1],
        4: values[::-1],
        5: values.T,
        6: np.rot90(values, -1),
        7: values[::-1, ::-1].T,
        8: np.rot90(values),
    }.get(orientation, values)
    film = read_both(write_tiff(tmp_path / "film.tif", values, bits=12, tags={274: [orientation]}))
    np.testing.assert_allclose(film, turned / 4095, atol=1e-6)


@pytest.mark.parametrize("bits", [1, 8, 12, 16])
def test_reversed_bits(tmp_path, write_tiff, read_both, bits):
    values = ramp(bits)
    path = write_tiff(tmp_path / "film.tif", values, bits=bits, tags={266: [2]})
    content = bytearray(path.read_bytes())
    n_bytes = -(-WIDTH * bits // 8) * HEIGHT
    content[16 : 16 + n_bytes] = bytes(int(f"{byte:08b}"[::-1], 2) for byte in content[16 : 16 + n_bytes])
    path.write_bytes(content)
    np.testing.assert_allclose(read_both(path), values / (2**bits - 1), atol=1e-6)


@pytest.mark.parametrize("order", "<>")
def test_big_tiff(tmp_path, write_tiff, read_both, order):
    for values, bits in ((ramp(16), 16), (ramp(12), 12)):
        path = write_tiff(tmp_path / "film.tif", values, bits=bits, order=order, is_big=True, rows_per_strip=4)
        np.testing.assert_allclose(read_both(path), values / (2**bits - 1), atol=1e-6)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax(tmp_path, read_both, compression):
    picture = np.random.default_rng(0).random((40, 51)) > 0.5
    for photometric in (0, 1):
        Image.fromarray(picture).save(tmp_path / "film.tif", compression=compression, tiffinfo={262: photometric})
        with Image.open(tmp_path / "film.tif") as opened:
            np.testing.assert_array_equal(read_both(tmp_path / "film.tif"), np.asarray(opened).astype(np.float32))


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr"])
def test_jpeg(tmp_path, read_both, mode):
    smooth = Image.fromarray((np.add.outer(np.arange(64), np.arange(48)) * 2).astype(np.uint8))
    smooth.convert(mode).save(tmp_path / "film.tif", compression="jpeg", quality=95)
    np.testing.assert_allclose(read_both(tmp_path / "film.tif"), np.asarray(smooth) / 255, atol=0.02)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2"])
def test_predictors_as_tifffile_writes_them(tmp_path, read_both, dtype):
    tifffile = pytest.importorskip("tifffile")
    values = (SHARES * 30000 % 120).astype(dtype)
    for order, tile in itertools.product("<>", (None, (16, 16))):
        options = {"byteorder": order, "tile": tile, "compression": "zlib", "photometric": "minisblack"}
        tifffile.imwrite(tmp_path / "plain.tif", values, predictor=False, **options)
        tifffile.imwrite(tmp_path / "predicted.tif", values, predictor=True, **options)
        assert (tmp_path / "plain.tif").read_bytes() != (tmp_path / "predicted.tif").read_bytes()
        np.testing.assert_array_equal(read_both(tmp_path / "predicted.tif"), read_both(tmp_path / "plain.tif"))


@pytest.mark.parametrize("codec", [5, 8])
@pytest.mark.parametrize("n_samples", [1, 3])
@pytest.mark.parametrize("order", "<>")
def test_predictor_of_differences(tmp_path, write_tiff, read_both, codec, n_samples, order):
    for dtype in (np.uint8, np.uint16):
        values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (9, 11, n_samples)).astype(dtype)
        before = np.concatenate([np.zeros_like(values[:, :1]), values[:, :-1]], axis=1)
        photometric = 2 if n_samples == 3 else 1
        options = {"order": order, "photometric": photometric, "compression": codec}
        film = read_both(write_tiff(tmp_path / "film.tif", values - before, tags={317: [2]}, **options))
        weights = LUMA if n_samples == 3 else np.ones(1)
        np.testing.assert_allclose(film, values / np.iinfo(dtype).max @ weights, atol=1e-6)


def test_predictor_of_floats(tmp_path, write_tiff, read_both):
    values = SHARES.astype(np.float32)
    planes = np.stack(
        [values.astype(">f4").view(np.uint8).reshape(HEIGHT, WIDTH, 4)[..., byte] for byte in range(4)], 1
    )
    row_bytes = planes.reshape(HEIGHT, -1)
    differences = np.diff(row_bytes, axis=1, prepend=np.zeros((HEIGHT, 1), np.uint8))
    for order in "<>":
        stored = differences.astype(np.uint8).view(f"{order}f4").astype(np.float32)
        with np.errstate(all="ignore"):
            path = write_tiff(tmp_path / "film.tif", stored, order=order, compression=8, tags={317: [3]})
        np.testing.assert_array_equal(read_both(path), values)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"tags": {262: [8]}}, "photometric interpretation 8"),
        ({"tags": {262: [32844]}}, "photometric interpretation 32844"),
        ({"tags": {262: None}}, "tag 262 is missing"),
        ({"tags": {259: [34712]}}, "compression 34712"),
        ({"tags": {259: [6]}}, "compression 6 "),
        ({"tags": {259: [4]}}, "not of 1 bit"),
        ({"tags": {339: [6]}}, "complex numbers"),
        ({"tags": {258: [24]}}, "numbers of 24 bits"),
        ({"tags": {258: [0]}}, "damaged TIFF header"),
        ({"tags": {258: [12], 339: [2]}}, "signed TIFF numbers of 12 bits"),
        ({"tags": {258: [8], 339: [3]}}, r"of 8 bits \(floating\)"),
        ({"tags": {317: [9]}}, "predictor 9"),
        ({"tags": {317: [3]}, "compression": 8}, "predictor 3"),
        ({"tags": {277: [2], 258: [8, 8]}}, "2 samples a pixel, 1 colours, 0 more"),
        ({"tags": {277: [2], 258: [8, 4]}}, "different bits"),
        ({"tags": {277: [3], 262: [6]}}, "YCbCr without JPEG"),
        ({"tags": {262: [3]}}, "the palette"),
        ({"tags": {256: [0]}}, "no pixels"),
        ({"tags": {322: [0], 323: [16], 324: [16], 325: [99]}}, "no size"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value,
)
def test_refused_by_name(tmp_path, write_tiff, options, reason):
    path = write_tiff(tmp_path / "film.tif", ramp(8), **options)
    for read in (read_film, read_pixels):
        with pytest.raises(FilmError, match=reason):
            read(path)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({257: [524288]}, "partly there: 1 strips"),
        ({257: [HEIGHT + 1], 278: [HEIGHT + 1]}, "partly there: a strip or tile holds fewer rows"),
        ({279: [10]}, "partly there: a strip or tile holds fewer rows"),
        ({279: [0]}, "partly there: a strip or tile has no data"),
        ({273: [0]}, "partly there: a strip or tile has no data"),
        ({279: [10**6]}, "beyond its end"),
        ({273: [16, 20]}, "partly there: 2 strips"),
        ({273: None}, "tag 273 is missing"),
    ],
)
def test_partly_there(tmp_path, write_tiff, tags, reason):
    with pytest.raises(FilmError, match=reason):
        read_film(write_tiff(tmp_path / "film.tif", ramp(8), tags=tags))


@pytest.mark.parametrize("codec", [5, 8, 32773])
def test_compressed_and_partly_there(tmp_path, write_tiff, codec):
    tags = {257: [HEIGHT + 1], 278: [HEIGHT + 1]}
    with pytest.raises(FilmError, match="truncated or damaged"):
        read_film(write_tiff(tmp_path / "film.tif", ramp(8), compression=codec, tags=tags))


def test_strip_counts_may_be_missing(tmp_path, write_tiff, read_both):
    path = write_tiff(tmp_path / "film.tif", ramp(8), tags={279: None})
    np.testing.assert_allclose(read_both(path), ramp(8) / 255, atol=1e-6)


def test_directories_in_a_circle(tmp_path, write_tiff):
    path = write_tiff(tmp_path / "film.tif", ramp(8))
    content = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", content, 4)[0]
    n_entries = struct.unpack_from("<H", content, first)[0]
    struct.pack_into("<I", content, first + 2 + 12 * n_entries, first)
    path.write_bytes(content)
    with pytest.raises(FilmError, match="circle"):
        read_film(path)


@pytest.mark.parametrize("compression", ["lzma", "zstd", "tiff_deflate", "tiff_lzw"])
@pytest.mark.parametrize("bits", [8, 16])
def test_compressions_as_pillow_writes_them(tmp_path, read_both, compression, bits):
    try:
        Image.fromarray(ramp(bits)).save(tmp_path / "film.tif", compression=compression)
    except OSError:
        pytest.skip("this build of Pillow has no such compression")
    np.testing.assert_allclose(read_both(tmp_path / "film.tif"), ramp(bits) / (2**bits - 1), atol=1e-6)
