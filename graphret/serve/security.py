"""Who may ask: the token, the session of a browser, and what a page of another site must not be able to do."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.requests import Request

    from graphret.serve.config import ServeConfig

__all__ = ["COOKIE", "CSRF_HEADER", "HEADERS", "Gate"]

COOKIE = "graphret_session"
CSRF_HEADER = "X-CSRF-Token"
SESSION_SECONDS = 12 * 3600
_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
_NO_CHANGE = {"/login", "/hits", "/api/v1/query"}
"""What is sent but changes nothing: pages of other sites may not send it either, but it needs no word of the page."""
_SAFE = {"GET", "HEAD", "OPTIONS"}

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "X-Robots-Tag": "noindex",
}
"""Of every answer. ``Cache-Control: no-store`` is added where an answer does not say otherwise."""


class Gate:
    """Decide on requests; sessions are signed with a key that lives as long as the service, and kept nowhere.

    Parameters
    ----------
    config
        Its token.
    """

    def __init__(self, config: ServeConfig) -> None:
        self._token = config.token
        self._is_local = config.is_local
        self._key = secrets.token_bytes(32)

    @property
    def needs_token(self) -> bool:
        """Whether a token has to be shown."""
        return self._token is not None

    def is_token(self, given: str) -> bool:
        """Compare a token, in a time that does not depend on where it is wrong."""
        wanted = hashlib.sha256((self._token or "").encode()).digest()
        same = hmac.compare_digest(wanted, hashlib.sha256(given.encode(errors="replace")).digest())
        return same and self._token is not None

    def new_session(self) -> str:
        """Return what the cookie of a new session holds."""
        body = f"{int(time.time())}.{secrets.token_urlsafe(18)}"
        return f"{body}.{self._sign('session', body)}"

    def session_of(self, request: Request) -> str | None:
        """Return the session of a request, None where it has none that is valid."""
        value = request.cookies.get(COOKIE, "")
        body, _, signature = value.rpartition(".")
        began = body.partition(".")[0]
        if not began.isdecimal() or not hmac.compare_digest(signature.encode(), self._sign("session", body).encode()):
            return None
        return value if time.time() - int(began) < SESSION_SECONDS else None

    def csrf_of(self, session: str) -> str:
        """Return the word that pages of a session send with every change."""
        return self._sign("csrf", session)

    def has_bearer(self, request: Request) -> bool:
        """Whether a request shows the token itself, which no page of another site knows."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self.is_token(given.strip())

    def is_let_in(self, request: Request) -> bool:
        """Whether a request shows the token, or a session that began with it, where one is needed."""
        return not self.needs_token or self.has_bearer(request) or self.session_of(request) is not None

    def wrong_host(self, request: Request) -> bool:
        """Whether a service of this machine alone was called by another name (a page that points its name at us)."""
        if self.needs_token or not self._is_local:
            return False
        return _host_of(f"//{request.headers.get('host', '')}")[0] not in _LOCAL_NAMES

    def forged(self, request: Request) -> str:
        """Say why a request may have been made by a page of another site, or return ""."""
        if request.method in _SAFE or self.has_bearer(request):
            return ""
        headers = request.headers
        origin = headers.get("origin")
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return "it comes from a page of another site"
        if origin is not None and _host_of(origin)[1] != headers.get("host", "").lower():
            return "it comes from a page of another site"
        is_browser = origin is not None or COOKIE in request.cookies or "sec-fetch-site" in headers
        if not is_browser or request.url.path in _NO_CHANGE:
            return ""
        session = self.session_of(request)
        given = headers.get(CSRF_HEADER, "")
        if session is None or not hmac.compare_digest(given.encode(), self.csrf_of(session).encode()):
            return f"its header {CSRF_HEADER} is not that of the page: load the page again"
        return ""

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def _host_of(address: str) -> tuple[str, str]:
    """Name of the host of an address, and the same with its port; empty where it is no address."""
    try:
        parts = urlsplit(address)
        return parts.hostname or "", parts.netloc.lower()
    except ValueError:
        return "", ""
