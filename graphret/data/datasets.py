"""From a dataset spec and a folder to an `ImageTable`: reader, views, labels, splits, in this order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError, UnknownNameError
from graphret.data.cards import DatasetSpec, read_dataset_spec
from graphret.data.chexpert import read_chexpert
from graphret.data.cifar_batches import read_cifar
from graphret.data.csv_table import read_csv
from graphret.data.dicom_folder import read_dicom_folder
from graphret.data.elcap import read_elcap
from graphret.data.folder import read_folder
from graphret.data.jsrt import read_jsrt
from graphret.data.listing import name_problem, shown
from graphret.data.nih import read_nih
from graphret.data.origa import read_origa
from graphret.data.origin import SpecOrigin
from graphret.data.other_readers import OTHER_READERS
from graphret.data.sample import sample_films
from graphret.data.splits import SPLITS, StrArray, split_by_patient
from graphret.data.table import ImageTable
from graphret.data.tcia import read_tcia
from graphret.files import check_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from graphret.data.records import Records

__all__ = ["consolidate", "read_dataset", "table_of_records"]

_READERS: dict[str, Callable[[DatasetSpec, Path], Records]] = {
    "chexpert": read_chexpert,
    "cifar10": read_cifar,
    "csv": read_csv,
    "dicom": read_dicom_folder,
    "elcap": read_elcap,
    "folder": read_folder,
    "jsrt": read_jsrt,
    "nih": read_nih,
    "origa": read_origa,
    "tcia": read_tcia,
}


def read_dataset(spec: str | Path | DatasetSpec, root: str | Path, split: str | None = None) -> ImageTable:
    """Read a data set: its dataset spec says what is kept, ``root`` is where its files are.

    Films that are listed but missing or empty are left out and named in ``problems``, as are the files of class folders
    that are no films; those beyond the dataset spec's sample are left out silently. Where the archive has no official
    split, patients are split by `split_by_patient` with the dataset spec's fractions and seed; where it has one without
    a validation part, that part is taken from the training patients.

    Parameters
    ----------
    spec
        Name of a dataset spec in `list_dataset_specs`, path of a .toml dataset spec, or a `DatasetSpec`.
    root
        Folder of the archive.
    split
        Keep "train", "valid" or "test"; None keeps all.

    Returns
    -------
    ImageTable
        In the order of the archive's table, or of the sorted paths.

    Raises
    ------
    UnknownNameError
        No such dataset spec, no such split.
    MissingFileError
        The folder or its table is not there.
    DataError
        The files are not what the dataset spec says, or an official split shares patients.

    Examples
    --------
    >>> import tempfile
    >>> from graphret.data import generate_phantom
    >>> with tempfile.TemporaryDirectory() as root:
    ...     generate_phantom(root, 12, size=32)
    ...     table = read_dataset("phantom", root)
    >>> len(table), table.label_names[:2], table.spec
    (12, ('Atelectasis', 'Cardiomegaly'), 'phantom')
    """
    if split is not None and split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    origin = _origin(spec)
    spec = origin.spec
    root = check_path("root", root).absolute()
    if name_problem(str(root)):
        raise DataError(
            f"the folder {shown(str(root))} has a name that is not UTF-8, and an index cannot store it: rename it, or "
            "give a link of another name"
        )
    reader = _READERS.get(spec.reader) or OTHER_READERS[spec.reader]
    records = reader(spec, root)
    table = table_of_records(origin, root, records)
    if table is None:
        views = f" of the views {', '.join(spec.views)}" if spec.views else ""
        reasons = f"; {len(records.problems)} problems, first: {records.problems[0].reason}" if records.problems else ""
        raise DataError(f"the data set under {root} has no films{views}{reasons}")
    return table if split is None else table.split(split)


def table_of_records(origin: SpecOrigin, root: Path, records: Records) -> ImageTable | None:
    """Apply a dataset spec to what its reader found under ``root``, absolute; None where no film is left.

    Raises
    ------
    DataError
        As `read_dataset`.
    """
    spec = origin.spec
    if spec.views:
        records.keep([row for row, view in enumerate(records.views) if view in spec.views])
    if not records.ids:
        return None
    patients = np.array([patient or film for patient, film in zip(records.patients, records.ids, strict=True)])
    table = ImageTable(
        ids=np.array(records.ids),
        paths=np.array(records.paths),
        labels=consolidate(spec, records.labels, records.label_names),
        label_names=spec.labels or records.label_names,
        patients=patients,
        views=np.array(records.views),
        splits=_splits(spec, patients, np.array(records.splits)),
        columns=records.columns,
        problems=tuple(records.problems),
        spec=spec.name,
        origin=origin,
        root=str(root),
    )
    table = sample_films(table, spec.sample)
    if not spec.allow_shared_patients:
        table.check_patients()
    return table


def _origin(spec: str | Path | DatasetSpec) -> SpecOrigin:
    """Return a dataset spec with what names it, as `read_dataset` takes it."""
    if isinstance(spec, DatasetSpec):
        return SpecOrigin(spec)
    is_file = Path(spec).suffix == ".toml"
    return SpecOrigin(read_dataset_spec(spec), str(Path(spec).absolute()) if is_file else str(spec))


def consolidate(spec: DatasetSpec, labels: NDArray[Any], label_names: tuple[str, ...]) -> NDArray[np.int8]:
    """Turn the archive's labels (n, S) into the dataset spec's (n, L): positive over uncertain over negative.

    A label that the archive does not record is refused, except in a table whose labels are names in one column or
    folders: there a name that no film has is negative everywhere.

    Raises
    ------
    DataError
        The dataset spec asks for a label that the archive does not have.
    """
    if not spec.labels:
        return labels.astype(np.int8)
    places = {name: number for number, name in enumerate(label_names)}
    merged = np.zeros((len(labels), len(spec.labels)), dtype=np.int8)
    for number, label in enumerate(spec.labels):
        missing = [source for source in spec.sources(label) if source not in places]
        if missing and spec.reader != "folder":
            raise DataError(
                f"dataset spec {spec.name!r}: the archive has no label {missing[0]!r}: "
                f"give some of {', '.join(label_names)}"
            )
        sources = labels[:, [places[source] for source in spec.sources(label) if source in places]]
        positive, uncertain = (sources == 1).any(axis=1), (sources == -1).any(axis=1)
        merged[:, number] = np.where(positive, 1, np.where(uncertain, -1, 0))
    return merged


def _splits(spec: DatasetSpec, patients: StrArray, splits: StrArray) -> StrArray:
    fractions, seed = spec.splits.fractions, spec.splits.seed
    unlisted = splits == ""
    if unlisted.all():
        return split_by_patient(patients, fractions, seed)
    if unlisted.any():
        raise DataError(
            f"{int(unlisted.sum())} of {len(splits)} films have no split (first: row {int(np.argmax(unlisted))}): "
            "give every film one, or none"
        )
    train, share = splits == "train", fractions[0] + fractions[1]
    if not train.any() or np.any(splits == "valid") or fractions[1] == 0:
        return splits
    splits = splits.copy()
    splits[train] = split_by_patient(patients[train], (fractions[0] / share, fractions[1] / share, 0.0), seed)
    return splits
