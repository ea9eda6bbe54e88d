"""What an exchange may want of the outside world. Exchanges yield these; a driver performs them, blocking or in asyncio.

1. One `yield` asks for one effect, and its answer is what the `yield` gives.
2. A reply that is an error of the *command* (`redis.ResponseError`) is an answer, and is given back as a value.
3. An error of the *connection* is thrown into the exchange at its `yield`; the line is then down, and what was owed on it is lost.
4. Commands are tuples of words, str or bytes: nothing is converted on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from .reports import Event

Words = Sequence[str | bytes]
R = TypeVar("R")
Exchange = Generator[Any, Any, R]


@dataclass(eq=False)
class Line:
    """One connection of a member, as an exchange sees it: a handle. What stands in `connection` and `lock` is the driver's."""

    name: str
    patience: float | None = None  # seconds to wait for a reply; None: the client's own socket_timeout
    connection: Any = None
    lock: Any = None
    blocks: bool = True  # False where XREADGROUP ... BLOCK is not to be trusted (the embedded server)
    opened: int = field(default=0)  # how often it was connected
    cut: bool = False  # whether it went down in the middle of an exchange, which did not see that
    version: str = ""  # what is known of the server without asking it (the embedded one)


class Write(NamedTuple):
    """Send the commands on the line, in one write. Their replies are owed. A line that is down is connected first."""

    line: Line
    commands: Sequence[Words]


class Receive(NamedTuple):
    """The next reply owed on the line."""

    line: Line


class Call(NamedTuple):
    """Send the commands on any free connection and give the list of their replies.

    Raises redis-py's error where nothing was sent, `Unanswered` where the connection broke after that.
    `patience` is how long, in seconds, a reply may take beyond the client's own socket timeout.
    """

    commands: Sequence[Words]
    patience: float = 0.0


class Drop(NamedTuple):
    """Close the line, at once and without a word to the server."""

    line: Line


class Now(NamedTuple):
    """A monotonic time in seconds; with `wall`, the time of day in seconds since 1970."""

    wall: bool = False


NOW = Now()


class Rest(NamedTuple):
    """Wait until somebody rings for the listener, `seconds` at most (None: until then)."""

    seconds: float | None


class Emit(NamedTuple):
    """Tell the lifecycle listeners."""

    event: Event


class Chance(NamedTuple):
    """A random number from 0 to 1."""


class Do(NamedTuple):
    """Call this and give what it comes to: its result, or, in asyncio, what awaiting it gives. (How faces run loops and other exchanges.)"""

    action: Callable[[], Any]


class Redirect(NamedTuple):
    """The server of this key moved (Redis Cluster): connect to `host`:`port` from now on, or, without them, ask the client again."""

    host: str = ""
    port: int = 0
