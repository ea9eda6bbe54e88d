"""Replies: what a handler returned, written in one step with the acknowledgement of its entry.

1. An entry whose producer waits for a reply says where to: `header:reply_to` is the key of a stream on the same server. It gets a reply for
   whatever its handler returned, None too.
2. A member with `reply_to=topic` replies there for every value but None, where the entry itself does not say otherwise.
3. A reply has the type `reply`, and `header:correlation_id` says which entry it is for: that entry's own `correlation_id`, else its id.
4. It is written by the topic's codec where that takes the value, else as JSON, and then has `header:content_type`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..codec import AnyCodec, FlatCodec, JSONCodec, decoded, encoded, headers_of, pairs_of, wire
from ..effects import Words
from ..keys import side_key, slot
from ..outputs import Head, Put
from ..retention import Retention
from ..watching import stamped
from .hand import Hand
from .notes import Effects
from .publishing import MOST_WORDS

TYPE = "reply"
JSON = "application/json"
KEPT = "60000"  # milliseconds after its last reply
PLAIN = JSONCodec()
CORRELATION = "header:correlation_id"
FORMS = 256  # that an outlet remembers


class NoReply(ValueError):
    """The entry asks for a reply at a place where none can be written."""


@dataclass(frozen=True)
class Outlet:
    """A stream that outputs go to: its key, how data becomes fields, and how much of it is kept."""

    key: str
    codec: AnyCodec
    retention: Retention = field(default_factory=Retention)

    def put(self, type: str, data: dict[Any, Any], now: float, correlation: str | bytes | None = None) -> Put:
        """The command that adds an entry of flat data. What those of this type with these fields have alike is known from the second one on."""
        form = self.forms.get((type, correlation is None, *data))
        if form is None:
            return self.learning(type, data, now, correlation)
        values = [value if value.__class__ is str and value.isascii() else encoded(value, name) for name, value in data.items()]
        if correlation is not None:
            values.insert(0, correlation if correlation.isascii() else encoded(correlation, CORRELATION))
        return form, values

    def learning(self, type: str, data: dict[Any, Any], now: float, correlation: str | bytes | None) -> Put:
        """As `put`, the first time."""
        headers = None if correlation is None else {"correlation_id": correlation}
        head, words = added = self.add(wire(self.codec, type, data, headers), now)
        if self.retention.max_age is None and len(self.forms) < FORMS:
            names = (None if place % 2 else word for place, word in enumerate(words[2:]))
            self.forms[(type, correlation is None, *data)] = (*head, *words[:2], *names)
        return added

    def add(self, fields: Words, now: float) -> Put:
        """The command that adds an entry; `now` is the time of day in seconds."""
        if len(fields) > MOST_WORDS:
            raise ValueError(f"an entry that is put out with an acknowledgement can have {MOST_WORDS // 2} fields, not {len(fields) // 2}")
        return self.head if self.retention.max_age is None else self.head_at(round(now, 1)), fields

    @cached_property
    def forms(self) -> dict[tuple[Any, ...], Head]:
        """What entries of a type with the same fields have alike."""
        return {}

    @cached_property
    def head(self) -> Words:
        """The first words of the command."""
        return self.head_at(0.0)

    def head_at(self, now: float) -> Words:
        """The same, at that time."""
        return ("XADD", self.key, *self.retention.words(round(now * 1000)), "*")


def effects_of(hand: Hand, message: Any, result: Any, now: float) -> Sequence[Put]:
    """The commands that go out with the acknowledgement of a message whose handlers gave this. `now` is the time of day in seconds."""
    if hand.settings.ack == "manual":
        return ()
    if not hand.replies:  # (a pipe's outputs are not for whoever asked)
        return result.commands if type(result) is Effects else ()
    if message._asks or (result is not None and (hand.reply_to is not None or message._header("reply_to") is not None)):
        return reply(hand, message, result, now)
    return ()


def reply(hand: Hand, message: Any, value: Any, now: float) -> list[Put]:
    """The commands that write the reply. A stream that a `request` made for itself goes when nobody reads it any more."""
    asked = message._header("reply_to")
    if asked is None:
        assert hand.reply_to is not None
        return [replied(hand.reply_to, message, value, now)]
    outlet = Outlet(checked(hand, asked), hand.settings.codec)
    added = outlet.add(written(outlet.codec, message, value), now)
    is_ours = outlet.key.startswith(side_key(hand.settings.topic, "replies"))
    return [added, (("PEXPIRE", outlet.key, KEPT), ())] if is_ours else [added]


def replied(outlet: Outlet, message: Any, value: Any, now: float) -> Put:
    """The command that adds the reply to this message."""
    if value.__class__ is not dict or outlet.codec.__class__ is not FlatCodec or message._hand.watches:
        return outlet.add(written(outlet.codec, message, value), now)
    try:
        return outlet.put(TYPE, value, now, correlation_of(message))
    except (TypeError, ValueError):  # it is no flat mapping
        return outlet.add(written(outlet.codec, message, value), now)


def correlation_of(message: Any) -> str | bytes:
    """What says in the reply which entry it is for."""
    found: str | bytes | None = message._header("correlation_id")
    return message.id if found is None or (isinstance(found, str) and not is_utf8(found)) else found


def is_utf8(text: str) -> bool:
    """Whether it can be written: what a stranger's JSON says may hold lone surrogates."""
    return text.encode(errors="replace").decode() == text


def checked(hand: Hand, key: Any) -> str:
    """The key of the stream that a reply is to go to, where the acknowledgement's step can write to it."""
    if not isinstance(key, str) or not key or not is_utf8(key):
        raise NoReply(f"header reply_to must be the key of a stream, not {key!r}")
    if hand.is_clustered and slot(key) != slot(hand.settings.topic):
        raise NoReply(f"header reply_to: {key!r} is not in the slot of topic {hand.settings.topic!r}: no reply goes out with its acknowledgement")
    return key


def written(codec: Any, message: Any, value: Any) -> Words:
    """The fields of the reply to this message."""
    if hasattr(codec, "reply"):  # it has its own form for them
        return [word for pair in codec.reply(message, value) for word in pair]
    headers = {"correlation_id": correlation_of(message), **(stamped(message._hand.watches, None, message) or {})}
    if type(codec) is not FlatCodec or isinstance(value, Mapping):
        try:
            return wire(codec, TYPE, value, headers)
        except (TypeError, ValueError):
            if type(codec) is JSONCodec:
                raise
    plain: Any = getattr(codec, "plain", lambda value: value)  # (of a typed topic, whose data has classes)
    return wire(PLAIN, TYPE, plain(value), {**headers, "content_type": JSON})


def read(codec: AnyCodec, flat: list[str]) -> Any:
    """The data of a reply."""
    is_json = headers_of(pairs_of(flat)).get("content_type") == JSON
    return decoded(PLAIN if is_json else codec, flat, TYPE)
