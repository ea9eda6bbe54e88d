"""`/api/events`: the state and the actions as server-sent events.

A viewer that reads slowly makes nothing grow: it gets the newest state when it is ready again, and the actions that are still kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from .board import Board
from .sampler import Viewer
from .views import json_text

PING = 15  # seconds
RETRY = 2000  # milliseconds


class Ending:
    """What the response sets when the server shuts down; it lets the viewer go."""

    def __init__(self, viewer: Viewer) -> None:
        self.set = viewer.end


async def events(request: Request) -> Response:
    """The stream of events."""
    board: Board = request.app.state.board
    viewer = Viewer()
    stream = telling(board, viewer, last_action(request.headers.get("last-event-id"), board.journal.count))
    ending: Any = Ending(viewer)
    return EventSourceResponse(stream, ping=PING, shutdown_event=ending, shutdown_grace_period=1, send_timeout=60)


async def telling(board: Board, viewer: Viewer, action: int) -> AsyncIterator[ServerSentEvent]:
    """The newest state at once and whenever it changes, and every action above this number."""
    version, number = -1, action
    board.sampler.watch(viewer)
    try:
        await board.sampler.fresh()
        while not viewer.over:
            viewer.news.clear()
            for each in board.journal.above(number):
                number = each["number"]
                yield ServerSentEvent(json_text(each), event="log", id=f"{version}-{number}")
            if version != board.sampler.version:
                version = board.sampler.version
                yield ServerSentEvent(await board.state_text(), event="state", id=f"{version}-{number}", retry=RETRY)
            await viewer.news.wait()
    finally:
        board.sampler.leave(viewer)


def last_action(event: str | None, newest: int) -> int:
    """The number of the last action that the viewer has seen: where it comes back it says so, else it wants none of the past."""
    number = (event or "").rpartition("-")[2]
    return min(int(number), newest) if number.isdecimal() and len(number) < 19 else newest
