"""What in an archive looks like personal data: columns, tags of DICOM films, and text burned into films."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer
from graphret._errors import FilmError
from graphret._threads import available_threads
from graphret.auditing.burned_in import text_lines
from graphret.auditing.personal_columns import suspicious_columns
from graphret.auditing.personal_tags import personal_tags
from graphret.data.film_kinds import DICOM, kind_of
from graphret.data.frame_place import split_frame

if TYPE_CHECKING:
    from graphret._types import Progress
    from graphret.data import ImageTable

__all__ = ["PersonalData", "Suspicion", "audit_phi"]

_FIRST = 5


@dataclass(frozen=True)
class Suspicion:
    """Something that looks like personal data: ``place`` is a column, a tag, or "pixels"; ``rows`` are the first five.

    ``kind`` is "column", "tag" or "burned-in text".
    """

    kind: str
    place: str
    what: str
    n_films: int
    rows: tuple[int, ...]


@dataclass(frozen=True)
class PersonalData:
    """What `audit_phi` found; no value of a film is in it, rows stand for names.

    ``n_looked_at`` films were opened for tags and burned-in text, of which ``n_unreadable`` could not be read.
    """

    n_films: int
    n_looked_at: int
    n_unreadable: int
    suspicions: tuple[Suspicion, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def audit_phi(
    films: ImageTable,
    *,
    n_films: int = 200,
    seed: int = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> PersonalData:
    """Look for personal data in a table of films and in the films themselves.

    Columns are looked at in full (`personal_columns.suspicious_columns`), tags and pixels of a sample
    (`personal_tags.personal_tags`, `burned_in.text_lines`). What is found is a suspicion; what is not is no proof.

    Parameters
    ----------
    films
        Any table; an index has one in ``index.films``.
    n_films
        Films that are opened, >= 1, drawn at random; all if there are fewer.
    seed
        Of the draw.
    n_threads
        Threads that read; ``None`` for all processors.
    progress
        Called as ``progress("films", done, total)``.

    Returns
    -------
    PersonalData
        Suspicions by kind (columns, tags, burned-in text), each with the number of films and their first rows.

    Raises
    ------
    InvalidParameterError
        A parameter that is not allowed.

    Examples
    --------
    >>> from graphret.data import ImageTable
    >>> table = ImageTable(ids=["a", "b"], paths=[], labels=[], columns={"ward": ["Miller^Anna", "x"]})
    >>> [(found.place, found.what, found.rows) for found in audit_phi(table).suspicions]
    [('ward', "values like a person's name", (0,))]
    """
    check_integer("n_films", n_films, 1)
    with_file = np.flatnonzero(films.paths != "")
    drawn = np.random.default_rng(check_integer("seed", seed, 0)).permutation(len(with_file))[:n_films]
    rows = np.sort(with_file[drawn]).tolist()
    suspicions = [Suspicion("column", *found[:3], tuple(found[3])) for found in suspicious_columns(films)]
    tags: dict[tuple[str, str], list[int]] = defaultdict(list)
    written: list[int] = []
    n_unreadable = 0
    n_workers = available_threads() if n_threads is None else check_integer("n_threads", n_threads, 1)
    with ThreadPoolExecutor(n_workers) as pool:
        for done, (row, found) in enumerate(zip(rows, pool.map(lambda row: _look_at(films, row), rows), strict=True)):
            n_unreadable += found.is_unreadable
            for tag in found.tags.items():
                tags[tag].append(row)
            if found.n_lines:
                written.append(row)
            if progress is not None:
                progress("films", done + 1, len(rows))
    suspicions += [
        Suspicion("tag", name, what, len(of), tuple(of[:_FIRST])) for (name, what), of in sorted(tags.items())
    ]
    if written:
        what = "lines of small sharp shapes, as burned-in text"
        suspicions.append(Suspicion("burned-in text", "pixels", what, len(written), tuple(written[:_FIRST])))
    return PersonalData(len(films), len(rows), n_unreadable, tuple(suspicions))


@dataclass(frozen=True)
class _Found:
    tags: dict[str, str]
    n_lines: int
    is_unreadable: bool


def _look_at(films: ImageTable, row: int) -> _Found:
    tags: dict[str, str] = {}
    try:
        path = split_frame(films.film_path(row))[0]
        if kind_of(path) == DICOM:
            tags = personal_tags(Path(path))
        return _Found(tags, text_lines(films.read(row)), is_unreadable=False)
    except (FilmError, OSError):
        return _Found(tags, 0, is_unreadable=True)
