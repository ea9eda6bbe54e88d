"""Publishing for later: entries that wait on the server until they are due, looked at, and taken back. Who moves them: `delaying`."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil
from typing import Any

from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from ..commands import milliseconds
from ..delays import TOKEN, cancel, first_due, packed, postpone, zcount
from ..effects import Chance, Exchange, Words
from ..errors import SetupError
from ..ids import ID, Duration, seconds
from ..keys import side_key
from ..reports import DelayedInfo
from .asking import call, fine, says
from .publishing import MOST_WORDS, ONCE, Publisher

Due = tuple[str, str]  # "in" so many milliseconds, or "at" that one
FORBIDDEN = ("can't run this command", "can't access at least one of the keys", "ACL failure")  # how a script is told, by server version


def due_of(delay: Duration | None, at: datetime | None, entry_id: str) -> Due:
    """When an entry is due, as the server is told; errors name the argument."""
    if delay is not None and at is not None:
        raise ValueError("publish takes delay or at, not both")
    if entry_id != "*":
        raise ValueError(f"a delayed entry gets its id when it is moved into the stream: entry_id={entry_id!r} cannot be kept for it")
    if delay is not None:
        return "in", milliseconds(seconds(delay, "delay"))
    return "at", moment(at)


def moment(at: Any) -> str:
    """The milliseconds of a datetime, aware or naive in local time."""
    if not isinstance(at, datetime):
        raise TypeError(f"at must be a datetime, not {at!r} (a field of that name goes into data)")
    try:
        return str(max(0, ceil(at.timestamp() * 1000)))
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError(f"at must be a moment that the system's clock can tell, not {at!r} ({error})") from error


def postponing(publisher: Publisher, fields: Words, due: Due, once: str | None) -> Exchange[str]:
    """The token of the entry that waits until it is due; where it is due already, the id of the entry. Sent once, as every write."""
    if len(fields) > MOST_WORDS:
        raise ValueError(f"a delayed entry can have {MOST_WORDS // 2} fields, not {len(fields) // 2}")
    topic, chance = publisher.topic, (yield Chance())
    keys = [topic, side_key(topic, "delayed")]
    if once is not None:
        keys.append(side_key.__wrapped__(topic, "published", once))
    command = postpone(keys, due, chance, packed(publisher.retention, fields), ONCE)
    (reply,) = yield from publisher.sending([command.words], [])
    if isinstance(reply, NoScriptError):
        (reply,) = yield from publisher.sending([command.in_full], [])
    if isinstance(reply, ResponseError) and is_forbidden(reply):
        raise SetupError(f"the server's ACL does not let this user delay entries, which wait in the key {keys[1]!r}: {reply}") from reply
    return command.read(fine(reply, command.words))


def is_forbidden(error: ResponseError) -> bool:
    """Whether the user lacks a right, also where a script was told so."""
    return isinstance(error, NoPermissionError) or says(error, "NOPERM") or any(words in str(error) for words in FORBIDDEN)


def cancelling(topic: str, token: str) -> Exchange[bool]:
    """Take back a delayed entry; whether it was there."""
    found = TOKEN.fullmatch(token) if isinstance(token, str) else None
    if found is not None:
        return (yield from call(cancel(side_key(topic, "delayed"), found[1], token)))
    if not isinstance(token, str) or not ID.fullmatch(token):
        raise ValueError(f"token must be what publish gave for a delayed entry, not {token!r}")
    return False


def delayed_info(topic: str) -> Exchange[DelayedInfo]:
    """How many entries are delayed, and when the first is due."""
    key = side_key(topic, "delayed")
    count = yield from call(zcount(key))
    due: float | None = yield from call(first_due(key))
    return DelayedInfo(key, count, None if due is None else when(due))


def when(due: float) -> datetime:
    """The moment in UTC; one beyond what a datetime can hold is the last that it can."""
    try:
        return datetime.fromtimestamp(due, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)
