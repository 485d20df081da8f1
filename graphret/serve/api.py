"""The JSON API: health, what is served, films that are sent, and queries."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.encoders import jsonable_encoder
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import Response

from graphret._errors import InvalidParameterError
from graphret._version import __version__
from graphret.index import ShardedIndex
from graphret.retrieval import list_rankings
from graphret.serve.asking import answer
from graphret.serve.requests import Question
from graphret.serve.service import Service

__all__ = ["api_routes", "parsed", "read_upload"]

_MOST_FIELDS = 400
_QUERY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": Question.model_json_schema(ref_template="#/components/schemas/{model}")},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["film"],
                    "properties": {
                        "film": {"type": "string", "format": "binary", "description": "A film: PNG, JPEG, TIFF, DICOM"},
                        "query": {"type": "string", "description": "The rest of the query, as JSON"},
                    },
                }
            },
        },
    }
}


def api_routes(service: Service) -> APIRouter:
    """Return the routes of the API that concern no single film."""
    routes = APIRouter(prefix="/api/v1", tags=["search"])

    @routes.get("/health")
    def health(request: Request) -> dict[str, Any]:
        """Say that the service answers, and what it serves (to those who have shown the token)."""
        about: dict[str, Any] = {"status": "ok", "version": __version__}
        return {**about, "indexes": service.about()} if service.gate.is_let_in(request) else about

    @routes.get("/indexes")
    def indexes() -> list[dict[str, Any]]:
        """Describe every index: generation, counts, labels, filters, rankings, encoder."""
        return [describe_index(service, name) for name in service.served.indexes]

    @routes.post("/uploads", status_code=201, openapi_extra=_upload_body())
    async def upload(request: Request) -> dict[str, Any]:
        """Send a film as "film" of a form; it is kept for an hour under the name that comes back."""
        async with request.form(max_files=1, max_fields=_MOST_FIELDS) as form:
            return await read_upload(service, form)

    @routes.delete("/uploads/{name}", status_code=204)
    def forget(name: str) -> None:
        """Forget a film that was sent."""
        service.uploads.remove(name)

    @routes.post("/query", openapi_extra=_QUERY_BODY)
    async def query(request: Request) -> Response:
        """Find the films that are most similar: the hits of `Index.query`, best first.

        The query is JSON; or a form with a film, and the rest of the query as JSON in its field "query".
        """
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            async with request.form(max_files=1, max_fields=_MOST_FIELDS) as form:
                sent = await read_upload(service, form)
                given = form.get("query", "{}")
            asked = {**_json(given if isinstance(given, str) else ""), "upload": sent["upload"]}
            question = parsed(asked)
        else:
            question = parsed(await request.body())
        return await run_in_threadpool(
            lambda: _as_json(answer(service.state(question.index), question, service.uploads))
        )

    return routes


def describe_index(service: Service, name: str) -> dict[str, Any]:
    """Return what users may know of an index, as JSON values."""
    state = service.state(name)
    index = state.index
    encoder = index.manifest["encoder"]
    counts = index.manifest["counts"]
    kept = ("films", "patients", "edges", "communities", "dimensions")
    return {
        "name": name,
        "generation": state.generation,
        "created": index.manifest["created"],
        "counts": {key: counts[key] for key in kept},
        "labels": list(state.films.label_names),
        "filters": state.filters,
        "rankings": index.rankings if isinstance(index, ShardedIndex) else list_rankings(with_labels=True),
        "default_ranking": index.default_ranking,
        "encoder": None if encoder is None else {"name": encoder["name"], "size": encoder["size"]},
    }


async def read_upload(service: Service, form: FormData) -> dict[str, Any]:
    """Decode and keep the film of a form.

    Raises
    ------
    InvalidParameterError
        The form has no film.
    FilmError
        It cannot be decoded.
    """
    film = form.get("film", form.get("file"))
    if film is None or isinstance(film, str):
        raise InvalidParameterError(
            "film", None if film is None else "a text", 'a file in the field "film" of the form'
        )
    content = await film.read()
    kept = await run_in_threadpool(service.uploads.add, content, film.filename or "")
    height, width = kept.pixels.shape
    return {"upload": kept.name, "width": width, "height": height}


def parsed(asked: dict[str, Any] | bytes) -> Question:
    """Check a question: JSON values, or the bytes of a JSON document.

    Raises
    ------
    HTTPException
        422, with what is wrong with each field.
    """
    try:
        return Question.model_validate_json(asked) if isinstance(asked, bytes) else Question.model_validate(asked)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in error.errors()]
        raise HTTPException(422, "; ".join(problems)) from error


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, f"the query is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise HTTPException(422, 'the query is a JSON object, as {"id": "...", "k": 10}')
    return found


def _as_json(document: dict[str, Any]) -> Response:
    """Write the answer: values of columns, as dates, are the only ones that need a look at what they are."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=jsonable_encoder)
    return Response(text, media_type="application/json")


def _upload_body() -> dict[str, Any]:
    film = {"type": "string", "format": "binary"}
    schema = {"type": "object", "required": ["film"], "properties": {"film": film}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
