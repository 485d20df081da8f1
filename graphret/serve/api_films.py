"""The JSON API of single films: what is known of them, their neighbours in the graph, pictures and pixels."""

from typing import Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray
from starlette.responses import Response

from graphret._errors import FilmError, InvalidParameterError
from graphret.serve.asking import film_pixels
from graphret.serve.filters import facts_of
from graphret.serve.pictures import MEDIA, Picture, as_words, jpeg_of
from graphret.serve.served import State
from graphret.serve.service import Service

__all__ = ["film_facts", "film_routes"]

_KEPT = {"Cache-Control": "private, max-age=3600"}
_FILM_ID = Query(max_length=1000, description="Id of a film of the index.")


def film_routes(service: Service) -> APIRouter:
    """Return the routes that concern single films."""
    routes = APIRouter(prefix="/api/v1", tags=["films"])

    @routes.get("/film")
    def film(index: str | None = None, id: str = _FILM_ID) -> dict[str, Any]:  # noqa: A002 - as in the address
        """Say what is known of a film, without its path and its patient."""
        state = service.state(index)
        return film_facts(state, state.row_of(id))

    @routes.get("/film/neighbors")
    def neighbors(
        index: str | None = None,
        id: str = _FILM_ID,  # noqa: A002 - as in the address
        k: int = Query(20, ge=1, le=1000, description="Neighbours."),
    ) -> dict[str, Any]:
        """Return the edges of a film in the similarity graph, heaviest first, ties by the order of the archive."""
        state = service.state(index)
        row, graph = state.row_of(id), state.index.graph
        part = slice(int(graph.indptr[row]), int(graph.indptr[row + 1]))
        weights = graph.weights[part]
        order = np.argsort(-weights, kind="stable")[:k]
        found = zip(graph.indices[part][order].tolist(), weights[order].tolist(), strict=True)
        edges = [{**film_facts(state, other), "weight": round(weight, 6)} for other, weight in found]
        return {"index": state.name, "id": id, "edges": part.stop - part.start, "neighbors": edges}

    @routes.get("/film/picture", response_class=Response)
    async def picture(
        request: Request,
        index: str | None = None,
        id: str | None = Query(None, max_length=1000),  # noqa: A002 - as in the address
        upload: str | None = Query(None, max_length=100),
        placeholder: bool = Query(False, description="In the place of an error, a picture (SVG) that says why."),
    ) -> Response:
        """Return a small picture of a film (JPEG); 304 where the caller has it already (If-None-Match)."""
        if upload is None:
            found = service.fresh_picture(index, _given(id))
            if found is not None:  # no thread is asked for what is in memory: a page asks for many
                return _picture(request, found)

        def make() -> Response:
            try:
                if upload is not None:
                    return Response(jpeg_of(service.uploads[upload].pixels), media_type=MEDIA)
                state = service.state(index)
                return _picture(request, service.pictures(state).of(state, state.row_of(_given(id))))
            except FilmError as error:
                if not placeholder:
                    raise
                return Response(as_words(error.reason), media_type="image/svg+xml")

        return await run_in_threadpool(make)

    @routes.get("/film/pixels", response_class=Response)
    def pixels(
        index: str | None = None,
        id: str | None = Query(None, max_length=1000),  # noqa: A002 - as in the address
        upload: str | None = Query(None, max_length=100),
    ) -> Response:
        """Return the pixels of a film: uint16, little-endian, row by row; larger is brighter, as displayed.

        The headers X-Film-Width and X-Film-Height say the size, X-Film-Bits what the film had (8, 16; 0 for floats).
        """
        found = service.uploads[upload].pixels if upload is not None else film_pixels(service.state(index), _given(id))
        values, bits = _sixteen_bits(found)
        height, width = values.shape
        about = {"X-Film-Width": str(width), "X-Film-Height": str(height), "X-Film-Bits": str(bits)}
        return Response(values.tobytes(), media_type="application/octet-stream", headers={**about, **_KEPT})

    return routes


def film_facts(state: State, row: int) -> dict[str, Any]:
    """Return what may be shown of a film."""
    community = int(state.index.communities[row])
    return {
        "id": str(state.films.ids[row]),
        "position": row,
        "labels": state.films.label_texts(row),
        "facts": facts_of(state.films, state.filters, row),
        "community": community,
        "community_films": state.sizes[community],
    }


def _picture(request: Request, found: Picture) -> Response:
    headers = {**_KEPT, "ETag": found.tag}
    if found.tag in request.headers.get("if-none-match", "").replace("W/", "").split(", "):
        return Response(status_code=304, headers=headers)
    return Response(found.jpeg, media_type=MEDIA, headers=headers)


def _given(identity: str | None) -> str:
    if identity is None:
        raise InvalidParameterError("id", None, "id=ID of a film of the index, or upload=NAME of a film that was sent")
    return identity


def _sixteen_bits(pixels: NDArray[Any]) -> tuple[NDArray[np.uint16], int]:
    if pixels.dtype == np.uint16:
        return pixels.astype("<u2"), 16
    if pixels.dtype == np.uint8:
        return pixels.astype("<u2") * np.uint16(257), 8
    return np.rint(np.clip(pixels, 0, 1) * 65_535).astype("<u2"), 0
