"""Files of several frames: one is named, or the file is refused; every frame is that of a file of its own."""

from __future__ import annotations

import io
import zlib

import numpy as np
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
    JPEGLSLossless,
    RLELossless,
)

from graphret._errors import FilmError
from graphret.data.frame_place import split_frame, with_frame
from graphret.data.images import FilmLimits, read_film

FRAMES = np.random.default_rng(0).integers(0, 4096, (5, 64, 48)).astype(np.uint16)


def join_frames(paths, path, **attributes):
    """One file of the frames of several, their pixel data as they are."""
    parts = [pydicom.dcmread(one) for one in paths]
    whole = parts[0]
    if whole.file_meta.TransferSyntaxUID.is_encapsulated:
        from pydicom.encaps import generate_frames

        whole.PixelData = encapsulate([next(generate_frames(one.PixelData, number_of_frames=1)) for one in parts])
        whole["PixelData"].is_undefined_length = True
    else:
        whole.PixelData = b"".join(one.PixelData for one in parts)
    whole.NumberOfFrames = len(parts)
    for name, value in attributes.items():
        setattr(whole, name, value)
    whole.save_as(path)
    return path


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=lambda syntax: syntax.name,
)
def test_each_frame_is_that_of_a_single_file(tmp_path, write_dicom, read_both, syntax):
    singles = [write_dicom(tmp_path / f"{at}.dcm", frame, syntax=syntax) for at, frame in enumerate(FRAMES)]
    path = join_frames(singles, tmp_path / "run.dcm")
    for number, single in enumerate(singles, start=1):
        np.testing.assert_array_equal(read_both(f"{path}#frame={number}"), read_film(single))


def test_jpeg_frames_and_fragmented_ones(tmp_path, write_dicom):
    streams = []
    for frame in FRAMES:
        stream = io.BytesIO()
        Image.fromarray((frame >> 4).astype(np.uint8)).save(stream, "JPEG", quality=95)
        streams.append(stream.getvalue() + bytes(len(stream.getvalue()) % 2))
    path = write_dicom(tmp_path / "run.dcm", (FRAMES[0] >> 4).astype(np.uint8), bits=8)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID, dataset.NumberOfFrames = JPEGBaseline8Bit, len(streams)
    dataset["PixelData"].is_undefined_length = True
    for fragments in (1, 2):
        dataset.PixelData = encapsulate(streams, fragments_per_frame=fragments)
        dataset.save_as(path)
        for number, stream in enumerate(streams, start=1):
            expected = np.asarray(Image.open(io.BytesIO(stream))) / 255
            np.testing.assert_allclose(read_film(f"{path}#frame={number}"), expected, atol=1e-6)


def test_the_frame_s_own_window_is_taken(tmp_path, write_dicom):
    singles = [write_dicom(tmp_path / f"{at}.dcm", frame) for at, frame in enumerate(FRAMES[:2])]
    groups = []
    for center in ("1000", "3000"):
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth, window.VOILUTFunction = center, "1000", "LINEAR_EXACT"
        group.FrameVOILUTSequence = [window]
        groups.append(group)
    path = join_frames(singles, tmp_path / "run.dcm", PerFrameFunctionalGroupsSequence=groups)
    for number, center in ((1, 1000), (2, 3000)):
        expected = np.clip((FRAMES[number - 1].astype(float) - center) / 1000 + 0.5, 0, 1)
        np.testing.assert_allclose(read_film(f"{path}#frame={number}"), expected, atol=1e-6)


def test_frames_are_refused_with_what_to_do(tmp_path, write_dicom):
    singles = [write_dicom(tmp_path / f"{at}.dcm", frame) for at, frame in enumerate(FRAMES)]
    path = join_frames(singles, tmp_path / "run.dcm")
    with pytest.raises(FilmError, match=r"5 frames: name one as FILE#frame=N \(1 to 5\), or say in a dataset spec"):
        read_film(path)
    with pytest.raises(FilmError, match="it has no frame 6: it holds 5"):
        read_film(f"{path}#frame=6")
    with pytest.raises(FilmError, match=r"5 frames, more than the 4 of FilmLimits.frames"):
        read_film(f"{path}#frame=1", limits=FilmLimits(frames=4))
    said = join_frames(singles, tmp_path / "less.dcm", NumberOfFrames=4)
    with pytest.raises(FilmError, match="it holds 5 frames, its header says 4"):
        read_film(f"{said}#frame=1")
    said = join_frames(singles, tmp_path / "more.dcm", NumberOfFrames=6)
    with pytest.raises(FilmError, match="truncated"):
        read_film(f"{said}#frame=1")
    said = join_frames(singles, tmp_path / "none.dcm", NumberOfFrames=-2)
    with pytest.raises(FilmError, match="NumberOfFrames makes no sense"):
        read_film(said)
    assert (read_film(f"{singles[0]}#frame=1") == read_film(singles[0])).all()
    with pytest.raises(FilmError, match="no frame 2"):
        read_film(f"{singles[0]}#frame=2")


def test_other_files_have_no_frames(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "film.png")
    with pytest.raises(FilmError, match="no DICOM file: it has no frame 1"):
        read_film(tmp_path / "film.png#frame=1")


def test_a_name_that_looks_like_a_frame_is_a_name(tmp_path):
    path = tmp_path / "film.png#frame=2"
    Image.new("L", (4, 3), 255).save(path, "PNG")
    assert read_film(path).shape == (3, 4)
    assert split_frame(with_frame("a/b.dcm", 12)) == (split_frame("a/b.dcm")[0], 12)
    assert split_frame("b.dcm#frame=0")[1] is None


def test_a_deflated_bomb_is_refused_wherever_its_syntax_stands(tmp_path):
    """The transfer syntax behind a long private element of the head, and a head without its length."""
    bomb = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = b"".join(bomb.compress(bytes(2**20)) for _ in range(256)) + bomb.flush()
    uid = DeflatedExplicitVRLittleEndian.encode()
    private = b"\x02\x00\x02\x01OB\0\0" + (20_000).to_bytes(4, "little") + bytes(20_000)
    syntax = b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
    for head in (syntax, private + syntax):
        path = tmp_path / "bomb.dcm"
        path.write_bytes(bytes(128) + b"DICM" + head + packed)
        with pytest.raises(FilmError, match=r"MiB to decode, more than the 100 MiB"):
            read_film(path, limits=FilmLimits(memory=100 * 2**20))


def test_a_deflated_film_is_read(tmp_path, write_dicom, read_both):
    path = write_dicom(tmp_path / "film.dcm", FRAMES[0])
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    np.testing.assert_allclose(read_both(path), FRAMES[0] / 4095, atol=1e-6)
