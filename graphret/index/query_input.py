"""What a query may be: an id, a film file, a film in memory, a code; one or many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL.Image import Image

from graphret._checks import as_array, check_codes
from graphret._errors import CodesError, DataError, InvalidParameterError, MissingFileError
from graphret.data import film_in_memory
from graphret.data.frame_place import split_frame
from graphret.data.in_memory import FILM_ARRAYS
from graphret.encoders.inference.colours import reads_colour
from graphret.encoding import encode_each
from graphret.files import check_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from graphret._errors import GraphretError
    from graphret._types import Codes, Int32Array, Int64Array
    from graphret.data.isolated import Decoding
    from graphret.encoders import Encoder
    from graphret.index.lookup import FilmLookup
    from graphret.neighbors import Search

__all__ = ["Queries", "encode_queries", "read_queries"]

KINDS = f"an id of the index, the path of a film, {FILM_ARRAYS}; a code float (d,), codes (q, d), or a list of those"


@dataclass(frozen=True, eq=False)
class Queries:
    """Queries that have been recognised, some of them still to be encoded.

    Parameters
    ----------
    names
        Id or path of each, "" for arrays.
    codes
        float32 (q, d), zero where ``films`` has an entry.
    films
        Query number -> its file or film.
    ids
        int32 (q,), row of a query that is an id of the index, else -1.
    known
        int32 (q,), row of the film that a query is, by id or by path, else -1.
    is_single
        One query that did not come in a list.
    """

    names: list[str]
    codes: Codes
    films: dict[int, Path | NDArray[Any]]
    ids: Int32Array
    known: Int32Array
    is_single: bool

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Int64Array) -> Queries:
        """Return some of the queries, in this order."""
        kept = rows.tolist()
        return Queries(
            [self.names[row] for row in kept],
            self.codes[rows],
            {number: self.films[row] for number, row in enumerate(kept) if row in self.films},
            self.ids[rows],
            self.known[rows],
            self.is_single,
        )


class _Reader(NamedTuple):
    """What queries are compared with to see what they are."""

    search: Search
    lookup: FilmLookup
    has_encoder: bool
    colour: bool


def read_queries(what: Any, search: Search, lookup: FilmLookup, *, has_encoder: bool, colour: bool = False) -> Queries:
    """Recognise queries; nothing is decoded or encoded yet.

    An id of the index wins over a file of the same name. PIL images and arrays of bytes are films. A floating (h, w)
    array is a batch of codes when its rows are as long as the codes, else a film; ``[film]`` is always a film,
    ``list(codes)`` always codes. With ``colour``, for an encoder that reads colours, films keep them.

    Raises
    ------
    InvalidParameterError
        Neither of those, nothing, or an array that could be both.
    CodesError
        A code of another length, with values that are not finite, or all zeros.
    MissingFileError
        Neither an id of the index nor a file.
    """
    archived = _Reader(search, lookup, has_encoder, colour)
    if isinstance(what, str | Path):
        return _read_list([what], archived, is_single=True)
    if isinstance(what, Sequence) and not isinstance(what, bytes):
        entries = list(what)
        if entries and all(isinstance(entry, int | float | np.number) for entry in entries):
            return _read_codes(np.asarray(entries, dtype=np.float32)[None], archived, is_single=True)
        return _read_list(entries, archived, is_single=False)
    if isinstance(what, Image):
        return _read_list([what], archived, is_single=True)
    array = as_array("queries", what)
    if array.dtype.kind in "UO" and array.ndim <= 1:
        return _read_list(np.atleast_1d(array).tolist(), archived, is_single=array.ndim == 0)
    if array.dtype.kind == "u" or array.ndim == 3:
        return _read_list([array], archived, is_single=True)
    if array.dtype.kind != "f" or array.ndim not in {1, 2} or array.size == 0:
        raise InvalidParameterError("what", f"{type(what).__name__} {array.dtype} {array.shape}", KINDS)
    if array.ndim == 1:
        return _read_codes(array[None], archived, is_single=True)
    length = archived.search.codes.shape[1]
    if array.shape[1] != length and has_encoder:
        return _read_list([array], archived, is_single=True)
    if array.shape[0] == length > 1 and has_encoder:
        raise InvalidParameterError(
            "what", f"an array {array.shape}", "[film] for one film, or list(codes) for codes", "it could be both"
        )
    return _read_codes(array, archived, is_single=False)


def _read_codes(codes: Any, archived: _Reader, *, is_single: bool) -> Queries:
    checked = check_codes(codes, name="query codes", n_dimensions=archived.search.codes.shape[1])
    nowhere = np.full(len(checked), -1, dtype=np.int32)
    return Queries([""] * len(checked), checked, {}, nowhere, nowhere, is_single)


def _read_list(entries: list[Any], archived: _Reader, *, is_single: bool) -> Queries:
    if not entries:
        raise InvalidParameterError("what", entries, KINDS, "the list is empty")
    names: list[str] = []
    codes = np.zeros((len(entries), archived.search.codes.shape[1]), dtype=np.float32)
    films: dict[int, Path | NDArray[Any]] = {}
    ids = np.full(len(entries), -1, dtype=np.int32)
    known = ids.copy()
    for number, entry in enumerate(entries):
        row = archived.lookup.row_of_id(entry) if isinstance(entry, str) else -1
        if row >= 0:
            names.append(str(entry))
            ids[number] = known[number] = row
            codes[number] = archived.search.read_codes([row])[0]
        elif isinstance(entry, str | Path):
            path = _existing(entry)
            names.append(str(entry))
            films[number] = path
            known[number] = archived.lookup.row_of_path(str(path.absolute()))
        else:
            names.append("")
            array = _one_array(entry, archived.colour)
            if array.ndim == 1:
                codes[number] = check_codes(array[None], name=f"query {number}", n_dimensions=codes.shape[1])
            else:
                films[number] = array
    if films and not archived.has_encoder:
        raise InvalidParameterError(
            "what", names[min(films)] or "a film", "an id or a code", "this index was made of codes and has no encoder"
        )
    return Queries(names, codes, films, ids, known, is_single)


def _existing(entry: str | Path) -> Path:
    path = check_path("what", entry)
    if not split_frame(path)[0].is_file():
        what = "film" if isinstance(entry, Path) else "id or film"
        raise MissingFileError(path, what, "give an id of the index, or the path of a film")
    return path


def _one_array(entry: Any, colour: bool) -> NDArray[Any]:
    """A code (d,), or the pixels of a film: (h, w), or (h, w, 3)."""
    if not isinstance(entry, Image):
        array = as_array("a query", entry)
        if array.dtype.kind == "f" and array.ndim == 1 and array.size:
            return array.astype(np.float32)
    film = film_in_memory(entry, "what", colour=colour)
    if film is None:
        hint = "a stack of films is given as list(films)" if array.ndim == 3 else ""
        raise InvalidParameterError("what", f"{type(entry).__name__} {array.dtype} {array.shape}", KINDS, hint)
    return film


def encode_queries(
    queries: Queries,
    encoder: Encoder,
    decoding: Decoding,
    n_threads: int | None = None,
    on_problem: Callable[[str, GraphretError], None] | None = None,
) -> tuple[Int64Array, Codes]:
    """Encode the films of queries; they are decoded by ``n_threads`` and go through the encoder in batches.

    Parameters
    ----------
    queries
        As recognised.
    encoder
        Of the index.
    decoding
        How films that are files are decoded.
    n_threads
        Threads; ``None`` for all processors.
    on_problem
        Called with the name of a film that has no code, and the reason; ``None``: the reason is raised.

    Returns
    -------
    kept, codes
        int64 (m,), the queries that have a code, ascending; and float32 (m, d).

    Raises
    ------
    FilmError
        A film cannot be decoded.
    InvalidParameterError
        A film in memory has values outside [0, 1].
    CodesError
        The code of a film is not finite, or all zeros.
    DataError
        No query is left.
    """
    codes = queries.codes.copy()
    kept = np.ones(len(queries), dtype=np.bool_)
    problems: list[tuple[str, GraphretError]] = []

    def note(number: int, error: GraphretError) -> None:
        name = queries.names[number] or f"query {number}"
        if isinstance(error, CodesError):
            error = CodesError(f"the code of {name} is all zeros or not finite: it has no cosine, ask for another film")
        if on_problem is None:
            raise error
        kept[number] = False
        problems.append((name, error))
        on_problem(name, error)

    with decoding.reader(colour=reads_colour(encoder)) as read:

        def pixels_of(number: int) -> NDArray[Any]:
            film = queries.films[number]
            return read(str(film)) if isinstance(film, Path) else film

        numbers, encoded = encode_each(encoder, pixels_of, sorted(queries.films), on_problem=note, n_workers=n_threads)
    codes[numbers] = encoded
    if not kept.any():
        raise DataError(f"none of the {len(queries)} films can be asked for, first {problems[0][0]}: {problems[0][1]}")
    return np.flatnonzero(kept), codes[kept]
