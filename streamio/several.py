"""A member of several topics: `ConsumerGroupMember([group_a, group_b], …)`. What it is for each topic stands in `parts`; whose turn it is, in
`protocol.conducting`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from .colour import Asyncio, Blocking, C, operation, wrong
from .composing import Composed
from .effects import Do, Exchange
from .errors import Abandoned
from .forking import kept
from .ids import Duration, seconds
from .logbook import MEMBER as log
from .logbook import about
from .loop import AsyncioLoop, BlockingLoop
from .member import ConsumerGroupMember
from .message import ENDED, Message
from .parts import Share
from .protocol.conducting import conducting
from .protocol.holding import guarded
from .protocol.outcomes import released, succeeded
from .protocol.score import Choir
from .reports import MemberInfo
from .turns import SeveralAsyncio, SeveralBlocking


class SeveralTopics(Composed[C]):
    """See `ConsumerGroupMember`."""

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
                hand.look_again()
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
        now: float = self._driver.clock.monotonic()
        timers = [due for hand in self._score.hands for due in hand.timers]
        return max(now, *timers) + 0.02 if retries and timers else now

    @operation
    def read(self, n: int = 1, timeout: Duration | None = None) -> Exchange[list[Message]]:
        """As of a plain member, from all groups."""
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"n must be a whole number, 1 or more, not {n!r}")
        until = None if timeout is None else self._driver.clock.monotonic() + seconds(timeout, "timeout")
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
            yield from share._bring()

    @operation
    def info(self) -> Exchange[MemberInfo]:
        """The sums over all groups; each one's own stand in `parts`."""
        infos: list[MemberInfo] = []
        inner: Callable[[Any], Exchange[MemberInfo]] = cast(Any, ConsumerGroupMember).info
        for share in self._shares:
            infos.append((yield from inner(share)))
        return total(self, infos)

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
        self._score.active = True  # what is removed meanwhile goes later
        try:
            for share in self._shares:
                if not share.part.leaves:
                    yield from share._join()
                    done.append(share)
        except BaseException:
            for share in done:
                yield from share.leave()
                share.gone.clear()
            raise
        finally:
            self._score.active = False
        self._hand.state = "ready"

    def _part(self) -> Exchange[None]:
        hand, score = self._hand, self._score
        if hand.state in ("closed", "forked"):
            return self._free()
        for each in score.hands:
            each.halt(stopping=True)
        yield Do(self._runner.rest_of)
        score.fault = None  # the next run finds what is still so
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
                log.debug("cancelled while it was abandoned: %r", late, extra=about(member=self.id))
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
                released(hand, message) if error is not None or message is hand.halfway else succeeded(hand, message)

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
