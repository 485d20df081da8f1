"""ORIGA: fundus photographs, normal or with glaucoma, with the cup-to-disc ratio and masks of disc and cup."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError
from graphret.data.columns import numbers, text_column
from graphret.data.images import FILM_SUFFIXES
from graphret.data.masks import find_by_stem, mask_column
from graphret.data.records import Records, find_table
from graphret.data.table import FilmProblem
from graphret.data.table_file import LONGEST_NAME, LONGEST_TEXT, TableFile

if TYPE_CHECKING:
    from pathlib import Path

    from graphret.data.cards import DatasetSpec

__all__ = ["ORIGA_LABELS", "read_origa"]

ORIGA_LABELS = ("glaucoma", "normal")
_CLASSES = {"1": 0, "1.0": 0, "true": 0, "glaucoma": 0, "0": 1, "0.0": 1, "false": 1, "normal": 1}


def read_origa(spec: DatasetSpec, root: Path) -> Records:
    """Read a copy of ORIGA: a table with the file and the class of every image, a folder of images, one of masks.

    Columns are found by the names of the releases (Filename or Image; Glaucoma or Label; ExpCDR or CDR; Eye). The table
    names no patients, so every image is its own, though some are two eyes of one person.

    Raises
    ------
    MissingFileError
        The folder or the table is not there.
    DataError
        A column is missing, a class is not known, or none of the images is under ``root``.
    """
    path = find_table(root, spec.files.tables, "table of ORIGA (OrigaList.csv)")
    table = TableFile(path)
    image, glaucoma = table.position("Filename", "Image"), table.position("Glaucoma", "Label")
    rows = [[value.strip() for value in row] for row in table.rows({image: LONGEST_TEXT, glaucoma: LONGEST_NAME})]
    classes = []
    for row in rows:
        if row[glaucoma].lower() not in _CLASSES:
            raise DataError(f"{path}: the class of {row[image]} is {row[glaucoma]!r}: give 1 (glaucoma) or 0 (normal)")
        classes.append(_CLASSES[row[glaucoma].lower()])
    stems = [PurePosixPath(row[image].replace("\\", "/")).stem for row in rows]
    files = find_by_stem(root, spec.files.images, FILM_SUFFIXES)
    records = Records(
        ids=stems,
        labels=(np.array(classes, dtype=np.int64)[:, None] == np.arange(2)).astype(np.int8),
        label_names=ORIGA_LABELS,
        patients=[""] * len(rows),
        views=[""] * len(rows),
        splits=[""] * len(rows),
        paths=[files.get(stem.lower(), "") for stem in stems],
        columns={"mask": mask_column(root, spec.files.masks, stems)},
    )
    for column, names in (("cdr", ("ExpCDR", "CDR")), ("eye", ("Eye",))):
        present = [name for name in names if name in table.header]
        if present:
            texts = [row[table.position(*present)] for row in rows]
            records.columns[column] = numbers(texts) if column == "cdr" else text_column(texts)
    kept = [row for row, file in enumerate(records.paths) if file]
    records.problems = [
        FilmProblem(stem, "", "there is no such image, or it is empty (0 bytes)")
        for stem, file in zip(stems, records.paths, strict=True)
        if not file
    ]
    if not kept:
        raise DataError(
            f"none of the {len(rows)} images of {path} is under {root}: looked in {', '.join(spec.files.images)}"
        )
    records.keep(kept)
    return records
