"""VIA/I-ELCAP: a folder of DICOM files for every scan, and the body part of every slice."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError, MissingFileError
from graphret.data.film_kinds import DICOM
from graphret.data.images import DICOM_SUFFIXES
from graphret.data.records import Records
from graphret.data.table_file import LONGEST_NAME, LONGEST_TEXT, TableFile
from graphret.data.walk import walk_folders

if TYPE_CHECKING:
    from pathlib import Path

    from graphret.data.cards import DatasetSpec

__all__ = ["read_elcap"]


def read_elcap(spec: DatasetSpec, root: Path) -> Records:
    """Read slices from a folder for every scan (W0001, W0002, ...), to any depth; the scan is the patient.

    Slices are files with a suffix of DICOM, and other files that begin as DICOM does; see `walk.walk_folders`.

    The body part is that of the dataset spec's table, if it is there: columns ``file`` (a slice or a folder, relative
    to the root; the longest that holds a slice counts) and ``body_part``. Otherwise it is BodyPartExamined of the
    slice's own header; a slice whose header has none is left out.

    Raises
    ------
    MissingFileError
        There is no such folder.
    DataError
        No slice has a body part.
    """
    if not root.is_dir():
        raise MissingFileError(root, "folder of the data set", "give the folder that holds one folder per scan")
    parts = _body_parts(spec, root)
    records = Records([], np.empty((0, 0), dtype=np.int8), (), [], [], [])
    found: list[str] = []
    walk = walk_folders(root)
    walk.files = [file for file in walk.files if "/".join(file.parts) not in spec.files.tables]
    for slice_ in walk.films(DICOM_SUFFIXES, (DICOM,)):
        part, reason = _part_of(slice_.id, parts) if parts is not None else _part_in_header(slice_.path)
        if reason:
            walk.skipped.add(slice_.id, slice_.path, reason, is_film=True)
            continue
        records.ids.append(slice_.id)
        records.paths.append(slice_.path)
        records.patients.append(slice_.parts[0] if len(slice_.parts) > 1 else "")
        found.append(part)
    records.problems = walk.skipped.problems()
    if not records.ids:
        first = f"; first, {records.problems[0].id}: {records.problems[0].reason}" if records.problems else ""
        raise DataError(f"no slice with a body part is under {root}{first}")
    records.label_names = tuple(sorted(set(found)))
    records.labels = (np.array(found)[:, None] == np.array(records.label_names)).astype(np.int8)
    records.views = [""] * len(found)
    records.splits = [""] * len(found)
    return records


def _body_parts(spec: DatasetSpec, root: Path) -> dict[str, str] | None:
    for name in spec.files.tables:
        if (root / name).is_file():
            table = TableFile(root / name)
            file, part = table.position("file", "path"), table.position("body_part")
            rows = table.rows({file: LONGEST_TEXT, part: LONGEST_NAME})
            return {row[file].strip().strip("/"): row[part].strip() for row in rows}
    return None


def _part_of(film: str, parts: dict[str, str]) -> tuple[str, str]:
    for place in (film, *(str(parent) for parent in PurePosixPath(film).parents)):
        if parts.get(place):
            return parts[place], ""
    return "", "the table of body parts does not name it"


def _part_in_header(path: str) -> tuple[str, str]:
    import pydicom

    try:
        header: Any = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["BodyPartExamined"])
    except Exception as error:  # noqa: BLE001 - a damaged file fails in ways that no list of exceptions covers
        return "", f"its header cannot be read: {' '.join(str(error).split())[:200]}"
    part = str(header.get("BodyPartExamined", "") or "").strip().upper()
    return part, "" if part else "its header names no body part (BodyPartExamined)"
