"""What has arrived in a folder: pictures by their places, DICOM films by their headers, as `add` reads them."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, FilmError, MissingFileError
from graphret.data import FilmProblem, ImageTable, read_dataset_spec
from graphret.data.datasets import table_of_records
from graphret.data.dicom_folder import check_lists, dicom_records
from graphret.data.dicom_tags import read_tags
from graphret.data.film_kinds import DICOM, kind_of
from graphret.data.images import DICOM_SUFFIXES
from graphret.data.origin import SpecOrigin
from graphret.data.pseudonyms import salt_file
from graphret.data.skipped import Skipped
from graphret.data.walk import walk_folders
from graphret.files import check_path, file_state
from graphret.index.generation import open_generation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from graphret.data.walk import FoundFilm, Walk

__all__ = ["Arrived", "ArrivingFilms"]

logger = logging.getLogger(__name__)


@dataclass
class Arrived:
    """What a look into a folder found.

    Parameters
    ----------
    tables
        Films, those of each table known in the same way.
    left_out
        Films that cannot be taken, by their headers.
    others
        What is no film, or cannot be entered.
    """

    tables: list[ImageTable] = field(default_factory=list)
    left_out: list[FilmProblem] = field(default_factory=list)
    others: list[FilmProblem] = field(default_factory=list)


class ArrivingFilms:
    """A folder that is looked into again and again, for one index; a header is read once, until its file changes.

    Pictures are known by their places under the folder. DICOM films are read by the dataset spec of an index that was
    made of DICOM files, else by the spec "dicom"; those that such another index has under their places stay there.

    Parameters
    ----------
    path
        Folder of the index.
    folder
        Searched to any depth.
    settled
        Seconds for which a file must not have changed.
    """

    def __init__(self, path: str | os.PathLike[str], folder: str | os.PathLike[str], settled: float) -> None:
        self._index = check_path("path", path)
        self._folder = check_path("folder", folder).absolute()
        self._settled = settled
        self._headers: dict[str, tuple[tuple[int, int], dict[str, list[str]] | FilmError]] = {}
        self._kinds: dict[str, tuple[tuple[int, int], bool]] = {}
        origin = open_generation(self._index).read_films().origin
        self._is_of_dicom = origin is not None and origin.spec.reader == "dicom"
        self._origin = (
            origin if origin is not None and self._is_of_dicom else SpecOrigin(read_dataset_spec("dicom"), "dicom")
        )

    def look(self) -> Arrived:
        """Look once.

        Raises
        ------
        MissingFileError
            There is no such folder.
        DataError
            It cannot be listed, or the salt of the index is not there.
        GraphretError
            As `read_dataset`.
        """
        if not self._folder.is_dir():
            raise MissingFileError(self._folder, "folder of films", "give the folder in which films arrive")
        if self._is_of_dicom:
            self._check_salt()
        walk = walk_folders(self._folder)
        n_young = self._drop_young(walk)
        films = walk.films()
        dicom = self._by_header(films)
        if self._is_of_dicom and not n_young:  # what a list names may still be on its way
            check_lists(walk, dicom)
        by_header = set(dicom)
        plain = [film for film in films if film not in by_header]
        arrived = Arrived(others=walk.skipped.problems())
        if plain:
            arrived.tables.append(
                ImageTable(
                    ids=np.array([film.id for film in plain]),
                    paths=np.array([film.path for film in plain]),
                    labels=np.zeros((len(plain), 0), dtype=np.int8),
                    root=str(self._folder),
                )
            )
        if dicom:
            self._read_headers(dicom, arrived)
        return arrived

    def _check_salt(self) -> None:
        """Refuse to make a new salt: every film would come again, and every patient become another."""
        dicom = self._origin.spec.dicom
        salt = salt_file(dicom.salt_file or None)
        if dicom.identifiers == "hash" and not os.path.exists(salt):  # noqa: PTH110 - False also where it is not allowed
            raise DataError(
                f"the films of {self._index} were named by a salt, and there is none at {salt} that can be read: with "
                "a new one, known films and patients would come again under other names; put the salt there that the "
                "index was built with, or let GRAPHRET_SALT_FILE name it"
            )

    def _drop_young(self, walk: Walk) -> int:
        """Take away files that may still be being written; returns how many."""
        now, n_files = time.time(), len(walk.files)
        walk.files = [
            file
            for file in walk.files
            # a clock that goes wrong hides nothing for ever
            if abs(now - file_state(os.path.join(file.folder, file.entry.name))[1] / 1e9) >= self._settled  # noqa: PTH118
        ]
        n_young = n_files - len(walk.files)
        if n_young:
            logger.info("%d files may still be being written: they wait", n_young)
        return n_young

    def _by_header(self, films: Sequence[FoundFilm]) -> list[FoundFilm]:
        """DICOM films, but for those that an index of other films has under their places."""
        dicom = [film for film in films if self._is_dicom(film.path)]
        if dicom and not self._is_of_dicom:
            known = set(open_generation(self._index).read_ids().tolist())
            dicom = [film for film in dicom if film.id not in known]
        return dicom

    def _is_dicom(self, path: str) -> bool:
        """Whether a film ends like DICOM, or begins like it whatever its name."""
        if path.lower().endswith(DICOM_SUFFIXES):
            return True
        state = file_state(path)
        before, found = self._kinds.get(path, (None, False))
        if before != state:
            try:
                found = kind_of(path) == DICOM
            except OSError:  # encoding it will report that
                found = False
            self._kinds[path] = state, found
        return found

    def _read_headers(self, films: Sequence[FoundFilm], arrived: Arrived) -> None:
        """Put in the table of DICOM films, and what their headers say against them."""
        skipped = Skipped()
        records = dicom_records(self._origin.spec, self._folder, films, skipped, self._header)
        table = table_of_records(self._origin, self._folder, records)
        if table is not None:
            arrived.tables.append(table)
        for problem in skipped.problems():
            (arrived.left_out if problem.is_film else arrived.others).append(problem)

    def _header(self, path: Path, keywords: list[str]) -> dict[str, list[str]]:
        """Read a header, or what was read of it when the file was the same; the keywords are always the same."""
        state = file_state(path)
        before, found = self._headers.get(str(path), (None, None))
        if before != state or found is None:
            try:
                found = read_tags(path, keywords)
            except FilmError as error:
                found = error
            self._headers[str(path)] = state, found
        if isinstance(found, FilmError):
            raise found
        return found
