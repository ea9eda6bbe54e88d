"""What is asked of redis-py's asyncio connections, in the connection's own time (`patience`, seconds).

redis-py would make a task for each write (Python 3.11) and a timer for each reply; so its own timeout is off once it is connected.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import ResponseError, TimeoutError

from ..protocol.asking import BROKEN
from .packing import packed
from .source import address_of


@asynccontextmanager
async def in_time(connection: Any, what: str) -> AsyncGenerator[None]:
    """A block that lasts no longer than the connection's patience."""
    try:
        async with asyncio.timeout(connection.patience):
            yield
    except asyncio.TimeoutError:  # noqa: UP041  (`TimeoutError` is redis-py's here)
        raise late(connection, what) from None


def late(connection: Any, what: str = "reading from") -> TimeoutError:
    """The error of a connection that took too long."""
    return TimeoutError(f"Timeout {what} {address_of(connection)}")


async def sent(connection: Any, commands: Any) -> None:
    """Write the commands."""
    async with in_time(connection, "writing to"):
        await connection.send_packed_command(packed(commands))


async def reply_of(connection: Any) -> Any:
    """The next reply, an error reply as a value."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error.with_traceback(None)


async def has_news(connection: Any) -> bool:
    """Whether an idle connection has something to read: then it was closed, or is out of step."""
    try:
        return bool(await connection.can_read()) or is_readable(connection)
    except BROKEN:
        return True


def is_readable(connection: Any) -> bool:
    """Whether the socket has something that the event loop did not fetch yet: `can_read` knows only what was there when the loop last turned."""
    look = getattr(getattr(connection, "_writer", None), "get_extra_info", None)
    transport_socket = look("socket") if look is not None else None
    if transport_socket is None:  # the embedded server
        return False
    number = transport_socket.fileno()
    return number < 0 or is_ready(number)


def is_ready(number: int) -> bool:
    """Whether a descriptor can be read. `poll`, where there is one, takes those above 1024, too."""
    if not hasattr(select, "poll"):
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))
