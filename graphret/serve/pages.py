"""The pages: search, reading view, map, lists and login; made on the server, and brought to life by small scripts."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from graphret._version import __version__
from graphret.serve.api import describe_index
from graphret.serve.pages_search import answer_form, picks
from graphret.serve.security import COOKIE, SESSION_SECONDS
from graphret.serve.service import Service

__all__ = ["is_page", "message_page", "page_routes", "render"]

_MOST_FIELDS = 2000
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page_routes(service: Service) -> APIRouter:
    """Return the routes of the pages."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    def search(request: Request) -> Response:
        indexes = [describe_index(service, name) for name in service.served.indexes]
        return render(service, request, "search.html", indexes=indexes)

    def login(request: Request) -> Response:
        if not service.gate.needs_token or service.gate.session_of(request):
            return RedirectResponse("/", status_code=303)
        return render(service, request, "login.html", wrong=False)

    async def enter(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=5) as form:
            given = form.get("token", "")
        if not service.gate.needs_token or (isinstance(given, str) and service.gate.is_token(given.strip())):
            answer = RedirectResponse("/", status_code=303)
            _set_session(answer, request, service.gate.new_session())
            return answer
        return render(service, request, "login.html", status=403, wrong=True)

    async def hits(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=_MOST_FIELDS) as form:
            found = await run_in_threadpool(answer_form, service, form)
        return render(service, request, "hits.html", **found)

    def start(request: Request, index: str | None = None) -> Response:
        return render(service, request, "picks.html", films=picks(service, index))

    def lists(request: Request) -> Response:
        found = []
        for entry in service.lists.names():
            marks = service.lists.marks(entry["name"])
            asked = dict.fromkeys((mark["index"], mark["query"]) for mark in marks if mark["relevance"] is not None)
            reports = [pair for pair in asked if _has_film(service, *pair)]
            found.append({"name": entry["name"], "marks": marks, "reports": reports})
        return render(service, request, "lists.html", lists=found)

    def archive_map(request: Request, index: str | None = None) -> Response:
        state = service.state(index)
        colours = [("community", "community"), *((f"label:{name}", name) for name in state.films.label_names)]
        colours += [(entry["column"], entry["column"]) for entry in state.filters if entry["column"] != "label"]
        return render(service, request, "map.html", index=state.name, colours=colours, films=len(state.films))

    routes.add_api_route("/map", archive_map, methods=["GET"])
    routes.add_api_route("/lists", lists, methods=["GET"])
    routes.add_api_route("/", search, methods=["GET"])
    routes.add_api_route("/hits", hits, methods=["POST"])
    routes.add_api_route("/picks", start, methods=["GET"])
    routes.add_api_route("/login", login, methods=["GET"])
    routes.add_api_route("/login", enter, methods=["POST"])
    return routes


def render(service: Service, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """Fill a template; the answer also begins a session where the browser has none and no token is needed."""
    session, is_new = service.gate.session_of(request), False
    if session is None and not service.gate.needs_token:
        session, is_new = service.gate.new_session(), True
    known = {
        "version": __version__,
        "csrf": service.gate.csrf_of(session) if session else "",
        "path": request.url.path,
        "index_names": list(service.served.indexes),
    }
    answer = HTMLResponse(_TEMPLATES.get_template(template).render(**known, **values), status_code=status)
    if is_new and session:
        _set_session(answer, request, session)
    return answer


def message_page(service: Service, request: Request, status: int, message: str) -> Response:
    """Say an error where a page was asked for: as a whole page, or as the part of one that htmx puts into it."""
    part = "hx-request" in request.headers
    return render(service, request, "problem.html" if part else "message.html", status=status, message=message)


def is_page(request: Request) -> bool:
    """Whether a page, or a part of one, was asked for, and not the API or a file."""
    return not request.url.path.startswith(("/api/", "/static/"))


def _has_film(service: Service, index: str, query: str) -> bool:
    """Whether a query is a film of an index that is served: no other can be a DICOM film."""
    return index in service.served.indexes and query in service.state(index).rows


def _set_session(answer: Response, request: Request, session: str) -> None:
    answer.set_cookie(
        COOKIE, session, max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
