"""Writing entries. A write is sent once: where its reply is lost, that is said (`PublishUncertain`), and nothing is sent again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import AuthenticationError, BusyLoadingError, MovedError, NoScriptError, ResponseError

from ..commands import publish_once, xadd, xadds
from ..effects import Call, Exchange, Now, Redirect, Words
from ..errors import PublishStopped, PublishUncertain, SetupError, Unanswered
from ..ids import ID, split
from ..keys import side_key
from ..retention import Retention
from .asking import BROKEN, MOVES, fine

ONCE = 24 * 3600.0  # seconds for which an idempotency key is remembered
MOST_WORDS = 7900  # of an entry that a script adds: Lua unpacks no more than 8000 (redis-server 7.0.15)
BATCH = 500  # entries in one write
BATCH_BYTES = 1_000_000  # of fields in one write, unless one entry is larger
ASTRAY = 86_400_000  # ms by which ids may be ahead of the clock here: beyond that a producer has chosen one, and they tell no time any more
REFUSALS = ("max number of clients reached", "previous master is now a slave")


def parted(batch: Sequence[Words]) -> list[list[Words]]:
    """The entries in parts of at most BATCH_BYTES, each of one entry at least."""
    parts: list[list[Words]] = []
    size = BATCH_BYTES
    for fields in batch:
        weight = sum(map(len, fields))
        size += weight
        if size > BATCH_BYTES:
            parts.append([])
            size = weight
        parts[-1].append(fields)
    return parts


def is_refusal(error: BaseException) -> bool:
    """Whether a broken connection was the server's answer: it lets nobody in, or loads its data, or is no master any more. Nothing was written."""
    return isinstance(error, (AuthenticationError, BusyLoadingError)) or any(words in str(error) for words in REFUSALS)


class Publisher:
    """What publishing to one topic needs: its key, its retention, and the server's time as its last id told it."""

    def __init__(self, topic: str, retention: Retention) -> None:
        self.topic, self.retention, self.server_time = topic, retention, 0

    def publishing(self, fields: Words, entry_id: str) -> Exchange[str]:
        """The id of the entry, written now."""
        words = yield from self.retaining()
        (reply,) = yield from self.sending([xadd(self.topic, words, entry_id, fields).words], [])
        given = str(fine(reply, ("XADD", self.topic)))
        return self.learned(given) if entry_id == "*" else given  # an id that the caller chose tells no time

    def publishing_once(self, fields: Words, entry_id: str, key: str) -> Exchange[str]:
        """The id of the entry, written now or, with the same key, in the last 24 hours. One script, which holds on every server.

        `XADD ... IDMP` (Redis 8.6) would keep 100 keys of a producer for 100 s, 10 000 at most, by settings that are the stream's for all who write
        to it; takes no id of one's own; and where the key is dropped early, an entry is there twice.
        """
        if len(fields) > MOST_WORDS:
            raise ValueError(f"an entry with an idempotency_key can have {MOST_WORDS // 2} fields, not {len(fields) // 2}")
        words = yield from self.retaining()
        guard = side_key.__wrapped__(self.topic, "published", key)  # not from the cache: such keys are many, and long
        once = publish_once(self.topic, guard, ONCE, words, entry_id, fields)
        (reply,) = yield from self.sending([once.words], [])
        if isinstance(reply, NoScriptError):
            (reply,) = yield from self.sending([once.in_full], [])
        given = once.read(fine(reply, once.words))
        is_news = entry_id == "*" and ID.fullmatch(given) and split(given)[0] > self.server_time  # (it may be the token of one that was delayed)
        return self.learned(given) if is_news else given

    def publishing_batch(self, batch: Sequence[Words], done: list[str]) -> Exchange[None]:
        """Write these entries, at most about a megabyte at a time; their ids are appended to `done`."""
        words = yield from self.retaining()
        for part in parted(batch):
            yield from self.writing(xadds(self.topic, words, part), done)
            self.learned(done[-1])

    def writing(self, commands: Sequence[Words], done: list[str]) -> Exchange[None]:
        """Send these XADDs in one write; the ids are appended to `done`."""
        try:
            replies = yield from self.sending(commands, done)
        except BROKEN as error:  # nothing of these was written
            raise (PublishStopped(done, len(done)) if done else error) from (error if done else None)
        first = len(done)
        done += [str(reply) for reply in replies if not isinstance(reply, ResponseError)]
        for place, reply in enumerate(replies):
            try:
                fine(reply, ("XADD", self.topic))
            except (ResponseError, SetupError) as error:
                raise PublishStopped(done, first + place) from error

    def sending(self, commands: Sequence[Words], done: list[str]) -> Exchange[list[Any]]:
        """The replies; `PublishUncertain` where they did not all come. The ids among those that came are appended to `done`."""
        try:
            return (yield from self.asking(commands))
        except Unanswered as broken:
            if not broken.replies and is_refusal(broken.cause):
                raise broken.cause from None
            done += [str(reply) for reply in broken.replies if not isinstance(reply, ResponseError)]
            raise PublishUncertain(self.topic, done, len(done)) from broken.cause

    def asking(self, commands: Sequence[Words]) -> Exchange[list[Any]]:
        """The replies; a moved key is followed, because a redirected write was not done."""
        replies: list[Any] = []
        for _ in range(MOVES):
            replies = yield Call(commands)
            if not isinstance(replies[0], MovedError):
                break
            yield Redirect(replies[0].host, replies[0].port)
        return replies

    def retaining(self) -> Exchange[Words]:
        """XADD's words for the retention."""
        here = round((yield Now(wall=True)) * 1000)
        return self.retention.words(self.server_time if 0 < self.server_time <= here + ASTRAY else here)

    def learned(self, entry_id: str) -> str:
        """The id, which also tells the server's time."""
        self.server_time = split(entry_id)[0]
        return entry_id
