"""Operating on a group's consumers: handing their pending entries over, removing their records. Nothing pending is ever destroyed.

1. Entries change hands in pages; each page is one script that looks at the owner first, so whoever is stopped in between has lost nothing.
2. No delivery is counted. What goes to the parking consumer goes there as an orphan (`taking`): nobody knows what its process died of.
3. A record is removed by the script that sees that nothing is pending under its name.
"""

from __future__ import annotations

from redis.exceptions import ResponseError

from ..commands import hand_over, leave, xinfo_consumers, xpending_all
from ..effects import Exchange
from ..errors import ConsumerBusy, SetupError
from ..keys import WAITING, side_key
from ..reports import ConsumerInfo, ReapResult
from .asking import R, call
from .groups import is_lost
from .hand import ORPHAN

PAGE = 100  # entries in one script
TRIES = 5  # to find nothing pending under the name of a member that reads on


def within(topic: str, group: str, exchange: Exchange[R]) -> Exchange[R]:
    """What the exchange comes to; a SetupError where there is no such group."""
    try:
        return (yield from exchange)
    except ResponseError as error:
        if not is_lost(error):
            raise
        raise SetupError(f"topic {topic!r} has no consumer group {group!r}") from error


def handing_over(topic: str, group: str, owner: str, heir: str | None) -> Exchange[int]:
    """How many entries were pending under `owner` and are the heir's now (None: whoever is free takes them). What is read meanwhile stays."""
    last = yield from call(xpending_all(topic, group))
    return (yield from passing_on(topic, group, owner, heir, 0.0, last)) if last else 0


def passing_on(topic: str, group: str, owner: str, heir: str | None, least: float, last: str = "+") -> Exchange[int]:
    """How many entries of `owner`, idle for `least` seconds and none of them above `last`, are the heir's now. The oldest go first."""
    keys = topic, side_key(topic, "dead", group)
    name, idle = (WAITING, ORPHAN) if heir is None else (heir, 0.0)
    start, moved = "-", 0
    while start:
        page = yield from call(hand_over(keys, group, owner, name, least, idle, (start, last), PAGE))
        moved += page.moved
        start = f"({page.last}" if page.seen == PAGE else ""
    return moved


def removing(topic: str, group: str, name: str, heir: str | None) -> Exchange[bool]:
    """Whether there was such a consumer, which is gone now. What was pending under its name is the heir's; refused where there is no heir."""
    known = found = yield from looked_up(topic, group, name)
    for _ in range(TRIES):
        if found is None:
            break
        if found.pending:
            if heir is None:
                raise ConsumerBusy(topic, group, name, found.pending)
            yield from handing_over(topic, group, name, heir)
        if (yield from call(leave(topic, group, name))):
            break
        found = yield from looked_up(topic, group, name)
    else:
        raise ConsumerBusy(topic, group, name, found.pending if found else 0, heir)
    return known is not None


def looked_up(topic: str, group: str, name: str) -> Exchange[ConsumerInfo | None]:
    """The consumer; None where the server knows no such one."""
    consumers = yield from call(xinfo_consumers(topic, group))
    return next((each for each in consumers if each.name == name), None)


def reaping(topic: str, group: str, lease: float, heir: str | None) -> Exchange[ReapResult]:
    """The consumers that said nothing for a lease and are removed, and how many of their entries the heir has now (None: whoever is free).

    One that speaks meanwhile keeps what it reads, because that has not been idle for a lease, and so it keeps its record.
    """
    consumers = yield from call(xinfo_consumers(topic, group))
    removed, moved = [], 0
    for name in [each.name for each in consumers if each.idle >= lease and each.name not in (WAITING, heir)]:
        moved += yield from passing_on(topic, group, name, heir, lease)
        if (yield from call(leave(topic, group, name))):
            removed.append(name)
    return ReapResult(tuple(removed), moved)
