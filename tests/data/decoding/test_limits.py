"""What one film may take: pixels, memory, bytes of its file; and what is never opened at all."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from graphret._errors import FilmError, InvalidParameterError
from graphret.data.decoding.limits import FilmLimits
from graphret.data.images import read_film, read_pixels

RAMP = (np.arange(20 * 24).reshape(20, 24) % 256).astype(np.uint8)

MEASURE = """
import resource, sys
from graphret.data.decoding.limits import FilmLimits
from graphret.data.images import read_film, read_pixels
import pydicom.pixels
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
film = read_film(sys.argv[1])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, film.shape[0] * film.shape[1])
"""


@pytest.mark.parametrize("limit", ["pixels", "memory"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "many", None])
def test_limits_are_integers(limit, value):
    with pytest.raises(InvalidParameterError, match=f"{limit}="):
        FilmLimits(**{limit: value})


def films(folder, write_dicom, write_tiff):
    """One film of 480 pixels in every format."""
    picture = Image.fromarray(RAMP)
    for suffix in ("png", "jpg", "bmp", "gif"):
        picture.save(folder / f"film.{suffix}")
    return [
        *(folder / f"film.{suffix}" for suffix in ("png", "jpg", "bmp", "gif")),
        write_tiff(folder / "film.tif", RAMP),
        write_dicom(folder / "film.dcm", RAMP, bits=8),
    ]


def test_limits_of_every_format(tmp_path, write_dicom, write_tiff):
    for path in films(tmp_path, write_dicom, write_tiff):
        for read in (read_film, read_pixels):
            assert read(path, limits=FilmLimits(pixels=480)).shape == (20, 24)
            with pytest.raises(FilmError, match="24 x 20 pixels, more than the 479"):
                read(path, limits=FilmLimits(pixels=479))
            size = path.stat().st_size
            with pytest.raises(FilmError, match=r"bytes, more than the .* of FilmLimits.memory"):
                read(path, limits=FilmLimits(memory=size - 1))
            with pytest.raises(FilmError, match=r"MiB to decode, more than|bytes, more than"):
                read(path, limits=FilmLimits(memory=480 * 8))


def test_a_small_file_that_grows(tmp_path):
    """An RGBA PNG of 30,000 x 2,900 may have 350 kB, and took 2.1 GB a thread once: the header is enough."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 2_900, 8, 6, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "film.png").write_bytes(content)
    with pytest.raises(FilmError, match="996 MiB to decode, more than the 512 MiB"):
        read_film(tmp_path / "film.png", limits=FilmLimits(memory=2**29))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is told in kilobytes on Linux")
@pytest.mark.parametrize("kind", ["rgba.png", "rgb.jpg", "rgb.tif", "16.dcm"])
def test_decoding_takes_no_more_than_is_reckoned(tmp_path, write_dicom, write_tiff, kind):
    """Twelve bytes a pixel, and twice the file, whatever the format; it was 24 for an RGBA PNG."""
    path, side = tmp_path / kind, 3000
    grey = np.add.outer(np.arange(side), np.arange(side)).astype(np.uint16)
    colours = np.dstack([grey.astype(np.uint8)] * 4)
    if kind == "16.dcm":
        write_dicom(path, grey, bits=16)
    elif kind == "rgba.png":
        Image.fromarray(colours).save(path, compress_level=1)
    else:
        Image.fromarray(colours[..., :3]).save(path)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True, timeout=300
    )
    taken, n_pixels = map(int, done.stdout.split())
    assert n_pixels == side * side
    assert taken < 12 * n_pixels + 2 * path.stat().st_size + 30 * 2**20


def test_no_memory_is_one_film_less(tmp_path, monkeypatch, write_dicom, write_tiff):
    """It ended a whole build once."""
    paths = films(tmp_path, write_dicom, write_tiff)

    def fail(*_args, **_options):
        raise MemoryError

    for path in paths:
        with monkeypatch.context() as patch:
            patch.setattr("graphret.data.images._decode", fail)
            for read in (read_film, read_pixels):
                with pytest.raises(FilmError, match="not enough memory"):
                    read(path)
        with monkeypatch.context() as patch:
            patch.setattr("graphret.data.images.as_film", fail)
            with pytest.raises(FilmError, match="not enough memory"):
                read_film(path)
    with monkeypatch.context() as patch:
        patch.setattr("graphret.data.decoding.dicom.read_frame", fail)
        with pytest.raises(FilmError, match="not enough memory"):
            read_film(paths[-1])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_sockets_and_devices_are_not_opened(tmp_path):
    """A pipe that nobody writes to would be waited for without end."""
    os.mkfifo(tmp_path / "film.png")
    with pytest.raises(FilmError, match="a pipe, socket or device"):
        read_film(tmp_path / "film.png")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()  # noqa: PTH109 - a socket's name must be short
        os.chdir(tmp_path)
        try:
            server.bind("film.jpg")
        finally:
            os.chdir(here)
        with pytest.raises(FilmError, match="a pipe, socket or device"):
            read_film(tmp_path / "film.jpg")
    (tmp_path / "film.tif").symlink_to("/dev/zero")
    with pytest.raises(FilmError, match="a pipe, socket or device"):
        read_film(tmp_path / "film.tif")
