"""`Message`: one entry as a handler, a loop or a replay holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic

from .codec import FOR_GROUP, REPLY_TO, FlatCodec, Pairs, decoded, headers_of, is_reserved, pairs_of
from .colour import D
from .ids import Duration, published_at, seconds
from .protocol.holding import Guard
from .protocol.limiting import Limit
from .protocol.outcomes import nacked
from .protocol.replying import reply as answer
from .reports import Event

if TYPE_CHECKING:
    from .protocol.hand import Hand


def typed_slowly(flat: list[str], hand: Any) -> str:
    """As `type_of`. Here the hand learns of entries that were redriven for one group, so that looking for them costs other entries nothing."""
    if flat[0] == FOR_GROUP:
        hand.marked = True
    return type_of(flat)


def type_of(flat: list[str]) -> str:
    """The value of the field `type`; empty where there is none; bytes that are not UTF-8 as backslash escapes."""
    try:
        found = flat[flat[::2].index("type") * 2 + 1]
    except ValueError:
        return ""
    return found.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


ENDED = ("closed", "forked")  # states of a member that settles nothing any more


class Origin:
    """Where messages without a group come from: a replay or a tail."""

    watches = ()

    def __init__(self, topic: str, codec: Any) -> None:
        self.topic, self.codec, self.is_flat = topic, codec, type(codec) is FlatCodec


class Message(Generic[D]):
    """One entry, and this delivery of it.

    id            the entry's id
    type          the value of its field `type`, empty where it has none
    data          the decoded payload; with the default codec a dict of str (bytes where a value is not UTF-8); of a typed topic what its `type` says
    fields        all fields, as exact `(bytes, bytes)` pairs, in order
    headers       the entry's headers by name
    deliveries    which delivery this is, from 1
    claimed       whether it was taken over from a member that went silent, or from an earlier life of this one
    """

    __slots__ = ("_asks", "_data", "_denied", "_flat", "_guard", "_hand", "_limit", "_open", "id", "type")
    _asks: bool  # whether its producer waits for a reply, also where its handler returns nothing
    _data: Any
    _guard: Guard
    _limit: Limit
    _denied: Event | None  # that its handler asked for another try, or for the dead letters (None)
    deliveries: int = 1
    claimed: bool = False
    orphan: bool = False
    counted: bool = True
    before: int = 0  # deliveries counted before this one

    def __init__(self, id: str, flat: list[str], hand: Any) -> None:
        self.id = id
        if flat[0] == "type" and flat[1].isascii():
            self.type, self._asks = flat[1], len(flat) > 2 and flat[2] == REPLY_TO
        else:
            self.type, self._asks = typed_slowly(flat, hand), REPLY_TO in flat[::2]
        self._flat = flat
        self._hand = hand
        self._data = None
        self._open = True

    def __repr__(self) -> str:
        return f"<Message {self.id} {self.type!r} of {self.topic!r}>"

    def __getitem__(self, name: Any) -> Any:
        data: Any = self.data
        return data[name]

    @property
    def data(self) -> D:
        """The decoded payload."""
        known: D = self._data
        if known is not None:
            return known
        data: Any
        flat = self._flat
        text = "".join(flat)
        if self._hand.is_flat and text.isascii() and "header:" not in text:  # nothing but the type and the trace is apart
            data, words = {}, iter(flat)
            for name in words:
                data[name] = next(words)
            data.pop("type", None)
            if "trace" in text:
                data.pop("traceparent", None)
                data.pop("tracestate", None)
        else:
            data = decoded(self._hand.codec, flat, self.type)
        self._data = known = data
        return known

    @property
    def fields(self) -> Pairs:
        """All fields, the type and the headers too, as exact bytes."""
        return pairs_of(self._flat)

    @property
    def headers(self) -> Mapping[str, str | bytes]:
        """The headers by name."""
        return headers_of([pair for pair in self.fields if is_reserved(pair[0])])

    def _header(self, name: str) -> str | bytes | None:
        """One header, where the entry has it. Most have none, and that is seen at a glance."""
        return self.headers.get(name) if f"header:{name}" in self._flat else None

    @property
    def topic(self) -> str:
        """The topic's name."""
        return str(self._hand.topic if isinstance(self._hand, Origin) else self._hand.settings.topic)

    @property
    def group(self) -> str | None:
        """The group's name; None for a replay or a tail."""
        return None if isinstance(self._hand, Origin) else str(self._hand.settings.group)

    @property
    def published_at(self) -> datetime:
        """When the entry was added, by its id, in UTC."""
        return published_at(self.id)

    # -- settling: notes, without I/O, from any thread or task ---------------------------------------------------------------------------

    def ack(self) -> bool:
        """Acknowledge. False where the message was settled before, or its member is closed: then nothing of this reaches the server."""
        return self._settles(lambda hand: hand.ack(self))

    def nack(self, delay: Duration | None = None) -> bool:
        """Ask for another try after `delay` seconds: 0 now, None as the retry policy says. False where the message was settled before."""
        wait = None if delay is None else seconds(delay, "delay")

        def note(hand: Hand) -> bool:
            was_open = self._is_open()
            event = nacked(hand, self, None, hand.settings.retry.wait(None, self.deliveries, 0.5) if wait is None else wait)
            if was_open:
                self._denied = event
            return was_open

        return self._settles(note)

    def bury(self, reason: str | Exception = "buried") -> bool:
        """Put the entry into the group's dead letters, with a reason in words or an exception. False where the message was settled before."""
        if not isinstance(reason, (str, Exception)):
            raise TypeError(f"reason must be a str or an exception, not {reason!r}")
        why, error = ("buried", reason) if isinstance(reason, Exception) else (reason, None)

        def note(hand: Hand) -> bool:
            was_first = hand.bury(self, why, error)
            if was_first:
                self._denied = None
            return was_first

        return self._settles(note)

    def reply(self, value: Any) -> bool:
        """Acknowledge and answer in one step: whoever asked (`topic.request`, a header `reply_to`), else the member's `reply_to`. False where the
        message was settled before; a ValueError where nobody waits for an answer. For loops and for what is settled by hand: what a handler returns
        is the reply anyway.
        """

        def note(hand: Hand) -> bool:
            if hand.reply_to is None and self.headers.get("reply_to") is None:
                raise ValueError(f"message {self.id} asks for no reply, and its member has no reply_to on the same server")
            return self._is_open() and hand.give(self, answer(hand, self, value, hand.driver.clock.time()))

        return self._settles(note)

    def extend(self) -> bool:
        """Give this delivery its full `handler_timeout` again, and renew all that the member has in hand now. False where it was settled before.

        Without it everything in hand is renewed every third of a lease, as long as the handler runs.
        """
        return self._settles(lambda hand: hand.extend(self, hand.driver.clock.monotonic()))

    def _is_open(self) -> bool:
        return hasattr(self, "_open")

    def _settles(self, note: Callable[[Hand], bool]) -> bool:
        if isinstance(self._hand, Origin):
            raise RuntimeError(f"message {self.id} was read without a group: there is nothing to settle")
        return self._hand.state not in ENDED and note(self._hand)

    def __enter__(self) -> Message[D]:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Acknowledge at the end of the block; ask for another try where it raised."""
        if error is None:
            self.ack()
        else:
            self.nack()


class Redelivered(Message[Any]):
    """A message that was delivered before: its deliveries are known from the server, and this one is counted when it starts."""

    __slots__ = ("before", "claimed", "counted", "deliveries", "orphan")

    def __init__(self, id: str, flat: list[str], hand: Any, before: int, orphan: bool) -> None:
        super().__init__(id, flat, hand)
        self.before, self.orphan, self.claimed = before, orphan, orphan
        self.deliveries, self.counted = before + 1, False

    def start(self, deliveries: int) -> None:
        """The server has counted this delivery."""
        self.deliveries, self.counted = deliveries, True
