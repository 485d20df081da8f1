"""Fuzzed specs, tables, DICOM, TIFF and other films: a clear error or a film, in bounded memory and time."""

from __future__ import annotations

import io
import json
import logging
import os
import random
import resource
import struct
import time
import zlib

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from graphret._errors import FilmError, GraphretError
from graphret.data import read_dataset, read_film
from graphret.data.cards import read_dataset_spec
from graphret.data.images import FilmLimits

CHEAP, ALL = 40, int(os.environ.get("GRAPHRET_FUZZED", "250"))
LIMITS = FilmLimits(memory=64 * 2**20, pixels=4_000_000)
SECONDS = 20.0


def seeds():
    """One whole file of each kind."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30)).astype(np.uint8)
    films = {}
    for kind, options in (
        ("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("BMP", {}), ("GIF", {}),
        ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ):  # fmt: skip
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind, **options)
        films[f"{kind}{len(films)}"] = stream.getvalue()
    for name in ("CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "MR_small_jpeg_ls_lossless.dcm",
                 "image_dfl.dcm", "SC_rgb_jpeg_dcmtk.dcm", "rtdose.dcm"):  # fmt: skip
        path = get_testdata_file(name, download=False)
        with open(path, "rb") as file:  # noqa: PTH123
            films[name] = file.read()
    return films


def mutated(data, rng):
    """Flip bits, overwrite with what lengths and counts look like, cut, double, splice."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(min(len(data), rng.choice((64, 512, len(data)))))
        what = rng.randrange(6)
        if what == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            number = rng.choice((0, 1, 255, 65535, 2**31 - 1, 2**32 - 1))
            data[at : at + 4] = number.to_bytes(4, rng.choice(("little", "big")))
        elif what == 2:
            del data[at:]
        elif what == 3:
            data[at:at] = data[at : at + rng.randrange(1, 200)]
        elif what == 4:
            del data[at : at + rng.randrange(1, 50)]
        else:
            data[at : at + 16] = rng.randbytes(16)
        if not data:
            data = bytearray(b"x")
    return bytes(data)


def refused_by(call, *arguments, **options):
    """Why a call was refused, "" where it was not; a film that it gives must be one. Any other error ends the test."""
    try:
        found = call(*arguments, **options)
    except GraphretError as error:
        return getattr(error, "reason", "") or str(error)
    assert not isinstance(found, np.ndarray) or (found.dtype == np.float32 and np.isfinite(found).all())
    return ""


def read_fuzzed(folder, n_each, caplog):
    n_read = n_refused = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, whole in seeds().items():
        rng = random.Random(f"films {name}")
        path = folder / f"film{n_each}"
        for _ in range(n_each):
            path.write_bytes(mutated(whole, rng))
            began = time.perf_counter()
            reason = refused_by(read_film, path, limits=LIMITS)
            assert len(reason) < 400
            assert "Traceback" not in reason
            n_read, n_refused = n_read + (not reason), n_refused + bool(reason)
            assert time.perf_counter() - began < SECONDS, name
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20, "kB beyond the peak of before"
    return n_read, n_refused


def test_some_fuzzed_films(tmp_path, caplog):
    n_read, n_refused = read_fuzzed(tmp_path, CHEAP, caplog)
    assert n_refused > n_read / 10


@pytest.mark.slow
def test_fuzzed_films(tmp_path, caplog):
    n_read, n_refused = read_fuzzed(tmp_path, ALL, caplog)
    assert n_read + n_refused == ALL * len(seeds())


def fuzzed_texts(text, n, name):
    rng = random.Random(name)
    odd = [
        "\0",
        '"',
        "\n",
        "\r",
        ",",
        ";",
        "\t",
        "=",
        "[",
        "]",
        "\ud800",
        "é",
        "\x1b[2J",
        "1e999",
        "-" * 5000,
        "../" * 30,
    ]
    for _ in range(n):
        parts = list(text)
        for _ in range(rng.choice((1, 2, 6, 30))):
            at = rng.randrange(len(parts))
            if rng.random() < 0.5:
                parts[at] = rng.choice(odd)
            else:
                del parts[at : at + rng.randrange(1, 30)]
            parts = parts or ["x"]
        data = "".join(parts).encode("utf-8", "surrogatepass")
        yield data if rng.random() < 0.8 else mutated(data, rng)


SPEC = (
    'name = "x"\ntitle = "y"\nreader = "csv"\nlabels = ["A", "B"]\n[files]\ntables = ["t.csv"]\n[columns]\nid = "i"\n'
)
TABLE = "i,path,labels,patient,split\na,a.png,A|B,p1,train\nb,b.png,,p2,test\nc,../../../etc/passwd,B,p3,train\n"


@pytest.mark.parametrize("n", [CHEAP * 3, pytest.param(ALL * 4, marks=pytest.mark.slow)])
def test_fuzzed_specs_and_tables(tmp_path, n, caplog):
    caplog.set_level(logging.CRITICAL)
    for name in "abc":
        Image.new("L", (4, 4)).save(tmp_path / f"{name}.png")
    (tmp_path / "t.csv").write_text(TABLE)
    for data in fuzzed_texts(SPEC, n, "specs"):
        (tmp_path / "x.toml").write_bytes(data)
        began = time.perf_counter()
        refused_by(lambda: read_dataset(read_dataset_spec(tmp_path / "x.toml"), tmp_path))
        assert time.perf_counter() - began < SECONDS
    (tmp_path / "x.toml").write_text(SPEC)
    for data in fuzzed_texts(TABLE, n, "tables"):
        (tmp_path / "t.csv").write_bytes(data)
        began = time.perf_counter()
        refused_by(read_dataset, tmp_path / "x.toml", tmp_path)
        assert time.perf_counter() - began < SECONDS


@pytest.mark.parametrize("n", [CHEAP, pytest.param(ALL, marks=pytest.mark.slow)])
def test_fuzzed_archives_of_dicom(tmp_path, n, monkeypatch, caplog):
    """A folder of damaged files, and one good film: it is read, all others have a reason, no value is repeated."""
    monkeypatch.setenv("GRAPHRET_SALT_FILE", str(tmp_path / "salt"))
    root = tmp_path / "films"
    root.mkdir()
    rng = random.Random("archives")
    data = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    data.PatientName, data.PatientComments = "Zyxwvut^Anna", "Zyxwvut lives here"
    data.save_as(root / "good.dcm")
    whole = (root / "good.dcm").read_bytes()
    for number in range(n):
        (root / f"{number}.dcm").write_bytes(mutated(whole, rng))
    table = read_dataset("dicom", root)
    assert len(table) + sum(problem.n_files for problem in table.problems) == n + 1
    told = json.dumps([problem.reason for problem in table.problems]) + caplog.text
    assert "Zyxwvut" not in told
    for row in range(len(table)):
        assert "Zyxwvut" not in refused_by(table.read, row)


def test_bombs_of_each_kind(tmp_path):
    """Small files that ask for gigabytes: refused before they are unpacked."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    def png(side, kind):
        head = struct.pack(">IIBBBBB", side, side, 8, kind, 0, 0, 0)
        parts = (b"IHDR", head), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)

    files = {
        "rgba.png": png(9400, 6),
        "huge.png": png(2**31 - 1, 0),
        "film.zip": b"PK\x03\x04" + bytes(100),
        "film.tar": b"film.png".ljust(257, b"\0") + b"ustar\x0000" + bytes(300),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        began = time.perf_counter()
        with pytest.raises(FilmError):
            read_film(tmp_path / name)
        assert time.perf_counter() - began < 5
    with pytest.raises(FilmError, match="MiB to decode"):
        read_film(tmp_path / "rgba.png", limits=FilmLimits(memory=2**29))
