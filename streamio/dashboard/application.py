"""The app: its routes, and what stands before them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from .board import Board
from .events import events
from .page import STATIC, environment, page
from .security import Gate, Protected, TooLong, too_long
from .settings import Settings
from .views import Answer


class Dashboard(Starlette):
    """The dashboard as an ASGI app. `await close()` ends what runs, where nobody tells it by lifespan events."""

    def __init__(self, client: Any = None, **options: Any) -> None:
        settings = Settings(**options)
        self.board = Board(client, settings)
        handlers: Any = {TooLong: refuse_long}
        super().__init__(routes=routes(settings), middleware=before(settings), exception_handlers=handlers, lifespan=lifespan)
        self.state.board, self.state.templates = self.board, environment(settings)

    async def close(self) -> None:
        """Let all viewers go, and close the connections."""
        await self.board.close()


@asynccontextmanager
async def lifespan(dashboard: Dashboard) -> AsyncIterator[None]:
    """Close at the end."""
    yield
    await dashboard.close()


def before(settings: Settings) -> list[Middleware]:
    """What stands before the routes."""
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=settings.allowed_hosts, www_redirect=False)
    return [Middleware(Protected), hosts, Middleware(Gate, settings=settings)]


async def refuse_long(request: Request, error: Exception) -> Response:
    """The answer to a body without end."""
    return too_long()


def routes(settings: Settings) -> list[BaseRoute]:
    """All there is to ask for."""
    inner: list[BaseRoute] = [Route("/", page), Route("/api/state", state), Route("/api/events", events)]
    for each in settings.extensions:
        inner.append(Mount("/api/demo", routes=list(each.routes)))
        if getattr(each, "static", None):
            inner.append(Mount("/static/demo", StaticFiles(directory=each.static)))
    inner.append(Mount("/static", StaticFiles(directory=STATIC, check_dir=False)))
    return [Mount(settings.prefix, routes=inner)] if settings.prefix else inner


async def state(request: Request) -> Response:
    """The last sample and what belongs to it."""
    board: Board = request.app.state.board
    await board.sampler.fresh()
    return Answer(await board.state())
