"""DICOM files as an archive holds them: any folders, any names, their tags as the columns of a table."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, DatasetSpecError, FilmError, MissingFileError
from graphret.data.columns import ages, names_of, text_column
from graphret.data.decoding.limits import MAX_FRAMES
from graphret.data.dicom_copies import IDENTITY, Copy, further_copies
from graphret.data.dicom_labels import table_labels
from graphret.data.dicom_tags import read_tags
from graphret.data.dicomdir import is_dicomdir, listed_films
from graphret.data.film_kinds import DICOM
from graphret.data.frame_place import with_frame
from graphret.data.images import DICOM_SUFFIXES
from graphret.data.pseudonyms import Pseudonyms
from graphret.data.records import Records
from graphret.data.walk import FoundFilm, walk_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphret.data.cards import DatasetSpec
    from graphret.data.skipped import Skipped
    from graphret.data.walk import Walk

__all__ = ["check_lists", "dicom_records", "read_dicom_folder"]

_DATE = re.compile(r"((?:19|20)\d\d)\.?(\d\d)\.?(\d\d)")


@dataclass
class _Rows:
    """The films, column by column; the label names of a film are the values of one tag."""

    records: Records
    columns: dict[str, list[str]]
    labels: list[list[str]] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)


def read_dicom_folder(spec: DatasetSpec, root: Path) -> Records:
    """Read all DICOM films under a folder; what a tag is called, and which frames are read, ``spec.dicom`` says.

    A film is any file that ends like DICOM, or begins like it whatever its name; `walk.walk_folders` says what is
    entered. Pictures that a DICOMDIR lists and that are not there are problems. Files without a picture (reports,
    presentation states) and those of other modalities are counted apart. A film that comes twice, by its SOP instance
    UID, is kept once; another picture of the same UID is a problem, see `dicom_copies`.

    Columns: ``sex`` (M, F, O or ""), ``age`` (years, from the age or else the date of birth), ``date`` (year-month-day
    or ""), ``study``, and those of ``spec.dicom.tags``. Ids, patients and studies are salted hashes unless the dataset
    spec keeps them, see `pseudonyms`.

    Raises
    ------
    MissingFileError
        There is no such folder.
    DatasetSpecError
        A tag of the dataset spec is no keyword of the standard.
    DataError
        There is no film, or the table of labels is not whole.
    """
    if not root.is_dir():
        raise MissingFileError(root, "folder of the data set", "give the folder that holds the DICOM files")
    walk = walk_folders(root)
    films = walk.films(DICOM_SUFFIXES, (DICOM,), lambda parts: "a list of films" if is_dicomdir(parts[-1]) else "")
    check_lists(walk, films)
    records = dicom_records(spec, root, films, walk.skipped)
    records.problems = walk.skipped.problems()
    if not records.ids:
        first = f"; {records.problems[0].id}: {records.problems[0].reason}" if records.problems else ""
        raise DataError(f"no DICOM films under {root}: give files that end in {', '.join(DICOM_SUFFIXES)} or begin "
                        f"like such files{first}")  # fmt: skip
    return records


def dicom_records(
    spec: DatasetSpec,
    root: Path,
    films: Sequence[FoundFilm],
    skipped: Skipped,
    read: Callable[[Path, list[str]], dict[str, list[str]]] = read_tags,
) -> Records:
    """Read the headers of DICOM films by ``read``, and the table of labels; there may be none to take.

    What is left out is noted in ``skipped``, and not among the problems of the records.

    Raises
    ------
    DatasetSpecError, MissingFileError, DataError
        As `read_dicom_folder`.
    """
    keywords = _keywords(spec)
    names = Pseudonyms(spec.dicom.salt_file or None) if spec.dicom.identifiers == "hash" else None
    rows = _Rows(Records([], np.empty((0, 0), np.int8), (), [], [], []), {name: [] for name in _columns(spec)})
    tags_of = {film: _tags(film, keywords, read) for film in films}
    copies = further_copies(tags_of)
    for film, tags in tags_of.items():
        try:
            if isinstance(tags, FilmError):
                raise tags
            _add(rows, spec, film, tags, names, skipped, copies.get(film))
        except FilmError as error:
            skipped.add(film.id, film.path, error.reason, is_film=True)
    if rows.records.ids:
        _label(rows, spec, root, skipped)
    return rows.records


def _columns(spec: DatasetSpec) -> dict[str, str]:
    """Further columns and their tags."""
    own = {name: getattr(spec.dicom, name) for name in ("sex", "age", "date", "study")}
    return {**{name: tag for name, tag in own.items() if tag}, **spec.dicom.tags}


def _keywords(spec: DatasetSpec) -> list[str]:
    from pydicom.datadict import tag_for_keyword

    named = {name: getattr(spec.dicom, name) for name in ("id", "patient", "view", "labels", "join")}
    for key, keyword in {**named, **_columns(spec)}.items():
        if keyword and tag_for_keyword(keyword) is None:
            raise DatasetSpecError(
                f"dataset spec {spec.name!r}: dicom.{key} = {keyword!r} is no keyword of DICOM: give one as 'PatientID'"
            )
    always = ["Modality", *IDENTITY, "StudyDate", "PatientBirthDate"]
    return list(dict.fromkeys([*always, *filter(None, named.values()), *_columns(spec).values()]))


def check_lists(walk: Walk, films: Sequence[FoundFilm]) -> None:
    """Note the pictures that a DICOMDIR lists and that are not there; discs are read with names in either case."""
    there = {film.id.lower() for film in films}
    for parts, path in walk.named(is_dicomdir):
        above = "/".join(parts[:-1])
        try:
            listed = listed_films(Path(path))
        except FilmError as error:
            walk.skipped.add("/".join(parts), path, error.reason, is_film=False)
            continue
        for place, reason in listed:
            name = f"{above}/{place}" if above else place
            if reason:
                walk.skipped.add(name, "", reason, is_film=True)
            elif name.lower() not in there:
                walk.skipped.add(name, "", "the DICOMDIR lists it, but it is not there, or no film", is_film=True)


def _tags(
    film: FoundFilm, keywords: list[str], read: Callable[[Path, list[str]], dict[str, list[str]]]
) -> dict[str, list[str]] | FilmError:
    try:
        return read(Path(film.path), keywords)
    except FilmError as error:
        return error


def _add(
    rows: _Rows, spec: DatasetSpec, film: FoundFilm, tags: dict[str, list[str]], names: Pseudonyms | None,
    skipped: Skipped, copy: Copy | None,
) -> None:  # fmt: skip
    dicom, records = spec.dicom, rows.records

    def first(keyword: str) -> str:
        return next(iter(tags.get(keyword, ())), "")

    def named(kind: str, value: str) -> str:
        return value if names is None else names.of(kind, value)

    modality = first("Modality").upper()
    if dicom.modalities and modality not in dicom.modalities:
        skipped.add(film.id, film.path, "of another modality", is_film=False)
        return
    if not first("Rows"):
        skipped.add(film.id, film.path, "a DICOM file without an image", is_film=False)
        return
    frames = _frames(film, first("NumberOfFrames"), dicom.frames)
    if copy is not None:
        skipped.add(film.id, film.path, copy.reason, is_film=copy.is_film, kind=copy.kind)
        return
    name = named("film", first(dicom.id)) or named("film", film.id)
    for frame in frames:
        records.ids.append(name if frame is None else f"{name}#{frame}")
        records.paths.append(film.path if frame is None else with_frame(film.path, frame))
        records.patients.append(named("patient", first(dicom.patient)))
        records.views.append(first(dicom.view).upper())
        records.splits.append("")
        for column, keyword in _columns(spec).items():
            value = first(keyword)
            rows.columns[column].append(named("study", value) if column == "study" else _cell(column, value, first))
        rows.labels.append(tags.get(dicom.labels, []))
        rows.joined.append(first(dicom.join))


def _frames(film: FoundFilm, said: str, policy: str) -> list[int | None]:
    """The frames that are read, counted from 1; [None] for a file of one picture."""
    try:
        n_frames = int(float(said or 1))
    except (ValueError, OverflowError):
        n_frames = 0
    if not 0 <= n_frames <= MAX_FRAMES or (said and not n_frames and said.strip("0")):
        raise FilmError(film.path, f"its number of frames is none from 1 to {MAX_FRAMES:,}")
    if n_frames <= 1:
        return [None]
    if policy == "refuse":
        reason = 'several frames: say in the dataset spec which are read ([dicom] frames = "first", "middle" or "each")'
        raise FilmError(film.path, reason)
    chosen: list[int | None] = [*range(1, n_frames + 1)]
    if policy == "each":
        return chosen
    return chosen[:1] if policy == "first" else [(n_frames + 1) // 2]


def _cell(column: str, value: str, first: Callable[[str], str]) -> str:
    if column == "sex":
        return value.upper() if value.upper() in {"M", "F", "O"} else ""
    if column == "date":
        day = _day(value)
        return day.isoformat() if day else ""
    if column == "age" and not value:
        born, taken = _day(first("PatientBirthDate")), _day(first("StudyDate"))
        if born and taken and born <= taken:
            return str(taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day)))
    return value


def _day(value: str) -> date | None:
    found = _DATE.fullmatch(value)
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def _label(rows: _Rows, spec: DatasetSpec, root: Path, skipped: Skipped) -> None:
    """Labels of a table that is joined, or of a tag; rows that the table does not know are left out."""
    records = rows.records
    records.columns = {
        name: ages(texts) if name == "age" else text_column(texts) for name, texts in rows.columns.items()
    }
    if spec.files.tables:
        kept = table_labels(spec, root, records, rows.joined)
        for row in sorted({*range(len(records.ids))} - {*kept}):
            skipped.add(records.ids[row], records.paths[row], "the table of labels has no row for it", is_film=True)
        records.keep(kept)
        return
    separator = spec.columns.separator
    found = [{name for text in texts for name in names_of(text, separator)} for texts in rows.labels]
    records.label_names = tuple(sorted(set().union(*found) - {spec.healthy}))
    places = {name: place for place, name in enumerate(records.label_names)}
    records.labels = np.zeros((len(found), len(places)), dtype=np.int8)
    for row, names in enumerate(found):
        records.labels[row, [places[name] for name in names if name in places]] = 1
