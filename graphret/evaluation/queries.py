"""Where the queries of an evaluation come from, and which films of the archive each of them may get."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_codes
from graphret._errors import DataError, InvalidParameterError
from graphret._labels import read_labels
from graphret.data import ImageTable, read_dataset
from graphret.encoding import encode_films

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import BoolArray, Codes, Int64Array, Progress
    from graphret.data import FilmProblem
    from graphret.encoding import EncodedFilms
    from graphret.evaluation.judgements import Judgements
    from graphret.index import Index

__all__ = ["QuerySet", "judged_queries", "resolve_queries", "rows_with_same"]

logger = logging.getLogger(__name__)
_BATCH = 16
_SPLIT = "the name of a split, "
_QUERIES = f"{_SPLIT}an ImageTable, (codes, ImageTable), (codes, labels) or (codes, labels, patients)"


@dataclass(frozen=True, eq=False)
class QuerySet:
    """Queries with their codes, and the part of the archive that they search.

    ``where`` and ``allowed`` are the same restriction, once as the filter that ``Index.query`` takes and once as a
    mask over the archive; None for the whole archive. ``transductive`` says that the queries are films of the
    archive, so that their codes took part in the graph and in the communities. ``problems`` are the films that were
    given too, but cannot be read or have no code.
    """

    codes: Codes
    films: ImageTable
    where: dict[str, list[str]] | None
    allowed: BoolArray | None
    transductive: bool
    problems: tuple[FilmProblem, ...]
    origin: str

    def select(self, rows: NDArray[Any]) -> QuerySet:
        """Keep some queries: a mask or positions."""
        return replace(self, codes=self.codes[rows], films=self.films.select(rows))


def resolve_queries(
    index: Index, queries: str | ImageTable | tuple[Any, ...], progress: Progress | None = None
) -> QuerySet:
    """Turn what the caller named into codes and films with the labels of the archive.

    Parameters
    ----------
    index
        The archive.
    queries
        A table of films (encoded with the encoder of the index), codes with their table or with labels (and patients),
        or the name of a split. Films of that split inside the archive come first: they are then searched in all other
        films of it. Otherwise the split is read from the data set that the index was built from.
    progress
        Called while films are encoded.

    Raises
    ------
    InvalidParameterError
        The split is nowhere to be found, there is no encoder, codes and films differ in number, or labels are missing.
    """
    if isinstance(queries, str):
        inside = index.films.splits == queries
        if inside.any():
            return _split_of_archive(index, queries, inside)
        films = _split_of_source(index, queries)
        origin = f"the split {queries!r} of {films.spec or 'the data set'}, films outside the archive"
        changed = index.films.origin.changed if index.films.origin is not None else ""
        if changed:
            logger.warning("%s", changed)
            origin += f"; {changed}"
    elif isinstance(queries, ImageTable):
        films, origin = queries, "a table of films"
    elif isinstance(queries, tuple) and len(queries) in {2, 3}:
        codes = check_codes(queries[0], name="codes of the queries", n_dimensions=index.codes.shape[1])
        if isinstance(queries[1], ImageTable) and len(queries) == 2:
            films, origin = _with_labels(queries[1], index.films.label_names), "codes with a table of films"
        else:
            films, origin = _described(index, *queries[1:])
        if len(codes) != len(films):
            raise InvalidParameterError("queries", f"{len(codes)} codes", f"one code for each of {len(films)} films")
        return QuerySet(codes, films, None, None, False, (), origin)
    else:
        raise InvalidParameterError("queries", queries, _QUERIES)
    if not len(films):
        raise InvalidParameterError("queries", "0 films", "at least one film")
    films = _with_labels(films, index.films.label_names)
    encoded = _encode(index, films, progress)
    return QuerySet(encoded.codes, films.select(encoded.rows), None, None, False, encoded.problems, origin)


def judged_queries(index: Index, judgements: Judgements) -> QuerySet:
    """The films of the archive that people judged hits for; they ask the whole archive."""
    rows = judgements.queries
    codes = np.ascontiguousarray(index.codes[rows], dtype=np.float32)
    return QuerySet(codes, index.films.select(rows), None, None, True, (), judgements.origin)


def _split_of_archive(index: Index, name: str, inside: BoolArray) -> QuerySet:
    others = sorted(set(index.films.splits[~inside].tolist()))
    if not others:
        raise InvalidParameterError(
            "queries",
            name,
            "a split that is not the whole archive",
            f"all {len(index.films)} films of the archive are of it, so nothing is left to search",
        )
    rows = np.flatnonzero(inside)
    codes = np.ascontiguousarray(index.codes[rows], dtype=np.float32)
    origin = f"the split {name!r} of the archive, searched in the films of {', '.join(map(repr, others))}"
    return QuerySet(codes, index.films.select(rows), {"split": others}, ~inside, True, (), origin)


def _split_of_source(index: Index, name: str) -> ImageTable:
    root, origin = index.source.get("root"), index.films.origin
    if origin is None or not root:
        present = sorted(set(index.films.splits.tolist()))
        raise InvalidParameterError(
            "queries",
            name,
            f"a split of the archive ({', '.join(present)}), or in Python {_QUERIES.removeprefix(_SPLIT)}",
            "the index does not record a data set to read further splits from",
        )
    films = read_dataset(origin.spec, root, split=name)
    known = np.isin(films.ids, index.films.ids)
    if known.any():
        raise InvalidParameterError(
            "queries",
            name,
            f"another split, or in Python {_QUERIES.removeprefix(_SPLIT)}",
            f"{int(known.sum())} of the {len(films)} films of that split are in the archive, first "
            f"{films.ids[known][0]}: its films were split in another way than the dataset spec says",
        )
    return films


def _described(index: Index, labels: Any, patients: Any = None) -> tuple[ImageTable, str]:
    """Describe codes by labels of any form, under ids and patients that are not those of the archive."""
    names = index.films.label_names
    if not names:
        raise InvalidParameterError("index", "an archive without labels", "one that was built with labels")
    read, others = read_labels(labels, parameter="queries[1]").named(names, parameter="queries[1]")
    if others and not read.matrix.any():
        got = f"labels {', '.join(list(others)[:5])}"
        raise InvalidParameterError("queries[1]", got, f"labels of the archive: {', '.join(names)}")
    if others:
        counts = ", ".join(f"{name} ({number} queries)" for name, number in others.items())
        logger.warning("labels that no film of the archive has do not count: %s", counts)
    known = [*index.films.ids.tolist(), *index.films.patients.tolist()]
    prefix = "query"
    while any(name.startswith(prefix) for name in known):
        prefix += "_"
    own = "each its own patient" if patients is None else "with their patients"
    table = ImageTable(
        ids=np.array([f"{prefix}{number}" for number in range(len(read))], dtype=np.str_),
        paths=np.array([], dtype=np.str_),
        labels=read.matrix,
        label_names=names,
        patients=np.array([] if patients is None else list(map(str, patients)), dtype=np.str_),
    )
    return table, f"codes with labels, {own}"


def _with_labels(films: ImageTable, names: tuple[str, ...]) -> ImageTable:
    """Put the labels in the order of the archive."""
    if films.label_names == names:
        return films
    missing = [name for name in names if name not in films.label_names]
    if missing:
        raise InvalidParameterError(
            "queries",
            f"films without the labels {', '.join(missing)}",
            f"films with the labels of the archive: {', '.join(names)}",
            "read both with the same dataset spec",
        )
    columns = [films.label_names.index(name) for name in names]
    return replace(films, labels=films.labels[:, columns], label_names=names)


def _encode(index: Index, films: ImageTable, progress: Progress | None) -> EncodedFilms:
    """Encode the films that have a code, by the rules of a build.

    Raises
    ------
    InvalidParameterError
        The index has no encoder, or not one film has a code.
    """
    encoder = index.encoder
    if encoder is None:
        raise InvalidParameterError(
            "queries", "films", "(codes, labels)", "the index was built from codes and has no encoder for films"
        )

    def say(_: str, done: int, total: int) -> None:
        if progress is not None:
            progress("encode queries", done, total)

    try:
        return encode_films(films, encoder, batch_size=_BATCH, progress=say)
    except DataError as error:
        raise InvalidParameterError(
            "queries", f"{len(films)} films", "at least one that can be read", str(error)
        ) from error


def rows_with_same(
    values: NDArray[Any], of_archive: NDArray[Any], allowed: BoolArray | None = None
) -> list[Int64Array]:
    """For each value, the (allowed) rows of the archive that hold the same one, ascending. O((n + q) log n).

    Examples
    --------
    >>> [rows.tolist() for rows in rows_with_same(np.array(["b", "c"]), np.array(["b", "a", "b"]))]
    [[0, 2], []]
    """
    rows = np.arange(len(of_archive)) if allowed is None else np.flatnonzero(allowed)
    order = rows[np.argsort(of_archive[rows], kind="stable")]
    ordered = of_archive[order]
    first = np.searchsorted(ordered, values, side="left")
    last = np.searchsorted(ordered, values, side="right")
    return [order[start:stop] for start, stop in zip(first, last, strict=True)]
