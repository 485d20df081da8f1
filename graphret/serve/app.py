"""The application: what guards it, what answers, and how errors are said."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from graphret._errors import GraphretError
from graphret._version import __version__
from graphret.serve.api import api_routes
from graphret.serve.api_films import film_routes
from graphret.serve.api_lists import list_routes
from graphret.serve.api_map import map_routes
from graphret.serve.api_similarity import similarity_routes
from graphret.serve.guard import Guard, refusal
from graphret.serve.pages import is_page, message_page, page_routes
from graphret.serve.service import Service
from graphret.serve.words import status_of, without_paths

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Sequence

    from starlette.responses import Response

    from graphret.serve.config import ServeConfig

__all__ = ["create_app"]

logger = logging.getLogger(__name__)
_HOME = Path(__file__).parent


def create_app(roots: Sequence[str | os.PathLike[str]], config: ServeConfig) -> FastAPI:
    """Make the application that serves indexes.

    Parameters
    ----------
    roots
        Folders of the indexes.
    config
        Token and limits; host and port are those of who runs it.

    Raises
    ------
    NotAnIndexError, DamagedIndexError, StoreError
        As `graphret.open`.
    """
    service = Service(roots, config)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warming = service.warm()
        yield
        warming.cancel()
        service.uploads.close()

    app = FastAPI(
        title="graphret", version=__version__, summary="Find, for a query X-ray, the most similar films of an archive.",
        docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json", lifespan=lifespan,
    )  # fmt: skip
    app.state.service = service
    app.mount("/static", StaticFiles(directory=_HOME / "static"), name="static")
    for routes in (api_routes, film_routes, similarity_routes, map_routes, list_routes, page_routes):
        app.include_router(routes(service))

    def say(request: Request, status: int, kind: str, message: str) -> Response:
        if is_page(request):
            return message_page(service, request, status, message)
        return refusal(status, kind, message)

    @app.exception_handler(GraphretError)
    def of_graphret(request: Request, error: GraphretError) -> Response:
        status = status_of(error)
        if status >= 500:
            logger.error("%s %s: %s", request.method, request.url.path, error)
        return say(request, status, type(error).__name__, without_paths(error, service.hidden))

    @app.exception_handler(HTTPException)
    def of_http(request: Request, error: HTTPException) -> Response:
        return say(request, error.status_code, "HTTPError", str(error.detail))

    @app.exception_handler(RequestValidationError)
    def of_request(request: Request, error: RequestValidationError) -> Response:
        return say(request, 422, "InvalidRequest", "; ".join(map(_in_words, error.errors())))

    def of_anything(request: Request, error: Exception) -> Response:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return say(request, 500, "InternalError", "the service failed at this request; its log says where")

    app.add_middleware(Guard, gate=service.gate, config=config, on_failure=of_anything)
    return app


def _in_words(problem: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in problem["loc"] if part != "body")
    return f"{place}: {problem['msg']}" if place else str(problem["msg"])
