"""Reading a stream without a group: its history by pages, or its end as it grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.exceptions import ResponseError

from ..commands import Entry, xinfo_stream, xrange, xread
from ..effects import Exchange, Now
from ..ids import FIRST, LARGEST, NEW, Position, from_moment, join, position
from .asking import call
from .groups import is_lost

PAGE = 500
BLOCK = 2.0  # seconds one read of a tail may last

Make = Callable[[str, list[str]], Any]


class History:
    """The entries between two positions, page by page."""

    def __init__(self, topic: str, start: Position, end: Position, count: int | None, reverse: bool, make: Make) -> None:
        self.topic, self.left, self.reverse, self.make = topic, count, reverse, make
        self.bounds: tuple[Position, Position] = (start, end)
        self.range: tuple[str, str] | None = None

    def page(self) -> Exchange[list[Any] | None]:
        """The next messages; None after the last."""
        if self.range is None:
            now: float = yield Now(wall=True)
            start, end = self.bounds
            self.range = position(start, round(now * 1000), "start"), position(end, round(now * 1000), "end")
        wanted = PAGE if self.left is None else min(PAGE, self.left)
        if wanted <= 0:
            return None
        found: list[Entry] = yield from call(xrange(self.topic, *self.range, wanted, self.reverse))
        if not found:
            return None
        self.advance(found)
        return [self.make(*entry) for entry in found]

    def advance(self, found: list[Entry]) -> None:
        """Go on behind what was found."""
        assert self.range is not None
        edge = f"({found[-1][0]}"
        self.range = (self.range[0], edge) if self.reverse else (edge, self.range[1])
        if self.left is not None:
            self.left -= len(found)
        if found[-1][0] == (join(0, 0) if self.reverse else join(LARGEST, LARGEST)):
            self.left = 0  # there is no id beyond


class Tail:
    """The entries above a position, as they come, for ever."""

    def __init__(self, topic: str, start: Position, make: Make) -> None:
        self.topic, self.start, self.make = topic, start, make
        self.after: str | None = None

    def page(self) -> Exchange[list[Any] | None]:
        """The next messages; none where nothing came for a while."""
        if self.after is None:
            self.after = yield from self.beginning()
        found: list[Entry] = yield from call(xread(self.topic, self.after, PAGE, BLOCK), BLOCK)
        if found:
            self.after = found[-1][0]
        return [self.make(*entry) for entry in found]

    def beginning(self) -> Exchange[str]:
        """The id above which to read. The end of the stream is looked up once, so that nothing slips between two reads."""
        if self.start != NEW:
            now: float = yield Now(wall=True)
            return from_moment(self.start, round(now * 1000), "start", (FIRST,))
        try:
            facts = yield from call(xinfo_stream(self.topic))
        except ResponseError as error:
            if not is_lost(error):
                raise
            return "0-0"
        return str(facts["last-generated-id"])
