"""`Pipeline`: a member's entries through steps, into another topic: `member.pipe(parse, enrich, topic)`, or `member | parse | enrich | topic`.

1. It is inert until it is run or iterated.
2. What one entry puts out is written in one step with its acknowledgement, and only by the member that still owns it: killed anywhere, handled twice,
   each entry's outputs appear once.
3. Where the topic is on another server, or in another slot of a cluster, they are written before the acknowledgement: at least once. That is said
   when the pipe is made (`AtLeastOnce`).
4. An entry whose step raises is tried again by the group's retry policy; the others go on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .colour import Asyncio, Blocking, C, Coloured, operation, wrong
from .drivers.scopes import surrounded, surrounded_asyncio
from .effects import Do, Exchange
from .emitter import Handlers, matches
from .flow import Step, checked_steps, counted, flowing, flowing_asyncio, through, through_asyncio
from .protocol.outcomes import failed, released, unhandled
from .sinks import Sink
from .topic import Topic

if TYPE_CHECKING:
    from .drivers.until import Flag
    from .member import ConsumerGroupMember


class Pipeline(Coloured[C]):
    """See the head of this file. `run()` and `drain()` are operations, `stop()` is a note; iterating gives what comes out at the end."""

    def __init__(self, member: ConsumerGroupMember[C], steps: Sequence[Any], type: str = "*") -> None:
        self.member, self.type = member, type
        self._driver = member._driver
        *most, last = steps or (None,)
        if last is None:
            raise TypeError("a pipe needs a step at least")
        self.topic: Topic[Any] | None = last if isinstance(last, Topic) else None
        self.steps = checked_steps(steps if self.topic is None else most, self._is_asyncio)
        if member._hand.settings.ack == "manual":
            raise ValueError("a pipe acknowledges its entries itself: the member must have ack='auto', not 'manual'")
        self._sink = None if self.topic is None else Sink(self.topic, [group.topic for group in member.groups], "the pipe's topic")

    def __repr__(self) -> str:
        names = [getattr(step, "__name__", repr(step)) for step in self.steps]
        return f"<Pipeline {' | '.join([repr(self.member.id), *names, *([] if self.topic is None else [repr(self.topic.name)])])}>"

    def __or__(self, step: Step | Topic[C]) -> Pipeline[C]:
        """A longer pipe; this one stays as it is."""
        if self.topic is not None:
            raise TypeError(f"this pipe ends in topic {self.topic.name!r}: nothing can follow it")
        if not isinstance(step, Topic) and not callable(step):
            return NotImplemented
        return Pipeline(self.member, [*self.steps, step], self.type)

    @property
    def is_exactly_once(self) -> bool:
        """Whether each entry's outputs are written once, in one step with its acknowledgement; False where they go elsewhere, or nowhere."""
        acknowledges = self.member._hand.settings.ack != "none"  # (else the server has forgotten an entry before it is handled)
        return acknowledges and self._sink is not None and all(self._sink.is_near(group.topic) for group in self.member.groups)

    @operation
    def run(self, *, until: Flag | None = None) -> Exchange[None]:
        """Work until `stop()`, or until the event `until` is set, as `member.connect_and_listen()` does, with the member's `concurrency`. Its
        listeners are not called meanwhile."""
        member: Any = self.member
        yield from self._in_place_of_listeners(lambda: member.connect_and_listen(until=until))

    @operation
    def drain(self, retries: bool = True) -> Exchange[int]:
        """Work off what is there; how many entries were settled. As `member.drain()`."""
        member: Any = self.member
        settled: int = yield from self._in_place_of_listeners(lambda: member.drain(retries))
        return settled

    def stop(self) -> None:
        """As `member.stop()`."""
        self.member.stop()

    def __iter__(self: Pipeline[Blocking]) -> Iterator[Any]:
        """What comes out, value by value. An entry is acknowledged, and what it put out is written, when the value after its last is asked for."""
        if self._driver.asyncio:
            wrong(self, "for", "async for")
        return BlockingFlow(self)

    def __aiter__(self: Pipeline[Asyncio]) -> AsyncIterator[Any]:
        if not self._driver.asyncio:
            wrong(self, "async for", "for")
        return AsyncioFlow(self)

    def _in_place_of_listeners(self, listen: Callable[[], Any]) -> Exchange[Any]:
        """What the member's listening comes to, with this pipe as its one handler."""
        handlers = Handlers()
        handle: Callable[[Any], Any] = self._handle_asyncio if self._is_asyncio else self._handle
        for scope in reversed(self.member.scopes()):
            handle = (surrounded_asyncio if self._is_asyncio else surrounded)(handle, scope)
        handlers.on(self.type, handle)
        self.member._handle_with(handlers, self._sink)
        try:
            return (yield Do(listen))
        finally:
            self.member._handle_with(None)

    def _handle(self, message: Any) -> Any:
        values = through(message, self.steps)
        if self._sink is None or not values:
            return None
        return self._sink.effects(values, message) if self._sink.reaches(message._hand) else done(self._sink.write(values, message))

    async def _handle_asyncio(self, message: Any) -> Any:
        values = await through_asyncio(message, self.steps)
        if self._sink is None or not values:
            return None
        return self._sink.effects(values, message) if self._sink.reaches(message._hand) else done(await self._sink.write(values, message))


def done(written: object) -> None:
    """Nothing: it stands in its topic already."""


class Flow:
    """A loop over what comes out. It has a loop over the member's messages below it."""

    def __init__(self, pipe: Pipeline[Any], loop: Any) -> None:
        self.pipe, self.loop, self.member = pipe, loop, pipe.member
        loop.sink = pipe._sink
        self.message: Any = None
        self.values: Any = None  # what comes out of the message
        self.kept: list[Any] = []

    def begin(self, message: Any, values: Any) -> None:
        """The next message is in the pipe; where it is not for this one, nothing comes out of it."""
        if not (self.pipe.type == "*" or matches(self.pipe.type, message.type)):
            self.loop.message = message._hand.current = None
            self.member.lifecycle.tell(unhandled(message._hand, message))
            return
        self.message, self.values, self.kept = message, values, []
        if self.pipe._sink is not None:
            message._hand.halfway = message

    def keep(self, value: Any) -> Any:
        """The value, which the topic gets, too."""
        if self.pipe._sink is not None:
            self.kept.append(value)
            counted(self.kept)
        return value

    def end(self) -> Any:
        """All of the message has come out: write it. What is to be awaited in asyncio; else None."""
        message, sink = self.taken(), self.pipe._sink
        if sink is None or not self.kept:
            return None
        if not sink.reaches(message._hand):
            return sink.write(self.kept, message)
        effects = sink.effects(self.kept, message)
        return done(effects is not None and message._hand.give(message, effects.commands))

    def fail(self, error: Exception) -> None:
        """A step raised: the entry has failed, and the loop goes on. (What stands around the steps may make something else of it.)"""
        message = self.taken() or self.loop.message
        hand = message._hand
        self.loop.message = hand.current = None
        fault = self.loop.passed(message, error)
        if fault is None:
            return
        retrying = failed(hand, message, fault, self.member._driver.chance())
        self.member.lifecycle.tell(hand.event("failed", message=message, error=fault))
        if retrying is not None:
            self.member.lifecycle.tell(retrying)

    def taken(self) -> Any:
        """The message that was in the pipe."""
        message, self.message = self.message, None
        if message is not None:
            message._hand.halfway = None
        return message

    def give_up(self, error: BaseException) -> None:
        """What has not come out as a whole is not written, and its entry comes again."""
        message = self.taken() or self.loop.message
        if message is not None:
            self.loop.message = message._hand.current = None
            released(message._hand, message)
        self.loop.close_scope(error)

    def __del__(self) -> None:
        """The loop was left."""
        if self.message is not None and self.pipe._sink is not None:
            self.give_up(GeneratorExit())


class BlockingFlow(Flow):
    """`for value in pipe`."""

    def __init__(self, pipe: Pipeline[Any]) -> None:
        super().__init__(pipe, iter(pipe.member))

    def __iter__(self) -> BlockingFlow:
        return self

    def __next__(self) -> Any:
        while True:
            if self.message is None:
                message = next(self.loop)
                self.begin(message, flowing(message, self.pipe.steps))
                continue
            try:
                for value in self.values:
                    return self.keep(value)
                self.end()
            except Exception as error:
                self.fail(error)
            except BaseException as error:  # a step was interrupted, or cancelled
                self.give_up(error)
                raise


class AsyncioFlow(Flow):
    """`async for value in pipe`."""

    def __init__(self, pipe: Pipeline[Any]) -> None:
        super().__init__(pipe, aiter(pipe.member))

    def __aiter__(self) -> AsyncioFlow:
        return self

    async def __anext__(self) -> Any:
        while True:
            if self.message is None:
                message = await anext(self.loop)
                self.begin(message, flowing_asyncio(message, self.pipe.steps))
                continue
            try:
                async for value in self.values:
                    return self.keep(value)
                written = self.end()
                if written is not None:
                    await written
            except Exception as error:
                self.fail(error)
            except BaseException as error:  # a step was interrupted, or cancelled
                self.give_up(error)
                raise


class Piping(Coloured[C]):
    """A member as what a pipe begins with."""

    def pipe(self: Any, *steps: Step | Topic[Any], type: str = "*") -> Pipeline[C]:
        """The member's entries through these steps, one after the other, into the topic that stands last, where one does. Inert until it is run
        (`run()`, `drain()`) or iterated.

        A step is a function of one value, the first one's is the message; in asyncio a coroutine function, too. What it returns goes on; None drops
        it; an iterable (what a generator function gives, a list) fans out; a tuple is one value. What comes to the topic is an item as those of
        `publish_many`, or data: that has the type of the entry it comes from. Where a step raises, the entry is tried again by the retry policy.

        type    which entries the pipe is for; others are `unhandled`
        """
        return Pipeline(self, steps, type)

    def __or__(self: Any, step: Step | Topic[Any]) -> Pipeline[C]:
        """`member | parse | enrich | topic`: as `pipe`."""
        return Pipeline(self, [step]) if isinstance(step, Topic) or callable(step) else NotImplemented
