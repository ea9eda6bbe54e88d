"""The app: its routes, and what stands before them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from .acting import acting
from .actions import ACTIONS
from .board import Board
from .events import events
from .health import healthz, metrics
from .login import login, logout
from .looking import LOOKS, looking
from .page import STATIC, environment, page
from .patience import Patience
from .security import Gate, Protected, TooLong, too_long
from .settings import Settings
from .views import refusal


class Dashboard(Starlette):
    """The dashboard as an ASGI app. `await close()` ends what runs, where nobody tells it by lifespan events."""

    def __init__(self, client: Any = None, **options: Any) -> None:
        settings = Settings(**options)
        self.board = Board(client, settings)
        handlers: Any = {TooLong: refuse_long, HTTPException: refuse_http}
        super().__init__(routes=routes(settings), middleware=before(settings, self.board.patience), exception_handlers=handlers, lifespan=lifespan)
        self.state.board, self.state.templates = self.board, environment(settings)

    async def close(self) -> None:
        """Let all viewers go, and close the connections."""
        await self.board.close()


@asynccontextmanager
async def lifespan(dashboard: Dashboard) -> AsyncGenerator[None]:
    """Close at the end."""
    yield
    await dashboard.close()


def before(settings: Settings, patience: Patience) -> list[Middleware]:
    """What stands before the routes."""
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=settings.allowed_hosts, www_redirect=False)
    return [Middleware(Protected), hosts, Middleware(Gate, settings=settings, patience=patience)]


async def refuse_long(request: Request, error: Exception) -> Response:
    """The answer to a body without end."""
    return too_long()


def routes(settings: Settings) -> list[BaseRoute]:
    """All there is to ask for."""
    inner: list[BaseRoute] = [
        Route("/", page),
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/healthz", healthz),
        Route("/metrics", metrics),
        Route("/api/events", events),
        *(Route(path, looking(look)) for path, look in LOOKS.items()),
        *(Route(path, acting(action), methods=["POST"]) for path, action in ACTIONS.items()),
        *extended(settings),
        Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
    ]
    return [Mount(settings.prefix, routes=inner)] if settings.prefix else inner


def extended(settings: Settings) -> Iterator[BaseRoute]:
    """The routes and files of the extensions."""
    for each in settings.extensions:
        yield Mount("/api/demo", routes=list(each.routes))
        if each.static is not None:
            yield Mount("/static/demo", StaticFiles(directory=each.static))


async def refuse_http(request: Request, error: Exception) -> Response:
    """An error of a route that is not there, or not so, as JSON."""
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, error.detail, **(error.headers or {}))
