"""One rule for which files are films: a known suffix, otherwise the first bytes.

A file whose suffix is one of `images.FILM_SUFFIXES` is a film; whether it can be decoded is found out when it is
read. Any other file (no suffix, ``.jfif``, ``.webp``, ``.txt``) is a film if it begins like one. Hidden files, empty
ones, and what is no regular file are not.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from graphret.data.images import FILM_SUFFIXES
from graphret.data.listing import open_regular
from graphret.data.raw import is_raw

if TYPE_CHECKING:
    from collections.abc import Collection

    from graphret.data.listing import Entry

__all__ = ["DICOM", "READABLE", "film_reason", "kind_of"]

DICOM = "DICOM"
RAW = "raw film of JSRT"
READABLE = ("PNG", "JPEG", "TIFF", "BMP", "GIF", DICOM, RAW)
"""Kinds of content that `read_film` reads."""

_HEAD_BYTES = 132
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}  # its two letters begin many a text as well
_STARTS = (  # (offset, bytes, name)
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"II\x2a\x00", "TIFF"),
    (0, b"MM\x00\x2a", "TIFF"),
    (0, b"II\x2b\x00", "TIFF"),
    (0, b"MM\x00\x2b", "TIFF"),
    (0, b"BM", "BMP"),
    (0, b"GIF8", "GIF"),
    # no films, but worth a name in the reason
    (8, b"WEBP", "a WebP picture"),
    (4, b"ftyp", "a HEIC, AVIF or MP4 file"),
    (4, b"jP  ", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"8BPS", "a Photoshop picture"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip file"),
    (0, b"%PDF", "a PDF"),
)


def kind_of(path: str | Path) -> str:
    """Return what a file is by its first bytes: one of `READABLE`, a plain name for a few others, "" where unknown.

    Raises
    ------
    OSError
        It is no regular file, or cannot be opened.
    """
    with open_regular(path) as file:
        head = file.read(_HEAD_BYTES)
    if head[128:132] == b"DICM":
        return "a list of films (DICOMDIR)" if os.path.basename(path).upper() == "DICOMDIR" else DICOM  # noqa: PTH119
    kind = next((name for offset, start, name in _STARTS if head.startswith(start, offset)), "")
    if kind == "BMP" and int.from_bytes(head[14:18], "little") not in _BMP_HEADERS:
        kind = ""
    return kind if kind in READABLE or not is_raw(Path(path)) else RAW


def film_reason(
    folder: str, entry: Entry, suffixes: Collection[str] = FILM_SUFFIXES, kinds: Collection[str] = READABLE
) -> tuple[str, bool]:
    """Say why a file of a folder is not taken as a film, and whether it seems to be one; ("", True) for a film.

    Parameters
    ----------
    folder, entry
        The file, as `listing.list_folder` found it. Only a file of another suffix is opened.
    suffixes
        A file that ends so is a film whatever its content.
    kinds
        Contents that make any other file a film.
    """
    named = entry.name.lower().endswith(tuple(suffixes))
    if entry.name.startswith("."):
        return "a hidden file", False
    if entry.reason or named:
        return entry.reason, named
    try:
        kind = kind_of(os.path.join(folder, entry.name))  # noqa: PTH118 - one a file
    except OSError as error:
        return f"it cannot be opened: {error.strerror or error}", False
    if kind in kinds:
        return "", True
    wanted = ", ".join(kinds) if len(kinds) < len(READABLE) else f"{', '.join(READABLE[:-2])} or {DICOM}"
    article = "a " if kind in READABLE else ""
    return f"not a film: its content is {article + kind if kind else 'no picture'}, not {wanted}", False
