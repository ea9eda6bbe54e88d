"""Running handlers in blocking code: in the listening thread (`concurrency=1`), or in threads.

The loop body for one entry is kept to one popleft, one clock, one call for each listener, one slot deletion, one append.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, get_ident
from typing import Any

from ..emitter import Handlers, Lifecycle
from ..protocol.gathering import Batch, due_at
from ..protocol.hand import SOON, Hand
from ..protocol.notes import Effects
from ..protocol.outcomes import unhandled
from ..protocol.reading import next_message, refilling
from ..protocol.taking import opened
from .blocking import Blocking
from .results import called, refuse_awaitable, refuse_unawaited
from .running import Runner, acknowledged, is_denied
from .scopes import call_within
from .threads import Pool


class Workers(Runner):
    """Calls a member's handlers."""

    def __init__(self, hand: Hand, driver: Blocking, handlers: Handlers, lifecycle: Lifecycle) -> None:
        super().__init__(hand, driver, handlers, lifecycle)
        self.places: set[int] = set()  # the threads that handlers run in
        hand.moving = Lock()

    def listen(self, until: Callable[[], float | None]) -> None:
        """Handle entries until the member stops, or until none came by the time that `until` tells."""
        self.fault = None
        self.begin_gathering()
        try:
            if self.hand.settings.concurrency == 1:
                self.listen_inline(until)
            else:
                self.listen_pooled(until)
        finally:
            self.end_gathering()
        if self.fault is not None:
            raise self.fault

    def next(self, until: float | None) -> Any:
        """The next message, or None."""
        return self.driver.run_on(self.hand.reading, next_message(self.hand, until))

    def listen_inline(self, until: Callable[[], float | None]) -> None:
        """One after the other, in this thread."""
        hand = self.hand
        while True:
            hand.current = message = None
            message = self.next(until())
            if message is None:
                return
            hand.current = message
            self.way(message)(message)
            if self.is_plain() and not hand.gathered:
                self.handle_many()
            else:
                self.handle_each()

    def handle_each(self) -> None:
        """Handle what is in hand and may start."""
        hand, fresh, clock, ends = self.hand, self.hand.fresh, self.clock, self.turn_ends()
        while fresh and not hand.halted and (now := clock()) <= ends and (not hand.gathered or due_at(hand) > now):
            try:
                hand.current = message = fresh.popleft()
            except IndexError:  # the keeper gave them back
                return
            if opened(hand, message):
                self.handle(message)

    def handle_many(self) -> None:
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
                    self.handle(message)
                    if hand.gathered:
                        return self.handle_each()
                    continue
                try:
                    result = call(message)
                    if (result is not None or message._asks) and self.replied(message, result, call):
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

    def listen_pooled(self, until: Callable[[], float | None]) -> None:
        """Side by side, in threads."""
        hand, most = self.hand, self.hand.settings.concurrency
        pool = Pool(most, f"streamio-{hand.settings.me}")
        try:
            while True:
                message = None
                while len(hand.running) >= most and not hand.stopping:
                    self.wait_for_place()
                message = self.next(until())
                if message is None and (hand.stopping or not hand.running):
                    break
                if message is None:
                    self.driver.wake.rest(SOON)
                elif (thing := self.prepared(message)) is not None:
                    pool.submit(self.work, thing)
        finally:
            self.finish()
            pool.close()

    def wait_for_place(self) -> None:
        """Until a place may be free; meanwhile bring in what was read ahead."""
        if self.is_low():
            self.driver.run_on(self.hand.reading, refilling(self.hand))
        else:
            self.driver.wake.rest(None)

    def finish(self) -> None:
        """Wait for what runs, `grace` seconds at most."""
        self.ending = True
        end = self.clock() + self.hand.settings.grace
        while self.hand.running and not self.hand.quitting and (left := end - self.clock()) > 0:
            self.driver.wake.rest(left)

    def stopping(self) -> None:
        """The member stops: a handler in the listening thread cannot be ended, and the others have their `grace`."""

    def interrupt(self, listener: Any) -> None:
        """The member is abandoned: threads cannot be ended."""

    def work(self, thing: Any) -> None:
        """Handle a message or a batch in a thread of the pool, and what follows it in hand."""
        self.places.add(get_ident())
        try:
            while thing is not None:
                thing = self.handled(thing)
        except BaseException as error:
            self.fault = error
            self.hand.halt(stopping=True)
        finally:
            self.places.discard(get_ident())
            self.driver.wake.ring()

    def handled(self, thing: Any) -> Any:
        """Handle it; what this thread may go on with."""
        began = self.clock()
        try:
            self.way(thing)(thing)
            self.hand.prefetch.took(len(thing) if isinstance(thing, Batch) else 1, self.clock() - began)
            return self.following(thing)
        finally:
            self.hand.running.pop(id(thing), None)

    def handle_plainly(self, message: Any) -> None:
        """As `handle`, where nobody watches."""
        call = self.handlers.table.get(message.type) or self.handlers.caller_of(message.type)
        if call is None:
            return self.handle(message)
        began = self.clock()
        try:
            result = call(message)
            if result is not None or message._asks:
                self.replied(message, result, call)
        except Exception as error:
            return self.failed(message, error, self.clock() - began)
        except BaseException:
            self.hand.park(message, 0.0, message.before)
            raise
        self.succeeded(message, began)

    def replied(self, message: Any, given: Any, listener: Any) -> bool:
        """Write or note what the message's listener gave; whether it is settled by that."""
        if given.__class__ is not Effects:
            refuse_awaitable(given, listener)
        if self.elsewhere is not None:
            self.replying(message, given)
        return self.gives(message, given)

    def handle(self, message: Any) -> None:
        """Call the listeners of one message and note what became of it."""
        listeners = self.handlers.listeners_for(message.type, message.id)
        if not listeners:
            return self.handle_otherwise(message)
        limit, began = self.starts((message,)), self.clock()
        try:
            given = call_within(self.handlers.scopes(), message, lambda: called(listeners, message))
            self.replying(message, given)
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

    def handle_otherwise(self, message: Any) -> None:
        """No listener wants the message: it is for a batch handler, or for nobody."""
        listener = self.handlers.batch_of(message.type)
        if listener is None:
            self.lifecycle.tell(unhandled(self.hand, message))
            return
        batch = self.fill(listener, message) if self.hand.settings.concurrency == 1 else Batch(listener, 0.0, [message])
        if batch is not None:
            self.handle_batch(batch)

    def handle_batch(self, batch: Batch) -> None:
        """Call the batch handler and note what became of each message."""
        if not self.takes(batch):
            return
        limit, began = self.starts(batch.started), self.clock()
        try:
            messages = list(batch.started)
            result = call_within(self.handlers.batch_scopes(), messages, lambda: batch.listener.function(messages))
            if result is not None:
                refuse_unawaited(result, batch.listener.function)
            done = acknowledged(batch, result)
        except Exception as error:
            if not self.is_over(limit):
                self.raised(batch, error, began)
            return
        except BaseException:
            self.gave_up(batch.started, limit)
            raise
        if not self.is_over(limit):
            self.returned(batch, done, began)
