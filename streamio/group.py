"""`ConsumerGroupTopic`: a topic as one consumer group sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Unpack
from weakref import WeakSet

from .colour import Asyncio, Blocking, C, D, operation, wrong
from .dead_letters import DeadLetters
from .drivers.side_by_side import listen_in_tasks, listen_in_threads, stop_all
from .drivers.until import Flag, Waiter
from .effects import Do, Exchange, Now
from .emitting import Emitting
from .ids import FIRST, LAST, NEW, Duration, Position, from_moment, seconds
from .keys import WAITING, checked, checked_consumer
from .message import Message
from .operating import Operating
from .options import MemberOptions, OnGroupLost, Unhandled
from .protocol.consumers import handing_over, reaping, removing, within
from .protocol.groups import creating, destroying, seeking
from .protocol.inspecting import consumer_infos, one_group, pending_entries
from .reports import ConsumerInfo, Event, GroupInfo, PendingEntry, ReapResult
from .retry import RetryPolicy
from .signals import stop_on
from .topic import Topic, checked_count
from .watching import present

if TYPE_CHECKING:
    from .member import ConsumerGroupMember

UNHANDLED = ("ack", "leave", "bury")
ON_GROUP_LOST = ("recreate", "raise")


class ConsumerGroupTopic(Operating[C], Emitting[C, D]):
    """One consumer group of a topic: an emitter whose listeners are all its members', and an iterable (an anonymous member).

    topic            a `Topic`
    name             the group's name
    start            where the group begins when it is made: "0" (all that the stream holds), "$" (what is added from then on), an id, a datetime,
                     or a timedelta ago. A group that exists keeps its place
    min, max         how many members it should and may have. `connect_and_listen()` starts `min`; a member too many is refused (`GroupFull`)
    lease            seconds for which a member owns what it was given; renewed while it lives, so handlers may take longer (default 30)
    claim_interval   seconds between looks for entries of silent members (default: half a lease)
    retry            when failed entries are tried again (`RetryPolicy`)
    unhandled        what becomes of an entry that no listener wants: "ack" (the default), "leave" or "bury"
    on_group_lost    when the group vanishes on the server: "recreate" it at 0 (the default), or "raise" `GroupLost`
    """

    def __init__(
        self,
        topic: Topic[C, D],
        name: str,
        *,
        start: Position = "0",
        min: int = 1,
        max: int | None = None,
        lease: Duration = 30,
        claim_interval: Duration | None = None,
        retry: RetryPolicy | None = None,
        unhandled: Unhandled = "ack",
        on_group_lost: OnGroupLost = "recreate",
    ) -> None:
        if not isinstance(topic, Topic):
            raise TypeError(f"topic must be a Topic, not {topic!r}")
        super().__init__()
        self.topic, self._driver = topic, topic._driver
        self.name = checked(name, "group name")
        self.start = start
        self._start_id()
        self.min, self.max = checked_bounds(min, max)
        self.lease = positive(lease, "lease")
        self.claim_interval = self.lease / 2 if claim_interval is None else positive(claim_interval, "claim_interval")
        self.retry = retry if retry is not None else RetryPolicy()
        if not isinstance(self.retry, RetryPolicy):
            raise TypeError(f"retry must be a RetryPolicy, not {retry!r}")
        self.unhandled = one_of(unhandled, UNHANDLED, "unhandled")
        self.on_group_lost = one_of(on_group_lost, ON_GROUP_LOST, "on_group_lost")
        self._onlookers: tuple[Callable[[Event], None], ...] = ()
        self._members: WeakSet[ConsumerGroupMember[C, D]] = WeakSet()
        self._stopping = False

    def __repr__(self) -> str:
        return f"<ConsumerGroupTopic {self.name!r} of {self.topic.name!r}>"

    # -- the group on the server ------------------------------------------------------------------------------------------------------

    @operation
    def connect(self) -> Exchange[None]:
        """Reach the server, check what members will need (rights and version, by name), and make the group where it is not there."""
        member: Any = self.member(f"{WAITING}check")
        member._settings_for_check()
        yield Do(member.connect)
        yield Do(member.close)

    @operation
    def create(self, start: Position | None = None) -> Exchange[bool]:
        """Make the group, and the stream with it; False where it exists (its place stays as it is)."""
        now = yield from milliseconds_now()
        where = self._start_id(now) if start is None else from_moment(start, now, "start", (NEW, FIRST, LAST))
        return (yield from creating(self.topic.name, self.name, where))

    @operation
    def destroy(self, force: bool = False) -> Exchange[bool]:
        """Destroy the group with all it knows; whether there was one. Refused (`GroupInUse`) while members live, unless forced.

        With `force=True` the members of this process are stopped first.
        """
        if force:
            self.stop()
        return (yield from destroying(self.topic.name, self.name, self.lease, force))

    @operation
    def seek(self, position_: Position) -> Exchange[None]:
        """Move the group: members read next what stands above this id ("0": everything, "$": nothing that is there now), or from a moment on.

        Pending entries stay.
        """
        where = from_moment(position_, (yield from milliseconds_now()), "position", (NEW, FIRST, LAST))
        yield from seeking(self.topic.name, self.name, where)

    @operation
    def info(self) -> Exchange[GroupInfo]:
        """Lag, pending, waiting, place, and how many members are short of `min`. A SetupError where there is no such group."""
        return (yield from one_group(self.topic.name, self.name, self.min, self.lease))

    @operation
    def consumers(self) -> Exchange[list[ConsumerInfo]]:
        """The members that the server knows."""
        return (yield from consumer_infos(self.topic.name, self.name))

    @operation
    def pending(self, *, idle: Duration = 0, consumer: str | None = None, count: int | None = None) -> Exchange[list[PendingEntry]]:
        """Entries delivered and not acknowledged, by id: those idle for `idle` seconds, those of one consumer, the first `count`."""
        least = seconds(idle, "idle")
        checked_count(count)
        return (yield from pending_entries(self.topic.name, self.name, least, consumer, count))

    @property
    def dead_letters(self) -> DeadLetters[C, D]:
        """The entries that this group put aside: iterable, oldest first; `redrive`, `purge`, `info`, `length`."""
        return DeadLetters(self._driver, self.topic.name, self.name, self.topic.codec, self.lease)

    # -- consumers on the server ------------------------------------------------------------------------------------------------------

    @operation
    def handover(self, from_: str | ConsumerGroupMember[Any], to: str | ConsumerGroupMember[Any] | None) -> Exchange[int]:
        """Make all that is pending under the consumer `from_` the consumer `to`'s (None: whoever is free takes it); how many entries that were.

        The oldest go first, in atomic pages of 100; no delivery is counted, and the lease of `to` begins. A living `to` handles them after its
        next look for entries of others (`claim_interval`). What a living `from_` has started may run twice. What was deleted meanwhile is
        acknowledged, with a dead letter. Where the connection breaks, call it again: nothing is lost in between.
        """
        owner, heir = self._consumer(from_, "from_"), None if to is None else self._consumer(to, "to")
        if owner == heir:
            raise ValueError(f"from_ and to are the same consumer {owner!r}")
        return (yield from within(self.topic.name, self.name, handing_over(self.topic.name, self.name, owner, heir)))

    @operation
    def remove_consumer(self, name: str | ConsumerGroupMember[Any], heir: str | ConsumerGroupMember[Any] | None = None) -> Exchange[bool]:
        """Remove a consumer's record; False where there is none. What is pending under its name is never destroyed.

        It is handed over to `heir` first; without one, `ConsumerBusy` says how much there is, and nothing is changed. The same error comes where
        a living member keeps reading. To give the entries to whoever is free: `handover(name, None)`.
        """
        owner, inherits = self._consumer(name, "name"), None if heir is None else self._consumer(heir, "heir")
        if owner == inherits:
            raise ValueError(f"name and heir are the same consumer {owner!r}")
        return (yield from within(self.topic.name, self.name, removing(self.topic.name, self.name, owner, inherits)))

    @operation
    def reap(self, to: str | ConsumerGroupMember[Any] | None = None) -> Exchange[ReapResult]:
        """Hand over what consumers left behind that said nothing for a lease, and remove their records; their names, and how many entries.

        `to` gets the entries (None: whoever is free takes them). Nothing of a living member is touched. Members do the same in passing, a
        `claim_interval` later; this is for when none is there, or at once.
        """
        heir = None if to is None else self._consumer(to, "to")
        return (yield from within(self.topic.name, self.name, reaping(self.topic.name, self.name, self.lease, heir)))

    def _consumer(self, value: str | ConsumerGroupMember[Any], argument: str) -> str:
        """The consumer's name; errors name the argument."""
        from .member import ConsumerGroupMember

        if not isinstance(value, ConsumerGroupMember):
            return checked_consumer(value, f"consumer name {argument}")
        if (value.group.name, value.group.topic.name) != (self.name, self.topic.name):
            raise ValueError(f"{argument} must be a member of this group, not {value!r}")
        return value.id

    # -- members ----------------------------------------------------------------------------------------------------------------------

    def member(self, id: str | None = None, **options: Unpack[MemberOptions[D]]) -> ConsumerGroupMember[C, D]:
        """A member of this group. Options are those of `ConsumerGroupMember`."""
        from .member import ConsumerGroupMember

        make: Any = ConsumerGroupMember
        made: ConsumerGroupMember[C, D] = make(self, id, **options)
        return made

    @operation
    def connect_and_listen(self, members: int | None = None, *, until: Flag | None = None) -> Exchange[None]:
        """Listen with so many members (None: `min`) until `stop()`: threads in blocking code, tasks in asyncio. An error of one stops all.

        until   a `threading.Event`, in asyncio an `asyncio.Event`: when it is set, these members stop; set already: nothing is begun
        """
        count = self.min if members is None else members
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"members must be a whole number, 1 or more, not {members!r}")
        if self.max is not None and count > self.max:
            raise ValueError(f"members={count} must not be greater than max={self.max}")
        if not self.any_listener():
            raise ValueError(f"nothing listens on group {self.name!r}: add a handler with on(type, fn) before connect_and_listen()")
        pool = [self.member() for _ in range(count)]
        waiter = Waiter(until, self._is_asyncio, lambda: stop_all(pool))
        if self._stopping or waiter.is_set:
            self._stopping = False
            return
        try:
            waiter.begin()
            yield Do(lambda: listen_in_tasks(pool) if self._is_asyncio else listen_in_threads(pool))
        finally:
            yield from waiter.ending()

    def stop(self) -> None:
        """Stop all members of this process: each finishes what runs and returns. Allowed from threads, tasks and signal handlers."""
        living = present(self._members)
        for member in living:
            member.stop()
        self._stopping = not living

    def abandon(self) -> None:
        """Let all members of this process end at once, without acknowledging anything (`ConsumerGroupMember.abandon`)."""
        for member in present(self._members):
            member.abandon()

    def stop_on(self, *signals: int) -> None:
        """Let these signals (none given: SIGTERM and SIGINT) `stop()` the members of this process; a second one lets them `abandon()`."""
        stop_on(self, signals)

    @operation
    def close(self) -> Exchange[None]:
        """Close all members of this process."""
        members: list[Any] = present(self._members)
        for member in members:
            yield Do(member.close)

    def __iter__(self: ConsumerGroupTopic[Blocking, D]) -> Iterator[Message[D]]:
        if self._driver.asyncio:
            wrong(self, "for", "async for")
        return iter(self.member())

    def __aiter__(self: ConsumerGroupTopic[Asyncio, D]) -> AsyncIterator[Message[D]]:
        if not self._driver.asyncio:
            wrong(self, "async for", "for")
        return aiter(self.member())

    def _start_id(self, now: int = 0) -> str:
        """Where the group begins, as Redis writes it."""
        return from_moment(self.start, now, "start", (NEW, FIRST, LAST))

    def _after_fork(self) -> None:
        """Members close themselves."""


def milliseconds_now() -> Exchange[int]:
    """The time of day."""
    now: float = yield Now(wall=True)
    return round(now * 1000)


def checked_bounds(least: int, most: int | None) -> tuple[int, int | None]:
    """min and max, or an error that names what is wrong."""
    for name, value in (("min", least), ("max", most)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} must be a whole number, 1 or more, not {value!r}")
    if most is not None and least > most:
        raise ValueError(f"min={least} must not be greater than max={most}")
    return least, most


def positive(duration: Duration, name: str) -> float:
    """The duration in seconds, more than 0."""
    value = seconds(duration, name)
    if value <= 0:
        raise ValueError(f"{name} must be more than 0 seconds, not {duration!r}")
    return value


def one_of(value: str, words: tuple[str, ...], name: str) -> str:
    """The value, or an error that lists what there is."""
    if value not in words:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, words))}, not {value!r}")
    return value
