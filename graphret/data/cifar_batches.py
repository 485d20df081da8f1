"""CIFAR-10 in its binary version, as the owners pack it: five training batches, and a test batch.

The Python version of the same data set is pickled, and is never read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, MissingFileError
from graphret.data.cifar import CIFAR_LABELS, CIFAR_RECORD, CIFAR_SUFFIX, is_cifar
from graphret.data.frame_place import with_frame
from graphret.data.listing import open_regular
from graphret.data.records import Records

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.data.cards import DatasetSpec

__all__ = ["read_cifar"]

_TRAIN, _TEST = tuple(f"data_batch_{number}" for number in range(1, 6)), "test_batch"
_NAMES = "batches.meta.txt"


def read_cifar(spec: DatasetSpec, root: Path) -> Records:
    """Read the five training batches and the test batch, in one of the spec's folders of images.

    The id of an image is its batch and its number there, as "data_batch_1-00001". Nothing says who took an image, so
    each is its own patient. Where batches.meta.txt is there, its names of the classes must be those of CIFAR-10.

    Raises
    ------
    MissingFileError
        No folder has a batch, or one of the six is missing.
    DataError
        A batch is not made of whole records, a class is not 0 to 9, or the names are other ones.
    """
    folder = _folder(spec, root)
    _check_names(folder / _NAMES)
    records = Records([], np.empty((0, 0), dtype=np.int8), CIFAR_LABELS, [], [], [])
    classes: list[NDArray[np.uint8]] = []
    for batch in (*_TRAIN, _TEST):
        path = folder / f"{batch}{CIFAR_SUFFIX}"
        found = _classes(path)
        classes.append(found)
        records.ids += [f"{batch}-{number:05d}" for number in range(1, len(found) + 1)]
        records.paths += [with_frame(str(path), number) for number in range(1, len(found) + 1)]
        records.splits += ["test" if batch == _TEST else "train"] * len(found)
    records.labels = (np.concatenate(classes)[:, None] == np.arange(len(CIFAR_LABELS))).astype(np.int8)
    records.patients = [""] * len(records.ids)
    records.views = [""] * len(records.ids)
    return records


def _folder(spec: DatasetSpec, root: Path) -> Path:
    folders = [root / name for name in spec.files.images]
    for folder in folders:
        if any((folder / f"{batch}{CIFAR_SUFFIX}").is_file() for batch in (*_TRAIN, _TEST)):
            return folder
    pickled = next(
        (folder for folder in folders if any((folder / batch).is_file() for batch in (*_TRAIN, _TEST))), None
    )
    if pickled is not None:
        raise DataError(
            f"{pickled} has the Python version of CIFAR-10, which is pickled and never read: give the folder of the "
            "binary version (cifar-10-binary.tar.gz, unpacked)"
        )
    raise MissingFileError(
        root / f"{_TRAIN[0]}{CIFAR_SUFFIX}",
        "batch of CIFAR-10",
        f"looked in {', '.join(spec.files.images)} under {root}",
    )


def _check_names(path: Path) -> None:
    if not path.is_file():
        return
    with open_regular(path) as file:
        names = tuple(file.read(CIFAR_RECORD).decode(errors="replace").split())
    if names != CIFAR_LABELS:
        raise DataError(
            f"{path} names the classes {', '.join(names[: len(CIFAR_LABELS)])}: this is not CIFAR-10, which has "
            f"{', '.join(CIFAR_LABELS)}"
        )


def _classes(path: Path) -> NDArray[np.uint8]:
    """The class of every record of a batch; the images are passed over."""
    if not path.is_file():
        raise MissingFileError(path, "batch of CIFAR-10", "all six are needed: data_batch_1 to 5, and test_batch")
    if not is_cifar(path):
        raise DataError(
            f"{path} has {path.stat().st_size:,} bytes, no multiple of the {CIFAR_RECORD:,} of an image: it is cut, or "
            "another kind of file"
        )
    found = np.array(np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, CIFAR_RECORD)[:, 0])
    wrong = np.flatnonzero(found >= len(CIFAR_LABELS))
    if len(wrong):
        raise DataError(
            f"{path}: image {wrong[0] + 1:,} is of class {found[wrong[0]]}: CIFAR-10 has the classes 0 to 9"
        )
    return found
