"""The films that ship with pydicom: as its own pipeline shows them, or refused for a stated reason."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

from graphret._errors import FilmError
from graphret.data.images import read_film

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
LUMA = np.array([0.299, 0.587, 0.114])
REFUSED = {
    "JPEG-lossy.dcm": "a JPEG of 12 bits",
    "JPGExtended.dcm": "a JPEG of 12 bits",
    "SC_rgb_jpeg_gdcm.dcm": "JPEG Lossless",
    "JPEG2000-embedded-sequence-delimiter.dcm": "its compressed picture has",  # pydicom cannot decode it either
    "MR_truncated.dcm": "truncated",
    "badVR.dcm": "the value of NumberOfFrames is no number",
    "SC_rgb_rle_2frame.dcm": "2 frames",
    "SC_rgb_rle_16bit_2frame.dcm": "2 frames",
    "SC_rgb_rle_32bit_2frame.dcm": "2 frames",
    "examples_ybr_color.dcm": "30 frames",
    "rtdose.dcm": "15 frames",
    "rtdose_expb.dcm": "15 frames",
    "rtdose_rle.dcm": "15 frames",
}
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path.read_bytes()[128:132] == b"DICM")


def has_pixels(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
    return "PixelData" in dataset and "Rows" in dataset


def by_pydicom(path):
    """Its pipeline, scaled to the range that its transforms can give."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
        stored = dataset.pixel_array
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            colours = apply_color_lut(stored, dataset)
            return colours[..., :3] @ LUMA / np.iinfo(colours.dtype).max
        if stored.ndim == 3:
            return stored @ LUMA / (2.0**dataset.BitsStored - 1)
        values = apply_voi_lut(apply_modality_lut(stored, dataset), dataset).astype(float)
    bits, slope = int(dataset.BitsStored), float(dataset.get("RescaleSlope", 1))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dataset.PixelRepresentation else (0, 2**bits - 1)
    low, high = (end * slope + float(dataset.get("RescaleIntercept", 0)) for end in (low, high))
    if "WindowCenter" not in dataset and bits > 8 and values.max() - values.min() < (high - low) / 2:
        low, high = values.min(), values.max()  # our own rule for films that use few of their bits
    film = (values - low) / (high - low)
    return 1 - film if dataset.PhotometricInterpretation == "MONOCHROME1" else film


@pytest.mark.parametrize("path", FILES, ids=[path.relative_to(FOLDER).as_posix() for path in FILES])
def test_as_pydicom_shows_it(path, read_both):
    if not has_pixels(path):
        with pytest.raises(FilmError, match="without an image"):
            read_film(path)
    elif path.name in REFUSED:
        with pytest.raises(FilmError, match=REFUSED[path.name]):
            read_film(path)
    else:
        np.testing.assert_allclose(read_both(path), by_pydicom(path), atol=2e-6)


def test_enough_of_them_are_films():
    """Of pydicom 3.0: 60 and more are compared, so that a moved folder is noticed."""
    assert sum(has_pixels(path) for path in FILES) - len(REFUSED) >= 60
