"""The consumer group itself: making it, finding it lost, moving and destroying it."""

from __future__ import annotations

from redis.exceptions import OutOfMemoryError, ResponseError

from ..commands import xgroup_create, xgroup_destroy, xgroup_setid, xinfo_consumers
from ..effects import Exchange, Line
from ..errors import GroupInUse, SetupError
from ..keys import WAITING
from .asking import ask, call, says

LOST = ("NOGROUP", "UNBLOCKED", "ERR no such key", "ERR The XGROUP subcommand requires the key to exist")


def is_lost(error: BaseException) -> bool:
    """Whether the error says that the group or its stream is not there (7.0: UNBLOCKED, later: NOGROUP; the embedded server has its own words)."""
    return says(error, *LOST) or "requires the key to exist" in str(error) or str(error).startswith("no such key")


def creating(topic: str, group: str, start: str) -> Exchange[bool]:
    """Whether the group was made now; False where it was there."""
    try:
        yield from call(xgroup_create(topic, group, start))
    except ResponseError as error:
        if not says(error, "BUSYGROUP"):
            raise
        return False
    return True


def creating_on(line: Line, topic: str, group: str, start: str) -> Exchange[bool]:
    """As `creating`, on a member's own line."""
    try:
        yield from ask(line, xgroup_create(topic, group, start))
    except ResponseError as error:
        if not says(error, "BUSYGROUP") and not (isinstance(error, OutOfMemoryError) and (yield from is_there(line, topic, group))):
            raise
        return False
    return True


def is_there(line: Line, topic: str, group: str) -> Exchange[bool]:
    """Whether there is such a group. (A server without memory refuses to make it before it looks.)"""
    try:
        yield from ask(line, xinfo_consumers(topic, group))
    except ResponseError as error:
        if not is_lost(error):
            raise
        return False
    return True


def destroying(topic: str, group: str, lease: float, force: bool) -> Exchange[bool]:
    """Whether there was a group to destroy. Refused while a member spoke within the lease, unless forced."""
    if not force:
        alive = yield from live_members(topic, group, lease)
        if alive:
            raise GroupInUse(topic, group, alive)
    try:
        return (yield from call(xgroup_destroy(topic, group)))
    except ResponseError as error:
        if not is_lost(error):
            raise
        return False


def live_members(topic: str, group: str, lease: float) -> Exchange[list[str]]:
    """The names of the members that spoke within the lease; none where there is no such group."""
    try:
        consumers = yield from call(xinfo_consumers(topic, group))
    except ResponseError as error:
        if not is_lost(error):
            raise
        return []
    return [consumer.name for consumer in consumers if consumer.name != WAITING and consumer.idle < lease]


def seeking(topic: str, group: str, position: str) -> Exchange[None]:
    """Move the group: it reads next what stands above this id. A SetupError where there is no such group."""
    try:
        yield from call(xgroup_setid(topic, group, position))
    except ResponseError as error:
        if not is_lost(error):
            raise
        raise SetupError(f"topic {topic!r} has no consumer group {group!r}") from error
