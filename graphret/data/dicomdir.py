"""DICOMDIR: the list of films that a disc or an export carries, compared with what is really there."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from graphret._errors import FilmError
from graphret.data.decoding.quiet import no_warnings
from graphret.data.dicom_tags import open_dicom

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["listed_films"]

_NAME = "dicomdir"
_MOST_PARTS = 8  # PS3.10 8.2: a file id has up to eight components


def is_dicomdir(name: str) -> bool:
    """Whether a file is called like a list of films."""
    return name.lower() == _NAME


def listed_films(path: Path) -> list[tuple[str, str]]:
    """Return the pictures that a DICOMDIR lists: place under its folder, with forward slashes, and a reason or "".

    A place that leads out of the folder has a reason, and is never looked at.

    Raises
    ------
    FilmError
        It is damaged, or cannot be opened.
    """
    import pydicom

    try:
        with no_warnings(), open_dicom(path) as file:
            dataset = pydicom.dcmread(file, specific_tags=["DirectoryRecordSequence"])
            return list(_places(dataset))
    except (FilmError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - the texts of pydicom may hold values of the file
        raise FilmError(path, f"the DICOMDIR is damaged and cannot be read ({type(error).__name__})") from None


def _places(dataset: Any) -> Iterator[tuple[str, str]]:
    for record in dataset.get("DirectoryRecordSequence") or []:
        parts = record.get("ReferencedFileID")
        if str(record.get("DirectoryRecordType")) != "IMAGE" or not parts:
            continue
        names = [parts] if isinstance(parts, str) else [str(part) for part in parts]
        place = "/".join(names)
        leads_out = (
            len(names) > _MOST_PARTS
            or any(name in {"", ".", ".."} or {"/", "\\", "\0"} & set(name) for name in names)
            or PurePosixPath(place).is_absolute()
        )
        yield place, "its place in the DICOMDIR leads out of the folder" if leads_out else ""
