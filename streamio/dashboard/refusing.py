"""What becomes of errors: an answer with a status and one clear sentence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import ConnectionError, RedisError, TimeoutError
from starlette.responses import Response

from ..errors import PublishStopped, SetupError, StreamioError
from .asking import Asked
from .board import Board
from .settings import Busy, Forbidden
from .views import refusal

KINDS: tuple[tuple[tuple[type[Exception], ...], int], ...] = (
    ((Forbidden,), 403),
    ((ConnectionError, TimeoutError, OSError), 503),
    ((SetupError,), 404),
    ((Busy, StreamioError, RedisError), 409),
    ((ValueError, TypeError), 400),
)


async def telling_errors(board: Board, look: Callable[[Board, Asked], Awaitable[Any]], asked: Asked) -> Response:
    """What the function answers, or the refusal that its error is."""
    board.sampler.touch()
    try:
        answer: Response = await look(board, asked)
        return answer
    except Exception as error:
        return refusal(*told(error))


def told(error: Exception) -> tuple[int, str]:
    """The status and the sentence of an error. One that nobody foresaw is raised."""
    if isinstance(error, PublishStopped) and not error.ids and isinstance(error.__cause__, Exception):
        return told(error.__cause__)
    for kinds, status in KINDS:
        if isinstance(error, kinds):
            return status, str(error) or type(error).__name__
    raise error
