"""JSRT: nodules on chest films, with the clinical tables of its owners and the masks of SCR."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError
from graphret.data.columns import numbers, text_column
from graphret.data.images import FILM_SUFFIXES
from graphret.data.masks import find_by_stem, mask_column
from graphret.data.records import Records, find_table
from graphret.data.table import FilmProblem

if TYPE_CHECKING:
    from pathlib import Path

    from graphret.data.cards import DatasetSpec

__all__ = ["JSRT_LABELS", "parse_jsrt_tables", "read_jsrt"]

JSRT_LABELS = ("malignant", "benign", "non-nodule")
_FILE = re.compile(r"JPC[LN]N\d{3}\.IMG", re.IGNORECASE)
_SUFFIXES = (".img", *FILM_SUFFIXES)


def read_jsrt(spec: DatasetSpec, root: Path) -> Records:
    """Read a copy of JSRT: raw films (.IMG) as its owners give them, or films converted to PNG, TIFF, JPEG or DICOM.

    Films without a nodule are only kept if "non-nodule" is a label of the dataset spec: they have no other. Nothing is
    known of patients, so every film is its own. The column "mask" has the masks of the dataset spec's folders.

    Raises
    ------
    MissingFileError
        The folder or CLNDAT_EN.txt is not there.
    DataError
        A table is not that of JSRT, or none of its films is under ``root``.
    """
    nodules = find_table(root, spec.files.tables, "table of the nodules of JSRT (CLNDAT_EN.txt)")
    tables = [nodules]
    if "non-nodule" in spec.labels or not spec.labels:
        tables.append(find_table(root, spec.files.test_tables, "table of the films without nodules (CNNDAT_EN.TXT)"))
    records = parse_jsrt_tables(tables)
    films = find_by_stem(root, spec.files.images, _SUFFIXES)
    kept = []
    for row, film in enumerate(records.ids):
        path = films.get(film.lower(), "")
        records.paths.append(path)
        if path:
            kept.append(row)
        else:
            records.problems.append(FilmProblem(film, "", "there is no such film, or it is empty (0 bytes)"))
    if not kept:
        raise DataError(
            f"none of the {len(records.ids)} films of {nodules} is under {root}: looked in "
            f"{', '.join(spec.files.images)} for names such as {records.ids[0]}.IMG"
        )
    records.columns["mask"] = mask_column(root, spec.files.masks, records.ids)
    records.keep(kept)
    return records


def parse_jsrt_tables(paths: list[Path]) -> Records:
    """Read CLNDAT_EN.txt (nodules) and CNNDAT_EN.TXT (none) without looking for films.

    Lines of CLNDAT: file, subtlety (1 to 5), size in mm, age, sex, x, y, malignant or benign, place, diagnosis; of
    CNNDAT: file, age, sex, "non-nodule". Both are separated by tabs and have no header.

    Raises
    ------
    DataError
        A line is neither.
    """
    ids, classes, rows = [], [], []
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            values = [value.strip() for value in line.split("\t")]
            if not _FILE.fullmatch(values[0]):
                raise DataError(f"line {number} of {path} begins with {values[0]!r}: give a file name as JPCLN001.IMG")
            has_nodule = values[0][3].upper() == "L"
            if len(values) < (8 if has_nodule else 3):
                raise DataError(
                    f"line {number} of {path} has {len(values)} values: those of a film with a nodule have 10, of one "
                    "without 4, with tabs between them"
                )
            name = values[7].lower() if has_nodule else "non-nodule"
            if name not in JSRT_LABELS:
                raise DataError(f"line {number} of {path}: {values[7]!r} is not known: give malignant or benign")
            ids.append(values[0][:-4].upper())
            classes.append(name)
            values += [""] * (10 - len(values))
            rows.append(values if has_nodule else [values[0], "", "", values[1], values[2], *[""] * 5])
    if not ids:
        raise DataError(f"the table {paths[0]} has no film: give the file of the owners")
    columns = {
        "subtlety": numbers([row[1] for row in rows]),
        "size_mm": numbers([row[2] for row in rows]),
        "age": numbers([row[3] for row in rows]),
        "sex": text_column([row[4] for row in rows]),
        "x": numbers([row[5] for row in rows]),
        "y": numbers([row[6] for row in rows]),
        "place": text_column([row[8] for row in rows]),
        "diagnosis": text_column([row[9] for row in rows]),
    }
    return Records(
        ids=ids,
        labels=(np.array(classes)[:, None] == np.array(JSRT_LABELS)).astype(np.int8),
        label_names=JSRT_LABELS,
        patients=[""] * len(ids),
        views=["PA"] * len(ids),
        splits=[""] * len(ids),
        columns=columns,
    )
