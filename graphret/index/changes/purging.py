"""A patient is taken out of an index for good: of every generation, and of what unfinished work has left."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DamagedIndexError, InvalidParameterError, MissingFileError, StoreError
from graphret.data.thumbnail_store import ThumbnailStore, thumbnail_folder
from graphret.files import check_path, is_partial, remove_folder, remove_partials, storage_errors
from graphret.index.changes.change import Change, Current, changing
from graphret.index.changes.naming import PatientNames
from graphret.index.changes.removing import contents_without
from graphret.index.changes.unchanged import as_it_is
from graphret.index.derived import remove_derived
from graphret.index.filters import PATIENTS_ARE_NAMED
from graphret.index.generation import open_folder
from graphret.index.lists_file import lists_file, remove_marks
from graphret.index.store import BUILD, generation_names

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    from graphret._types import Progress
    from graphret.data import ImageTable

__all__ = ["purge_patient"]

logger = logging.getLogger(__name__)


def purge_patient(
    path: str | os.PathLike[str],
    patient: str,
    *,
    lists: str | os.PathLike[str] | None = None,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Change:
    """Take a patient out of every generation of an index; see `Index.purge`."""
    if not isinstance(patient, str) or not patient:
        raise InvalidParameterError("patient", patient, "the name of a patient, as the column patient has it")
    marks = None if lists is None else check_path("lists", lists)
    if marks is not None and not marks.exists():
        raise MissingFileError(marks, "file of marks", "give the one that graphret serve keeps (--lists)")
    with changing(path, "purge", keep=1) as current:
        films = current.films
        gone = np.flatnonzero(films.patients == patient)
        names, paths = _named(films, patient)
        older = [name for name in generation_names(current.root) if name != current.generation.name]
        for name in older:
            older_names, older_paths = _films_of(current, name, patient)
            names, paths = names | older_names, paths | older_paths
        staying = films.paths[films.patients != patient].tolist()
        patient_names = PatientNames({patient, *names}, paths, root=films.root, staying=staying)
        problems = tuple(problem for problem in films.problems if not patient_names.are_in_problem(problem))
        n_problems = len(films.problems) - len(problems)
        work = (current.root / BUILD).exists() or any(is_partial(entry.name) for entry in current.root.iterdir())
        if not names and not n_problems and not work:
            hint = f"nothing was changed; {PATIENTS_ARE_NAMED}"
            raise InvalidParameterError("patient", patient, "a patient of the index, also of older generations", hint)
        # first: where they cannot be removed, the patient is still there to be purged again
        n_marks = _remove_marks(current, marks, names, patient_names.are_in)
        with storage_errors(current.root / BUILD, "remove"):
            shutil.rmtree(current.root / BUILD, ignore_errors=not (current.root / BUILD).exists())
            remove_partials(current.root, sole_writer=True)
        name = current.generation.name
        current.__dict__["films"] = replace(films, problems=problems)
        if len(gone):
            name = current.publish(
                lambda folder: contents_without(current, gone, folder, n_threads=n_threads, progress=progress)
            )
        elif n_problems:
            name = current.publish(lambda _: as_it_is(current, films=current.films))
        remove_derived(current.root)
        ThumbnailStore(thumbnail_folder(current.root), 0).clear()  # of all films: those of older generations as well
        for other in generation_names(current.root):
            if other != name:
                remove_folder(current.root / other)
        counts = {
            "films_removed": len(gone),
            "films_of_older_generations": len(names) - len(gone),
            "problems_removed": n_problems,
            "marks_removed": n_marks,
            "generations_removed": len(older) + (name != current.generation.name),
        }
        return Change("purge", name, counts)


def _named(films: ImageTable, patient: str) -> tuple[set[str], set[str]]:
    """Ids and paths of a patient's films."""
    rows = films.patients == patient
    return set(films.ids[rows].tolist()), set(films.paths[rows].tolist())


def _films_of(current: Current, name: str, patient: str) -> tuple[set[str], set[str]]:
    """The same of an older generation; it is removed as a whole, also where it cannot be read."""
    try:
        return _named(open_folder(current.root, name).read_films(), patient)
    except (DamagedIndexError, StoreError) as error:
        logger.warning("%s cannot be read, and is removed: %s", name, error)
        return set(), set()


def _remove_marks(current: Current, file: Path | None, films: set[str], names_patient: Callable[[str], bool]) -> int:
    """Remove what users of the service have marked; what else names the patient there is said."""
    place = lists_file(current.root.absolute()) if file is None else file
    if file is None and not place.exists():
        return 0
    n_removed, n_left = remove_marks(place, current.root.absolute().name, films, names_patient)
    if n_left:
        logger.warning("%d notes or names of lists in %s name the patient: look through them", n_left, place)
    return n_removed
