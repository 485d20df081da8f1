"""The JSON API of the archive map: places of the films, what colours them, and what the communities are."""

from typing import Any

import numpy as np
from fastapi import APIRouter, Query
from starlette.responses import Response

from graphret._errors import UnknownNameError
from graphret._labels import is_absent
from graphret.data.columns import is_text
from graphret.index import as_index
from graphret.mapping import archive_map, community_summaries
from graphret.serve.api_films import film_facts
from graphret.serve.filters import check_columns
from graphret.serve.served import State
from graphret.serve.service import Service
from graphret.serve.words import NotThereError

__all__ = ["map_routes"]

_LABEL = "label:"
_WORDS = {1: "positive", 0: "negative", -1: "uncertain"}


class _OldMapError(NotThereError):
    """A map that a page still shows is that of a generation before."""

    def __init__(self, generation: str) -> None:
        super().__init__(f"the index has changed since this map was loaded, {generation} is served now: load it again")


def map_routes(service: Service) -> APIRouter:
    """Return the routes of the map."""
    routes = APIRouter(prefix="/api/v1", tags=["map"])

    @routes.get("/map")
    def about(index: str | None = None) -> dict[str, Any]:
        """Say what the map shows: films, generation, and every community with name, size, purity, findings, medoid."""
        state = service.state(index)
        communities = [summary.to_dict() for summary in community_summaries(as_index(state.index), n_threads=1)]
        for summary in communities:
            summary.pop("neighbors")
        return {
            "index": state.name,
            "generation": state.generation,
            "films": len(state.films),
            "communities": communities,
        }

    @routes.get("/map/places", response_class=Response)
    def places(index: str | None = None) -> Response:
        """Return the place of every film: x and y in [0, 1], float32, little-endian, in the order of the archive."""
        state = service.state(index)
        content = np.ascontiguousarray(archive_map(as_index(state.index), n_threads=1), dtype="<f4").tobytes()
        return Response(content, media_type="application/octet-stream", headers={"X-Generation": state.generation})

    @routes.get("/map/colours")
    def colours(
        index: str | None = None,
        by: str = Query("community", max_length=300, description='"community", "label:NAME", or a column.'),
    ) -> dict[str, Any]:
        """Return what colours the films: for numbers their values, otherwise names and the number of each film's."""
        state = service.state(index)
        return {"by": by, "generation": state.generation, **_values(state, by)}

    @routes.get("/map/film")
    def film(position: int = Query(ge=0), generation: str = Query(max_length=100), index: str | None = None) -> Any:
        """Say what is known of the film at a position of the map."""
        state = service.state(index)
        if generation != state.generation or position >= len(state.films):
            raise _OldMapError(state.generation)
        return film_facts(state, position)

    return routes


def _values(state: State, by: str) -> dict[str, Any]:
    films = state.films
    if by == "community":
        communities = np.asarray(state.index.communities)
        return {
            "names": [f"community {number}" for number in range(len(state.sizes))],
            "of_films": communities.tolist(),
        }
    if by.startswith(_LABEL):
        name = by.removeprefix(_LABEL)
        if name not in films.label_names:
            raise UnknownNameError("by", by, [f"{_LABEL}{known}" for known in films.label_names])
        marks = films.labels[:, films.label_names.index(name)]
        words = {value: place for place, value in enumerate(_WORDS)}
        return {"names": list(_WORDS.values()), "of_films": [words[mark] for mark in marks.tolist()]}
    check_columns([{"column": "community"}, *state.filters], "by", [by])
    entries = films.column(by)
    if not is_text(entries) and entries.dtype.kind != "b":
        numbers = [None if is_absent(value) else value for value in entries.tolist()]
        known = [value for value in numbers if value is not None]
        return {"low": min(known), "high": max(known), "numbers": numbers}
    values, numbers_of = np.unique(entries, return_inverse=True)
    return {"names": [str(value) or "unknown" for value in values.tolist()], "of_films": numbers_of.tolist()}
