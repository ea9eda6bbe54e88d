"""The routes that change something. Each answers with what it did, and with the Redis command that this amounts to; each is noted in the journal.

{"ok": true, "message": "3 entries claimed for worker-a", "command": "XAUTOCLAIM orders g worker-a 5000 0-0", "result": {…}}
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..colour import Asyncio
from ..topic import Topic
from .asking import Asked, body
from .board import Board
from .refusing import told
from .views import Answer, refusal


@dataclass(frozen=True)
class Done:
    """What an action did."""

    message: str
    command: str
    result: Any = None
    changed: bool = True  # False: it only looked


Act = Callable[[Board, Topic[Asyncio, Any], Asked], Awaitable[Done]]


@dataclass(frozen=True)
class Action:
    """An action, and the settings that it knows besides `topic`."""

    name: str
    act: Act
    settings: str

    async def answer(self, request: Request) -> Response:
        """What the action did, or why it did not."""
        board: Board = request.app.state.board
        board.sampler.touch()
        name = ""
        try:
            asked = await body(request)
            name = asked.text("topic")
            asked.only(["topic", *self.settings.split()])
            async with board.topic(board.checked(name)) as topic:
                done = await self.act(board, topic, asked)
        except Exception as error:
            status, reason = told(error)
            board.note(request, self.name, name, "", reason, ok=False)
            return refusal(status, reason)
        if done.changed:
            board.note(request, self.name, name, done.command, done.message)
        return Answer({"ok": True, "message": done.message, "command": done.command, "result": done.result})


def counted(number: int, word: str = "entry", words: str = "entries") -> str:
    """The number with its word: `1 entry`, `3 entries`."""
    return f"{number:,} {word if number == 1 else words}"


def acting(action: Action) -> Callable[[Request], Awaitable[Response]]:
    """A route of the action."""

    async def route(request: Request) -> Response:
        return await action.answer(request)

    return route
