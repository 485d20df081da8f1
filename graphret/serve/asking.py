"""From a question that came over the wire to the document that goes back: the hits of `Index.query`, without paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import FilmError, InvalidParameterError
from graphret.data import read_pixels
from graphret.data.listing import file_problem
from graphret.encoding import encode_each
from graphret.index import describe_hits
from graphret.index.examples import NEGATIVE_WEIGHT
from graphret.serve.filters import check_columns, facts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float32Array
    from graphret.index import Hits
    from graphret.serve.requests import Example, Question
    from graphret.serve.served import State
    from graphret.serve.uploads import Uploads

__all__ = ["answer", "film_pixels"]

_SMALLEST_CROP = 8


def answer(state: State, question: Question, uploads: Uploads) -> dict[str, Any]:
    """Ask an index, and describe the hits.

    Parameters
    ----------
    state
        The generation that is asked.
    question
        The query.
    uploads
        Films that were sent.

    Returns
    -------
    dict
        index (its short name), generation, query ("examples" where there are positives), and all else of
        `graphret.index.describe_hits` for the one query; never a path, nor the patient of a film. Every hit also has
        "facts": its values of the columns that are filters.

    Raises
    ------
    GraphretError
        As `Index.query` and `Index.query_examples`; an id, or an upload, that is not there.
    """
    if question.where:
        check_columns(state.filters, "column of where", question.where)
    if question.group_by is not None and question.group_by != "patient":
        check_columns([{"column": "patient"}, *state.filters], "group_by", [question.group_by])
    if question.patient is not None and question.exclude is None:
        raise InvalidParameterError("patient", "...", 'it with exclude="patient"', "nothing else uses it")
    hits = _ask(state, question, uploads)
    described = describe_hits(state.index, hits)
    query = described.pop("queries")[0]
    query.pop("path")
    return {
        **described,
        "index": state.name,
        "generation": state.generation,
        **query,
        "query": _name(question),
        "hits": [_without_paths(state, hit, question) for hit in query["hits"]],
    }


def _ask(state: State, question: Question, uploads: Uploads) -> Hits:
    patients = None if question.patient is None else [question.patient]
    how: dict[str, Any] = {
        "ranking": question.ranking,
        "options": question.options,
        "where": question.where or None,
        "exclude": question.exclude,
        "group_by": question.group_by,
        "fill": question.fill,
        "search": question.search,
        "alarm_level": question.alarm_level,
        "n_threads": 1,  # requests run beside each other
    }
    if not question.positives:
        film = _asked(state, question.film(), uploads)
        return state.index.query([film], question.k, patients=patients, **how)
    sides = [[_asked(state, film, uploads) for film in question.examples(side)] for side in ("positives", "negatives")]
    if patients is not None:
        unknown = [None if isinstance(film, str) else question.patient for side in sides for film in side]
        patients = unknown if any(unknown) else None  # type: ignore[assignment]
    weight = NEGATIVE_WEIGHT if question.negative_weight is None else question.negative_weight
    return state.index.query_examples(
        sides[0], sides[1] or None, question.k, negative_weight=weight, patients=patients, **how
    )


def _asked(state: State, film: Example, uploads: Uploads) -> str | Float32Array:
    """A film as the index takes it: an id that it has (a text is never taken for a path), or a code."""
    if film.code is not None:
        return np.asarray(film.code, dtype=np.float32)
    if film.id is not None:
        state.row_of(film.id)
        if film.crop is None:
            return film.id
    encoder = state.encoder
    if film.upload is None:
        return _code(state, _cropped(film_pixels(state, str(film.id)), film.crop))
    upload, key = uploads[film.upload], (encoder.fingerprint, film.crop)
    if key not in upload.codes:
        upload.codes[key] = _code(state, _cropped(upload.pixels, film.crop))
    return upload.codes[key]


def _code(state: State, pixels: NDArray[Any]) -> Float32Array:
    """The code of one film, made as `Index.query` makes it."""

    def end(_: int, error: Exception) -> None:
        raise error

    _, codes = encode_each(state.encoder, lambda _: pixels, [0], on_problem=end, n_workers=1)
    code: Float32Array = codes[0]
    return code


def _cropped(pixels: NDArray[Any], crop: tuple[float, float, float, float] | None) -> NDArray[Any]:
    if crop is None:
        return pixels
    height, width = pixels.shape
    left, top, right, bottom = (round(share * side) for share, side in zip(crop, (width, height) * 2, strict=True))
    part = pixels[top:bottom, left:right]
    if min(part.shape) < _SMALLEST_CROP:
        allowed = f"a part of at least {_SMALLEST_CROP} x {_SMALLEST_CROP} pixels of the film"
        raise InvalidParameterError("crop", f"{part.shape[1]} x {part.shape[0]} pixels", allowed)
    return np.ascontiguousarray(part)


def film_pixels(state: State, identity: str) -> NDArray[Any]:
    """Decode a film of the index, (h, w) as `read_pixels` gives it.

    Raises
    ------
    UnknownFilmError
        The index has no such film.
    FilmError
        Its file is not there any more, or cannot be decoded.
    """
    path = str(state.films.paths[state.row_of(identity)])
    reason = file_problem(path) if path else "there is no file of it"
    if reason:
        raise FilmError(identity, reason)
    return read_pixels(path)


def _name(question: Question) -> str:
    if question.positives:
        return "examples"
    return question.id or ("upload" if question.upload is not None else "code")


def _without_paths(state: State, hit: dict[str, Any], question: Question) -> dict[str, Any]:
    kept = {name: value for name, value in hit.items() if name != "path"}
    if question.group_by == "patient":
        kept.pop("group", None)
    if not question.why:
        kept.pop("why")
    return {**kept, "facts": facts_of(state.films, state.filters, hit["position"])}
