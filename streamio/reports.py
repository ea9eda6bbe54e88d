"""What `info()`, `consumers()`, `pending()`, `trim()` and the lifecycle tell: frozen dataclasses. Times are seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .ids import published_at


@dataclass(frozen=True)
class TopicInfo:
    """A stream as the server describes it. A stream that does not exist has length 0 and no ids."""

    name: str
    length: int
    groups: int
    first_id: str | None
    last_id: str | None
    last_generated_id: str
    entries_added: int | None


@dataclass(frozen=True)
class GroupInfo:
    """A consumer group.

    consumers       its members (the parking consumer is not one)
    pending         entries delivered and not acknowledged yet, those that wait included
    waiting         those of them that are in nobody's hand: retries, nacks and what was given back
    lag             entries not delivered yet; None where the server does not know
    short           how many members are missing to the group's `min`: one that is silent for a lease does not count; None where `min` is not known
                    (`topic.groups()`)
    """

    name: str
    topic: str
    consumers: int
    pending: int
    waiting: int
    last_delivered_id: str
    entries_read: int | None
    lag: int | None
    short: int | None


@dataclass(frozen=True)
class ConsumerInfo:
    """A member as the server knows it: entries pending under its name, seconds since it last spoke, and since it last got something.

    `inactive` is None before Redis 7.2, which does not tell it.
    """

    name: str
    pending: int
    idle: float
    inactive: float | None


@dataclass(frozen=True)
class PendingEntry:
    """An entry delivered and not acknowledged yet: whose it is (`~waiting`: nobody's), for how long, and how often it was delivered.

    idle   seconds; of one that waits for its next try they begin with the lease less the wait, so that it is due when they are a lease
    free   whether it waits for whoever is free: its consumer left it, or it was given back (`nack`)
    """

    id: str
    consumer: str
    idle: float
    deliveries: int
    free: bool = False


@dataclass(frozen=True)
class Holder:
    """What keeps `trim(acked=True)` from removing more: the group, and the oldest id it still needs."""

    group: str
    oldest: str

    @property
    def since(self) -> datetime:
        """When the oldest entry that the group still needs was published, in UTC."""
        return published_at(self.oldest)


@dataclass(frozen=True)
class TrimResult:
    """How many entries were removed, and which group held the rest back (None: none did)."""

    removed: int
    held_by: Holder | None = None


@dataclass(frozen=True)
class DelayedInfo:
    """A topic's delayed entries: the key that keeps them, how many wait, and when the first of them is due, in UTC (None: there is none)."""

    key: str
    waiting: int
    next_due: datetime | None


@dataclass(frozen=True)
class DeadLettersInfo:
    """A group's dead letters: the key of their stream, how many there are, the first (oldest) and the last one.

    limit           about how many are kept: at more, the oldest go when another one is written
    """

    key: str
    length: int
    first_id: str | None
    last_id: str | None
    limit: int


@dataclass(frozen=True)
class RedriveResult:
    """What became of each dead letter, by the letters' ids. Those in the first two lists went back to their group; the others stay as they are.

    redriven        the stream still holds the entry: the group handles it again under its old id
    copied          the entry was trimmed or deleted: a copy was added to the stream, with a new id
    held            the entry is pending in the group just now: another member has it, or it waits for a retry
    refused         nothing can be redriven: a letter without its entry's fields (reason "missing"), one that streamio did not write, or an
                    entry that is gone and has too many fields (thousands) to be added again
    missing         there is no such letter (any more)
    """

    redriven: list[str]
    copied: list[str]
    held: list[str]
    refused: list[str]
    missing: list[str]

    @property
    def count(self) -> int:
        """How many letters went back to their group."""
        return len(self.redriven) + len(self.copied)


@dataclass(frozen=True)
class ReapResult:
    """Which consumers were removed because they said nothing for a lease, and how many entries were handed over from silent ones."""

    consumers: tuple[str, ...]
    entries: int


@dataclass(frozen=True)
class ClaimResult:
    """What `claim` did: the ids that are the other consumer's now, and those whose entry was trimmed or deleted meanwhile.

    What was deleted is pending no more; like all that is lost it is a dead letter now, with the reason "missing".
    """

    claimed: list[str]
    deleted: list[str]


@dataclass(frozen=True)
class SeekPreview:
    """What `seek` would do: from which id (`current`) to which (`target`), and how many entries lie between.

    forward         True: the group would not get these entries any more; False: it would get them again
    """

    current: str
    target: str
    entries: int
    forward: bool


@dataclass(frozen=True)
class TrimPreview:
    """What `trim` would remove: how many entries, and of them, by group, how many are pending, and how many it has not been given yet.

    oldest_kept     the id of the first entry that would stay; None where none would
    """

    entries: int
    pending: Mapping[str, int]
    undelivered: Mapping[str, int]
    oldest_kept: str | None


@dataclass(frozen=True)
class MemberInfo:
    """A member of this process.

    state           new, standby, ready, listening, iterating, stopped or closed
    waiting         entries in hand that have not started; running: those that have
    notes           settlements not sent yet
    prefetch        how many entries the next read may bring
    handled, failed, claimed   counts since the member was made
    connections     how many connections it holds (0 to 2)
    server          the server's version ("7.0.15", "7.2.4 (valkey 9.1.2)"); None before connecting, or where this user may not ask
    commands        which commands of the server do what, by purpose: "read", "acknowledge", "wait", "renew", "claim", "publish once"
    parts           of a member of several topics: the same for each of them; the counts above are their sums
    """

    id: str
    group: str
    topic: str
    state: str
    waiting: int
    running: int
    notes: int
    prefetch: int
    handled: int
    failed: int
    claimed: int
    connections: int
    server: str | None
    commands: Mapping[str, str]
    parts: tuple[MemberInfo, ...] = ()


@dataclass(frozen=True)
class Event:
    """Something that happened to a member, given to its lifecycle listeners.

    `name` is one of `EVENTS`; the other attributes are set where they make sense: the message and the seconds its handlers took,
    the error, a reason, the ids or the count of the entries meant, the seconds until a retry. `topic` and `group` are those of the entries meant.
    """

    name: str
    member: str
    message: Any = None
    duration: float | None = None
    error: BaseException | None = None
    reason: str | None = None
    ids: Sequence[str] = ()
    count: int | None = None
    delay: float | None = None
    topic: str | None = None
    group: str | None = None


EVENTS = frozenset(
    "started succeeded failed retrying buried unhandled claimed missing skipped lease_lost group_created "
    "disconnected reconnected lagging error stopped".split()
)
