"""CheXpert: train.csv and valid.csv, uncertain labels, paths with or without the release's prefix."""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError
from graphret._labels import is_missing
from graphret.data.columns import numbers, text_column
from graphret.data.listing import file_problem
from graphret.data.records import Records, find_table
from graphret.data.table import FilmProblem
from graphret.data.table_file import LONGEST_NAME, LONGEST_TEXT, TableFile

if TYPE_CHECKING:
    from pathlib import Path

    from graphret.data.cards import DatasetSpec

__all__ = ["CHEXPERT_LABELS", "parse_chexpert_table", "read_chexpert"]

CHEXPERT_LABELS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
_VALUES = {"0": 0, "0.0": 0, "1": 1, "1.0": 1, "-1": -1, "-1.0": -1}
_PATIENT = re.compile(r"patient\d+")


def read_chexpert(spec: DatasetSpec, root: Path) -> Records:
    """Read a copy of CheXpert: the films of train.csv are "train", those of valid.csv "test".

    Without valid.csv the splits stay open. Films of other views than the dataset spec keeps are passed over before
    their files are looked for.

    Raises
    ------
    MissingFileError
        The folder or train.csv is not there.
    DataError
        A table is not CheXpert's, or none of its films is under ``root``.
    """
    train = find_table(root, spec.files.tables, "training table of CheXpert")
    records = parse_chexpert_table(train, spec.files.strip_prefixes)
    tests = [root / name for name in spec.files.test_tables if (root / name).is_file()]
    if tests:
        records.splits = ["train"] * len(records.ids)
        _append(records, parse_chexpert_table(tests[0], spec.files.strip_prefixes), "test")
    if spec.views:
        records.keep([row for row, view in enumerate(records.views) if view in spec.views])
    bases = [root, *(root / prefix for prefix in spec.files.strip_prefixes)]
    base = next((base for base in bases if any((base / name).is_dir() for name in ("train", "valid"))), root)
    kept = []
    for row, film in enumerate(records.ids):
        path = str(base / film)
        # A study's folder holds one or two films: asking for each is cheaper than listing 190,000 folders.
        reason = file_problem(path)
        records.paths.append(path)
        if reason:
            records.problems.append(FilmProblem(film, path, reason))
        else:
            kept.append(row)
    if not kept:
        raise DataError(
            f"none of the {len(records.ids)} films of {train} can be used: looked for folders train/ and valid/ in "
            f"{', '.join(map(str, bases))}"
        )
    records.keep(kept)
    return records


def parse_chexpert_table(path: Path, strip_prefixes: tuple[str, ...] = ()) -> Records:
    """Read train.csv or valid.csv (plain or .gz) without looking for films.

    1 is positive, -1 uncertain, 0 negative, and a blank (`_labels.MISSING`) is negative too (Haq et al. 2021, Table 1
    counts it so). The view of a lateral film is "LATERAL", of a frontal one what the column AP/PA says.

    Raises
    ------
    DataError
        A column is missing, or a value is none of 1, 0, -1 and blank.
    """
    table = TableFile(path)
    film, sex, age, side, view = (table.position(n) for n in ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA"))
    places = [table.position(name) for name in CHEXPERT_LABELS]
    rows = list(table.rows({film: LONGEST_TEXT, **dict.fromkeys((sex, side, view), LONGEST_NAME)}))
    # 223,414 films have some thousand different combinations of labels: each is translated once.
    pick = itemgetter(*places)
    combinations: dict[tuple[str, ...], int] = {}
    positions = [combinations.setdefault(pick(row), len(combinations)) for row in rows]
    texts = {text for texts in combinations for text in texts}
    values = {text: 0 if is_missing(text) else _VALUES.get(text.strip()) for text in texts}
    unknown = [text.strip() for text, value in values.items() if value is None]
    if unknown:
        value = min(unknown)
        row, place = next((row, place) for row in rows for place in places if row[place].strip() == value)
        raise DataError(f"{path}: {table.header[place]} of {row[film]} is {value!r}: give 1, 0, -1 or leave it blank")
    labels = np.array([[values[text] for text in texts] for texts in combinations], dtype=np.int8)
    ids = [_without_prefix(row[film].strip(), strip_prefixes) for row in rows]
    return Records(
        ids=ids,
        labels=labels.reshape(-1, len(places))[positions],
        label_names=CHEXPERT_LABELS,
        patients=[_patient(film) for film in ids],
        views=["LATERAL" if row[side].strip() == "Lateral" else row[view].strip() for row in rows],
        splits=[""] * len(rows),
        columns={
            "age": numbers([row[age] for row in rows]),
            "sex": text_column([row[sex].strip() for row in rows]),
        },
    )


def _append(records: Records, more: Records, split: str) -> None:
    records.ids += more.ids
    records.patients += more.patients
    records.views += more.views
    records.splits += [split] * len(more.ids)
    records.labels = np.concatenate([records.labels, more.labels])
    records.columns = {name: np.concatenate([values, more.columns[name]]) for name, values in records.columns.items()}


def _without_prefix(path: str, prefixes: tuple[str, ...]) -> str:
    for prefix in prefixes:
        if path.startswith(prefix):
            return path[len(prefix) :]
    return path


def _patient(path: str) -> str:
    found = _PATIENT.search(path)
    return found.group() if found else ""
