"""DICOM films: photometric interpretation, rescale, windows, compressed syntaxes, and damaged files."""

from __future__ import annotations

import numpy as np
import openjpeg
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from graphret._errors import FilmError
from graphret.data.images import read_film

RAMP = (np.arange(16 * 12).reshape(16, 12) * 21).astype(np.uint16)  # 0..4011, 12 bits


def write_dicom(path, pixels=RAMP, *, bits=12, syntax=ExplicitVRLittleEndian, photometric="MONOCHROME2", **attributes):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = pixels.shape[-2:] if pixels.ndim == 2 else pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    if syntax == JPEG2000Lossless:  # pydicom itself encodes it only with one more package
        dataset.PixelData = encapsulate([openjpeg.encode(pixels, bits_stored=bits)])
        dataset["PixelData"].is_undefined_length = True
        meta.TransferSyntaxUID = syntax
    elif syntax != ExplicitVRLittleEndian:
        dataset.compress(syntax)
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_stored_bits_give_the_range(tmp_path):
    film = read_film(write_dicom(tmp_path / "film.dcm"))
    assert film.dtype == np.float32
    np.testing.assert_allclose(film, RAMP / 4095.0, atol=1e-6)


def test_found_by_content_without_a_suffix(tmp_path):
    np.testing.assert_allclose(read_film(write_dicom(tmp_path / "IM0001")), RAMP / 4095.0, atol=1e-6)


def test_monochrome1_is_inverted(tmp_path):
    film = read_film(write_dicom(tmp_path / "film.dcm", photometric="MONOCHROME1"))
    np.testing.assert_allclose(film, 1 - RAMP / 4095.0, atol=1e-6)


def test_signed_values_with_rescale(tmp_path):
    pixels = (RAMP.astype(np.int32) - 2048).astype(np.int16)
    film = read_film(write_dicom(tmp_path / "film.dcm", pixels, RescaleSlope="2", RescaleIntercept="100"))
    np.testing.assert_allclose(film, RAMP / 4095.0, atol=1e-6)


def test_negative_slope_turns_the_film_around(tmp_path):
    film = read_film(write_dicom(tmp_path / "film.dcm", RescaleSlope="-1", RescaleIntercept="4095"))
    np.testing.assert_allclose(film, 1 - RAMP / 4095.0, atol=1e-6)


def test_first_window_is_used(tmp_path):
    film = read_film(write_dicom(tmp_path / "film.dcm", WindowCenter=["1000", "9"], WindowWidth=["1001", "9"]))
    expected = np.clip((RAMP - 999.5) / 1000.0 + 0.5, 0, 1)  # PS3.3 C.11.2.1.2.1
    np.testing.assert_allclose(film, expected, atol=1e-6)
    assert film.min() == 0.0
    assert film.max() == 1.0


def test_window_functions(tmp_path):
    window = {"WindowCenter": "2000", "WindowWidth": "1000"}
    exact = read_film(write_dicom(tmp_path / "exact.dcm", VOILUTFunction="LINEAR_EXACT", **window))
    np.testing.assert_allclose(exact, np.clip((RAMP - 2000.0) / 1000 + 0.5, 0, 1), atol=1e-6)
    sigmoid = read_film(write_dicom(tmp_path / "sigmoid.dcm", VOILUTFunction="SIGMOID", **window))
    np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-4 * (RAMP - 2000.0) / 1000)), atol=1e-6)


def test_window_is_applied_after_rescale(tmp_path):
    window = {"WindowCenter": "500", "WindowWidth": "501"}
    film = read_film(write_dicom(tmp_path / "film.dcm", RescaleSlope="0.5", RescaleIntercept="0", **window))
    np.testing.assert_allclose(film, np.clip((RAMP / 2 - 499.5) / 500.0 + 0.5, 0, 1), atol=1e-6)


@pytest.mark.parametrize(("first", "bits", "packed"), [(0, 8, False), (0, 8, True), (100, 12, False), (0, 16, False)])
def test_voi_lut_is_preferred_to_the_window(tmp_path, first, bits, packed):
    values = np.linspace(2**bits - 1, 0, 3000).astype(np.uint8 if packed else np.uint16)
    table = Dataset()
    table.LUTDescriptor = [3000, first, bits]
    table.LUTData = values.tobytes()
    path = write_dicom(tmp_path / "film.dcm", WindowCenter="10", WindowWidth="5", VOILUTSequence=[table])
    expected = values[np.clip(RAMP.astype(int) - first, 0, 2999)] / (2.0**bits - 1)
    np.testing.assert_allclose(read_film(path), expected, atol=1e-6)


def test_colour(tmp_path):
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[..., 0], colours[..., 1] = 255, 100
    film = read_film(write_dicom(tmp_path / "film.dcm", colours, bits=8, photometric="RGB"))
    np.testing.assert_allclose(film, 0.299 + 0.587 * 100 / 255, atol=1e-5)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_compressed_syntaxes(tmp_path, syntax):
    noise = np.random.default_rng(0).integers(0, 4096, (64, 48)).astype(np.uint16)
    film = read_film(write_dicom(tmp_path / "film.dcm", noise, syntax=syntax))
    np.testing.assert_allclose(film, noise / 4095.0, atol=1e-6)


def test_syntax_without_a_decoder_is_named(tmp_path):
    dataset = pydicom.dcmread(write_dicom(tmp_path / "film.dcm", syntax=RLELossless))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
    dataset.save_as(tmp_path / "film.dcm")
    with pytest.raises(FilmError, match="MPEG2"):
        read_film(tmp_path / "film.dcm")


def test_several_frames(tmp_path):
    path = write_dicom(tmp_path / "film.dcm", RAMP, NumberOfFrames=2)
    with pytest.raises(FilmError, match="2 frames"):
        read_film(path)


def test_absurd_size(tmp_path):
    with pytest.raises(FilmError, match="65000 x 65000 pixels"):
        read_film(write_dicom(tmp_path / "film.dcm", Rows=65000, Columns=65000))


def test_without_pixels(tmp_path):
    path = write_dicom(tmp_path / "film.dcm")
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(tmp_path / "report.dcm")
    with pytest.raises(FilmError, match="without an image"):
        read_film(tmp_path / "report.dcm")


def test_without_preamble_by_suffix(tmp_path):
    whole = write_dicom(tmp_path / "film.dcm").read_bytes()
    (tmp_path / "bare.dcm").write_bytes(whole[132:])
    np.testing.assert_allclose(read_film(tmp_path / "bare.dcm"), RAMP / 4095.0, atol=1e-6)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless])
def test_truncated(tmp_path, share, syntax):
    noise = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
    whole = write_dicom(tmp_path / "whole.dcm", noise, syntax=syntax).read_bytes()
    path = tmp_path / "film.dcm"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(FilmError):
        read_film(path)


def test_text_renamed_dcm(tmp_path):
    (tmp_path / "film.dcm").write_text("no film at all\n" * 30)
    with pytest.raises(FilmError):
        read_film(tmp_path / "film.dcm")
