"""The readers on real films; skipped where ../shared/data is absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import JPEGLSLossless

import graphret
from graphret.data import read_dataset
from graphret.encoding import encode_films

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason="no real films in ../shared/data"),
]


def counts(films):
    return dict(zip(films.label_names, (films.labels == 1).sum(axis=0).tolist(), strict=True))


def check_films(films, n=12):
    for row in np.linspace(0, len(films) - 1, n).astype(int):
        film = films.read(row)
        assert film.ndim == 2
        assert film.dtype == np.float32
        assert 0 <= film.min() < film.max() <= 1


def test_nih():
    films = read_dataset("nih-15", DATA / "nih")
    assert len(films) == 1672
    assert len(set(films.patients)) == 1314
    assert films.problems == ()
    assert counts(films)["Pneumonia"] == 516
    assert counts(films)["No Finding"] == 640
    assert set(films.views) == {"PA", "AP"}
    films.check_patients()
    check_films(films)


def test_kermany():
    films = read_dataset("kermany", DATA / "kermany")
    assert counts(films) == {"NORMAL": 1583, "BACTERIA": 2780, "VIRUS": 1493}
    assert (films.splits == "test").sum() == 640
    assert (films.splits == "valid").sum() > 300
    assert len(set(films.patients)) == 4097
    check_films(films)


def test_mednist():
    films = read_dataset("folder", DATA / "mednist")
    assert counts(films) == dict.fromkeys(["AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"], 2000)
    check_films(films)


def test_nih_films_as_dicom_give_the_codes_of_their_png(tmp_path, monkeypatch):
    """Also where they are compressed without loss."""
    monkeypatch.setenv("GRAPHRET_SALT_FILE", str(tmp_path / "salt"))
    films = read_dataset("nih-15", DATA / "nih").select(np.arange(0, 1672, 140))
    root = tmp_path / "archive"
    root.mkdir()
    for row in range(len(films)):
        pixels = films.read_pixels(row)
        assert pixels.dtype == np.uint8
        data = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        for name in ("RescaleSlope", "RescaleIntercept", "PixelPaddingValue"):
            if name in data:
                delattr(data, name)
        data.Modality, data.SOPInstanceUID = "DX", f"1.2.{row + 1}"
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.Rows, data.Columns = pixels.shape
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
        data.PixelData = pixels.tobytes()
        data["PixelData"].VR = "OB"
        if row % 3 == 2:
            data.compress(JPEGLSLossless, generate_instance_uid=False)
        data.save_as(root / f"IM{row:02d}")
    encoder = graphret.load_encoder("resnet18", size=64, device="cpu")
    as_png, as_dicom = (encode_films(table, encoder, tmp_path / name) for name, table in (
        ("png", films), ("dicom", read_dataset("dicom", root))))  # fmt: skip
    assert len(as_dicom.codes) == len(films)
    # a DICOM film is float32, a PNG film uint8: they differ by the rounding of a smaller picture
    np.testing.assert_allclose(as_dicom.codes, as_png.codes, rtol=0, atol=1e-5 * float(as_png.codes.max()))
