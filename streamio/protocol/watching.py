"""Looking at many streams at once: pipelined, and in batches, so that a server with many groups is not held up.

An error reply is an answer about its own stream only: a key that is gone, or of another kind, or forbidden, does not hide the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import ResponseError

from ..commands import (
    CLUSTER_MASTERS,
    SERVER_TIME,
    Command,
    Entry,
    exactly,
    info,
    memory_usage,
    scan,
    type_of,
    xinfo_consumers,
    xinfo_groups,
    xinfo_stream,
    xlen,
    xpending,
    xrange,
    zcard,
)
from ..effects import Call, Exchange
from ..errors import Unanswered
from ..ids import LAST, split
from ..keys import side_key
from ..reports import ConsumerInfo, PendingEntry
from .servers import ASK

BATCH = 250  # commands in one write
SCANNED = 1000  # keys that one SCAN looks at


@dataclass
class GroupFacts:
    """What the server says about a group. `next_id`: the first entry that it was not given yet."""

    facts: dict[str, Any]
    consumers: list[ConsumerInfo] = field(default_factory=list)
    oldest: PendingEntry | None = None
    dead: int = 0
    next_id: str | None = None


@dataclass
class StreamFacts:
    """What the server says about a stream; `stream` is None where it says nothing, and `fault` why."""

    name: str
    stream: dict[str, Any] | None = None
    groups: list[GroupFacts] = field(default_factory=list)
    delayed: int = 0
    memory: int | None = None
    fault: Exception | None = None

    def take(self, reply: Any, otherwise: Any) -> Any:
        """The reply; where it is an error, that is remembered, and `otherwise` comes back."""
        if isinstance(reply, Exception):
            self.fault = self.fault or reply
            return otherwise
        return reply


@dataclass
class ServerFacts:
    """What the server says about itself: its time, what INFO gives about it, and how many bytes it uses."""

    at: float
    server: str
    memory: int | None


def watching(names: Sequence[str], weighed: Collection[str]) -> Exchange[tuple[ServerFacts, list[StreamFacts]]]:
    """The facts of the server and of these streams, in two round trips (more where there are hundreds of commands). `weighed`: those whose memory is
    asked for."""
    commands: list[Command[Any]] = [SERVER_TIME, Command(ASK, str), info("memory")]
    for name in names:
        commands += [xinfo_stream(name), xinfo_groups(name), zcard(side_key(name, "delayed"))]
    at, *replies = yield from asked([*commands, *map(memory_usage, weighed)])
    if isinstance(at, Exception):
        raise at
    rest = iter(replies)
    server, memory = (None if isinstance(reply, Exception) else reply for reply in (next(rest), next(rest)))
    found = [stream_facts(name, rest) for name in names]
    weights = {name: None if isinstance(weight, Exception) else weight for name, weight in zip(weighed, rest)}
    for each in found:
        each.memory = weights.get(each.name)
    yield from watching_groups(found)
    return ServerFacts(at, server or "", int(memory["used_memory"]) if memory else None), found


def stream_facts(name: str, replies: Iterator[Any]) -> StreamFacts:
    """The facts of a stream, of the next three replies."""
    found = StreamFacts(name)
    found.stream = found.take(next(replies), None)
    found.groups = [GroupFacts(facts) for facts in found.take(next(replies), [])]
    found.delayed = found.take(next(replies), 0)
    return found


def watching_groups(streams: Sequence[StreamFacts]) -> Exchange[None]:
    """Ask for the consumers, the oldest pending entry, the dead letters and the next entry of all groups."""
    asks = [(stream, group, group_commands(stream, group)) for stream in streams if stream.stream is not None for group in stream.groups]
    replies = iter((yield from asked([command for _, _, commands in asks for command in commands])))
    for stream, group, commands in asks:
        group.consumers = stream.take(next(replies), [])
        group.oldest = next(iter(stream.take(next(replies), [])), None)
        group.dead = stream.take(next(replies), 0)
        if len(commands) > 3:
            found: list[Entry] = stream.take(next(replies), [])
            group.next_id = found[0][0] if found else None
        else:
            group.next_id = beginning(stream, group)


def group_commands(stream: StreamFacts, group: GroupFacts) -> list[Command[Any]]:
    """What is to be asked about a group; its next entry only where the stream's facts do not tell it."""
    name, last = group.facts["name"], group.facts["last-delivered-id"]
    asks: list[Command[Any]] = [xinfo_consumers(stream.name, name), xpending(stream.name, name, 0.0, "-", "+", 1)]
    asks.append(xlen(side_key(stream.name, "dead", name)))
    if beginning(stream, group) is None and stream.stream is not None and last != stream.stream["last-generated-id"]:
        asks.append(xrange(stream.name, f"({last}", LAST, 1))
    return asks


def beginning(stream: StreamFacts, group: GroupFacts) -> str | None:
    """The stream's first entry where the group was not given that yet."""
    first = stream.stream.get("first-entry") if stream.stream is not None else None
    return first[0] if first and split(group.facts["last-delivered-id"]) < split(first[0]) else None


def asked(commands: Sequence[Command[Any]]) -> Exchange[list[Any]]:
    """What each command gives, an error reply as a value."""
    found: list[Any] = []
    for first in range(0, len(commands), BATCH):
        batch = commands[first : first + BATCH]
        try:
            replies = yield Call([exactly(command).words for command in batch])
        except Unanswered as broken:
            raise broken.cause from broken
        found += [reply if isinstance(reply, ResponseError) else command.read(reply) for command, reply in zip(batch, replies)]
    return found


def finding(patterns: Sequence[str]) -> Exchange[set[str]]:
    """The keys of all streams that match one of these patterns; those that are not UTF-8 can be no topics, and are left out."""
    found: set[str] = set()
    for pattern in patterns:
        cursor = ""
        while cursor != "0":
            (reply,) = yield from asked([scan(cursor or "0", pattern, SCANNED)])
            if isinstance(reply, Exception):
                raise reply
            cursor, names = reply
            found.update(name for name in names if is_text(name))
    return found


def is_text(name: str) -> bool:
    """Whether the name is UTF-8."""
    return not any("\udc80" <= sign <= "\udcff" for sign in name)


def kinds_of(names: Sequence[str]) -> Exchange[dict[str, Any]]:
    """What each of these keys holds, or the error that the server replied."""
    return dict(zip(names, (yield from asked([type_of(name) for name in names]))))


def masters() -> Exchange[list[tuple[str, int]]]:
    """The addresses of all nodes that hold keys, as this one knows them; none where it does not tell them all."""
    (found,) = yield from asked([CLUSTER_MASTERS])
    return [] if isinstance(found, Exception) or not all(host for host, _ in found) else list(found)
