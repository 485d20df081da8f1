"""The JSON API of lists: marks of films for a query, and their export."""

from typing import Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from graphret.files import safe_name
from graphret.serve.lists import LONGEST_NOTE
from graphret.serve.lists_export import as_csv, as_qrels, as_sr
from graphret.serve.service import Service

__all__ = ["Mark", "list_routes"]

_FORMATS = {
    "csv": (as_csv, "text/csv; charset=utf-8", "csv"),
    "qrels": (as_qrels, "text/plain; charset=utf-8", "qrels"),
}


class Mark(BaseModel):
    """A mark of a film for a query."""

    model_config = ConfigDict(extra="forbid")
    index: str | None = Field(None, description="Name of the index that the film is of; the first one if not given.")
    query: str = Field(
        max_length=1000, description="Name of the query: an id of the index, or a name for a film that was sent."
    )
    film: str = Field(max_length=1000, description="Id of the film that is marked.")
    relevance: Literal[0, 1, 2] | None = Field(
        None, description="0 not relevant, 1 relevant, 2 very; none: a note alone."
    )
    note: str | None = Field(None, max_length=LONGEST_NOTE, description="None leaves the note that is there.")


def list_routes(service: Service) -> APIRouter:
    """Return the routes of lists."""
    routes = APIRouter(prefix="/api/v1/lists", tags=["lists"])

    @routes.get("")
    def names() -> list[dict[str, Any]]:
        """Return the lists, with how many marks each has."""
        return service.lists.names()

    @routes.get("/{name}")
    def marks(name: str) -> list[dict[str, Any]]:
        """Return the marks of a list."""
        return service.lists.marks(name)

    @routes.put("/{name}", status_code=204)
    def mark(name: str, given: Mark) -> None:
        """Mark a film, in the place of the mark that is there; without relevance and note the mark is removed."""
        state = service.state(given.index)
        state.row_of(given.film)
        service.lists.mark(name, state.name, given.query, given.film, relevance=given.relevance, note=given.note)

    @routes.delete("/{name}", status_code=204)
    def remove(name: str) -> None:
        """Remove a list with its marks."""
        service.lists.remove(name)

    @routes.get("/{name}/export", response_class=Response)
    def export(
        name: str,
        format: Literal["csv", "qrels", "sr"] = "csv",  # noqa: A002 - as in the address
        index: str | None = None,
        query: str | None = Query(None, max_length=1000),
    ) -> Response:
        """Return a list as a file: CSV, TREC judgements (qrels), or one query of it as a DICOM SR.

        The SR has UIDs and relevances, no patient and no note. X-Films-Left-Out counts marked films that have no UID.
        """
        marks, file = service.lists.marks(name), safe_name(name)
        if format == "sr":
            content, n_left = as_sr(service.state(index), marks, query)
            about = {"Content-Disposition": f'attachment; filename="{file}.dcm"', "X-Films-Left-Out": str(n_left)}
            return Response(content, media_type="application/dicom", headers=about)
        write, media, suffix = _FORMATS[format]
        headers = {"Content-Disposition": f'attachment; filename="{file}.{suffix}"'}
        return Response(write(marks), media_type=media, headers=headers)

    return routes
