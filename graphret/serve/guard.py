"""What every request passes first: host, rate, token, origin and size; and the headers of every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from graphret.serve.limits import Rate
from graphret.serve.security import HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from graphret.serve.config import ServeConfig
    from graphret.serve.security import Gate

__all__ = ["Guard", "refusal"]

_OPEN = ("/login", "/static/", "/api/v1/health")
_LOGINS_A_SECOND, _LOGINS_AT_ONCE = 0.2, 10


class Guard:
    """ASGI middleware.

    Parameters
    ----------
    app
        What answers.
    gate
        Who may ask.
    config
        Limits.
    on_failure
        Makes the answer where the application fails by a fault of its own.
    """

    def __init__(
        self, app: ASGIApp, gate: Gate, config: ServeConfig, on_failure: Callable[[Request, Exception], Response]
    ) -> None:
        self.app, self.gate, self._on_failure = app, gate, on_failure
        self._largest = config.max_upload * 2**20
        self._rate = Rate(config.rate)
        self._logins = Rate(_LOGINS_A_SECOND, _LOGINS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        refused = self._refusal(request)

        began = False

        async def send_with_headers(message: Message) -> None:
            nonlocal began
            began = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if refused is not None:
            await refused(scope, receive, send_with_headers)
        else:
            try:
                await self.app(scope, self._counted(receive), send_with_headers)
            except Exception as error:
                if began:
                    raise
                await self._on_failure(request, error)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        path, address = request.url.path, request.client.host if request.client else ""
        if self.gate.wrong_host(request):
            return refusal(421, "WrongHost", "this service answers to localhost and 127.0.0.1 only")
        is_login = path == "/login" and request.method == "POST"
        shows_token = "authorization" in request.headers
        if not self._rate.allows(address) or (is_login and not self._logins.allows(address)):
            return refusal(429, "TooManyRequests", "too many requests: wait a little", {"Retry-After": "5"})
        if not path.startswith(_OPEN) and not self.gate.is_let_in(request):
            if shows_token and not self._logins.allows(address):
                return refusal(429, "TooManyRequests", "too many wrong tokens: wait a little", {"Retry-After": "5"})
            if request.method == "GET" and not path.startswith("/api/"):
                return RedirectResponse("/login", status_code=303)
            wanted = {"WWW-Authenticate": "Bearer"}
            return refusal(401, "TokenNeeded", 'show the token, as "Authorization: Bearer TOKEN"', wanted)
        forged = self.gate.forged(request)
        if forged:
            return refusal(403, "Forbidden", f"the request is refused: {forged}")
        stated = request.headers.get("content-length", "0")
        if not stated.isdecimal() or int(stated) > self._largest:
            return refusal(413, "TooLarge", self._too_large)
        return None

    @property
    def _too_large(self) -> str:
        return f"the request is too large: at most {self._largest // 2**20} MB are taken"

    def _counted(self, receive: Receive) -> Receive:
        """Count what really comes: a length need not be stated, nor be true."""
        n_bytes = 0

        async def counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self._largest:
                raise HTTPException(413, self._too_large)
            return message

        return counted


def refusal(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error in the one form that all errors of the API have."""
    content: dict[str, Any] = {"error": {"type": kind, "message": message}}
    return JSONResponse(content, status_code=status, headers=headers)
