"""VIA/I-ELCAP: a folder of DICOM files for every scan, and the body part of every slice."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError, MissingFileError
from graphret.data.images import DICOM_SUFFIXES
from graphret.data.records import Folders, Records, TableFile, size_problem
from graphret.data.table import FilmProblem

if TYPE_CHECKING:
    from pathlib import Path

    from graphret.data.cards import Card

__all__ = ["read_elcap"]


def read_elcap(card: Card, root: Path) -> Records:
    """Read slices from a folder for every scan (W0001, W0002, ...), to any depth; the scan is the patient.

    The body part is that of the card's table, if it is there: columns ``file`` (a slice or a folder, relative to the
    root; the longest that holds a slice counts) and ``body_part``. Otherwise it is BodyPartExamined of the slice's own
    header; a slice whose header has none is left out.

    Raises
    ------
    MissingFileError
        There is no such folder.
    DataError
        No slice has a body part.
    """
    if not root.is_dir():
        raise MissingFileError(root, "folder of the data set", "give the folder that holds one folder per scan")
    parts = _body_parts(card, root)
    records = Records([], np.empty((0, 0), dtype=np.int8), (), [], [], [])
    found: list[str] = []
    for path, size in _slices(root, Folders()):
        film = path.relative_to(root).as_posix()
        reason = size_problem(size)
        part = ""
        if not reason:
            part, reason = _part_of(film, parts) if parts is not None else _part_in_header(path)
        if reason:
            records.problems.append(FilmProblem(film, str(path), reason))
            continue
        records.ids.append(film)
        records.paths.append(str(path))
        records.patients.append(film.partition("/")[0] if "/" in film else "")
        found.append(part)
    if not records.ids:
        first = f"; first, {records.problems[0].id}: {records.problems[0].reason}" if records.problems else ""
        raise DataError(f"no slice with a body part is under {root}{first}")
    records.label_names = tuple(sorted(set(found)))
    records.labels = (np.array(found)[:, None] == np.array(records.label_names)).astype(np.int8)
    records.views = [""] * len(found)
    records.splits = [""] * len(found)
    return records


def _slices(folder: Path, folders: Folders) -> list[tuple[Path, int]]:
    here = [
        (folder / name, size)
        for name, size in sorted(folders.sizes(folder).items())
        if name.lower().endswith(DICOM_SUFFIXES) and not name.startswith(".")
    ]
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return here + [found for sub in below for found in _slices(sub, folders)]


def _body_parts(card: Card, root: Path) -> dict[str, str] | None:
    for name in card.files.tables:
        if (root / name).is_file():
            table = TableFile(root / name)
            file, part = table.position("file", "path"), table.position("body_part")
            return {row[file].strip().strip("/"): row[part].strip() for row in table.rows()}
    return None


def _part_of(film: str, parts: dict[str, str]) -> tuple[str, str]:
    for place in (film, *(str(parent) for parent in PurePosixPath(film).parents)):
        if parts.get(place):
            return parts[place], ""
    return "", "the table of body parts does not name it"


def _part_in_header(path: Path) -> tuple[str, str]:
    import pydicom

    try:
        header: Any = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["BodyPartExamined"])
    except Exception as error:  # noqa: BLE001 - a damaged file fails in ways that no list of exceptions covers
        return "", f"its header cannot be read: {' '.join(str(error).split())[:200]}"
    part = str(header.get("BodyPartExamined", "") or "").strip().upper()
    return part, "" if part else "its header names no body part (BodyPartExamined)"
