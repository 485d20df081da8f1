"""Thousands of films, one in a hundred broken in one of twelve ways: good ones are in, others have a reason."""

from __future__ import annotations

import io
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

import graphret
from graphret.data import ImageTable, read_pixels, write_png

N_FILMS = int(os.environ.get("GRAPHRET_FILMS", "10000"))


def as_bytes(kind, array, **options):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **options)
    return stream.getvalue()


GREY = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
PNG, JPEG, TIFF = as_bytes("PNG", GREY), as_bytes("JPEG", GREY), as_bytes("TIFF", GREY)
NAN = np.where(GREY > 128, np.float32("nan"), np.float32(0.5))
DICOM = {
    name: Path(str(get_testdata_file(name, download=False))).read_bytes() for name in ("CT_small.dcm", "rtdose.dcm")
}


def taller(data):
    """A TIFF whose ImageLength says more than it holds."""
    height = next(form for form in (struct.pack("<HHI", 257, 4, 1), struct.pack("<HHI", 257, 3, 1)) if form in data)
    at = data.index(height)
    return data[: at + 8] + struct.pack("<I", 50_000) + data[at + 12 :]


def too_large(data):
    return data[:16] + struct.pack(">II", 60_000, 60_000) + data[24:]


BROKEN = {
    "cut.png": (PNG[: len(PNG) // 2], "truncated or damaged"),
    "head.png": (PNG[:10] + bytes(40), "damaged PNG header"),
    "large.png": (too_large(PNG), "pixels|damaged PNG"),
    "empty.png": (b"", "0 bytes"),
    "text.png": (b"no film\n" * 20, "not an image"),
    "zip.png": (b"PK\x03\x04" + bytes(200), "not an image"),
    "ended.jpg": (JPEG[: len(JPEG) // 2] + b"\xff\xd9", "only partly there"),
    "tall.tif": (taller(TIFF), "only partly there"),
    "nan.tif": (as_bytes("TIFF", NAN), "not finite"),
    "cut.dcm": (DICOM["CT_small.dcm"][:20_000], "truncated|damaged|without an image"),
    "frames.dcm": (DICOM["rtdose.dcm"], "15 frames"),
    "pipe.png": (None, "a named pipe, not a file"),
}


def ingest(folder, n_films, monkeypatch):
    """Build with a stop in the middle; return the index, what was broken, and how often each film was read."""
    rng = np.random.default_rng(0)
    kinds = list(BROKEN)
    broken = {
        int(row): kinds[place % 12] for place, row in enumerate(rng.permutation(n_films)[: max(n_films // 100, 12)])
    }
    paths = []
    for row in range(n_films):
        if row in broken:
            path = folder / f"{row}-{broken[row]}"
            content = BROKEN[broken[row]][0]
            if content is None:
                os.mkfifo(path)
            else:
                path.write_bytes(content)
        else:
            path = folder / f"{row}.png"
            write_png(path, rng.random((16, 16), dtype=np.float32))
        paths.append(str(path))
    table = ImageTable(ids=[f"f{row}" for row in range(n_films)], paths=paths, labels=[])
    encoder = graphret.load_encoder("resnet18", size=32, device="cpu")
    read = []

    def counted(path, **options):
        read.append(str(path))
        return read_pixels(path, **options)

    monkeypatch.setattr("graphret.data.isolated.read_pixels", counted)

    class StoppedError(Exception):
        pass

    def stop(stage, done, total):
        if stage == "encode" and total > done >= total // 2:
            raise StoppedError

    how = {"out": folder / "index", "k": 5, "tune": False, "shard_rows": max(n_films // 20, 4), "batch_size": 16}
    with pytest.raises(StoppedError):
        graphret.build(table, encoder, **how, progress=stop)
    n_before = len(read)
    index = graphret.build(table, encoder, **how)
    return index, broken, read, n_before


def check(n_films, index, broken, read, n_before):
    assert len(index) == n_films - len(broken)
    assert set(index.films.ids.tolist()) == {f"f{row}" for row in range(n_films) if row not in broken}
    problems = {problem.id: problem.reason for problem in index.films.problems}
    assert set(problems) == {f"f{row}" for row in broken}
    for row, kind in broken.items():
        assert re.search(BROKEN[kind][1], problems[f"f{row}"]), (kind, problems[f"f{row}"])
    again = set(read[:n_before]) & set(read[n_before:])
    assert n_before > n_films * 0.4
    assert len(again) <= n_films // 20 + 200  # the shard that was not finished, and what was read ahead


def test_a_hundred(tmp_path, monkeypatch):
    check(120, *ingest(tmp_path, 120, monkeypatch))


@pytest.mark.slow
def test_thousands(tmp_path, monkeypatch):
    """``GRAPHRET_FILMS`` says how many."""
    check(N_FILMS, *ingest(tmp_path, N_FILMS, monkeypatch))
