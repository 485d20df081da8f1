"""Writers of films, bit by bit, and one way to read them: what a test writes is its own reference."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import openjpeg
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    generate_uid,
)

from graphret.data.images import read_film, read_pixels


def _read_both(path, **options):
    """The film, after a look that `read_pixels` says the same: its dtype's largest value is 1."""
    film, pixels = read_film(path, **options), read_pixels(path, **options)
    assert film.dtype == np.float32
    assert film.flags.writeable
    assert film.flags.c_contiguous
    assert pixels.flags.c_contiguous
    assert pixels.dtype in (np.uint8, np.uint16, np.float32)
    assert pixels.dtype.isnative
    white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    np.testing.assert_array_equal(film, pixels.astype(np.float32) / np.float32(white))
    assert film.min() >= 0
    assert film.max() <= 1
    return film


def _write_dicom(path, pixels, *, bits=12, syntax=ExplicitVRLittleEndian, photometric="MONOCHROME2", **attributes):
    """Write a film; ``syntax`` may be uncompressed, one that pydicom encodes, or JPEG 2000."""
    native = {ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian}
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = syntax if syntax in native else ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    is_big = syntax == ExplicitVRBigEndian
    data = pixels.astype(pixels.dtype.newbyteorder(">" if is_big else "<")).tobytes()
    dataset.PixelData = data + bytes(len(data) % 2)
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 and syntax != ImplicitVRLittleEndian else "OW"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    if syntax == JPEG2000Lossless:  # pydicom itself encodes it only with one more package
        dataset.PixelData = encapsulate([openjpeg.encode(pixels, bits_stored=bits)])
        dataset["PixelData"].is_undefined_length = True
        meta.TransferSyntaxUID = syntax
    elif syntax not in native:
        dataset.compress(syntax)
    pydicom.dcmwrite(
        path, dataset, enforce_file_format=True, little_endian=not is_big, implicit_vr=syntax == ImplicitVRLittleEndian
    )
    return path


def _table(values, first, bits, *, order="<", vr="OW", first_vr="US"):
    """An item with a lookup table: 16-bit words (OW), a list of numbers (US), or packed bytes (OB)."""
    item = Dataset()
    item.add_new(0x00283002, first_vr, [len(values) % 2**16, first, bits])
    if vr == "US":
        item.add_new(0x00283006, "US", [int(value) for value in values])
    else:
        data = np.asarray(values).astype("u1" if vr == "OB" else f"{order}u2").tobytes()
        item.add_new(0x00283006, "OW", data + bytes(len(data) % 2))
    return item


def _packbits(data):
    return b"".join(bytes([len(data[at : at + 128]) - 1]) + data[at : at + 128] for at in range(0, len(data), 128))


def _lzw(data):
    """LZW without words: the table is cleared before the codes grow beyond 9 bits."""
    codes = []
    for at in range(0, len(data), 200):
        codes += [256, *data[at : at + 200]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


_CODECS = {1: bytes, 5: _lzw, 8: zlib.compress, 32773: _packbits}


def _row_of_bits(values, bits):
    text = "".join(f"{int(value):0{bits}b}" for value in values)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def _chunk_bytes(block, bits, order):
    """The rows of a strip or tile (h, w, s)."""
    if bits in {8, 16, 32, 64}:
        return block.astype(block.dtype.newbyteorder(order)).tobytes()
    return b"".join(_row_of_bits(row.reshape(-1), bits) for row in block)


def _write_tiff(
    path,
    samples,
    *,
    bits=None,
    photometric=1,
    order="<",
    compression=1,
    is_planar=False,
    tile=None,
    rows_per_strip=None,
    is_big=False,
    tags=None,
):
    """Write one picture (h, w) or (h, w, s); ``tags`` are added, or left out where they are None."""
    samples = samples[..., np.newaxis] if samples.ndim == 2 else samples
    height, width, n_samples = samples.shape
    bits = bits or samples.dtype.itemsize * 8
    planes = [samples[..., [band]] for band in range(n_samples)] if is_planar else [samples]
    chunks = []
    for plane in planes:
        if tile:
            for top in range(0, height, tile[0]):
                for left in range(0, width, tile[1]):
                    part = plane[top : top + tile[0], left : left + tile[1]]
                    whole = np.zeros((*tile, plane.shape[2]), plane.dtype)
                    whole[: part.shape[0], : part.shape[1]] = part
                    chunks.append(whole)
        else:
            step = rows_per_strip or height
            chunks += [plane[top : top + step] for top in range(0, height, step)]
    data = [_CODECS[compression](_chunk_bytes(chunk, bits, order)) for chunk in chunks]
    place = 16
    offsets = [place + sum(map(len, data[:number])) for number in range(len(data))]
    entries = {
        256: [width],
        257: [height],
        258: [bits] * n_samples,
        259: [compression],
        262: [photometric],
        277: [n_samples],
        284: [2 if is_planar else 1],
        339: [{"u": 1, "i": 2, "f": 3}[samples.dtype.kind]] * n_samples,
        **({322: [tile[1]], 323: [tile[0]]} if tile else {278: [rows_per_strip or height]}),
        324 if tile else 273: offsets,
        325 if tile else 279: list(map(len, data)),
        **(tags or {}),
    }
    entries = {tag: values for tag, values in sorted(entries.items()) if values is not None}
    start = place + sum(map(len, data))
    entry, room, number = ("HHQ", 8, "Q") if is_big else ("HHI", 4, "I")
    head = struct.pack(order + ("Q" if is_big else "H"), len(entries))
    behind = start + len(head) + len(entries) * (20 if is_big else 12) + room
    arrays = b""
    for tag, values in entries.items():
        packed = struct.pack(f"{order}{len(values)}I", *values)
        head += struct.pack(order + entry, tag, 4, len(values))
        if len(packed) <= room:
            head += packed.ljust(room, b"\0")
        else:
            head += struct.pack(order + number, behind + len(arrays))
            arrays += packed
    magic = b"II" if order == "<" else b"MM"
    if is_big:
        magic += struct.pack(order + "HHHQ", 43, 8, 0, start)
    else:
        magic += struct.pack(order + "HI", 42, start) + bytes(8)
    path.write_bytes(magic + b"".join(data) + head + bytes(room) + arrays)
    return path


def _write_png(path, samples, bits, colour_type, *, chunks=(), height=None, is_interlaced=False):
    """Write samples (h, w, s) row by row, each row with filter 0; ``height`` is what the header says."""
    rows_of = [samples]
    if is_interlaced:
        starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
        rows_of = [samples[top::down, left::across] for top, left, down, across in starts]
    raw = b"".join(b"\0" + _row_of_bits(row.reshape(-1), bits) for part in rows_of if part.shape[1] for row in part)
    header = struct.pack(
        ">IIBBBBB", samples.shape[1], height or len(samples), bits, colour_type, 0, 0, int(is_interlaced)
    )
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in parts
        )
    )
    return path


@pytest.fixture
def read_both():
    return _read_both


@pytest.fixture
def write_dicom():
    return _write_dicom


@pytest.fixture
def table_item():
    return _table


@pytest.fixture
def write_tiff():
    return _write_tiff


@pytest.fixture
def write_png_bits():
    return _write_png
