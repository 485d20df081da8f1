"""Every combination of bits, sign, modality and VOI transform, photometric and byte order, against the standard."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
MODALITIES = ["none", "rescale", "negative slope", "table"]
VOIS = ["none", "LINEAR", "LINEAR_EXACT", "SIGMOID", "table"]
RESCALES = {"none": (1.0, 0.0), "rescale": (2.0, -100.0), "negative slope": (-0.5, 3000.0)}


def stored_ramp(bits, is_signed):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
    dtype = np.dtype(f"{'i' if is_signed else 'u'}{1 if bits == 8 else 2}")
    return np.rint(np.linspace(low, high, 12 * 20)).astype(dtype).reshape(12, 20), low, high


def looked_up(value, entries, first):
    """PS3.3 C.11.1.1.1: the first entry for all values below, the last for all above."""
    return int(entries[min(max(round(value) - first, 0), len(entries) - 1)])


def windowed(value, center, width, function):
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, with an output from 0 to 1."""
    if function == "SIGMOID":
        return 1 / (1 + math.exp(-4 * (value - center) / width))
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    if value <= center - width / 2:
        return 0.0
    return 1.0 if value > center + width / 2 else (value - center) / width + 0.5


class Case:
    """One combination: the attributes that say it, and a slow reference for one stored value."""

    def __init__(self, bits, is_signed, modality, voi, table_item, order):
        self.stored, low, high = stored_ramp(bits, is_signed)
        self.modality, self.voi = modality, voi
        self.attributes = {}
        self.modality_table = np.rint(65535 * np.sqrt(np.linspace(0, 1, high - low + 1))).astype(int)
        self.modality_first = low
        if modality == "table":
            ends = [0, 65535]
            vr = "SS" if low < 0 else "US"
            item = table_item(self.modality_table, low, 16, order=order, first_vr=vr)
            self.attributes["ModalityLUTSequence"] = [item]
        else:
            slope, intercept = self.rescale = RESCALES[modality]
            ends = sorted((low * slope + intercept, high * slope + intercept))
            if modality != "none":
                self.attributes |= {"RescaleSlope": str(slope), "RescaleIntercept": str(intercept)}
        self.low, self.high = ends
        self.center, self.width = round(0.4 * ends[0] + 0.6 * ends[1], 1), max(2.0, round((ends[1] - ends[0]) / 3, 1))
        n_entries = int(min(self.high - self.low + 1, 2**16))
        self.voi_first = max(math.floor(self.low), -(2**15))
        self.voi_table = np.linspace(4095, 0, n_entries).astype(int)
        if voi == "table":
            vr = "SS" if self.voi_first < 0 else "US"
            item = table_item(self.voi_table, self.voi_first, 12, order=order, first_vr=vr)
            self.attributes["VOILUTSequence"] = [item]
        elif voi != "none":
            self.attributes |= {"WindowCenter": str(self.center), "WindowWidth": str(self.width), "VOILUTFunction": voi}

    def shown(self, stored):
        value = int(stored)
        if self.modality == "table":
            value = looked_up(value, self.modality_table, self.modality_first)
        else:
            value = value * self.rescale[0] + self.rescale[1]
        if self.voi == "table":
            value = looked_up(value, self.voi_table, self.voi_first) / 4095
        elif self.voi == "none":
            value = (value - self.low) / (self.high - self.low)
        else:
            value = windowed(value, self.center, self.width, self.voi)
        return value

    def by_pydicom(self, path):
        dataset = pydicom.dcmread(path)
        values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset).astype(float)
        if self.voi == "table":
            return values / 4095
        if self.modality == "negative slope" and self.voi != "none":  # pydicom turns the output range too
            return (self.high - values) / (self.high - self.low)
        return (values - self.low) / (self.high - self.low)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit", "big-endian"])
def test_as_the_standard_and_pydicom_say(tmp_path, write_dicom, read_both, table_item, bits, is_signed, syntax):
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    for modality, voi in itertools.product(MODALITIES, VOIS):
        case = Case(bits, is_signed, modality, voi, table_item, order)
        path = write_dicom(tmp_path / "film.dcm", case.stored, bits=bits, syntax=syntax, **case.attributes)
        film = read_both(path)
        expected = np.array([case.shown(value) for value in case.stored.reshape(-1)]).reshape(case.stored.shape)
        np.testing.assert_allclose(film, expected, atol=2e-6, err_msg=f"{modality}, {voi}")
        turned = tmp_path / "turned.dcm"
        turned.write_bytes(path.read_bytes().replace(b"MONOCHROME2", b"MONOCHROME1"))
        np.testing.assert_allclose(read_both(turned), 1 - expected, atol=2e-6, err_msg=f"{modality}, {voi}")
        by_tables = "table" in {modality, voi}
        if not (by_tables and is_signed) and (voi != "table" or modality in {"none", "table"}):
            # pydicom's tables wrap around in the dtype of signed pixels, and warn of rescaled ones
            np.testing.assert_allclose(film, case.by_pydicom(path), atol=2e-6, err_msg=f"{modality}, {voi}")


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit", "big-endian"])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("planar", [0, 1])
def test_rgb(tmp_path, write_dicom, read_both, syntax, bits, planar):
    colours = np.random.default_rng(0).integers(0, 2**bits, (6, 8, 3)).astype(np.uint8 if bits == 8 else np.uint16)
    stored = colours if planar == 0 else np.ascontiguousarray(colours.transpose(2, 0, 1)).reshape(colours.shape)
    path = write_dicom(
        tmp_path / "film.dcm", stored, bits=bits, syntax=syntax, photometric="RGB", PlanarConfiguration=planar
    )
    np.testing.assert_allclose(read_both(path), colours / (2**bits - 1) @ [0.299, 0.587, 0.114], atol=1e-6)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit", "big-endian"])
def test_ybr(tmp_path, write_dicom, read_both, syntax):
    """Luma is Y, as long as no colour is cut off; 4:2:2 keeps Y Y Cb Cr of two pixels."""
    rng = np.random.default_rng(0)
    brightness, tints = rng.integers(90, 160, (6, 8)), rng.integers(110, 140, (6, 4, 2))
    full = np.dstack([brightness, tints.repeat(2, axis=1)]).astype(np.uint8)
    path = write_dicom(tmp_path / "full.dcm", full, bits=8, syntax=syntax, photometric="YBR_FULL")
    np.testing.assert_allclose(read_both(path), brightness / 255, atol=1.5 / 255)
    half = np.dstack([brightness[:, ::2], brightness[:, 1::2], tints]).astype(np.uint8)
    path = write_dicom(
        tmp_path / "half.dcm", half, bits=8, syntax=syntax, photometric="YBR_FULL_422", Columns=8, SamplesPerPixel=3
    )
    np.testing.assert_allclose(read_both(path), brightness / 255, atol=1.5 / 255)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit", "big-endian"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("first", [0, 40])
def test_palette(tmp_path, write_dicom, read_both, syntax, depth, first):
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    rng = np.random.default_rng(depth)
    palette = rng.integers(0, 2**depth, (3, 200))
    palette[:, -1] = 2**depth - 1
    attributes = {}
    for name, entries in zip(("Red", "Green", "Blue"), palette, strict=True):
        attributes[f"{name}PaletteColorLookupTableDescriptor"] = [200, first, depth]
        attributes[f"{name}PaletteColorLookupTableData"] = entries.astype(f"{order}u2").tobytes()
    stored = rng.integers(0, 256, (12, 20)).astype(np.uint8)
    path = write_dicom(tmp_path / "film.dcm", stored, bits=8, syntax=syntax, photometric="PALETTE COLOR", **attributes)
    colours = palette[:, np.clip(stored.astype(int) - first, 0, 199)].transpose(1, 2, 0)
    np.testing.assert_allclose(read_both(path), colours / (2**depth - 1) @ [0.299, 0.587, 0.114], atol=1e-6)
