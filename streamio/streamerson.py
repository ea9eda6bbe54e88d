"""The wire of streamerson's Node processes, so that they and members here share a group: its entries, its keys, its replies.

An entry is eight words. They are no names and values: the position of each says what it is, and the pairs only carry them.

    pair  field                   value
    1     messageId               messageType
    2     messageDestination, ''  `nil`, or the headers as a JSON object
    3     messageProtocol         messageSourceId
    4     `UnoccupiedField`       payload

A reader that makes a dict of it loses a pair where two of the words on the left are alike; here all pairs are kept. Later versions of that project
write the same under names (`messageId`, `messageType`, `incomingStream`, `messageHeaders`, `messageProtocol`, `messageSourceId`, `payload`): both are
read.

On this side of the wire:

    message.type             messageType
    header `correlation_id`  messageId: a reply has that of its request
    header `reply_to`        messageDestination: where the reply is awaited; absent where it is empty
    header `source_id`       messageSourceId
    header `protocol`        messageProtocol: `json`, or `text`
    other headers            what the wire's headers hold, any JSON values
    message.data             the JSON value; with any other protocol the text (bytes where it is not UTF-8)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from .codec import encoded, header_pairs, text
from .envelopes import Envelope, Fields, from_json, to_json
from .errors import Undecodable
from .keys import checked

if TYPE_CHECKING:
    from .message import Message

Pairs = list[tuple[bytes, bytes]]
OWN = ("correlation_id", "reply_to", "source_id", "protocol")
PROTOCOLS = ("json", "text")
NIL, UNOCCUPIED = b"nil", b"UnoccupiedField"
NAMES = (b"messageId", b"messageType", b"incomingStream", b"messageHeaders", b"messageProtocol", b"messageSourceId", b"payload")


class Parts(NamedTuple):
    """What an entry is made of, in the order of its names."""

    id: bytes
    type: bytes
    destination: bytes
    headers: bytes
    protocol: bytes
    source: bytes
    payload: bytes


@dataclass(frozen=True)
class StreamersonTopic:
    """The keys of one of streamerson's topics: `incoming` is what consumers read, `outgoing` where their replies go.

    A shard is part of both keys, once. In a Redis Cluster a reply goes out with its acknowledgement only where both keys share a slot: with a hash
    tag in the namespace, `StreamersonTopic("{game}")`.
    """

    namespace: str
    topic: str = "DEFAULT"
    shard: str | None = None

    def __post_init__(self) -> None:
        checked(self.namespace, "namespace")
        checked(self.topic, "topic")
        if self.shard is not None:
            checked(self.shard, "shard")

    @property
    def incoming(self) -> str:
        """The key of the stream that consumers read."""
        return f"{self._stem}::CONSUMER_INCOMING"

    @property
    def outgoing(self) -> str:
        """The key of the stream that consumers reply to."""
        return f"{self._stem}::PRODUCER_OUTGOING"

    @property
    def _stem(self) -> str:
        return f"{self.namespace}::{self.topic}" + ("" if self.shard is None else f"#{self.shard}")

    def subtopic(self, name: str) -> StreamersonTopic:
        """The topic below this one, of the same namespace and shard."""
        return replace(self, topic=f"{self.topic}({checked(name, 'subtopic')})")

    def sharded(self, shard: str | None) -> StreamersonTopic:
        """This topic's shard; None: the topic without one."""
        return replace(self, shard=shard)


class StreamersonCodec:
    """Entries of streamerson's wire: `Topic(StreamersonTopic("game").incoming, codec=StreamersonCodec())`.

    source_id       who writes: the wire's messageSourceId, where the header `source_id` is not given
    protocol        "json" (any JSON value), or "text" (str or bytes), where the header `protocol` is not given
    response_type   the type of replies
    names           write entries under names, as later versions of streamerson do; read are both

    `message.headers` has `correlation_id` (the wire's messageId), `reply_to` (its messageDestination), `source_id`, `protocol`, and what the wire's
    headers hold. All of them may be given to `publish(..., headers=)`; `correlation_id` is a new UUID where it is not.
    """

    cannot_fail = False

    def __init__(self, source_id: str = "", *, protocol: str = "json", response_type: str = "resp", names: bool = False) -> None:
        if not isinstance(source_id, str):
            raise TypeError(f"source_id must be a str, not {source_id!r}")
        if not isinstance(names, bool):
            raise TypeError(f"names must be True or False, not {names!r}")
        self.source_id, self.protocol, self.names = source_id, checked_protocol(protocol), names
        self.response_type = checked(response_type, "response_type")

    def write(self, type: str, data: Any, headers: Mapping[str, Any] | None) -> Pairs:
        """The entry's pairs."""
        header_pairs(dict.fromkeys(headers, "") if isinstance(headers, Mapping) else headers)  # (raises where they are no headers)
        return self.pairs(type, data, headers or {}, self.names)

    def reply(self, message: Message, value: Any, type: str | None = None) -> Pairs:
        """The pairs of the reply to this message: its messageId and messageSourceId, this value, and `type` (None: the codec's `response_type`).

        As Node's processes reply: without destination and headers, and in JSON, unless the codec's protocol is "text" and the value is, too. A
        request under names has its reply under names.
        """
        asked = message.headers
        protocol = "text" if self.protocol == "text" and isinstance(value, (str, bytes)) else "json"
        about = {"correlation_id": asked.get("correlation_id", message.id), "source_id": asked.get("source_id"), "protocol": protocol}
        return self.pairs(self.response_type if type is None else type, value, about, self.names or is_named(message.fields))

    def pairs(self, type: str, data: Any, headers: Mapping[str, Any], names: bool) -> Pairs:
        """An entry, under names or in its positions."""
        message_id, destination, source, protocol = map(headers.get, OWN)
        protocol = self.protocol if protocol is None else checked_protocol(protocol)
        if message_id == "":
            raise ValueError("header 'correlation_id' must not be empty: it is the entry's messageId")
        parts = Parts(
            id=encoded(str(uuid4()) if message_id is None else message_id, "header:correlation_id"),
            type=encoded(type, "type"),
            destination=encoded("" if destination is None else destination, "header:reply_to"),
            headers=headers_word({name: value for name, value in headers.items() if name not in OWN}),
            protocol=encoded(protocol, "header:protocol"),
            source=encoded(self.source_id if source is None else source, "header:source_id"),
            payload=payload(protocol, data),
        )
        return list(zip(NAMES, parts)) if names else placed(parts)

    def read(self, fields: Fields) -> Envelope:
        """What the entry says."""
        parts = parts_of(fields)
        type = parts.type.decode(errors="backslashreplace")
        destination = {"reply_to": text(parts.destination)} if parts.destination else {}
        own = {"correlation_id": text(parts.id), **destination, "source_id": text(parts.source), "protocol": text(parts.protocol)}
        try:
            headers = {**wire_headers(parts.headers), **own}
            data = from_json(parts.payload, "payload") if parts.protocol == b"json" else text(parts.payload)
            if not parts.id:
                raise ValueError("messageId is empty")
        except ValueError as error:
            raise Undecodable(str(error), type, own) from error
        return Envelope(type, data, headers)


# -- writing ------------------------------------------------------------------------------------------------------------------------------


def placed(parts: Parts) -> Pairs:
    """The pairs whose eight words these are."""
    id, type, destination, headers, protocol, source, payload = parts
    return [(id, type), (destination, headers), (protocol, source), (UNOCCUPIED, payload)]


def headers_word(headers: Mapping[str, Any]) -> bytes:
    """The wire's headers."""
    return to_json(headers, f"headers ({', '.join(headers)})") if headers else NIL


def payload(protocol: str, data: Any) -> bytes:
    """The data as its protocol has it."""
    if protocol == "json":
        return to_json(data, "data")
    if not isinstance(data, (str, bytes)):
        raise TypeError(f"data must be str or bytes with protocol 'text', not {type(data).__name__}")
    return encoded(data, "data")


def checked_protocol(value: object) -> str:
    """The protocol; an error where it is none."""
    if not isinstance(value, str) or value not in PROTOCOLS:
        raise ValueError(f"protocol must be 'json' or 'text', not {value!r}")
    return value


# -- reading ------------------------------------------------------------------------------------------------------------------------------


def is_named(fields: Fields) -> bool:
    """Whether the entry's words stand under their names."""
    return {NAMES[0], NAMES[-1]} <= {name for name, _ in fields}


def parts_of(fields: Fields) -> Parts:
    """The entry's parts, by their names where it has these, else by their positions."""
    if is_named(fields):
        found = dict(fields)
        return Parts(*(found.get(name, b"") for name in NAMES))
    if len(fields) != 4:
        raise ValueError(f"the wire has 4 pairs in their positions, or the fields messageId and payload, and this entry has {len(fields)}")
    (id, type), (destination, headers), (protocol, source), (_, payload) = fields
    return Parts(id, type, destination, headers, protocol, source, payload)


def wire_headers(word: bytes) -> dict[str, Any]:
    """The wire's headers, but those of whose names the positions say what they are."""
    found: Any = None if word in (NIL, b"") else from_json(word, "messageHeaders")
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"messageHeaders is no JSON object, but {found!r}")
    return {name: value for name, value in (found or {}).items() if name not in OWN}
