"""One folder per class, directly under the root or under folders named train, valid (or val), test."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, MissingFileError
from graphret.data.images import FILM_SUFFIXES
from graphret.data.records import Folders, Records, size_problem
from graphret.data.table import FilmProblem

if TYPE_CHECKING:
    from pathlib import Path

    from graphret.data.cards import Card

__all__ = ["read_folder"]

_SPLIT_FOLDERS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
_PASSED_OVER = (".", "__")  # hidden files, and what other systems leave in archives (__MACOSX)


def read_folder(card: Card, root: Path) -> Records:
    """Read films from class folders; a film's id is its path under ``root``, with forward slashes.

    Class folders are searched to any depth for files with a suffix of `FILM_SUFFIXES`. Each film has one label, the
    name of its class folder.

    Raises
    ------
    MissingFileError
        There is no such folder.
    DataError
        No class folders, split folders beside others, a class that the card does not know, or no films.
    """
    if not root.is_dir():
        raise MissingFileError(root, "folder of the data set", "give the folder that holds one folder per class")
    levels = _folders(root)
    split_levels = [folder for folder in levels if folder.name.lower() in _SPLIT_FOLDERS]
    if split_levels and len(split_levels) < len(levels):
        others = [folder.name for folder in levels if folder not in split_levels]
        raise DataError(f"{root} holds split folders and also {', '.join(others)}: move one kind elsewhere")
    tops = [(_SPLIT_FOLDERS[top.name.lower()], top) for top in split_levels] or [("", root)]
    classes = [(split, folder) for split, top in tops for folder in _folders(top)]
    names = sorted({folder.name for _, folder in classes})
    if card.labels:
        unknown = sorted(set(names) - {source for label in card.labels for source in card.sources(label)})
        if unknown:
            raise DataError(f"folder {unknown[0]!r} under {root} is no class of the card: {', '.join(card.labels)}")
    films = [(split, folder.name, path, size) for split, folder in classes for path, size in _films(folder)]
    if not films:
        suffixes = ", ".join(FILM_SUFFIXES)
        raise DataError(f"no films under {root}: give one folder per class, with files that end in {suffixes}")
    pattern = re.compile(card.patient_pattern) if card.patient_pattern else None
    records = Records(
        ids=[path.relative_to(root).as_posix() for _, _, path, _ in films],
        labels=(np.array([[name] for _, name, _, _ in films]) == np.array([names])).astype(np.int8),
        label_names=tuple(names),
        patients=[_patient(pattern, path.name) for _, _, path, _ in films],
        views=[""] * len(films),
        splits=[split for split, _, _, _ in films],
        paths=[str(path) for _, _, path, _ in films],
    )
    reasons = [size_problem(size) for _, _, _, size in films]
    for film, path, reason in zip(records.ids, records.paths, reasons, strict=True):
        if reason:
            records.problems.append(FilmProblem(film, path, reason))
    records.keep([row for row, reason in enumerate(reasons) if not reason])
    return records


def _folders(top: Path) -> list[Path]:
    return sorted(path for path in top.iterdir() if path.is_dir() and not path.name.startswith(_PASSED_OVER))


def _films(folder: Path) -> list[tuple[Path, int]]:
    """Films of a class folder and its sub-folders, by name; every folder is listed once."""
    here = [
        (folder / name, size)
        for name, size in sorted(Folders().sizes(folder).items())
        if name.lower().endswith(FILM_SUFFIXES) and not name.startswith(_PASSED_OVER)
    ]
    return here + [film for below in _folders(folder) for film in _films(below)]


def _patient(pattern: re.Pattern[str] | None, name: str) -> str:
    found = pattern.search(name) if pattern else None
    return next((group for group in found.groups() if group), "") if found else ""
