"""The search page: its form as questions, and the answers as a part of the page."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np

from graphret._errors import GraphretError, InvalidParameterError
from graphret.index.answers import SOURCE_MEANINGS, why_in_words
from graphret.serve.api import parsed
from graphret.serve.asking import answer
from graphret.serve.words import without_paths

if TYPE_CHECKING:
    from starlette.datastructures import FormData

    from graphret.serve.requests import Question
    from graphret.serve.served import State
    from graphret.serve.service import Service

__all__ = ["answer_form", "picks"]

_PICKS = 12
MOST_ON_A_PAGE = 200
MOST_LISTS = 12


def answer_form(service: Service, form: FormData) -> dict[str, Any]:
    """Ask every index with every ranking that the form names.

    Parameters
    ----------
    service
        The service.
    form
        Fields: id, upload, crop (four numbers with commas), positive, negative ("id:..." or "upload:..."), index,
        ranking, k, exclude, group_by, "where:COLUMN" (JSON values), "low:COLUMN" and "high:COLUMN".

    Returns
    -------
    dict
        ``asked`` (name, id, upload) and ``answers``, one for each index and ranking: that of `asking.answer` with what
        the page shows, or ``problem``.

    Raises
    ------
    InvalidParameterError
        Nothing to ask with, or a field that is not as above.
    """
    base = _base(form)
    names = _texts(form, "index") or [next(iter(service.served.indexes))]
    rankings = _texts(form, "ranking", keep_empty=True) or [""]
    if len(names) * len(rankings) > MOST_LISTS:
        raise InvalidParameterError("ranking", f"{len(names) * len(rankings)} lists", f"at most {MOST_LISTS} at once")
    answers = []
    for name in names:
        state = service.state(name)
        where = _where(form, state, alone=len(names) == 1)
        for ranking in rankings:
            question = parsed({**base, "index": name, "ranking": ranking or None, "where": where or None})
            answers.append(_answered(service, state, question))
    upload = base.get("upload", "")
    named = f"film-{service.uploads[upload].content_name}" if upload else base.get("id", "examples")
    return {"answers": answers, "asked": {"name": named, "id": base.get("id", ""), "upload": upload}}


def _answered(service: Service, state: State, question: Question) -> dict[str, Any]:
    try:
        found = answer(state, question, service.uploads)
    except GraphretError as error:
        ranking = question.ranking or state.index.default_ranking
        problem = without_paths(error, service.hidden)
        return {"index": state.name, "ranking": ranking, "options": {}, "problem": problem}
    looked = service.pictures(state).look(state, [hit["position"] for hit in found["hits"]])
    problems = [reason for reason in looked if reason]
    for hit in found["hits"]:
        hit["picture"] = picture_address(state, hit["id"])
        hit["words"] = why_in_words(hit)
        hit["meaning"] = SOURCE_MEANINGS[hit["source"]]
    missing = (
        f"{len(problems)} of {len(found['hits'])} films cannot be shown, the first: {problems[0]}" if problems else ""
    )
    return {**found, "missing": missing}


def picture_address(state: State, identity: str) -> str:
    """Return the address of a film's picture."""
    return f"/api/v1/film/picture?{urlencode({'index': state.name, 'id': identity, 'placeholder': 'true'})}"


def picks(service: Service, name: str | None) -> list[dict[str, Any]]:
    """Return films to start from: the first one of each of the largest communities."""
    state = service.state(name)
    _, first = np.unique(np.asarray(state.index.communities), return_index=True)
    found = []
    for row in first[:_PICKS].tolist():
        identity = str(state.films.ids[row])
        labels = state.films.label_texts(row)
        found.append({"id": identity, "labels": labels, "picture": picture_address(state, identity)})
    return found


def _base(form: FormData) -> dict[str, Any]:
    """All of a question but index, ranking and filters."""
    base: dict[str, Any] = {"k": _number(form, "k", 10)}
    if base["k"] > MOST_ON_A_PAGE:
        raise InvalidParameterError("k", base["k"], f"at most {MOST_ON_A_PAGE} on a page")
    for field in ("exclude", "group_by"):
        if _text(form, field):
            base[field] = _text(form, field)
    positives, negatives = (_examples(form, field) for field in ("positive", "negative"))
    identity, upload = _text(form, "id"), _text(form, "upload")
    if positives or negatives:
        own = {"upload": upload} if upload else {"id": identity}
        query = [{**own, **_crop(form)}] if any(own.values()) else []
        return {**base, "positives": [*query, *(one for one in positives if one not in query)], "negatives": negatives}
    if not (identity or upload):
        raise InvalidParameterError("query", "nothing", "a film, or the id of a film of the archive")
    return {**base, **({"upload": upload} if upload else {"id": identity}), **_crop(form)}


def _crop(form: FormData) -> dict[str, Any]:
    given = _text(form, "crop")
    if not given:
        return {}
    try:
        return {"crop": [float(part) for part in given.split(",")]}
    except ValueError:
        raise InvalidParameterError("crop", given, "four numbers with commas between them") from None


def _examples(form: FormData, field: str) -> list[dict[str, str]]:
    found = []
    for text in _texts(form, field):
        kind, _, name = text.partition(":")
        if kind not in {"id", "upload"} or not name:
            raise InvalidParameterError(field, text, "id:ID or upload:NAME")
        found.append({kind: name})
    return found


def _where(form: FormData, state: State, *, alone: bool) -> dict[str, Any]:
    """The filters of the form; with several indexes, those of columns that an index does not have are left out."""
    where: dict[str, Any] = {}
    columns = {str(entry["column"]) for entry in state.filters}
    for field in form:
        kind, _, column = field.partition(":")
        if kind not in {"where", "low", "high"} or (not alone and column not in columns):
            continue
        if kind == "where":
            where[column] = [_json(column, text) for text in _texts(form, field)]
        elif _text(form, field):
            bound = _number(form, field, 0.0)
            where.setdefault(column, {})[">=" if kind == "low" else "<="] = bound
    return where


def _json(column: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidParameterError(f"where[{column!r}]", text, "a JSON value") from None


def _number(form: FormData, field: str, default: float) -> Any:
    text = _text(form, field)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidParameterError(field, text, "a number")
    return int(value) if value == int(value) else value


def _text(form: FormData, field: str) -> str:
    value = form.get(field, "")
    return value.strip() if isinstance(value, str) else ""


def _texts(form: FormData, field: str, *, keep_empty: bool = False) -> list[str]:
    return [value for value in form.getlist(field) if isinstance(value, str) and (value or keep_empty)]
