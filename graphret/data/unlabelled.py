"""A folder of films of which nothing else is known, such as new films that are to be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, MissingFileError
from graphret.data.images import FILM_SUFFIXES
from graphret.data.table import ImageTable
from graphret.data.walk import walk_folders
from graphret.files import check_path

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_unlabelled"]


def read_unlabelled(folder: str | Path) -> ImageTable:
    """Find the films in a folder and below it, by the rules of a data set of folders; none is decoded.

    Parameters
    ----------
    folder
        Searched to any depth, see `walk.walk_folders` for links and folders of the system, `film_kinds` for what is a
        film.

    Returns
    -------
    ImageTable
        Films without labels: ids are their places under the folder, sorted, with forward slashes. Every other file is
        counted in ``problems``.

    Raises
    ------
    MissingFileError
        There is no such folder.
    DataError
        It holds no films.

    Examples
    --------
    >>> import tempfile
    >>> from graphret.data import generate_phantom
    >>> with tempfile.TemporaryDirectory() as root:
    ...     generate_phantom(root, 2, size=32)
    ...     films = read_unlabelled(root)
    >>> films.ids.tolist()[0], [problem.id for problem in films.problems]
    ('images/p00000_00.png', ['films.csv'])
    """
    folder = check_path("folder", folder)
    if not folder.is_dir():
        raise MissingFileError(folder, "folder of films", "give a folder, or the films by their paths")
    walk = walk_folders(folder)
    films = walk.films()
    problems = walk.skipped.problems()
    if not films:
        first = f"; {problems[0].id}: {problems[0].reason}" if problems else ""
        kinds = f"films that end in {', '.join(FILM_SUFFIXES)} or begin like such files"
        raise DataError(f"no films under {folder}: give {kinds}{first}")
    return ImageTable(
        ids=np.array([film.id for film in films]),
        paths=np.array([film.path for film in films]),
        labels=np.zeros((len(films), 0), dtype=np.int8),
        label_names=(),
        problems=tuple(problems),
        root=str(folder),
    )
