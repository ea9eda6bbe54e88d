"""Which topics a member of several has: made of them, and changed while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextlib import contextmanager, nullcontext
from threading import RLock
from typing import Any
from weakref import WeakSet, proxy

from .colour import C, operation
from .drivers.several import SeveralTasks, SeveralWorkers
from .effects import Do, Exchange
from .emitter import Handlers, Listener
from .group import ConsumerGroupTopic
from .member import ConsumerGroupMember
from .parts import Share
from .protocol.score import Choir, Score
from .sinks import Sink


class Composed(ConsumerGroupMember[C]):
    """A member that knows its parts."""

    _lent: tuple[Handlers | None, Sink | None] = (None, None)  # to whom what is read goes, also of topics that are added meanwhile

    def __init__(self, topic: Any, group_member_id: str | None = None, *, handlers: Any = None, **options: Any) -> None:
        groups = ranked(topic)
        begin: Any = ConsumerGroupMember.__init__
        begin(self, groups[0][0], group_member_id, **{**options, "reply_to": None})
        self._options = {**self._options, "reply_to": options.get("reply_to")}  # each part's
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
        self._changing, self._coming = RLock(), set[Any]()  # held while parts come or go; the topics that are being added
        for group, priority in groups:
            share = self._share(group, priority)
            with self._adding(share):
                self._compose(share)
        if handlers is not None and not isinstance(handlers, Mapping):
            raise TypeError(f"handlers must be a mapping of types to handlers, not {handlers!r}")
        for event, handler in dict(handlers or {}).items():
            self._add_event_handler(event, handler, handler)

    def __repr__(self) -> str:
        return f"<ConsumerGroupMember {self.id!r} of {', '.join(repr(group) for group in self.groups)}>"

    def _handle_with(self, handlers: Handlers | None, sink: Sink | None = None) -> None:
        super()._handle_with(handlers, sink)
        self._lent = handlers, sink
        for share in getattr(self, "_shares", ()):
            share._handle_with(handlers, sink)

    def _put_out_to(self, *sinks: Sink | None) -> None:
        super()._put_out_to(*sinks)
        for share in getattr(self, "_shares", ()):
            share._put_out_to(*sinks)

    # -- which topics --------------------------------------------------------------------------------------------------------------------

    @property
    def groups(self) -> tuple[ConsumerGroupTopic[C], ...]:
        """The groups that the member reads, in the order in which they were added."""
        return tuple(share.group for share in self._shares)

    @property
    def _made_of(self) -> Any:
        return {share.group: share.part.priority for share in self._shares}

    @operation
    def add_group(self, group: ConsumerGroupTopic[C], priority: int = 0) -> Exchange[None]:
        """Read this group, too, from now on; where the member is at work, it is ready to when this returns."""
        self._need_open()
        share = self._share(group, priority)
        with self._adding(share):
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
        part.leaves_by, part.leaves = self._driver.clock.monotonic() + self._hand.settings.grace, True
        share._hand.halt(stopping=True)
        while not share.gone.is_set():
            if self._score.lets_go(part, self._driver.clock.monotonic()) and part.claim():
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
            raise TypeError(f"all groups of a member have one colour: {group!r} belongs to another kind of client than the member")
        return Share(self, group, priority)

    @contextmanager
    def _adding(self, share: Share[C]) -> Generator[None, None, None]:
        """While this runs, nobody else adds the same."""
        key = share.place, share.group.topic.name
        with self._changing:
            if key in self._coming or any((each.place, each.group.topic.name) == key for each in self._shares):
                raise ValueError(f"the member reads {share.group!r} already")
            self._coming.add(key)
        try:
            if self._lent[1] is not None:
                self._lent[1].begin_at(share.group.topic)
            yield
        finally:
            self._coming.discard(key)

    def _compose(self, share: Share[C]) -> None:
        """Let it be one of the parts."""
        with self._changing:
            self._arrange(share)
        self._score.nudge()

    def _arrange(self, share: Share[C]) -> None:
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

    def _detach(self, share: Share[C]) -> None:
        """It is none of the parts any more."""
        with self._changing:
            self._disarrange(share)

    def _disarrange(self, share: Share[C]) -> None:
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

    def scopes(self) -> tuple[Listener, ...]:
        """What stands around a loop's body or a pipe's steps: what each group has, around its own messages."""
        return (*(only_of(group, scope) for group in self.groups for scope in group.scopes()), *self.arounds.values())

    def _relatives(self) -> list[Any]:
        return [self, *self.groups] if hasattr(self, "_shares") else super()._relatives()

    def any_listener(self) -> bool:
        """Whether anything listens, here or on a group."""
        return super().any_listener() or any(group.any_listener() for group in self.groups)


def only_of(group: ConsumerGroupTopic[Any], scope: Listener) -> Listener:
    """The scope, for messages of this group; around others stands nothing."""
    name, topic = group.name, group.topic.name
    return lambda message: scope(message) if message.group == name and message.topic == topic else nullcontext()


def ranked(topic: Any) -> list[tuple[Any, Any]]:
    """The groups and their priorities."""
    found = list(topic.items()) if isinstance(topic, Mapping) else [(group, 0) for group in topic]
    if not found:
        raise ValueError("a member needs at least one ConsumerGroupTopic")
    if not isinstance(found[0][0], ConsumerGroupTopic):
        raise TypeError(f"a member belongs to ConsumerGroupTopics, not to {found[0][0]!r}")
    return found
