"""DICOM films as vendors write them: what says less, or something else, than the standard asks for."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from graphret._errors import FilmError

RAMP = (np.arange(12 * 20).reshape(12, 20) * 17).astype(np.uint16)  # 0..4063, 12 bits
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]


def group(name, **values):
    """A functional group with one macro."""
    macro, item = Dataset(), Dataset()
    for keyword, value in values.items():
        setattr(macro, keyword, value)
    setattr(item, name, [macro])
    return item


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit", "big-endian"])
@pytest.mark.parametrize("vr", ["US", "OW"])
def test_first_value_is_signed_though_its_vr_is_not(tmp_path, write_dicom, read_both, table_item, syntax, vr):
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    table = table_item(np.arange(4096), 2**16 - 2048, 12, order=order, vr=vr)
    path = write_dicom(
        tmp_path / "film.dcm", RAMP, syntax=syntax, RescaleSlope="1", RescaleIntercept="-2048", VOILUTSequence=[table]
    )
    np.testing.assert_allclose(read_both(path), RAMP / 4095, atol=1e-6)


def test_first_value_is_unsigned_though_its_vr_is_signed(tmp_path, write_dicom, read_both, table_item):
    pixels = (RAMP.astype(int) - 2048).astype(np.int16)
    table = table_item(np.arange(4096), 40000 - 2**16, 12, first_vr="SS")
    rescale = {"RescaleSlope": "1", "RescaleIntercept": "42048"}
    path = write_dicom(tmp_path / "film.dcm", pixels, VOILUTSequence=[table], **rescale)
    np.testing.assert_allclose(read_both(path), RAMP / 4095, atol=1e-6)


def test_first_value_of_a_modality_table(tmp_path, write_dicom, read_both, table_item):
    pixels = (RAMP.astype(int) - 2048).astype(np.int16)
    table = table_item(np.arange(4096), 2**16 - 2048, 12)
    path = write_dicom(tmp_path / "film.dcm", pixels, ModalityLUTSequence=[table])
    np.testing.assert_allclose(read_both(path), RAMP / 4095, atol=1e-6)


def test_a_large_first_value_that_is_meant(tmp_path, write_dicom, read_both, table_item):
    pixels = (RAMP + 40000).astype(np.uint16)
    path = write_dicom(tmp_path / "film.dcm", pixels, bits=16, VOILUTSequence=[table_item(np.arange(4096), 40000, 12)])
    np.testing.assert_allclose(read_both(path), RAMP / 4095, atol=1e-6)


@pytest.mark.parametrize("stated", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("used", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("sequence", ["VOILUTSequence", "ModalityLUTSequence"])
def test_depth_that_does_not_match_the_entries(tmp_path, write_dicom, read_both, table_item, stated, used, sequence):
    """The entries decide: none of the pairs is dim or cut off."""
    entries = np.rint(np.linspace(0, 2**used - 1, 4096))
    path = write_dicom(tmp_path / "film.dcm", RAMP, **{sequence: [table_item(entries, 0, stated)]})
    np.testing.assert_allclose(read_both(path), entries[RAMP] / (2**used - 1), atol=1e-6)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit", "big-endian"])
@pytest.mark.parametrize("vr", ["OB", "OW", "US"])
@pytest.mark.parametrize("n_entries", [256, 255, 300])
def test_tables_of_8_bits(tmp_path, write_dicom, read_both, table_item, syntax, vr, n_entries):
    """Packed two to a word, the first in the lower byte; as words; and as numbers."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    entries = np.random.default_rng(0).permutation(np.arange(n_entries) % 256)
    table = table_item(entries, 100, 8, order=order, vr=vr)
    if vr == "OB" and order == ">":
        table.LUTData = np.frombuffer(table.LUTData, "<u2").astype(">u2").tobytes()
    pixels = (RAMP // 10).astype(np.uint16)
    path = write_dicom(tmp_path / "film.dcm", pixels, syntax=syntax, VOILUTSequence=[table])
    expected = entries[np.clip(pixels.astype(int) - 100, 0, n_entries - 1)] / 255
    np.testing.assert_allclose(read_both(path), expected, atol=1e-6)


def test_table_without_entries_is_no_table(tmp_path, write_dicom, read_both):
    window = {"WindowCenter": "2048", "WindowWidth": "4096"}
    path = write_dicom(tmp_path / "film.dcm", RAMP, VOILUTSequence=[Dataset()], **window)
    np.testing.assert_allclose(read_both(path), np.clip((RAMP - 2047.5) / 4095 + 0.5, 0, 1), atol=1e-6)


def test_table_with_fewer_entries_than_it_says(tmp_path, write_dicom, read_both, table_item):
    table = table_item(np.arange(4000), 0, 12)
    table.LUTDescriptor = [4096, 0, 12]
    with pytest.raises(FilmError, match="LUTData has fewer entries"):
        read_both(write_dicom(tmp_path / "film.dcm", RAMP, VOILUTSequence=[table]))


@pytest.mark.parametrize("place", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit", "big-endian"])
def test_functional_groups_of_one_frame(tmp_path, write_dicom, read_both, place, syntax):
    window = group("FrameVOILUTSequence", WindowCenter="1024", WindowWidth="4096")
    path = write_dicom(tmp_path / "w.dcm", RAMP, bits=16, syntax=syntax, NumberOfFrames="1", **{place: [window]})
    np.testing.assert_allclose(read_both(path), np.clip((RAMP - 1023.5) / 4095 + 0.5, 0, 1), atol=1e-6)
    rescale = group("PixelValueTransformationSequence", RescaleSlope="2", RescaleIntercept="-1024")
    above = {"WindowCenter": "1024", "WindowWidth": "8192", place: [rescale]}
    film = read_both(write_dicom(tmp_path / "r.dcm", RAMP, syntax=syntax, NumberOfFrames="1", **above))
    np.testing.assert_allclose(film, np.clip((RAMP * 2.0 - 1024 - 1023.5) / 8191 + 0.5, 0, 1), atol=1e-6)


def test_the_nearest_functional_group_counts(tmp_path, write_dicom, read_both):
    groups = {
        "PerFrameFunctionalGroupsSequence": [group("FrameVOILUTSequence", WindowCenter="1000", WindowWidth="2000")],
        "SharedFunctionalGroupsSequence": [group("FrameVOILUTSequence", WindowCenter="5", WindowWidth="9")],
    }
    path = write_dicom(tmp_path / "film.dcm", RAMP, WindowCenter="7", WindowWidth="3", **groups)
    np.testing.assert_allclose(read_both(path), np.clip((RAMP - 999.5) / 1999 + 0.5, 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("rescale", "slope", "intercept"),
    [
        ({"RescaleSlope": "", "RescaleIntercept": ""}, 1, 0),
        ({"RescaleSlope": "2", "RescaleIntercept": ""}, 2, 0),
        ({"RescaleSlope": "", "RescaleIntercept": "100"}, 1, 100),
        ({"RescaleSlope": "2"}, 2, 0),
        ({"RescaleIntercept": "-100"}, 1, -100),
    ],
)
def test_rescale_that_is_empty_or_half(tmp_path, write_dicom, read_both, rescale, slope, intercept):
    plain = read_both(write_dicom(tmp_path / "plain.dcm", RAMP, **rescale))
    np.testing.assert_allclose(plain, RAMP / 4095, atol=1e-6)
    film = read_both(write_dicom(tmp_path / "film.dcm", RAMP, WindowCenter="2000", WindowWidth="3001", **rescale))
    np.testing.assert_allclose(
        film, np.clip((RAMP.astype(int) * slope + intercept - 1999.5) / 3000 + 0.5, 0, 1), atol=1e-6
    )


@pytest.mark.parametrize("empty", [{"WindowCenter": ""}, {"WindowWidth": ""}, {"WindowCenter": [], "WindowWidth": []}])
def test_window_that_is_empty(tmp_path, write_dicom, read_both, empty):
    window = {"WindowCenter": "100", "WindowWidth": "50"} | empty
    np.testing.assert_allclose(read_both(write_dicom(tmp_path / "film.dcm", RAMP, **window)), RAMP / 4095, atol=1e-6)


@pytest.mark.parametrize(("width", "function"), [("1", "LINEAR"), ("0.5", "LINEAR"), ("0.5", "LINEAR_EXACT")])
def test_narrow_windows(tmp_path, write_dicom, read_both, width, function):
    """A linear window of 1 is a threshold at the centre less one half; below 1 it is meant exactly."""
    window = {"WindowCenter": "2040.5", "WindowWidth": width, "VOILUTFunction": function}
    film = read_both(write_dicom(tmp_path / "film.dcm", RAMP, **window))
    expected = (RAMP > 2040).astype(float)
    if width == "0.5":
        expected = np.clip((RAMP - 2040.5) / 0.5 + 0.5, 0, 1)
    np.testing.assert_allclose(film, expected, atol=1e-6)
    assert (RAMP == 2040).any()


@pytest.mark.parametrize("width", ["0", "-5"])
def test_windows_without_width_are_none(tmp_path, write_dicom, read_both, width):
    path = write_dicom(tmp_path / "film.dcm", RAMP, WindowCenter="7", WindowWidth=width)
    np.testing.assert_allclose(read_both(path), RAMP / 4095, atol=1e-6)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_few_of_the_stored_bits_are_used(tmp_path, write_dicom, read_both, bits):
    """Less than half of the range: the film's own range; otherwise what the stored bits can hold."""
    half = 2 ** (bits - 1)
    for largest in (half // 8, half - 1, half, 2**bits - 1):
        pixels = np.rint(np.linspace(0, largest, 240)).astype(np.uint16).reshape(12, 20)
        film = read_both(write_dicom(tmp_path / "film.dcm", pixels, bits=bits))
        np.testing.assert_allclose(film, pixels / (largest if largest < half else 2**bits - 1), atol=1e-6)


def test_few_of_8_bits_are_as_they_are(tmp_path, write_dicom, read_both):
    pixels = (RAMP // 100).astype(np.uint8)
    np.testing.assert_allclose(read_both(write_dicom(tmp_path / "f.dcm", pixels, bits=8)), pixels / 255, atol=1e-6)


def test_own_range_after_the_modality_and_of_signed_pixels(tmp_path, write_dicom, read_both):
    for pixels, rescale in ((RAMP.astype(np.int16), {}), (RAMP, {"RescaleSlope": "-2", "RescaleIntercept": "9"})):
        film = read_both(write_dicom(tmp_path / "film.dcm", pixels, bits=16, **rescale))
        np.testing.assert_allclose(film, 1 - RAMP / 4063 if rescale else RAMP / 4063, atol=1e-6)
    flat = np.full((4, 4), 32767, np.int16)
    assert (read_both(write_dicom(tmp_path / "flat.dcm", flat, bits=16)) == 1).all()


@pytest.mark.parametrize(
    "padding", [{"PixelPaddingValue": 65535}, {"PixelPaddingValue": 60000, "PixelPaddingRangeLimit": 65535}]
)
def test_padding_has_no_part_in_the_own_range(tmp_path, write_dicom, read_both, padding):
    pixels = RAMP.copy()
    pixels[0] = 65535
    film = read_both(write_dicom(tmp_path / "film.dcm", pixels, bits=16, **padding))
    np.testing.assert_allclose(film[1:], (RAMP[1:] - 340) / (4063 - 340), atol=1e-6)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit", "big-endian"])
@pytest.mark.parametrize("high", [11, 13, 15])
def test_bits_that_are_not_the_pixels(tmp_path, write_dicom, read_both, syntax, high):
    """An old overlay above the highest bit, noise below the lowest, and the sign where it is."""
    noise = np.random.default_rng(0).integers(0, 2**16, RAMP.shape)
    below, above = high - 11, 2**16 - 2 ** (high + 1)
    stored = ((RAMP.astype(int) << below) | (noise & (2**below - 1)) | (noise & above)).astype(np.uint16)
    path = write_dicom(tmp_path / "film.dcm", stored, syntax=syntax, HighBit=high)
    np.testing.assert_allclose(read_both(path), RAMP / 4095, atol=1e-6)
    path = write_dicom(tmp_path / "film.dcm", stored.view(np.int16), syntax=syntax, HighBit=high)
    signed = np.where(RAMP >= 2048, RAMP.astype(int) - 4096, RAMP)
    np.testing.assert_allclose(read_both(path), (signed + 2048) / 4095, atol=1e-6)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit", "big-endian"])
def test_without_the_file_meta_information(tmp_path, write_dicom, read_both, syntax):
    path = write_dicom(tmp_path / "whole.dcm", RAMP, syntax=syntax)
    meta_bytes = pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
    (tmp_path / "bare.dcm").write_bytes(path.read_bytes()[144 + meta_bytes :])
    np.testing.assert_allclose(read_both(tmp_path / "bare.dcm"), RAMP / 4095, atol=1e-6)
