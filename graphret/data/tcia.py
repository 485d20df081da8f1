"""TCIA: the folder trees of the NBIA data retriever, one class a collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, MissingFileError
from graphret.data.images import DICOM_SUFFIXES
from graphret.data.records import Folders, Records, TableFile, size_problem
from graphret.data.table import FilmProblem

if TYPE_CHECKING:
    from pathlib import Path

    from graphret.data.cards import Card

__all__ = ["read_tcia"]


def read_tcia(card: Card, root: Path) -> Records:
    """Read series of DICOM files as a download from TCIA leaves them: metadata.csv, and a folder for every series.

    Every slice is a film; its label is its collection, its patient the subject, its view the modality. Series of other
    collections or modalities than the card keeps are passed over, and their folders are not looked at.

    Raises
    ------
    MissingFileError
        The folder or metadata.csv is not there.
    DataError
        A column is missing, or there is not one slice.
    """
    tables = sorted({path for name in card.files.tables for path in root.glob(name)})
    if not tables:
        hint = f"looked for {', '.join(card.files.tables)}; the data retriever writes it beside the collections"
        raise MissingFileError(root / "metadata.csv", "table of the series", hint)
    wanted = {source for label in card.labels for source in card.sources(label)}
    folders = Folders()
    collections: list[str] = []
    series_names: list[str] = []
    records = Records([], np.empty((0, 0), dtype=np.int8), (), [], [], [])
    for path in tables:
        table = TableFile(path)
        names = ("Collection", "Subject ID", "Modality", "File Location", "Series UID")
        collection, subject, modality, location, series = (table.position(name) for name in names)
        for row in table.rows():
            if wanted and row[collection] not in wanted:
                continue
            if card.views and row[modality] not in card.views:
                continue
            folder = path.parent / row[location].replace("\\", "/").strip().removeprefix("./")
            files = [(name, size) for name, size in sorted(folders.sizes(folder).items()) if _is_slice(name)]
            if not files:
                records.problems.append(FilmProblem(row[series], str(folder), "the folder of the series has no slice"))
            for name, size in files:
                film = (folder / name).relative_to(root).as_posix()
                reason = size_problem(size)
                if reason:
                    records.problems.append(FilmProblem(film, str(folder / name), reason))
                    continue
                records.ids.append(film)
                records.paths.append(str(folder / name))
                records.patients.append(f"{row[collection]}/{row[subject]}")
                records.views.append(row[modality])
                collections.append(row[collection])
                series_names.append(row[series])
    if not records.ids:
        first = f"; first problem: {records.problems[0].reason}" if records.problems else ""
        kept = f"the collections {', '.join(sorted(wanted))}" if wanted else "any collection"
        raise DataError(f"no slice of {kept} is listed in {', '.join(map(str, tables))} and under {root}{first}")
    records.label_names = tuple(sorted(wanted | set(collections)))
    records.labels = (np.array(collections)[:, None] == np.array(records.label_names)).astype(np.int8)
    records.splits = [""] * len(records.ids)
    records.columns = {"series": np.array(series_names, dtype=np.str_)}
    return records


def _is_slice(name: str) -> bool:
    return name.lower().endswith(DICOM_SUFFIXES)
