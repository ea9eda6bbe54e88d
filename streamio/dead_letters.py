"""A group's dead letters: entries that were put aside, each with why. Looking at them, bringing them back, removing them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, cast

from .codec import DEAD_FACTS, AnyCodec, Pairs, codec_for, headers_of, is_reserved, payload_of, unpacked
from .colour import C, D, operation
from .commands import DEAD_LETTERS, Flat, xdel, xlen, xtrim
from .effects import Exchange, Now
from .entries import Entries, Page
from .envelopes import is_whole, opened, seen
from .ids import FIRST, ID, LAST, Duration, published_at, seconds
from .keys import side_key
from .message import type_of
from .protocol.asking import call
from .protocol.inspecting import topic_info
from .protocol.redriving import Redriving
from .protocol.replaying import History
from .reports import DeadLettersInfo, RedriveResult

PAGE = 500  # ids in one command


@dataclass(frozen=True, repr=False)
class DeadLetter(Generic[D]):
    """An entry that was put aside.

    id            the letter's own id, which `redrive` and `purge` take
    entry_id      the id that the entry had in its topic
    topic, group, consumer   where it was read, and by which member
    deliveries    how often it was delivered
    reason        "failed", "poison" (it may have killed its process), "undecodable", "missing" (trimmed or deleted while it was pending: the
                  letter has no fields), "unhandled", "buried" (by hand, with an exception), or what `bury` was given
    error, traceback   of the last failure, empty where there was none
    fields        all the entry's fields, as exact `(bytes, bytes)` pairs, in order
    """

    id: str
    entry_id: str
    topic: str
    group: str
    consumer: str
    deliveries: int
    reason: str
    error: str
    traceback: str
    fields: Pairs = field(hash=False)
    _codec: Any = field(compare=False)

    def __repr__(self) -> str:
        return f"<DeadLetter {self.id}: {self.reason}, entry {self.entry_id} {self.type!r} of {self.topic!r}, group {self.group!r}>"

    def __getitem__(self, name: Any) -> Any:
        data: Any = self.data
        return data[name]

    @property
    def type(self) -> str:
        """The entry's type: the value of its field `type`, or what its codec reads; empty where it has none."""
        if is_whole(self._codec):
            return seen(self._codec, self.fields).type
        return type_of([word.decode("utf-8", "surrogateescape") for pair in self.fields for word in pair])

    @cached_property
    def data(self) -> D:
        """The payload, decoded when first asked for; None where there is none (reason "missing").

        A ValueError where the topic's codec cannot decode it: `fields` are as they were all the same.
        """
        if not self.fields:
            return cast("D", None)
        try:
            found: D = payload(self._codec, self.type, self.fields)
        except Exception as error:
            raise ValueError(f"the payload of dead letter {self.id} does not decode ({error}); its `fields` are as they were") from error
        return found

    @property
    def headers(self) -> Mapping[str, str | bytes]:
        """The entry's headers by name."""
        if is_whole(self._codec):
            return seen(self._codec, self.fields).headers
        return headers_of([pair for pair in self.fields if is_reserved(pair[0])])

    @property
    def buried_at(self) -> datetime:
        """When the entry was put aside, in UTC."""
        return published_at(self.id)


def payload(codec: Any, type: str, fields: Pairs) -> Any:
    """The data of an entry's pairs."""
    return opened(codec, fields).data if is_whole(codec) else codec_for(codec, type).decode(payload_of(fields))


class DeadLetters(Entries[C, DeadLetter[D]], Generic[C, D]):
    """A group's dead letters, oldest first: `for` in blocking code, `async for` in asyncio; read lazily, in pages.

    They are a stream of their own (its key is in `info()`), kept to about the newest 100 000; a `Topic` of that name reads them as entries.
    """

    def __init__(self, driver: Any, topic: str, group: str, codec: AnyCodec, lease: float) -> None:
        self._topic, self._group, self._codec, self._lease = topic, group, codec, lease
        self._key = side_key(topic, "dead", group)
        super().__init__(driver, self._from_the_first, f"dead letters of group {group!r}, topic {topic!r}")

    def _from_the_first(self) -> Page[DeadLetter[D]]:
        return History(self._key, FIRST, LAST, None, False, self._make).page

    def _make(self, letter_id: str, flat: Flat) -> DeadLetter[D]:
        return letter_of(letter_id, flat, self._codec)

    @operation
    def length(self) -> Exchange[int]:
        """How many there are."""
        return (yield from call(xlen(self._key)))

    @operation
    def info(self) -> Exchange[DeadLettersInfo]:
        """How many there are, from which to which, under which key, and how many are kept at most."""
        facts = yield from topic_info(self._key)
        return DeadLettersInfo(self._key, facts.length, facts.first_id, facts.last_id, DEAD_LETTERS)

    @operation
    def redrive(self, *letters: str | DeadLetter[Any] | Iterable[str | DeadLetter[Any]]) -> Exchange[RedriveResult]:
        """Bring these letters (ids, letters, or iterables of them), or all that are there now, back to the group; what became of each.

        Each goes back once, to this group only, as if it had never been delivered: its deliveries count from 1 again. An entry that the stream does
        not hold any more is added again, with a new id and marked for this group: members of other groups acknowledge it unseen, but consumers
        that do not use streamio see it. Nothing is lost where this is interrupted: call it again. Only `redrive()` means all: `redrive([])`
        redrives nothing.
        """
        work = Redriving(self._key, self._topic, self._group, self._lease)
        return (yield from (work.these(self._ids(letters)) if letters else work.all()))

    @operation
    def purge(self, *letters: str | DeadLetter[Any] | Iterable[str | DeadLetter[Any]], older_than: Duration | None = None) -> Exchange[int]:
        """Remove these letters (ids, letters, or iterables of them), those older than so many seconds, or all; how many there were.

        What is removed is gone for good. Only `purge()` means all: `purge([])` removes nothing.
        """
        if letters and older_than is not None:
            raise ValueError("purge takes letters or older_than, not both")
        if not letters:
            return (yield from call(xtrim(self._key, (yield from self._threshold(older_than)))))
        ids, removed = self._ids(letters), 0
        for place in range(0, len(ids), PAGE):
            removed += yield from call(xdel(self._key, ids[place : place + PAGE]))
        return removed

    def _threshold(self, older_than: Duration | None) -> Exchange[tuple[str, str, str]]:
        """What to trim, in XTRIM's words."""
        if older_than is None:
            return "MAXLEN", "=", "0"
        age = seconds(older_than, "older_than")
        now: float = yield Now(wall=True)
        return "MINID", "=", str(max(0, round((now - age) * 1000)))

    def _ids(self, letters: Iterable[Any]) -> list[str]:
        """The ids of these letters, each once; an error names what is none."""
        return list(dict.fromkeys(self._id(letter) for letter in flattened(letters)))

    def _id(self, letter: Any) -> str:
        if isinstance(letter, DeadLetter):
            if (letter.topic, letter.group) != (self._topic, self._group):
                raise ValueError(f"{letter!r} is not of group {self._group!r} of topic {self._topic!r}")
            return letter.id
        if not isinstance(letter, str) or not ID.fullmatch(letter):
            raise ValueError(f"{letter!r} is no dead letter and no id of one")
        return letter if "-" in letter else f"{letter}-0"


def flattened(letters: Iterable[Any]) -> Iterator[Any]:
    """The letters and ids in this, those in its iterables too."""
    for each in letters:
        if isinstance(each, Iterable) and not isinstance(each, (str, bytes)):
            yield from each
        else:
            yield each


def letter_of(letter_id: str, flat: Flat, codec: AnyCodec) -> DeadLetter[Any]:
    """The letter: facts of its own, then its entry's fields. What somebody else wrote into the stream has fields only."""
    words = [word.encode("utf-8", "surrogateescape") for word in flat]
    fields = list(zip(words[::2], words[1::2]))
    facts: dict[bytes, str] = {}
    if flat[0] == "dead:id":
        facts = {name: value.decode(errors="backslashreplace") for name, value in fields[:DEAD_FACTS]}
        fields = fields[DEAD_FACTS:]

    def fact(name: str) -> str:
        return facts.get(b"dead:" + name.encode(), "")

    return DeadLetter(
        id=letter_id,
        entry_id=fact("id"),
        topic=fact("topic"),
        group=fact("group"),
        consumer=fact("consumer"),
        deliveries=int(fact("deliveries")) if fact("deliveries").isdecimal() and len(fact("deliveries")) < 19 else 0,
        reason=fact("reason"),
        error=fact("error"),
        traceback=fact("traceback"),
        fields=unpacked(fields),
        _codec=codec,
    )
