"""DICOM files that are not read: each says why, in words of ours, and nothing of what is in the file."""

from __future__ import annotations

import io
import traceback
import zlib

import numpy as np
import openjpeg
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from graphret._errors import FilmError
from graphret.data.images import FilmLimits, read_film

RAMP = (np.arange(12 * 20).reshape(12, 20) * 17).astype(np.uint16)
NAME = "MUSTERMANN"


def refusal(path, **options):
    with pytest.raises(FilmError) as caught:
        read_film(path, **options)
    return caught.value.reason


def compressed(path, write_dicom, frames, syntax, **attributes):
    """A film whose pixel data are these encoded frames."""
    dataset = pydicom.dcmread(write_dicom(path, RAMP, **attributes))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    return path


def jpeg(picture, **options):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "RescaleSlope is 0"),
        ({"VOILUTFunction": "SIGMA", "WindowCenter": "1", "WindowWidth": "9"}, "VOILUTFunction is none of LINEAR, "),
        ({"SamplesPerPixel": 2}, "2 samples a pixel"),
        ({"SamplesPerPixel": 3}, "PhotometricInterpretation is none of those"),
        ({"PhotometricInterpretation": "RGB"}, "PhotometricInterpretation is none of those"),
        ({"PhotometricInterpretation": "YBR_PARTIAL_422", "SamplesPerPixel": 3}, "YBR_FULL, YBR_FULL_422, YBR_ICT"),
        ({"PhotometricInterpretation": ""}, "PhotometricInterpretation is none of those"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "palette that is segmented, or missing"),
        ({"BitsAllocated": 12}, "12 bits allocated"),
        ({"BitsStored": 17}, "17 bits stored up to bit 11, 16 allocated"),
        ({"HighBit": 16}, "12 bits stored up to bit 16, 16 allocated"),
        ({"HighBit": 3}, "12 bits stored up to bit 3"),
        ({"Rows": 0}, "no pixels"),
        ({"Rows": 13}, "fewer pixels than rows and columns"),
        ({"Rows": 6}, "it holds 2 frames"),
        ({"NumberOfFrames": "3"}, "3 frames"),
        ({"FloatPixelData": b"\0" * 960}, "floating-point pixels"),
        ({"VOILUTSequence": [Dataset()], "ModalityLUTSequence": [Dataset()]}, "LUTDescriptor is not 3 integers"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_refused_by_name(tmp_path, write_dicom, attributes, reason):
    assert reason in refusal(write_dicom(tmp_path / "film.dcm", RAMP, **attributes))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_two_frames_of_pixels_without_their_number(tmp_path, write_dicom, syntax):
    """It was read as a film of two rows once."""
    frames = np.concatenate([RAMP, RAMP])
    if syntax == RLELossless:
        one = pydicom.encaps.get_frame(pydicom.dcmread(write_dicom(tmp_path / "a", RAMP, syntax=syntax)).PixelData, 0)
        path = compressed(tmp_path / "film.dcm", write_dicom, [one, one], syntax)
    else:
        path = write_dicom(tmp_path / "film.dcm", frames, syntax=syntax, Rows=12)
    assert "it holds 2 frames" in refusal(path)


def test_two_compressed_frames_without_their_number(tmp_path, write_dicom):
    grey = np.zeros((64, 64), np.uint8)
    for syntax, one in ((JPEG2000Lossless, openjpeg.encode(grey)), (JPEGBaseline8Bit, jpeg(grey))):
        assert "it holds 2 frames" in refusal(compressed(tmp_path / "film.dcm", write_dicom, [one, one], syntax))


def test_frame_in_fragments_is_one_frame(tmp_path, write_dicom):
    stream = jpeg(np.tile(np.arange(20, dtype=np.uint8) * 12, (12, 1)), quality=95)
    path = tmp_path / "film.dcm"
    dataset = pydicom.dcmread(compressed(path, write_dicom, [stream], JPEGBaseline8Bit))
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = encapsulate([stream], fragments_per_frame=3, has_bot=False)
    dataset.save_as(path)
    np.testing.assert_allclose(read_film(path), np.tile(np.arange(20) * 12 / 255, (12, 1)), atol=0.03)


@pytest.mark.parametrize(
    "keyword", ["WindowCenter", "WindowWidth", "RescaleSlope", "NumberOfFrames", "PixelPaddingValue"]
)
def test_values_are_never_copied(tmp_path, write_dicom, keyword, capfd, caplog):
    """A name in the wrong tag stays there: not in the error, its traceback, a warning or a log."""
    numbers = {"WindowCenter": "1234567890", "WindowWidth": "1234567890", keyword: "1234567890"}
    if keyword == "PixelPaddingValue":
        numbers[keyword] = 7
    path = write_dicom(tmp_path / "film.dcm", RAMP, **numbers)
    if keyword == "PixelPaddingValue":  # two bytes hold no name: another VR does
        content = path.read_bytes().replace(
            b"\x28\x00\x20\x01US\x02\x00\x07\x00", b"\x28\x00\x20\x01LO\x0a\x00" + NAME.encode()
        )
    else:
        tag = pydicom.datadict.tag_for_keyword(keyword)
        start = tag.to_bytes(4, "big")
        place = path.read_bytes().index(bytes([start[1], start[0], start[3], start[2]]))
        content = bytearray(path.read_bytes())
        content[place + 8 : place + 18] = NAME.encode()
    path.write_bytes(content)
    with pytest.raises(FilmError, match=keyword) as caught:
        read_film(path)
    told = "".join(traceback.format_exception(caught.value)) + str(capfd.readouterr()) + caplog.text
    assert NAME not in told
    assert "MUSTER" not in told.upper()


@pytest.mark.parametrize("share", [0.6, 0.8, 0.95])
def test_jpeg_stream_cut_with_an_end_mark(tmp_path, write_dicom, share):
    noise = np.random.default_rng(0).integers(0, 256, RAMP.shape, dtype=np.uint8)
    stream = jpeg(np.kron(noise, np.ones((8, 8), np.uint8)))
    size = {"Rows": 96, "Columns": 160, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    whole = compressed(tmp_path / "film.dcm", write_dicom, [stream], JPEGBaseline8Bit, **size)
    assert read_film(whole).shape == (96, 160)
    cut = stream[: int(len(stream) * share)] + b"\xff\xd9"
    assert "partly there" in refusal(compressed(tmp_path / "film.dcm", write_dicom, [cut], JPEGBaseline8Bit, **size))


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGBaseline8Bit])
def test_stream_larger_than_the_header_is_not_decoded(tmp_path, write_dicom, syntax):
    large = np.zeros((500, 400), np.uint8)
    stream = openjpeg.encode(large) if syntax == JPEG2000Lossless else jpeg(large)
    reason = refusal(compressed(tmp_path / "film.dcm", write_dicom, [stream], syntax, BitsStored=8, HighBit=7))
    assert "its compressed picture has 400 x 500 pixels, its header says 20 x 12" in reason


def test_compressions_without_a_decoder_are_named(tmp_path, write_dicom):
    sof, rest = (
        b"\xff\xc3\x00\x0b\x0c\x00\x0c\x00\x14\x01\x01\x11\x00",
        b"\xff\xda\x00\x08\x01\x01\x00\x01\x00\x00\x12\xff\xd9",
    )
    lossless = b"\xff\xd8" + sof + rest
    reason = refusal(compressed(tmp_path / "film.dcm", write_dicom, [lossless], JPEGLosslessSV1))
    assert "JPEG Lossless, Non-Hierarchical" in reason
    assert "graphret[gdcm]" in reason
    twelve = b"\xff\xd8" + sof.replace(b"\xff\xc3", b"\xff\xc1") + rest
    reason = refusal(compressed(tmp_path / "film.dcm", write_dicom, [twelve], JPEGExtended12Bit))
    assert "a JPEG of 12 bits" in reason
    assert "dcmdjpeg" in reason
    assert "pylibjpeg-libjpeg" in reason
    assert "JPEG Lossless (Process 14)" in refusal(
        compressed(tmp_path / "film.dcm", write_dicom, [lossless], JPEGBaseline8Bit)
    )


def test_unknown_transfer_syntax(tmp_path, write_dicom, capfd):
    path = write_dicom(tmp_path / "film.dcm", RAMP)
    content = path.read_bytes()
    assert content.count(b"1.2.840.10008.1.2.1\0") == 1
    for value in (b"1.2.3.4.5.6", NAME.encode()):
        path.write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", value.ljust(20, b"\0")))
        reason = refusal(path)
        assert "unknown transfer syntax" in reason
        assert value.decode() not in reason + str(capfd.readouterr())


def test_deflated(tmp_path, write_dicom, read_both):
    dataset = pydicom.dcmread(write_dicom(tmp_path / "film.dcm", RAMP))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "film.dcm")
    np.testing.assert_allclose(read_both(tmp_path / "film.dcm"), RAMP / 4095, atol=1e-6)
    whole = (tmp_path / "film.dcm").read_bytes()
    (tmp_path / "film.dcm").write_bytes(whole[:-60])
    assert refusal(tmp_path / "film.dcm")


def test_deflated_bomb(tmp_path, write_dicom):
    """Refused while it is unpacked, not after: 64 MB of nothing in 64 kB, under a limit of 8 MB."""
    dataset = pydicom.dcmread(write_dicom(tmp_path / "film.dcm", RAMP))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "film.dcm")
    content = (tmp_path / "film.dcm").read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    inside = zlib.decompress(content[start:], -zlib.MAX_WBITS)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(inside + b"\xe0\x7f\x12\x00OB\x00\x00\x00\x00\x00\x04" + bytes(64 * 2**20)) + packer.flush()
    (tmp_path / "film.dcm").write_bytes(content[:start] + bomb)
    assert "FilmLimits.memory" in refusal(tmp_path / "film.dcm", limits=FilmLimits(memory=8 * 2**20))
