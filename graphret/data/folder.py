"""One folder per class, directly under the root or under folders named train, valid (or val), test."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, MissingFileError
from graphret.data.images import FILM_SUFFIXES
from graphret.data.records import Records
from graphret.data.walk import walk_folders

if TYPE_CHECKING:
    from pathlib import Path

    from graphret.data.cards import DatasetSpec

__all__ = ["read_folder"]

_SPLIT_FOLDERS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}


def read_folder(spec: DatasetSpec, root: Path) -> Records:
    """Read films from class folders; a film's id is its path under ``root``, with forward slashes.

    Class folders are searched to any depth, see `walk.walk_folders` for links and for folders that are not entered, and
    `film_kinds` for what is a film. Each film has one label, the name of its class folder. A film that lies
    beside the class folders has no class and is left out. Every file that is no film of the table is counted
    in ``problems``.

    Raises
    ------
    MissingFileError
        There is no such folder.
    DataError
        No class folders, split folders beside others, a class that the dataset spec does not know, or no films.
    """
    if not root.is_dir():
        raise MissingFileError(root, "folder of the data set", "give the folder that holds one folder per class")
    walk = walk_folders(root)
    tops = [parts[0] for parts in walk.folders if len(parts) == 1]
    has_splits = any(name.lower() in _SPLIT_FOLDERS for name in tops)
    others = [name for name in tops if name.lower() not in _SPLIT_FOLDERS]
    if has_splits and others:
        raise DataError(f"{root} holds split folders and also {', '.join(others)}: move one kind elsewhere")
    depth = 1 if has_splits else 0
    names = sorted({parts[depth] for parts in walk.folders if len(parts) == depth + 1})
    if spec.labels:
        unknown = sorted(set(names) - {source for label in spec.labels for source in spec.sources(label)})
        if unknown:
            raise DataError(
                f"folder {unknown[0]!r} under {root} is no class of the dataset spec: {', '.join(spec.labels)}"
            )
    films = walk.films(
        misplaced=lambda parts: "" if len(parts) > depth + 1 else "it lies beside the class folders: it has no class"
    )
    problems = walk.skipped.problems()
    if not films:
        first = f"; {problems[0].id}: {problems[0].reason}" if problems else ""
        raise DataError(
            f"no films under {root}: give one folder per class, with files that end in {', '.join(FILM_SUFFIXES)} or "
            f"begin like such files{first}"
        )
    places = {name: number for number, name in enumerate(names)}
    labels = np.zeros((len(films), len(names)), dtype=np.int8)
    labels[np.arange(len(films)), [places[film.parts[depth]] for film in films]] = 1
    pattern = re.compile(spec.patient_pattern) if spec.patient_pattern else None
    return Records(
        ids=[film.id for film in films],
        labels=labels,
        label_names=tuple(names),
        patients=[_patient(pattern, film.parts[-1]) for film in films],
        views=[""] * len(films),
        splits=[_SPLIT_FOLDERS[film.parts[0].lower()] if has_splits else "" for film in films],
        paths=[film.path for film in films],
        problems=problems,
    )


def _patient(pattern: re.Pattern[str] | None, name: str) -> str:
    found = pattern.search(name) if pattern else None
    return next((group for group in found.groups() if group), "") if found else ""
