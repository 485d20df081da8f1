"""JPEG streams that hold less than their picture, with or without an end mark, and those that hold all of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from graphret._errors import FilmError
from graphret.data.decoding.jpeg import is_whole, read_jpeg_header, why_unreadable
from graphret.data.images import read_film

NOISE = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
SMOOTH = np.add.outer(np.arange(90), np.arange(70)).astype(np.uint8)
KINDS = {
    "grey": ("L", {}),
    "grey with restarts": ("L", {"restart_marker_blocks": 5}),
    "colour": ("RGB", {}),
    "colour, full": ("RGB", {"subsampling": "4:4:4"}),
    "colour with restarts": ("RGB", {"restart_marker_rows": 1}),
    "inks": ("CMYK", {}),
    "progressive grey": ("L", {"progressive": True}),
    "progressive colour": ("RGB", {"progressive": True}),
}


def stream(picture, mode, options):
    data = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(data, "JPEG", **options)
    return data.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("picture", [NOISE, SMOOTH], ids=["noise", "smooth"])
@pytest.mark.parametrize("end", [b"\xff\xd9", b"\xff\xd9\0", b"\xff\xd9 and a text behind it", b""], ids=range(4))
def test_cut(tmp_path, kind, picture, end):
    """With an end mark appended, libjpeg fills up with grey and Pillow says nothing."""
    mode, options = KINDS[kind]
    whole = stream(picture, mode, options)
    first_scan = whole.index(b"\xff\xda") + 20
    for share in (0.0, 0.1, 0.5, 0.9):
        cut = int(first_scan + share * (len(whole) - first_scan))
        (tmp_path / "film.jpg").write_bytes(whole[:cut] + end)
        with pytest.raises(FilmError, match=r"partly there|truncated"):
            read_film(tmp_path / "film.jpg")


@pytest.mark.parametrize("kind", KINDS)
def test_header_with_more_rows(tmp_path, kind):
    mode, options = KINDS[kind]
    content = bytearray(stream(NOISE, mode, options))
    frame = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    content[frame + 5 : frame + 7] = (180).to_bytes(2, "big")
    (tmp_path / "film.jpg").write_bytes(content)
    with pytest.raises(FilmError, match=r"partly there|truncated"):
        read_film(tmp_path / "film.jpg")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("picture", [NOISE, SMOOTH, np.full((40, 40), 128, np.uint8)], ids=["noise", "smooth", "grey"])
def test_whole(tmp_path, kind, picture, read_both):
    """Middle grey included, where the last pixel looks as if it were missing; what follows the end mark is not read."""
    mode, options = KINDS[kind]
    for behind in (b"", b"\0", b"text", stream(SMOOTH, "L", {})):
        (tmp_path / "film.jpg").write_bytes(stream(picture, mode, options) + behind)
        assert is_whole((tmp_path / "film.jpg").read_bytes())
        assert read_both(tmp_path / "film.jpg").shape == picture.shape[:2]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_without_the_last_scans(tmp_path, mode):
    """A progressive picture is drawn after each scan: one that ends with a scan is whole, and blurred."""
    whole = stream(NOISE, mode, {"progressive": True})
    scans = [place for place in range(len(whole)) if whole[place : place + 2] == b"\xff\xda"]
    ends = [whole.rindex(b"\xff\xc4", 0, place) for place in scans if b"\xff\xc4" in whole[scans[0] : place]]
    assert len(ends) >= 4
    for end in {*ends, *scans[1:]}:
        (tmp_path / "film.jpg").write_bytes(whole[:end] + b"\xff\xd9")
        with pytest.raises(FilmError, match="partly there"):
            read_film(tmp_path / "film.jpg")


def test_a_colour_without_a_scan(tmp_path):
    whole = stream(NOISE, "RGB", {})
    of_three, of_one = (
        b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00",
        b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00",
    )
    assert of_three in whole
    (tmp_path / "film.jpg").write_bytes(whole.replace(of_three, of_one))
    with pytest.raises(FilmError, match="partly there"):
        read_film(tmp_path / "film.jpg")


@pytest.mark.parametrize(
    ("frame", "precision", "reason"),
    [
        (0xC3, 8, "JPEG Lossless (Process 14)"),
        (0xC3, 16, "JPEG Lossless (Process 14)"),
        (0xC1, 12, "a JPEG of 12 bits"),
        (0xC9, 8, "arithmetic coding"),
    ],
)
def test_kinds_that_are_not_read_are_named(tmp_path, frame, precision, reason):
    content = bytearray(stream(SMOOTH, "L", {}))
    place = content.index(b"\xff\xc0")
    content[place + 1], content[place + 4] = frame, precision
    assert reason in why_unreadable(read_jpeg_header(io.BytesIO(bytes(content))))
    (tmp_path / "film.jpg").write_bytes(content)
    if frame == 0xC9:  # some builds of libjpeg read it, and find these data damaged
        return
    with pytest.raises(FilmError) as caught:
        read_film(tmp_path / "film.jpg")
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xc0\x00", b"no JPEG"]
)
def test_no_header(content):
    assert read_jpeg_header(io.BytesIO(content)) is None
    assert not is_whole(content)
