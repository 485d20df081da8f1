"""NIH ChestX-ray14: the official table, its split lists, and films in one, twelve or no folders."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, MissingFileError
from graphret._labels import is_missing
from graphret.data.boxes import nih_boxes
from graphret.data.columns import ages, label_matrix, names_of, text_column, whole_numbers
from graphret.data.listing import NOT_THERE, Folders
from graphret.data.records import Records, find_table
from graphret.data.table import FilmProblem
from graphret.data.table_file import LONGEST_NAME, LONGEST_TEXT, TableFile
from graphret.data.text_lines import TextLines

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.data.cards import DatasetSpec
    from graphret.data.splits import StrArray

__all__ = ["NIH_LABELS", "parse_nih_table", "read_nih"]

logger = logging.getLogger(__name__)

NIH_LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
    "No Finding",
)


def read_nih(spec: DatasetSpec, root: Path) -> Records:
    """Read a copy of ChestX-ray14, whole or in part.

    Films are looked for by name in the dataset spec's image folders, the first folder that has it wins. With both
    official lists present, a film in neither is left out as a problem; without them the splits stay open. With
    ``files.boxes`` in the dataset spec the column "boxes" has the boxes of the readers, see `parse_boxes`; where there
    is no such list, that is logged and the column is empty.

    Raises
    ------
    MissingFileError
        The folder or its table is not there.
    DataError
        The table is not the official one, or none of its films is under ``root``.
    """
    table = find_table(root, spec.files.tables, "label table of ChestX-ray14")
    records = parse_nih_table(table)
    files = _film_files(spec, root)
    lists = _split_lists(spec, root)
    kept = []
    for row, film in enumerate(records.ids):
        path, reason = files.get(film, ("", NOT_THERE))
        if not reason and lists is not None:
            records.splits[row] = lists.get(film, "")
            reason = "" if records.splits[row] else "it is in neither of the official split lists"
        records.paths.append(path)
        if reason:
            records.problems.append(FilmProblem(film, path, reason))
        else:
            kept.append(row)
    if not kept:
        first = records.problems[0] if records.problems else None
        raise DataError(
            f"none of the {len(records.ids)} films of {table} can be used: looked in {', '.join(spec.files.images)} "
            f"under {root}" + (f"; {first.id}: {first.reason}" if first else "")
        )
    records.keep(kept)
    if spec.files.boxes:
        records.columns["boxes"] = _boxes(spec, root, records.ids)
    return records


def _boxes(spec: DatasetSpec, root: Path, films: list[str]) -> StrArray:
    try:
        path = find_table(root, spec.files.boxes, "list of boxes of ChestX-ray14")
    except MissingFileError as error:
        logger.warning("the films have no boxes: %s", error)
        return text_column([""] * len(films))
    return nih_boxes(path, films)


def parse_nih_table(path: Path) -> Records:
    """Read ``Data_Entry_2017.csv`` or ``Data_Entry_2017_v2020.csv`` (plain or .gz) without looking for films.

    Headers differ between releases (the image size is one quoted name or two, "Patient Sex" or "Patient Gender");
    only the columns used here are looked up, by name. Ages are years; "058Y", "013M" and "020D" of the first
    release are understood.

    Raises
    ------
    DataError
        A column is missing, or a finding is none of `NIH_LABELS`.
    """
    table = TableFile(path, _single_names)
    film, finding, patient = (table.position(n) for n in ("Image Index", "Finding Labels", "Patient ID"))
    follow_up, age, view = (table.position(n) for n in ("Follow-up #", "Patient Age", "View Position"))
    sex = table.position("Patient Gender", "Patient Sex")
    longest = {**dict.fromkeys((film, patient, view, sex), LONGEST_NAME), finding: LONGEST_TEXT}
    rows = [[value.strip() for value in row] for row in table.rows(longest)]
    findings = [row[finding] for row in rows]
    unknown = {name for text in set(findings) for name in names_of(text, "|")} - set(NIH_LABELS)
    if unknown:
        raise DataError(f"{path}: unknown finding {min(unknown)!r}: known are {', '.join(NIH_LABELS)}")
    return Records(
        ids=[row[film] for row in rows],
        labels=label_matrix(findings, "|", NIH_LABELS),
        label_names=NIH_LABELS,
        patients=whole_numbers([row[patient] for row in rows]),
        views=[row[view] for row in rows],
        splits=[""] * len(rows),
        columns={
            "age": ages([row[age] for row in rows]),
            "sex": text_column([row[sex] for row in rows]),
            "follow_up": _visits(table, whole_numbers([row[follow_up] for row in rows])),
        },
    )


def _single_names(header: list[str]) -> list[str]:
    """Some releases give two columns one quoted name: "OriginalImage[Width,Height]"."""
    return [part for name in header for part in (name.split(",") if "[" in name else [name])]


def _visits(table: TableFile, texts: list[str]) -> NDArray[np.int32]:
    """Follow-up numbers; a missing one is 0."""
    bad = next((text for text in texts if not is_missing(text) and not (text.isdecimal() and len(text) < 10)), None)
    if bad is not None:
        raise DataError(f"{table.path}: Follow-up # is {bad!r} for some film: give a whole number")
    return np.array([0 if is_missing(text) else int(text) for text in texts], dtype=np.int32)


def _film_files(spec: DatasetSpec, root: Path) -> dict[str, tuple[str, str]]:
    """Path of every file in the dataset spec's image folders, and what is wrong with it, by file name."""
    folders = Folders()
    files: dict[str, tuple[str, str]] = {}
    for pattern in spec.files.images:
        found = [root] if pattern == "." else sorted(root.glob(pattern))
        for folder in found:
            for name, entry in folders.files(folder).items():
                files.setdefault(name, (str(folder / name), entry.reason))
    return files


def _split_lists(spec: DatasetSpec, root: Path) -> dict[str, str] | None:
    lists = {"train": root / spec.splits.train_list, "test": root / spec.splits.test_list}
    if not (spec.splits.train_list and spec.splits.test_list and all(path.is_file() for path in lists.values())):
        return None
    return {film: split for split, path in lists.items() for line in TextLines(path) for film in line.split()}
