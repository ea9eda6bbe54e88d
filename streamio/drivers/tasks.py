"""Running handlers in asyncio: in the listening task (`concurrency=1`), or as tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from ..emitter import Handlers, Lifecycle
from ..protocol.gathering import Batch, due_at
from ..protocol.hand import SOON, Hand
from ..protocol.limiting import Limit
from ..protocol.outcomes import unhandled
from ..protocol.reading import next_message, refilling
from ..protocol.taking import opened
from .asyncio import Asyncio
from .results import finished, refuse_generator, result_of
from .running import Runner, acknowledged, is_denied
from .scopes import awaited_within
from .timed import within


class Tasks(Runner):
    """Calls a member's handlers."""

    kept = False

    def __init__(self, hand: Hand, driver: Asyncio, handlers: Handlers, lifecycle: Lifecycle) -> None:
        super().__init__(hand, driver, handlers, lifecycle)
        self.places: set[asyncio.Task[None]] = set()  # the tasks that handlers run in
        self.inline: asyncio.Task[Any] | None = None  # the listening task, where handlers run in it
        self.grace: asyncio.TimerHandle | None = None
        self.cut = False  # its grace is over
        self.context = copy_context()  # of whoever listens

    async def listen(self, until: Callable[[], float | None]) -> None:
        """Handle entries until the member stops, or until none came by the time that `until` tells."""
        self.fault = None
        self.begin_gathering()
        try:
            if self.hand.settings.concurrency == 1:
                await self.listen_until_cut(until)
            else:
                await self.listen_pooled(until)
        finally:
            self.end_gathering()
        if self.fault is not None:
            raise self.fault

    async def next(self, until: float | None) -> Any:
        """The next message, or None."""
        return await self.driver.run_on(self.hand.reading, next_message(self.hand, until))

    async def listen_until_cut(self, until: Callable[[], float | None]) -> None:
        """As `listen_inline`, until the grace of a stop is over."""
        task = asyncio.current_task()
        self.inline, self.cut = task, False
        try:
            await self.listen_inline(until)
            if self.cut and task is not None:
                task.uncancel()  # the handler took it for itself
        except asyncio.CancelledError:
            if not self.cut or task is None or task.uncancel():
                raise
        finally:
            self.inline = None
            if self.grace is not None:
                self.grace.cancel()
                self.grace = None

    def stopping(self) -> None:
        """The member stops: a handler in the listening task is cancelled when its grace is over. Allowed from anywhere."""
        loop = self.driver.loop
        if self.inline is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.begin_grace)

    def begin_grace(self) -> None:
        """The grace of what runs in the listening task."""
        if self.inline is not None and self.grace is None:
            self.grace = asyncio.get_running_loop().call_later(self.hand.settings.grace, self.cut_off)

    def cut_off(self) -> None:
        """It is over."""
        if self.inline is not None:
            self.cut = True
            self.inline.cancel()

    def interrupt(self, listener: Any) -> None:
        """The member is abandoned: cancel the handlers, and the listening task. Allowed from anywhere."""
        loop = self.driver.loop
        if loop is not None and not loop.is_closed():
            for task in [*self.places, *([] if listener is None else [listener])]:
                loop.call_soon_threadsafe(task.cancel)

    async def listen_inline(self, until: Callable[[], float | None]) -> None:
        """One after the other, in this task."""
        hand = self.hand
        while True:
            hand.current = message = None
            message = await self.next(until())
            if message is None:
                return
            hand.current = message
            await self.way(message)(message)
            if self.is_plain() and not hand.gathered:
                await self.handle_many()
            else:
                await self.handle_each()

    async def handle_each(self) -> None:
        """Handle what is in hand and may start."""
        hand, fresh, clock, ends = self.hand, self.hand.fresh, self.clock, self.turn_ends()
        while fresh and not hand.halted and (now := clock()) <= ends and (not hand.gathered or due_at(hand) > now):
            try:
                hand.current = message = fresh.popleft()
            except IndexError:  # the keeper gave them back
                return
            if opened(hand, message):
                await self.handle(message)

    async def handle_many(self) -> None:
        """As `handle_each`, where nobody watches: for each entry one clock, one call, one deletion, one append."""
        hand, fresh, clock, ends = self.hand, self.hand.fresh, self.clock, self.turn_ends()
        handlers, note, done, sure = self.handlers, hand.acks.append, 0, hand.settings.codec.cannot_fail
        try:
            while fresh and not hand.halted and (began := clock()) <= ends:
                try:
                    hand.current = message = fresh.popleft()
                except IndexError:  # the keeper gave them back
                    return
                if not (sure or opened(hand, message)):
                    continue
                call = handlers.table.get(message.type) or handlers.caller_of(message.type)
                if call is None:
                    await self.handle(message)
                    if hand.gathered:
                        return await self.handle_each()
                    continue
                try:
                    result = call(message)
                    if hasattr(result, "__await__"):  # (`finished`, without a coroutine of its own)
                        result = await result
                    elif result is not None:
                        refuse_generator(result, call)
                    is_reply = result is not None or message._asks
                    if is_reply and (self.gives(message, result) if self.elsewhere is None else await self.replied(message, result)):
                        done += 1
                        continue
                except Exception as error:
                    self.failed(message, error, clock() - began)
                    continue
                except BaseException:
                    hand.park(message, 0.0, message.before)
                    raise
                done += 1
                try:
                    del message._open
                except AttributeError:  # the handler settled it
                    if is_denied(message):
                        self.denied(message)
                    continue
                note(message.id)
                if hand.asleep:
                    hand.bell.ring()
        finally:
            hand.handled += done

    async def listen_pooled(self, until: Callable[[], float | None]) -> None:
        """Side by side, as tasks."""
        hand, most = self.hand, self.hand.settings.concurrency
        self.context = copy_context()
        try:
            while True:
                message = None
                while len(hand.running) >= most and not hand.stopping:
                    await self.wait_for_place()
                message = await self.next(until())
                if message is None and (hand.stopping or not hand.running):
                    break
                if message is None:
                    await self.driver.wake.rest(SOON)
                elif (thing := self.prepared(message)) is not None:
                    self.begin(thing)
        except asyncio.CancelledError:
            for task in self.places:
                task.cancel()
            self.give_up_unbegun()
            raise
        finally:
            await self.finish()

    async def wait_for_place(self) -> None:
        """Until a place may be free; meanwhile bring in what was read ahead."""
        if self.is_low():
            await self.driver.run_on(self.hand.reading, refilling(self.hand))
        else:
            await self.driver.wake.rest(None)

    async def finish(self) -> None:
        """Wait for what runs, `grace` seconds at most."""
        self.ending = True
        end = self.clock() + self.hand.settings.grace
        while self.hand.running and not self.hand.quitting and (left := end - self.clock()) > 0:
            await self.driver.wake.rest(left)
        left_over = set(self.places)
        for task in left_over:
            task.cancel()
        if left_over:
            await asyncio.wait(left_over, timeout=SOON)

    async def work(self, thing: Any) -> None:
        """Handle a message or a batch in a task of its own, and begin what follows it in hand."""
        began, following = self.clock(), None
        self.begun.add(id(thing))
        try:
            await self.way(thing)(thing)
            self.hand.prefetch.took(len(thing) if isinstance(thing, Batch) else 1, self.clock() - began)
            following = self.following(thing)
        except asyncio.CancelledError:
            self.hand.halt(stopping=True)
        except BaseException as error:
            self.fault = error
            self.hand.halt(stopping=True)
        finally:
            self.hand.running.pop(id(thing), None)
            self.begun.discard(id(thing))
            self.places.discard(asyncio.current_task())
        if following is not None:
            self.begin(following)
        else:
            self.driver.wake.ring()

    def begin(self, thing: Any) -> None:
        """Handle it in a task of its own, which knows no context variables of another's."""
        self.places.add(asyncio.create_task(self.work(thing), context=self.context.copy()))

    async def handle_plainly(self, message: Any) -> None:
        """As `handle`, where nobody watches."""
        call = self.handlers.table.get(message.type) or self.handlers.caller_of(message.type)
        if call is None:
            return await self.handle(message)
        began = self.clock()
        try:
            result = call(message)
            if hasattr(result, "__await__"):
                result = await result
            elif result is not None:
                refuse_generator(result, call)
            if result is not None or message._asks:
                await self.replied(message, result)
        except Exception as error:
            return self.failed(message, error, self.clock() - began)
        except BaseException:
            self.hand.park(message, 0.0, message.before)
            raise
        self.succeeded(message, began)

    async def replied(self, message: Any, given: Any) -> bool:
        """Write or note what the message's handlers gave; whether it is settled by that."""
        if (sent := self.replying(message, given)) is not None:
            await sent
        return self.gives(message, given)

    async def handle(self, message: Any) -> None:
        """Call the listeners of one message and note what became of it."""
        listeners = self.handlers.listeners_for(message.type, message.id)
        if not listeners:
            return await self.handle_otherwise(message)
        limit, began = self.starts((message,)), self.clock()
        try:
            work = awaited_within(self.handlers.scopes(), message, self.called(listeners, message, limit))
            given = await within(self.hand, self.lifecycle, limit, work)
            if (sent := self.replying(message, given)) is not None:
                await sent
            effects = self.effects(message, given)
        except Exception as error:
            self.handlers.over(listeners, message.id, False)
            if not self.is_over(limit):
                self.failed(message, error, self.clock() - began)
            return
        except BaseException:
            self.handlers.over(listeners, message.id, False)
            self.gave_up((message,), limit)
            raise
        over = self.is_over(limit)
        self.handlers.over(listeners, message.id, not over and not is_denied(message))
        if not over:
            self.succeeded(message, began, effects)

    async def handle_otherwise(self, message: Any) -> None:
        """No listener wants the message: it is for a batch handler, or for nobody."""
        listener = self.handlers.batch_of(message.type)
        if listener is None:
            self.lifecycle.tell(unhandled(self.hand, message))
            return
        batch = self.fill(listener, message) if self.hand.settings.concurrency == 1 else Batch(listener, 0.0, [message])
        if batch is not None:
            await self.handle_batch(batch)

    async def handle_batch(self, batch: Batch) -> None:
        """Call the batch handler and note what became of each message."""
        if not self.takes(batch):
            return
        limit, began = self.starts(batch.started), self.clock()
        try:
            messages = list(batch.started)
            work = awaited_within(self.handlers.batch_scopes(), messages, result_of(batch, messages))
            done = acknowledged(batch, await within(self.hand, self.lifecycle, limit, work))
        except Exception as error:
            if not self.is_over(limit):
                self.raised(batch, error, began)
            return
        except BaseException:
            self.gave_up(batch.started, limit)
            raise
        if not self.is_over(limit):
            self.returned(batch, done, began)

    async def called(self, listeners: tuple[Any, ...], message: Any, limit: Limit | None) -> Any:
        """What the listeners of one message give, one after the other."""
        given = None
        for listener in listeners:
            if limit is not None:
                limit.cancels = not getattr(listener, "in_thread", False)
            result = listener(message)
            if result is not None:
                result = await finished(result, listener)
                given = given if result is None else result
        return given
