"""Who may ask, and what every answer carries. All of it stands before the routes, so that no route can forget it.

1. The host asked for is one of a list: a page elsewhere cannot point a name of its own at this machine.
2. What changes something is refused where the dashboard is read-only, and unless it comes from the dashboard's own page (`Sec-Fetch-Site`, else
   `Origin`), or from no page at all. It is JSON, so that no form can send it, and not endless.
3. With a token, all but the way to show it is refused without: in `Authorization: Bearer`, or in a cookie that the form at `/login` sets. Wrong ones
   are looked at ever more slowly (`patience`).
4. Answers may not be framed, guessed at, kept or told to others, and run no script but the page's own.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import lru_cache
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .patience import Patience
from .settings import Settings
from .views import refusal

BODY = 4 * 1024 * 1024  # bytes
SAFE = ("GET", "HEAD", "OPTIONS")
OPEN = ("/login", "/healthz", "/static/")  # without a token
FORMS = ("/login", "/logout")  # which change nothing on the server
OWN_PAGE = ("same-origin", "none")
FIXED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # (with `no-referrer` a browser gives the form's `Origin` as `null`, and nobody could log in)
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def policy(nonce: str) -> str:
    """The content security policy."""
    own = f"'self' 'nonce-{nonce}'"
    rest = "img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    return f"default-src 'self'; script-src {own}; style-src {own}; {rest}"


class Protected:
    """Puts the headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**FIXED, "Content-Security-Policy": policy(nonce)})
                headers["Cache-Control"] = "no-cache" if "etag" in headers else "no-store"
            await send(message)

        return await self.app(scope, receive, sending)


class Gate:
    """Lets pass what may pass."""

    def __init__(self, app: ASGIApp, settings: Settings, patience: Patience) -> None:
        self.app, self.settings, self.patience = app, settings, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        scope = placed(scope, self.settings.prefix)
        answer = self.refused(scope, Headers(scope=scope))
        if answer is not None:
            return await answer(scope, receive, send)
        limited = Limited(receive, send)
        return await self.app(scope, limited.receive, limited.send)

    def refused(self, scope: Scope, headers: Headers) -> Response | None:
        """Why the request does not pass; None where it does."""
        path = self.path(scope)
        unsafe = scope["method"] not in SAFE
        if unsafe and not from_own_page(headers):
            return refusal(403, "this request comes from another site: what changes something is taken from the dashboard's own page only")
        if not self.known(scope) and not path.startswith(OPEN):
            return self.stranger(scope, path)
        if not unsafe or path in FORMS:
            return None
        if self.settings.read_only:
            return refusal(403, "this dashboard is read-only: start it with --allow-writes, or app(read_only=False), to act")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return refusal(415, "the body must be JSON: say so with Content-Type: application/json")
        length = headers.get("content-length", "0")
        return too_long() if length.isdecimal() and int(length) > BODY else None

    def path(self, scope: Scope) -> str:
        """The path that is asked for, without what stands before the dashboard's own."""
        path: str = scope["path"]
        return path.removeprefix(scope.get("root_path", "")).removeprefix(self.settings.prefix) or "/"

    def known(self, scope: Scope) -> bool:
        """Whether the token was shown, or none is asked for."""
        if self.settings.token is None:
            return True
        connection = HTTPConnection(scope)
        name, value = cookie_of(self.settings.token)
        if same(connection.cookies.get(name, "").encode("latin-1", "replace"), value.encode()) or self.shows_it(connection):
            scope.setdefault("state", {})["who"] = "token"
            return True
        return False

    def shows_it(self, connection: HTTPConnection) -> bool:
        """Whether the header has the token. It is not looked at while the address has to wait."""
        scheme, _, shown = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or self.patience.left(address(connection)):
            return False
        return fits(self.patience, connection, shown.strip().encode("latin-1"), self.settings.token or "")

    def stranger(self, scope: Scope, path: str) -> Response:
        """The way to the form for who looks at the page, a refusal for all others."""
        connection = HTTPConnection(scope)
        if "authorization" in connection.headers and (left := self.patience.left(address(connection))):
            return refusal(429, waiting(left), **{"Retry-After": str(left)})
        if path == "/" and scope["method"] in SAFE:
            return RedirectResponse(f"{scope.get('root_path', '')}{self.settings.prefix}/login{kept(connection)}", 303)
        return refusal(401, "this dashboard asks for its token: Authorization: Bearer …", **{"WWW-Authenticate": "Bearer"})


def address(connection: HTTPConnection) -> str:
    """Where a request comes from."""
    return connection.client.host if connection.client else ""


def kept(connection: HTTPConnection) -> str:
    """What of the page's address is to outlive the login: the topic."""
    name = QueryParams(connection.scope.get("query_string", b"")).get("topic")
    return f"?topic={quote(name, safe='')}" if name else ""


def fits(patience: Patience, connection: HTTPConnection, shown: bytes, token: str) -> bool:
    """Whether this is the token; the address is remembered where it is not."""
    right = same(shown, token.encode())
    (patience.right if right else patience.failed)(address(connection))
    return right


def waiting(left: int) -> str:
    """What is said to an address that showed too many wrong tokens."""
    return f"too many wrong tokens came from here: the next one is looked at in {left} s"


def placed(scope: Scope, prefix: str) -> Scope:
    """The request under the prefix, where all routes are: a proxy may have taken that away."""
    root = scope.get("root_path", "")
    path = scope["path"].removeprefix(root)
    return {**scope, "path": f"{root}{prefix}{path}"} if prefix and not f"{path}/".startswith(f"{prefix}/") else scope


class TooLong(Exception):
    """The body went on beyond the limit."""


class Limited:
    """Counts the body as it comes: not every request says how long it is."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self.send, self.size = receive, send, 0

    async def receive(self) -> Message:
        """The next part of the body."""
        message = await self._receive()
        self.size += len(message.get("body", b""))
        if self.size > BODY:
            raise TooLong
        return message


def too_long() -> Response:
    """The refusal of a body that is too long."""
    return refusal(413, f"the body is too long: {BODY:,} bytes are allowed")


def from_own_page(headers: Headers) -> bool:
    """Whether the request comes from a page of the dashboard itself, or from no page at all."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site.lower() in OWN_PAGE
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def same(one: bytes, other: bytes) -> bool:
    """Whether both are the same; how long that takes tells nothing."""
    return hmac.compare_digest(one, other)


@lru_cache(maxsize=16)
def cookie_of(token: str) -> tuple[str, str]:
    """The cookie of who has shown the token: its name, and a value that does not tell the token, and takes long to make of a guess."""
    value = hashlib.pbkdf2_hmac("sha256", token.encode(), b"streamio dashboard", 100_000).hex()
    return f"streamio_{hashlib.sha256(value.encode()).hexdigest()[:8]}", value
