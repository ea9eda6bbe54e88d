"""Where outputs and replies go: a topic that is written in one step with the acknowledgement, or, where that cannot be, before it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

from redis.exceptions import OutOfMemoryError

from .codec import FlatCodec, encoded
from .effects import Exchange, Rest, Words
from .errors import AtLeastOnce, PublishStopped, PublishUncertain
from .items import entry_with
from .keys import slot
from .logbook import PUBLISH, about, error_text
from .outputs import Put
from .protocol.asking import BROKEN, passes
from .protocol.notes import Effects
from .protocol.recovering import backoff
from .protocol.replying import Outlet, written
from .topic import Topic
from .watching import stamped

MANY = 100  # outputs of one entry, from which on their fields are counted
MOST_IN_STEP = 900_000  # words: a server takes no more than 1 048 576 (Redis 6.2)


class Sink:
    """The topic at the end of a pipe, or where replies go."""

    def __init__(self, topic: Topic[Any], sources: Sequence[Topic[Any]], what: str) -> None:
        self.topic, self.what = topic, what
        self.outlet = Outlet(topic.name, topic.codec, topic._publisher.retention)
        self.is_flat = type(topic.codec) is FlatCodec
        self.known: tuple[Any, bool] = (None, False)  # the hand that was last asked for, and whether one step can write to both
        for source in sources:
            self.begin_at(source)

    def begin_at(self, source: Topic[Any]) -> None:
        """Outputs of this topic's entries go here: a warning where that cannot be in one step with the acknowledgement."""
        topic = self.topic
        if topic._is_asyncio != source._is_asyncio:
            raise TypeError(f"{self.what} {topic.name!r} and topic {source.name!r} must have clients of one colour")
        if not self.is_near(source):
            where = "in another slot of the cluster" if topic._driver.source.cluster else "on another server"
            text = f"{self.what} {topic.name!r} is {where} than {source.name!r}: it is written before the acknowledgement, at least once"
            warnings.warn(text, AtLeastOnce, stacklevel=find_caller())

    def is_near(self, source: Topic[Any]) -> bool:
        """Whether one step can write here and acknowledge there."""
        return is_near(self.topic, source._driver.source, source.name)

    def reaches(self, hand: Any) -> bool:
        """Whether one step can write here what an entry in this hand puts out. (A member may read several topics, and be given more.)"""
        known, near = self.known
        if hand is not known:
            near = is_near(self.topic, hand.source, hand.settings.topic)
            self.known = (hand, near)
        return near

    def words(self, value: Any, message: Any) -> Words:
        """The fields of one output of this message, of its type where it says none itself."""
        watches = message._hand.watches or self.topic._watches
        return entry_with(self.outlet.codec, value, message.type, partial(stamped, watches, message=message) if watches else None)

    def effects(self, values: Sequence[Any], message: Any) -> Effects | None:
        """The commands that write these outputs of a message."""
        type, watches = message.type, message._hand.watches or self.topic._watches
        if len(values) == 1 and values[0].__class__ is dict and self.is_flat and not watches:
            (value,) = values
            form = self.outlet.forms.get((type, True, *value))
            if form is not None:  # (the usual one, as `put` knows it)
                filled = [each if each.__class__ is str and each.isascii() else encoded(each, name) for name, each in value.items()]
                return Effects(((form, filled),))
        now = self.topic._driver.clock.time()
        puts = [self.outlet.add(self.words(value, message), now) if watches else self.put(value, message, now) for value in values]
        if len(puts) > MANY and sum(len(rest) for _, rest in puts) > MOST_IN_STEP:
            raise ValueError(f"one entry can put out {MOST_IN_STEP // 2} fields in all at most, because they are written in one step")
        return Effects(puts) if puts else None

    def put(self, value: Any, message: Any, now: float) -> Put:
        """The command that writes one output."""
        if self.is_flat:
            if value.__class__ is dict and "type" not in value:
                return self.outlet.put(message.type, value, now)
            if value.__class__ is tuple and len(value) == 2 and value[0].__class__ is str and value[1].__class__ is dict:
                return self.outlet.put(value[0], value[1], now)
        return self.outlet.add(self.words(value, message), now)

    def write(self, values: Sequence[Any], message: Any) -> Any:
        """Write these outputs of a message now, before the acknowledgement; in asyncio to be awaited."""
        return self.send([self.words(value, message) for value in values], message._hand)

    def reply(self, message: Any, value: Any) -> Any:
        """Write a reply now, before the acknowledgement; in asyncio to be awaited."""
        return self.send([written(self.outlet.codec, message, value)], message._hand)

    def send(self, entries: Sequence[Words], hand: Any) -> Any:
        """Write these entries of one message; in asyncio to be awaited."""
        return self.topic._driver.run(self.sending(entries, hand))

    def sending(self, entries: Sequence[Words], hand: Any) -> Exchange[None]:
        """Write these entries. A server that is away is waited for until the member stops, as the member waits for its own."""
        attempt = 0
        while True:
            try:
                return (yield from self.topic._publisher.publishing_batch(entries, []))
            except Exception as error:
                if hand.stopping or not is_away(error):
                    raise
                if not attempt:
                    facts = about(topic=self.topic.name, group=hand.settings.group, member=hand.settings.me, error=error_text(error))
                    PUBLISH.warning("member %r waits for the server of topic %r: %s", hand.settings.me, self.topic.name, error, extra=facts)
            attempt += 1
            yield Rest(backoff(attempt, 0.5))


def is_away(error: Exception) -> bool:
    """Whether the server did not take what was written because it is away, or takes nothing just now."""
    cause = error.__cause__ if isinstance(error, PublishStopped) else error
    return isinstance(cause, (*BROKEN, PublishUncertain, OutOfMemoryError)) or (isinstance(cause, Exception) and passes(cause))


def sink_of(topic: Any, source: Topic[Any]) -> Sink | None:
    """Where a member's replies go."""
    if topic is not None and not isinstance(topic, Topic):
        raise TypeError(f"reply_to must be a Topic, not {topic!r}")
    if topic is None:
        return None
    if topic.name == source.name and topic._driver.source.shares_server(source._driver.source):
        raise ValueError(f"reply_to {topic.name!r} is the member's own topic: it would handle its replies as entries, and reply to them")
    return Sink(topic, [source], "reply_to")


def is_near(topic: Topic[Any], source: Any, key: str) -> bool:
    """Whether one step on the server can write to this topic and to the key there."""
    if not topic._driver.source.shares_server(source):
        return False
    return not source.cluster or slot(topic.name) == slot(key)


def find_caller() -> int:
    """How many frames the user's own is away from whoever asks, for a warning that points there."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == __name__.split(".")[0]:
        depth, frame = depth + 1, frame.f_back
    return depth
