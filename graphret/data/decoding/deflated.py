"""Deflated DICOM files are measured before they are unpacked: 4 MB may hold 4 GB."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, BinaryIO

from graphret._errors import FilmError
from graphret.data.decoding.limits import check_memory

if TYPE_CHECKING:
    from pathlib import Path

    from graphret.data.decoding.limits import FilmLimits

__all__ = ["check_deflated", "is_deflated"]

_DEFLATED = "1.2.840.10008.1.2.1.99"
_BLOCK = 2**20


def is_deflated(file: BinaryIO) -> bool:
    """Whether a DICOM file is deflated; afterwards ``file`` stands where the deflated data begin.

    The head is read as pydicom reads it, wherever in it the transfer syntax stands.
    """
    from pydicom.filereader import read_dataset

    file.seek(132 if file.read(132)[128:] == b"DICM" else 0)
    head = read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    return str(head.get("TransferSyntaxUID") or "") == _DEFLATED


def check_deflated(path: Path, content: bytes, limits: FilmLimits) -> None:
    """Refuse a deflated file that would unpack to more than is allowed, without keeping what is unpacked.

    O(n), and nothing for other files.

    Raises
    ------
    FilmError
        Beyond ``limits.memory``, or not to be inflated.
    """
    if _DEFLATED.encode() not in content:
        return
    file = io.BytesIO(content)
    if not is_deflated(file):
        return
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    rest, n_unpacked = content[file.tell() :], 0
    try:
        while rest and not unpack.eof:
            n_unpacked += len(unpack.decompress(rest, _BLOCK))
            check_memory(path, len(content) + 2 * n_unpacked, limits)
            rest = unpack.unconsumed_tail
    except zlib.error:
        raise FilmError(path, "damaged DICOM file: it cannot be inflated") from None
