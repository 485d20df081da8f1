"""DICOM films: photometric interpretation, rescale, windows, compressed syntaxes, and damaged files."""

from __future__ import annotations

import io
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from graphret._errors import FilmError
from graphret.data.images import read_film

RAMP = (np.arange(16 * 12).reshape(16, 12) * 21).astype(np.uint16)  # 0..4011, 12 bits


def test_stored_bits_give_the_range(tmp_path, write_dicom, read_both):
    film = read_both(write_dicom(tmp_path / "film.dcm", RAMP))
    assert film.dtype == np.float32
    np.testing.assert_allclose(film, RAMP / 4095.0, atol=1e-6)


def test_found_by_content_without_a_suffix(tmp_path, write_dicom, read_both):
    np.testing.assert_allclose(read_both(write_dicom(tmp_path / "IM0001", RAMP)), RAMP / 4095.0, atol=1e-6)


def test_monochrome1_is_inverted(tmp_path, write_dicom, read_both):
    film = read_both(write_dicom(tmp_path / "film.dcm", RAMP, photometric="MONOCHROME1"))
    np.testing.assert_allclose(film, 1 - RAMP / 4095.0, atol=1e-6)


def test_signed_values_with_rescale(tmp_path, write_dicom, read_both):
    pixels = (RAMP.astype(np.int32) - 2048).astype(np.int16)
    film = read_both(write_dicom(tmp_path / "film.dcm", pixels, RescaleSlope="2", RescaleIntercept="100"))
    np.testing.assert_allclose(film, RAMP / 4095.0, atol=1e-6)


def test_negative_slope_turns_the_film_around(tmp_path, write_dicom, read_both):
    film = read_both(write_dicom(tmp_path / "film.dcm", RAMP, RescaleSlope="-1", RescaleIntercept="4095"))
    np.testing.assert_allclose(film, 1 - RAMP / 4095.0, atol=1e-6)


def test_first_window_is_used(tmp_path, write_dicom, read_both):
    film = read_both(write_dicom(tmp_path / "film.dcm", RAMP, WindowCenter=["1000", "9"], WindowWidth=["1001", "9"]))
    expected = np.clip((RAMP - 999.5) / 1000.0 + 0.5, 0, 1)  # PS3.3 C.11.2.1.2.1
    np.testing.assert_allclose(film, expected, atol=1e-6)
    assert film.min() == 0.0
    assert film.max() == 1.0


def test_window_functions(tmp_path, write_dicom, read_both):
    window = {"WindowCenter": "2000", "WindowWidth": "1000"}
    exact = read_both(write_dicom(tmp_path / "exact.dcm", RAMP, VOILUTFunction="LINEAR_EXACT", **window))
    np.testing.assert_allclose(exact, np.clip((RAMP - 2000.0) / 1000 + 0.5, 0, 1), atol=1e-6)
    sigmoid = read_both(write_dicom(tmp_path / "sigmoid.dcm", RAMP, VOILUTFunction="SIGMOID", **window))
    np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-4 * (RAMP - 2000.0) / 1000)), atol=1e-6)


def test_window_is_applied_after_rescale(tmp_path, write_dicom, read_both):
    window = {"WindowCenter": "500", "WindowWidth": "501"}
    film = read_both(write_dicom(tmp_path / "film.dcm", RAMP, RescaleSlope="0.5", RescaleIntercept="0", **window))
    np.testing.assert_allclose(film, np.clip((RAMP / 2 - 499.5) / 500.0 + 0.5, 0, 1), atol=1e-6)


@pytest.mark.parametrize(("first", "bits", "packed"), [(0, 8, False), (0, 8, True), (100, 12, False), (0, 16, False)])
def test_voi_lut_is_preferred_to_the_window(tmp_path, write_dicom, read_both, table_item, first, bits, packed):
    values = np.linspace(2**bits - 1, 0, 3000).astype(np.uint8 if packed else np.uint16)
    table = table_item(values, first, bits, vr="OB" if packed else "OW")
    path = write_dicom(tmp_path / "film.dcm", RAMP, WindowCenter="10", WindowWidth="5", VOILUTSequence=[table])
    expected = values[np.clip(RAMP.astype(int) - first, 0, 2999)] / (2.0**bits - 1)
    np.testing.assert_allclose(read_both(path), expected, atol=1e-6)


def test_colour(tmp_path, write_dicom, read_both):
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[..., 0], colours[..., 1] = 255, 100
    film = read_both(write_dicom(tmp_path / "film.dcm", colours, bits=8, photometric="RGB"))
    np.testing.assert_allclose(film, 0.299 + 0.587 * 100 / 255, atol=1e-5)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_compressed_syntaxes(tmp_path, write_dicom, read_both, syntax, is_signed, photometric):
    noise = np.random.default_rng(0).integers(0, 4096, (64, 48))
    pixels = (noise - 2048).astype(np.int16) if is_signed else noise.astype(np.uint16)
    film = read_both(write_dicom(tmp_path / "film.dcm", pixels, syntax=syntax, photometric=photometric))
    expected = noise / 4095.0
    np.testing.assert_allclose(film, 1 - expected if photometric == "MONOCHROME1" else expected, atol=1e-6)


@pytest.mark.parametrize("said", ["RGB", "YBR_FULL_422", "YBR_FULL"])
@pytest.mark.parametrize("coded", ["YCbCr", "RGB"])
def test_jpeg_colours_are_those_of_the_stream(tmp_path, write_dicom, read_both, said, coded):
    """A JFIF stream is YCbCr and one whose components are called R, G, B is not, whatever the header says."""
    colours = np.zeros((32, 32, 3), np.uint8)
    colours[:16], colours[16:] = (200, 60, 30), (20, 90, 220)
    stream = io.BytesIO()
    Image.fromarray(colours).save(stream, "JPEG", quality=95, subsampling=0, keep_rgb=coded == "RGB")
    path = write_dicom(tmp_path / "film.dcm", colours, bits=8, photometric=said)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([stream.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    np.testing.assert_allclose(read_both(path), colours @ [0.299, 0.587, 0.114] / 255, atol=0.02)


def test_many_threads_leave_no_filter_behind(tmp_path, write_dicom):
    """Each thread switches pydicom's warnings off for a moment; all of them are as before at the end."""
    paths = [write_dicom(tmp_path / f"{shift}.dcm", RAMP >> shift, bits=12) for shift in range(2)] * 20
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        films = list(pool.map(read_film, paths))
    for film, even in zip(films[::2], films[1::2], strict=True):
        np.testing.assert_array_equal(film, films[0])
        np.testing.assert_array_equal(even, films[1])
    assert warnings.filters == before


def test_syntax_without_a_decoder_is_named(tmp_path, write_dicom, read_both):
    dataset = pydicom.dcmread(write_dicom(tmp_path / "film.dcm", RAMP, syntax=RLELossless))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
    dataset.save_as(tmp_path / "film.dcm")
    with pytest.raises(FilmError, match="MPEG2"):
        read_both(tmp_path / "film.dcm")


def test_several_frames(tmp_path, write_dicom, read_both):
    path = write_dicom(tmp_path / "film.dcm", RAMP, NumberOfFrames=2)
    with pytest.raises(FilmError, match="2 frames"):
        read_both(path)


def test_absurd_size(tmp_path, write_dicom, read_both):
    with pytest.raises(FilmError, match="65000 x 65000 pixels"):
        read_both(write_dicom(tmp_path / "film.dcm", RAMP, Rows=65000, Columns=65000))


def test_without_pixels(tmp_path, write_dicom, read_both):
    path = write_dicom(tmp_path / "film.dcm", RAMP)
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(tmp_path / "report.dcm")
    with pytest.raises(FilmError, match="without an image"):
        read_both(tmp_path / "report.dcm")


def test_without_preamble_by_suffix(tmp_path, write_dicom, read_both):
    whole = write_dicom(tmp_path / "film.dcm", RAMP).read_bytes()
    (tmp_path / "bare.dcm").write_bytes(whole[132:])
    np.testing.assert_allclose(read_both(tmp_path / "bare.dcm"), RAMP / 4095.0, atol=1e-6)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless])
def test_truncated(tmp_path, write_dicom, read_both, share, syntax):
    noise = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
    whole = write_dicom(tmp_path / "whole.dcm", noise, syntax=syntax).read_bytes()
    path = tmp_path / "film.dcm"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(FilmError):
        read_both(path)


def test_text_renamed_dcm(tmp_path, read_both):
    (tmp_path / "film.dcm").write_text("no film at all\n" * 30)
    with pytest.raises(FilmError):
        read_both(tmp_path / "film.dcm")
