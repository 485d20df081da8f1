"""DICOM files that say that they are one picture, by their UID: true copies, and those that are not."""

from __future__ import annotations

import io
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from graphret._errors import FilmError
from graphret.data.decoding.quiet import no_warnings
from graphret.data.dicom_tags import open_dicom
from graphret.data.images import DICOM_SUFFIXES
from graphret.files import file_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphret.data.walk import FoundFilm

__all__ = ["IDENTITY", "Copy", "further_copies"]

_DIFFERENCES = {
    "PatientID": "another patient",
    "StudyInstanceUID": "another study",
    "Rows": "another picture",
    "Columns": "another picture",
    "NumberOfFrames": "another picture",
}
IDENTITY = ("SOPInstanceUID", *_DIFFERENCES)
"""Tags that are compared."""

_BLOCK = 1 << 20
_UNDEFINED = 0xFFFFFFFF


class _First:
    """The first bytes of what is left of a file."""

    def __init__(self, file: Any, n_bytes: int) -> None:
        self._file, self._left = file, n_bytes

    def read(self, n_bytes: int) -> bytes:
        found: bytes = self._file.read(min(n_bytes, self._left))
        self._left -= len(found)
        return found


class Copy(NamedTuple):
    """Why a file is not taken beside another of its UID; ``is_film`` where it is a picture of its own."""

    reason: str
    kind: str
    is_film: bool


def further_copies(tags_of: Mapping[FoundFilm, dict[str, list[str]] | FilmError]) -> dict[FoundFilm, Copy]:
    """Return the files beside which another one of the same UID is taken, and why.

    Of several files the largest is taken, for a copy may have been cut off. A file with another patient, study, shape
    or pixels than that one is no copy, and a film that is lost: two pictures have got one UID.

    Parameters
    ----------
    tags_of
        `IDENTITY` and perhaps more of every file, or why it cannot be read.

    Notes
    -----
    Pixels are read of files that share their UID, block by block. They are compared as they are stored, as far as both
    files go, where both are compressed in the same way or not at all.
    """
    groups: dict[str, list[tuple[FoundFilm, dict[str, list[str]]]]] = {}
    for film, tags in tags_of.items():
        if not isinstance(tags, FilmError) and tags.get("Rows") and tags.get("SOPInstanceUID"):
            groups.setdefault(tags["SOPInstanceUID"][0], []).append((film, tags))
    copies = {}
    for group in groups.values():
        if len(group) == 1:
            continue
        taken, tags = max(group, key=lambda one: file_state(one[0].path)[0])
        for film, own in group:
            if film is not taken:
                copies[film] = _copy(taken, _difference(taken, tags, film, own))
    return copies


def _copy(taken: FoundFilm, difference: str) -> Copy:
    if not difference:
        return Copy(f"the same picture as {taken.id}", "the same picture", is_film=False)
    reason = f"the same SOPInstanceUID as {taken.id}, but {difference}: only one can be taken, give each its own UID"
    return Copy(reason, difference, is_film=True)


def _difference(
    taken: FoundFilm, tags: Mapping[str, list[str]], film: FoundFilm, own: Mapping[str, list[str]]
) -> str:  # fmt: skip
    for keyword, difference in _DIFFERENCES.items():
        unsaid = ["1"] if keyword == "NumberOfFrames" else []
        if (tags.get(keyword) or unsaid) != (own.get(keyword) or unsaid):
            return difference
    states = file_state(taken.path), file_state(film.path)
    return "" if _same_pixels(taken.path, film.path, states) else "another picture"


@lru_cache(maxsize=1 << 14)  # who watches a folder asks again every minute
def _same_pixels(first: str, second: str, _states: tuple[tuple[int, int], tuple[int, int]]) -> bool:
    """Whether stored pixels are the same as far as both files go; also where they cannot be compared."""
    try:
        with _pixels(Path(first)) as (syntax, pixels), _pixels(Path(second)) as (other_syntax, other_pixels):
            if syntax != other_syntax:
                return True
            while (block := pixels.read(_BLOCK)) and (other_block := other_pixels.read(_BLOCK)):
                n_both = min(len(block), len(other_block))
                if block[:n_both] != other_block[:n_both]:
                    return False
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a damaged file is no other picture, and texts of pydicom may hold its values
        return True
    return True


@contextmanager
def _pixels(path: Path) -> Iterator[tuple[str, Any]]:
    """Open the stored pixels of a file; with the name of their compression, "" for none."""
    import pydicom
    from pydicom import uid

    force = path.suffix.lower() in DICOM_SUFFIXES
    with open_dicom(path) as file:
        with no_warnings():
            dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["Rows"], force=force)
        syntax = str(dataset.file_meta.get("TransferSyntaxUID", uid.ImplicitVRLittleEndian))
        if syntax == uid.DeflatedExplicitVRLittleEndian:
            file.seek(0)
            with no_warnings():
                unpacked = io.BytesIO(pydicom.dcmread(file, force=force).PixelData)
            yield "", unpacked
            return
        head = file.read(8)  # of the element: tag, then the kind of its value and its length, or the length alone
        length = head[4:] if syntax == uid.ImplicitVRLittleEndian else file.read(4)
        n_bytes = int.from_bytes(length, "big" if syntax == uid.ExplicitVRBigEndian else "little")
        plain = syntax in {uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian}
        yield "" if plain else syntax, file if n_bytes == _UNDEFINED else _First(file, n_bytes)
