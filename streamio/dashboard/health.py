"""`/healthz` for probes and `/metrics` for Prometheus."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from .board import Board
from .views import Answer


async def healthz(request: Request) -> Response:
    """Whether the server can be reached: 200, or 503. Nothing else is told, because no token is asked for."""
    board: Board = request.app.state.board
    await board.sampler.fresh()
    away = board.sampler.since is not None
    return Answer({"ok": not away}, 503 if away else 200)
