"""Following a stream for as long as one likes, through connections that break."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from ..ids import NEW, Position
from ..topic import Topic
from .output import note

FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # seconds until a lost connection is tried again
T = TypeVar("T")


def lasting(topic: Topic[Any], read: Callable[[Position], Iterable[T]], place: Position, last: Callable[[T], str | None]) -> Iterator[T]:
    """What `read` finds above the place, for ever: one reading, so that nothing comes twice or is left out.

    Where the connection breaks meanwhile, it goes on behind the `last` entry that came.
    """
    from redis import ConnectionError, TimeoutError

    if place == NEW:
        place = topic.info().last_generated_id
    wait = FIRST_WAIT
    while True:
        try:
            for found in read(place):
                place, wait = last(found) or place, FIRST_WAIT
                yield found
        except (ConnectionError, TimeoutError) as error:
            if wait == FIRST_WAIT:
                note(f"the connection is lost, trying again: {error}")
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
