"""TCIA: the folder trees of the NBIA data retriever, one class a collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, MissingFileError
from graphret.data.columns import text_column
from graphret.data.film_kinds import DICOM, film_reason
from graphret.data.images import DICOM_SUFFIXES
from graphret.data.listing import Folders
from graphret.data.records import Records
from graphret.data.skipped import Skipped
from graphret.data.table_file import LONGEST_NAME, LONGEST_TEXT, TableFile

if TYPE_CHECKING:
    from pathlib import Path

    from graphret.data.cards import DatasetSpec

__all__ = ["read_tcia"]


def read_tcia(spec: DatasetSpec, root: Path) -> Records:
    """Read series of DICOM files as a download from TCIA leaves them: metadata.csv, and a folder for every series.

    Every slice is a film; its label is its collection, its patient the subject, its view the modality. Series of other
    collections or modalities than the dataset spec keeps are passed over, and their folders are not looked at.

    Raises
    ------
    MissingFileError
        The folder or metadata.csv is not there.
    DataError
        A column is missing, or there is not one slice.
    """
    tables = sorted({path for name in spec.files.tables for path in root.glob(name)})
    if not tables:
        hint = f"looked for {', '.join(spec.files.tables)}; the data retriever writes it beside the collections"
        raise MissingFileError(root / "metadata.csv", "table of the series", hint)
    wanted = {source for label in spec.labels for source in spec.sources(label)}
    folders, skipped = Folders(), Skipped()
    collections: list[str] = []
    series_names: list[str] = []
    records = Records([], np.empty((0, 0), dtype=np.int8), (), [], [], [])
    for path in tables:
        table = TableFile(path)
        names = ("Collection", "Subject ID", "Modality", "File Location", "Series UID")
        collection, subject, modality, location, series = (table.position(name) for name in names)
        longest = dict.fromkeys((collection, subject, modality, series), LONGEST_NAME)
        for row in table.rows({**longest, location: LONGEST_TEXT}):
            if wanted and row[collection] not in wanted:
                continue
            if spec.views and row[modality] not in spec.views:
                continue
            folder = path.parent / row[location].replace("\\", "/").strip().removeprefix("./")
            if not folder.is_relative_to(root):
                skipped.add(row[series], str(folder), "its folder lies outside of the data set", is_film=True)
                continue
            n_slices = 0
            for name, entry in folders.files(folder).items():
                film = (folder / name).relative_to(root).as_posix()
                reason, is_film = film_reason(str(folder), entry, DICOM_SUFFIXES, (DICOM,))
                n_slices += is_film
                if reason:
                    skipped.add(film, str(folder / name), reason, is_film=is_film)
                    continue
                records.ids.append(film)
                records.paths.append(str(folder / name))
                records.patients.append(f"{row[collection]}/{row[subject]}")
                records.views.append(row[modality])
                collections.append(row[collection])
                series_names.append(row[series])
            if not n_slices:
                skipped.add(row[series], str(folder), "the folder of the series has no slice", is_film=True)
    records.problems = skipped.problems()
    if not records.ids:
        first = f"; first problem: {records.problems[0].reason}" if records.problems else ""
        kept = f"the collections {', '.join(sorted(wanted))}" if wanted else "any collection"
        raise DataError(f"no slice of {kept} is listed in {', '.join(map(str, tables))} and under {root}{first}")
    records.label_names = tuple(sorted(wanted | set(collections)))
    records.labels = (np.array(collections)[:, None] == np.array(records.label_names)).astype(np.int8)
    records.splits = [""] * len(records.ids)
    records.columns = {"series": text_column(series_names)}
    return records
