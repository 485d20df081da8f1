"""The JSON API of the similarity of two films: which places of both make it."""

from typing import Any

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray

from graphret._errors import InvalidParameterError
from graphret.serve.asking import film_pixels
from graphret.serve.service import Service

__all__ = ["similarity_routes"]

_MEANINGS = {
    "positions": "Red places add most to the similarity of the two films.",
    "attention": "Red places are those where the network looks.",
    "occlusion": "Red places lower the similarity most when they are covered.",
}


def similarity_routes(service: Service) -> APIRouter:
    """Return the route of similarity maps."""
    routes = APIRouter(prefix="/api/v1", tags=["films"])

    @routes.get("/similarity-map")
    def similarity_map(
        index: str | None = None,
        id: str | None = Query(None, max_length=1000, description="The query, a film of the index."),  # noqa: A002
        upload: str | None = Query(None, max_length=100, description="Or a film that was sent."),
        hit: str = Query(max_length=1000, description="The other film, of the index."),
    ) -> dict[str, Any]:
        """Say which places of two films make them similar: for each a grid of values in [0, 1], row by row.

        The values are stretched from the smallest of both films to the largest.
        """
        from graphret.evaluation.similarity_map import similarity_maps  # see `lists_export.as_qrels`

        state = service.state(index)
        if (id is None) == (upload is None):
            raise InvalidParameterError("id", id, "either id or upload")
        first = film_pixels(state, str(id)) if upload is None else service.uploads[upload].pixels
        encoder = state.encoder
        maps = similarity_maps(encoder, encoder.prepare(first), encoder.prepare(film_pixels(state, hit)))
        both = np.concatenate([maps.first.ravel(), maps.second.ravel()])
        low, span = float(both.min()), max(float(np.ptp(both)), 1e-12)
        return {
            "kind": maps.kind,
            "meaning": _MEANINGS[maps.kind],
            "query": _grid((maps.first - low) / span),
            "hit": _grid((maps.second - low) / span),
        }

    return routes


def _grid(values: NDArray[np.float64]) -> dict[str, Any]:
    shown = values.round(4)
    return {"width": shown.shape[1], "height": shown.shape[0], "values": shown.ravel().tolist()}
