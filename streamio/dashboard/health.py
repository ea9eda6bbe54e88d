"""`/healthz` for probes and `/metrics` for Prometheus."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..errors import SetupError
from .board import Board
from .views import Answer, refusal

TEXT = "text/plain; version=0.0.4; charset=utf-8"


async def healthz(request: Request) -> Response:
    """Whether the server can be reached: 200, or 503. Nothing else is told, because no token is asked for."""
    board: Board = request.app.state.board
    await board.sampler.fresh()
    away = board.sampler.since is not None
    return Answer({"ok": not away}, 503 if away else 200)


async def metrics(request: Request) -> Response:
    """The last sample as text for Prometheus; 501 where the extra is missing."""
    board: Board = request.app.state.board
    try:
        telling: Any = import_module("..telemetry.prometheus", __package__)
    except SetupError as error:
        return refusal(501, str(error))
    sample = await board.sampler.fresh()
    known = None if board.sampler.since is not None else sample
    return Response(telling.exposition(known), media_type=TEXT)
