"""A member of several topics: `ConsumerGroupMember([group_a, group_b], …)`. What it is for each topic stands in `parts`; whose turn it is, in
`protocol.conducting`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack, cast
from weakref import WeakSet, proxy

from .colour import Asyncio, Blocking, C, operation, wrong
from .drivers.several import SeveralTasks, SeveralWorkers
from .effects import Do, Exchange
from .emitter import Handlers, log
from .errors import Abandoned
from .forking import kept
from .group import ConsumerGroupTopic
from .ids import Duration, seconds
from .loop import AsyncioLoop, BlockingLoop
from .member import ConsumerGroupMember
from .message import ENDED, Message
from .options import MemberOptions
from .parts import Share
from .protocol.conducting import TURN, Choir, Score, conducting
from .protocol.hand import Hand
from .protocol.holding import guarded
from .protocol.outcomes import released, succeeded
from .protocol.reading import giving_back
from .protocol.settling import delivering
from .reports import MemberInfo


class SeveralTopics(ConsumerGroupMember[C]):
    """See `ConsumerGroupMember`."""

    def __init__(self, topic: Any, group_member_id: str | None = None, *, handlers: Any = None, **options: Any) -> None:
        groups = ranked(topic)
        begin: Any = ConsumerGroupMember.__init__
        begin(self, groups[0][0], group_member_id, **options)
        self.family.discard(self)
        self.above, self.family = None, WeakSet[Handlers]([self])
        ensemble: Any = SeveralTasks if self._is_asyncio else SeveralWorkers
        self._runner = ensemble(self._hand, self._driver, proxy(self), self.lifecycle)
        self._runner.waits = set()
        self._score = Score(self._hand, self._runner.aside)
        self._runner.compose(self._score)
        whole = proxy(self)  # no cycle: a member that is dropped goes at once
        self._score.detach = lambda part: whole._let_leave(part)
        self._shares: tuple[Share[C], ...] = ()
        for group, priority in groups:
            self._compose(self._share(group, priority))
        if handlers is not None and not isinstance(handlers, Mapping):
            raise TypeError(f"handlers must be a mapping of types to handlers, not {handlers!r}")
        for event, handler in dict(handlers or {}).items():
            self._add_event_handler(event, handler, handler)

    def __repr__(self) -> str:
        return f"<ConsumerGroupMember {self.id!r} of {', '.join(repr(group) for group in self.groups)}>"

    # -- which topics --------------------------------------------------------------------------------------------------------------------

    @property
    def groups(self) -> tuple[ConsumerGroupTopic[C], ...]:
        """The groups that the member reads, in the order in which they were added."""
        return tuple(share.group for share in self._shares)

    @operation
    def add_group(self, group: ConsumerGroupTopic[C], priority: int = 0) -> Exchange[None]:
        """Read this group, too, from now on; where the member is at work, it is ready to when this returns."""
        self._need_open()
        share = self._share(group, priority)
        if self._user or self._hand.state not in ("new", "stopped"):
            yield from share._join()
            share._hand.state = "listening" if self._user else "ready"
        self._compose(share)

    @operation
    def remove_group(self, group: ConsumerGroupTopic[C]) -> Exchange[None]:
        """Read this group no more: what runs of it finishes (`grace`), what waits is given back, and its record goes. The others go on."""
        share = next((share for share in self._shares if share.group is group), None)
        if share is None:
            raise ValueError(f"{group!r} is no group of this member")
        part = share.part
        part.leaves_by, part.leaves = time.monotonic() + self._hand.settings.grace, True
        share._hand.halt(stopping=True)
        while not share.gone.is_set():
            if self._score.lets_go(part, time.monotonic()) and part.claim():
                self._detach(share)
                yield from share.leave(closing=True)
            elif self._is_within():
                return  # called by a handler or a loop's body: it goes when that is through
            else:
                yield Do(lambda: self._wait(share))

    def _wait(self, share: Share[C]) -> Any:
        if not self._is_asyncio:
            return share.gone.wait(0.02)
        return asyncio.sleep(0.02)

    def _share(self, group: Any, priority: Any) -> Share[C]:
        """The group's part of this member, checked."""
        if not isinstance(group, ConsumerGroupTopic):
            raise TypeError(f"a member belongs to ConsumerGroupTopics, not to {group!r}")
        if isinstance(priority, bool) or not isinstance(priority, int):
            raise TypeError(f"priority must be a whole number, not {priority!r}")
        if group._is_asyncio != self._is_asyncio:
            raise TypeError(f"all groups of a member have one colour: {group!r} belongs to another kind of client than {self.groups[0]!r}")
        share = Share(self, group, priority)
        if any((each.place, each.group.topic.name) == (share.place, group.topic.name) for each in self._shares):
            raise ValueError(f"the member reads {group!r} already")
        return share

    def _compose(self, share: Share[C]) -> None:
        """Let it be one of the parts."""
        score, part, driver = self._score, share.part, share._driver
        choir = next((each for each in score.choirs if each.place == share.place), None)
        if choir is None:
            choir = Choir(share.place, driver.run_on)
            score.choirs = [*score.choirs, choir]
        part.choir, choir.parts = choir, [*choir.parts, part]
        share._hand.joint = choir.line
        choir.line.patience = max(choir.line.patience or 0.0, share._hand.reading.patience or 0.0)
        self._runner.add(part, share._runner)
        self._shares, score.parts = (*self._shares, share), [*score.parts, part]
        share.group._members.add(self)
        self._acquaint()
        score.nudge()

    def _detach(self, share: Share[C]) -> None:
        """It is none of the parts any more."""
        score, part = self._score, share.part
        self._shares = tuple(each for each in self._shares if each is not share)
        score.parts = [each for each in score.parts if each is not part]
        part.choir.parts = [each for each in part.choir.parts if each is not part]
        rest = [each for each in self._shares if each.part.choir is part.choir]
        if rest:
            part.choir.perform = rest[0]._driver.run_on
        else:
            score.choirs = [each for each in score.choirs if each is not part.choir]
        if not any(each.group is share.group for each in self._shares):
            share.group._members.discard(self)
        self._runner.remove(part)
        self._acquaint()

    def _acquaint(self) -> None:
        """Each hand knows the others."""
        for share in self._shares:
            others = tuple(each._hand for each in self._shares if each is not share)
            share._hand.others = share.learner.hands = others
        self._forget()

    def _let_leave(self, part: Any) -> None:
        """The loop found that nothing of this part runs any more."""
        share = next(each for each in self._shares if each.part is part)
        self._detach(share)
        drop = Choir(None, share._driver.run_on)
        self._runner.aside(drop, self._dropping(share, part.choir))

    def _dropping(self, share: Share[C], choir: Choir) -> Exchange[None]:
        yield from share.leave(closing=True)
        if not choir.parts:
            yield Do(lambda: share._driver.drop(choir.line))

    def _relatives(self) -> list[Any]:
        return [self, *self.groups] if hasattr(self, "_shares") else super()._relatives()

    def any_listener(self) -> bool:
        """Whether anything listens, here or on a group."""
        return super().any_listener() or any(group.any_listener() for group in self.groups)

    # -- listening -----------------------------------------------------------------------------------------------------------------------

    @operation
    def drain(self, retries: bool = True) -> Exchange[int]:
        """As of a plain member, for all groups."""
        self._need_listener("drain()")
        self._take_for("draining")
        before = self._settled()
        try:
            yield from self._join()
            self._become("listening")
            for hand in self._score.hands:
                hand.draining, hand.look_at = True, 0.0
            while True:
                yield Do(lambda: self._runner.listen(lambda: self._dry_at(retries)))
                yield from self._deliver()
                if self._hand.stopping or not (retries and any(hand.timers for hand in self._score.hands)):
                    break
        finally:
            for hand in self._score.hands:
                hand.draining = False
            yield from self._part()
        return self._settled() - before

    def _settled(self) -> int:
        return sum(hand.settled for hand in self._score.hands)

    def _dry_at(self, retries: bool) -> float:
        now, timers = time.monotonic(), [due for hand in self._score.hands for due in hand.timers]
        return max(now, *timers) + 0.02 if retries and timers else now

    @operation
    def read(self, n: int = 1, timeout: Duration | None = None) -> Exchange[list[Message]]:
        """As of a plain member, from all groups."""
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"n must be a whole number, 1 or more, not {n!r}")
        until = None if timeout is None else time.monotonic() + seconds(timeout, "timeout")
        self._take_for("reading")
        score, found = self._score, list[Message]()
        try:
            yield from self._join()
            self._become("listening")  # what waits for its turn is not left
            while len(found) < n:
                score.limit = n - len(found)
                message = yield from conducting(score, until)
                if message is None:
                    break
                found.append(guarded(message))
                score.handed = None
                until = 0.0  # what is there already, without waiting for more
            yield Do(self._runner.rest_of)
        finally:
            score.limit = None
            for hand in score.hands:
                hand.limit = None
            self._free()
        return found

    def __iter__(self: ConsumerGroupMember[Blocking]) -> BlockingLoop:
        if self._driver.asyncio:
            wrong(self, "for", "async for")
        return SeveralBlocking(self)

    def __aiter__(self: ConsumerGroupMember[Asyncio]) -> AsyncioLoop:
        if not self._driver.asyncio:
            wrong(self, "async for", "for")
        return SeveralAsyncio(self)

    # -- notes ---------------------------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """As of a plain member, for all groups."""
        if self._hand.state not in ENDED and (self._user or self._hand.state != "stopped"):
            for hand in (self._hand, *self._score.hands):
                hand.halt(stopping=True)
            self._runner.stopping()

    def abandon(self) -> None:
        """As of a plain member, for all groups."""
        state = self._hand.state
        if state not in ENDED and (self._user or state not in ("new", "stopped")):
            for hand in (self._hand, *self._score.hands):
                hand.quitting = True
                hand.halt(stopping=True)
            self._runner.interrupt(self._listener if self._user in ("listening", "draining") else None)

    def pause(self) -> None:
        """As of a plain member, for all groups."""
        for hand in (self._hand, *self._score.hands):
            hand.halt(paused=True)

    def resume(self) -> None:
        """As of a plain member, for all groups."""
        for hand in (self._hand, *self._score.hands):
            hand.halt(paused=False)

    # -- settling, looking, closing --------------------------------------------------------------------------------------------------------

    @operation
    def flush(self) -> Exchange[None]:
        """Bring all settlements noted so far to the server now."""
        yield from self._deliver()

    def _deliver(self) -> Exchange[None]:
        for share in self._shares:
            if share._hand.is_noted or share._hand.flying:
                yield Do(bring(share._driver, share._hand))

    @operation
    def info(self) -> Exchange[MemberInfo]:
        """The sums over all groups; each one's own stand in `parts`."""
        infos: list[MemberInfo] = []
        inner: Callable[[Any], Exchange[MemberInfo]] = cast(Any, ConsumerGroupMember).info
        for share in self._shares:
            infos.append((yield from inner(share)))
        return total(self, infos)

    def clone(self, id: str | None = None, **options: Unpack[MemberOptions]) -> ConsumerGroupMember[C]:
        """As of a plain member, of the same groups with the same priorities."""
        whole, groups = cast(Any, self), {share.group: share.part.priority for share in self._shares}
        first = self.group
        try:
            self.group = cast(Any, groups)
            return super(SeveralTopics, whole).clone(id, **options)
        finally:
            self.group = first

    # -- one use at a time -----------------------------------------------------------------------------------------------------------------

    def _become(self, state: str) -> None:
        for hand in (self._hand, *self._score.hands):
            if hand.state not in ENDED:
                hand.state = state

    def _join(self) -> Exchange[None]:
        self._need_open()
        if self._hand.state not in ("new", "stopped") or self._hand.stopping:
            return
        done: list[Share[C]] = []
        try:
            for share in self._shares:
                yield from share._join()
                done.append(share)
        except BaseException:
            for share in done:
                yield from share.leave()
                share.gone.clear()
            raise
        self._hand.state = "ready"

    def _part(self) -> Exchange[None]:
        hand, score = self._hand, self._score
        if hand.state in ("closed", "forked"):
            return self._free()
        for each in score.hands:
            each.halt(stopping=True)
        yield Do(self._runner.rest_of)
        if hand.quitting:
            yield from self._quit()
        self._release_current()
        for share in self._shares:
            leaves = share.part.leaves
            yield from share.leave(closing=self._closing or leaves)
            if leaves:
                self._detach(share)
            elif not self._closing:
                share.gone.clear()
        yield from self._drop_lines()
        if hand.state not in ("new", "stopped"):
            self.lifecycle.tell(hand.event("stopped"))
        hand.state = "closed" if self._closing else "stopped"
        hand.halt(stopping=self._closing)
        score.last = None
        self._free()

    def _release_current(self) -> None:
        for hand in self._score.hands:
            if self._user == "iterating" and hand.current is not None and not self._runs_elsewhere():
                released(hand, hand.current)
                hand.current = None

    def _drop_lines(self) -> Exchange[None]:
        for choir in self._score.choirs:
            choir.numbered = 0
            yield Do(dropped(self._driver, choir))

    def _quit(self) -> Exchange[None]:
        self._closing = True
        for _ in range(2):  # a task that is abandoned is cancelled, and that may come as late as here
            try:
                for share in self._shares:
                    yield from share.cut_off()
                yield from self._drop_lines()
                break
            except asyncio.CancelledError as late:
                log.debug("cancelled while it was abandoned: %r", late)
        self._let_go()
        self._hand.state = "closed"
        self.lifecycle.tell(self._hand.event("stopped", reason="abandoned"))
        raise Abandoned

    def _runs_elsewhere(self) -> bool:
        self._hand.current = next((hand.current for hand in self._score.hands if hand.current is not None), None)
        try:
            return super()._runs_elsewhere()
        finally:
            self._hand.current = None

    def _verdict(self, error: BaseException | None) -> None:
        self._in_block = False
        for hand in self._score.hands:
            messages, hand.undecided = [*hand.undecided], []
            if hand.current is not None and self._user == "iterating" and not self._runs_elsewhere():
                messages.append(hand.current)
                hand.current = None
            for message in messages:
                released(hand, message) if error is not None else succeeded(hand, message)

    def _after_fork(self) -> None:
        for choir in self._score.choirs:
            if self._is_asyncio:
                kept((choir.line.connection,))
        super()._after_fork()

    def _let_go(self) -> None:
        super()._let_go()
        for choir in self._score.choirs:
            choir.line.connection = choir.line.lock = None
            choir.numbered, choir.busy = 0, False
        self._score.last = self._score.fault = None


def ranked(topic: Any) -> list[tuple[Any, Any]]:
    """The groups and their priorities."""
    found = list(topic.items()) if isinstance(topic, Mapping) else [(group, 0) for group in topic]
    if not found:
        raise ValueError("a member needs at least one ConsumerGroupTopic")
    if not isinstance(found[0][0], ConsumerGroupTopic):
        raise TypeError(f"a member belongs to ConsumerGroupTopics, not to {found[0][0]!r}")
    return found


def bring(driver: Any, hand: Hand) -> Callable[[], Any]:
    """What brings a hand's settlements to the server."""
    return lambda: driver.run_on(hand.side, delivering(hand, hand.side))


def dropped(driver: Any, choir: Choir) -> Callable[[], Any]:
    """What closes a joint line."""
    return lambda: driver.drop(choir.line)


def total(member: SeveralTopics[Any], infos: Sequence[MemberInfo]) -> MemberInfo:
    """The sums."""
    sums = {
        name: sum(getattr(info, name) for info in infos) for name in ("waiting", "running", "notes", "handled", "failed", "claimed", "connections")
    }
    sums["connections"] += sum(choir.line.connection is not None for choir in member._score.choirs)
    names = [dict.fromkeys(getattr(info, name) for info in infos) for name in ("group", "topic")]
    first = infos[0] if infos else None
    return MemberInfo(
        id=member.id, group=", ".join(names[0]), topic=", ".join(names[1]), state=member._hand.state,
        prefetch=max((info.prefetch for info in infos), default=1), server=first.server if first else None, commands=first.commands if first else {},
        parts=tuple(infos), **sums,
    )  # fmt: skip


def begin_turn(loop: Any, message: Any) -> Any:
    """Hand out a message of the part whose turn it is."""
    loop.hand = hand = loop.member._score.last.hand
    settings, loop.fresh, loop.note = hand.settings, hand.fresh, hand.acks.append
    loop.lease, loop.sure, loop.ends = settings.lease, settings.codec.cannot_fail, time.monotonic() + TURN
    handed, loop.member._score.handed = loop.start(message), None
    return handed


def end_turn(loop: Any) -> None:
    """Nothing follows by itself where the turn is over."""
    if time.monotonic() > getattr(loop, "ends", 0.0):
        loop.fresh = ()


def give_all_back(loop: Any) -> None:
    """The loop was left: so are the other parts."""
    for hand in loop.member._score.hands if loop.begun else ():
        giving_back(hand)
        hand.bell.ring()


class SeveralBlocking(BlockingLoop):
    """`for message in member`."""

    def __next__(self) -> Message:
        end_turn(self)
        message = self.swiftly()
        if message is None:
            self.member._enter(self)
            message = self.driver.run(conducting(self.member._score))
            if message is None:
                self.member._exit(self)
                raise StopIteration
            message = begin_turn(self, message)
        handed: Message = message
        return handed

    def __del__(self) -> None:
        give_all_back(self)
        super().__del__()


class SeveralAsyncio(AsyncioLoop):
    """`async for message in member`."""

    async def __anext__(self) -> Message:
        end_turn(self)
        message = self.swiftly()
        if message is None:
            await self.member._enter(self)
            message = await self.driver.run(conducting(self.member._score))
            if message is None:
                await self.member._exit(self)
                raise StopAsyncIteration
            message = begin_turn(self, message)
        handed: Message = message
        return handed

    def __del__(self) -> None:
        give_all_back(self)
        super().__del__()
