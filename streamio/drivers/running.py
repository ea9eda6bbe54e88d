"""What both colours share of running handlers: how a delivery begins, what goes into a batch, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..emitter import Batched, Handlers, Lifecycle
from ..errors import NotAcknowledged
from ..outputs import Put
from ..protocol.gathering import ALWAYS, Batch, begin, each_of, gather, is_last
from ..protocol.hand import Hand, no_batch
from ..protocol.holding import guarded
from ..protocol.limiting import Limit, ended, is_given_up, left, limited
from ..protocol.notes import Effects, closes
from ..protocol.outcomes import failed, succeeded
from ..protocol.replying import NoReply, effects_of
from ..protocol.taking import opened


class Runner:
    """Calls a member's handlers."""

    kept = True  # whether the keeper looks when a handler's time is over
    handle_batch: Callable[[Any], Any]
    handle_plainly: Callable[[Any], Any]
    handle: Callable[[Any], Any]

    def __init__(self, hand: Hand, driver: Any, handlers: Handlers, lifecycle: Lifecycle) -> None:
        self.hand, self.driver, self.handlers, self.lifecycle = hand, driver, handlers, lifecycle
        self.fault: BaseException | None = None
        self.clock: Callable[[], float] = driver.clock.monotonic
        self.elsewhere: Callable[[Any, Any], Any] | None = None  # writes a reply that cannot go out with its acknowledgement
        self.begun: set[int] = set()  # the addresses of what tasks have begun with
        self.ending = False  # no place goes on by itself any more

    def is_plain(self) -> bool:
        """Whether nobody watches and nothing but success acknowledges, so that a loop of few steps will do."""
        s = self.hand.settings
        return s.ack == "auto" and s.handler_timeout is None and not self.lifecycle.watched

    def way(self, thing: Any) -> Callable[[Any], Any]:
        """The method that handles it."""
        if isinstance(thing, Batch):
            return self.handle_batch
        return self.handle_plainly if self.is_plain() else self.handle

    def turn_ends(self) -> float:
        """Until when what is in hand may start without another look at the reading line."""
        return self.hand.renewed_at + self.hand.settings.lease

    # -- batches ------------------------------------------------------------------------------------------------------------------------

    def begin_gathering(self) -> None:
        """From now on what is read may wait for its batch handler."""
        self.ending = False
        self.hand.batch_of = lambda type: self.handlers.batch_of(type)
        self.hand.prefetch.batch = self.handlers.most_gathered()

    def end_gathering(self) -> None:
        """Nobody listens any more."""
        self.hand.batch_of, self.hand.prefetch.batch = no_batch, 0

    def fill(self, listener: Batched, message: Any) -> Batch | None:
        """Gather the message, and what follows it for the same listener; the batch where it may start now."""
        if is_last(self.hand, message):
            return Batch(listener, ALWAYS, [message])
        hand, now = self.hand, self.clock()
        hand.prefetch.batch = max(hand.prefetch.batch, listener.size)
        batch = gather(hand, listener, message, now)
        self.gather_fresh(batch)
        if len(batch.messages) < listener.size:
            return None
        batch.due = ALWAYS
        if hand.halted or now - hand.renewed_at > hand.settings.lease or not all(message.counted for message in [*batch.messages]):
            return None  # to be looked after on the reading line first, or not to start at all
        return batch

    def gather_fresh(self, batch: Batch) -> None:
        """Gather what is in hand, up to the first message that is for others."""
        hand, fresh, messages, listener = self.hand, self.hand.fresh, batch.messages, batch.listener
        known, look = self.handlers.gatherers, self.handlers.batch_of
        while fresh and len(messages) < listener.size and not hand.halted:
            try:
                message = fresh.popleft()
            except IndexError:  # the keeper gave them back
                return
            if (known.get(message.type) or look(message.type)) is not listener:
                fresh.appendleft(message)
                return
            if opened(hand, message):
                messages.append(message)

    def prepared(self, thing: Any) -> Any:
        """What is to run beside others, `running` from now on; None where the message waits for its batch, or nothing is left of it."""
        listener = None if isinstance(thing, Batch) else self.handlers.batch_of(thing.type)
        if listener is not None:
            thing = self.fill(listener, thing)
        if thing is None:
            return None
        self.hand.running[id(thing)] = thing
        if isinstance(thing, Batch) and not begin(self.hand, thing):
            del self.hand.running[id(thing)]
            return None
        return thing

    def following(self, thing: Any) -> Any:
        """What its thread or task may go on with once this thing is through, `running` from now on; None where that is for the listener to say.
        (The thing itself runs until then: nobody may think that nothing does.)"""
        hand = self.hand
        if not hand.fresh or (hand.settings.handler_timeout is not None and is_given_up(thing)):
            return None
        with hand.moving:
            if not self.may_follow():
                return None
            try:
                if hand.batch_of(hand.fresh[0].type) is not None:
                    return None
                message = hand.fresh.popleft()
            except IndexError:  # the listener or the keeper took it
                return None
            hand.running[id(message)] = message
        if self.is_low():
            self.driver.wake.ring()
        return message if self.opens(message) else None

    def may_follow(self) -> bool:
        """Whether a place may go on by itself: there is nothing that the listener has to see to."""
        hand = self.hand
        if self.ending or hand.halted or hand.taken or hand.gathered or hand.alone:
            return False
        return self.clock() - hand.renewed_at <= hand.settings.lease

    def opens(self, message: Any) -> bool:
        """Whether the payload of what runs decodes; else it does not run any more."""
        opens = False
        try:
            opens = opened(self.hand, message)
        except BaseException:
            self.hand.park(message, 0.0, message.before)
            raise
        finally:
            if not opens:
                self.hand.running.pop(id(message), None)
        return opens

    def is_low(self) -> bool:
        """Whether what is in hand may not do for one more message in each place, and more was read ahead."""
        hand = self.hand
        return bool(hand.ahead) and hand.trouble is None and not hand.reading.cut and len(hand.fresh) < hand.settings.concurrency and not hand.halted

    def give_up_unbegun(self) -> None:
        """All tasks were cancelled: what one of them was to begin with never runs."""
        for thing in [*self.hand.running.values()]:
            if id(thing) not in self.begun and self.hand.running.pop(id(thing), None) is not None:
                for message in each_of(thing):
                    self.hand.park(message, 0.0, message.before)

    # -- a delivery ---------------------------------------------------------------------------------------------------------------------

    def starts(self, messages: Sequence[Any]) -> Limit | None:
        """A delivery begins; the time that it has."""
        hand, lifecycle = self.hand, self.lifecycle
        if hand.settings.ack == "manual":
            for message in messages:
                guarded(message)
        if lifecycle.watched:
            for message in messages:
                lifecycle.tell(hand.event("started", message=message))
        if hand.settings.handler_timeout is None:
            return None
        return limited(hand, messages, self.clock(), self.kept)

    def is_over(self, limit: Limit | None) -> bool:
        """The handler is through; whether its delivery ran out of its time, so that what it did means nothing."""
        if limit is None:
            return False
        events = ended(self.hand, limit, self.clock(), self.driver.chance())
        for event in events or ():
            self.lifecycle.tell(event)
        return events is not None

    def gave_up(self, messages: Iterable[Any], limit: Limit | None) -> None:
        """The handler raised what is no `Exception`: the delivery did not count."""
        if limit is not None:
            left(self.hand, limit)
        for message in messages:
            self.hand.park(message, 0.0, message.before)

    def succeeded(self, message: Any, began: float, effects: Sequence[Put] = ()) -> None:
        """The handlers of one message returned; where they asked for another try or for the dead letters, it did not succeed."""
        hand, lifecycle = self.hand, self.lifecycle
        if effects:
            self.puts(message, effects)
        if is_denied(message):
            hand.handled += 1
            self.denied(message)
            return
        succeeded(hand, message)
        if lifecycle.watched:
            lifecycle.tell(hand.event("succeeded", message=message, duration=self.clock() - began))

    def effects(self, message: Any, given: Any) -> Sequence[Put]:
        """The commands that go out with the acknowledgement of a message whose handlers gave this."""
        if given is None and not message._asks:
            return ()
        try:
            return effects_of(self.hand, message, given, self.driver.clock.time())
        except NoReply as error:  # whoever asked so does the entry no harm
            self.lifecycle.tell(self.hand.event("error", message=message, error=error, reason="no reply is written"))
            return ()

    def replying(self, message: Any, given: Any) -> Any:
        """Write a reply that goes elsewhere, before the acknowledgement; in asyncio what is to be awaited, where there is one."""
        if self.elsewhere is None or given is None or self.hand.settings.ack == "manual" or not message._is_open():
            return None
        return None if message.headers.get("reply_to") is not None else self.elsewhere(message, given)

    def gives(self, message: Any, given: Any) -> bool:
        """Note what goes out with the acknowledgement of a message; whether it is settled by that."""
        commands = given.commands if type(given) is Effects else self.effects(message, given)
        return bool(commands) and self.puts(message, commands)

    def puts(self, message: Any, commands: Sequence[Put]) -> bool:
        """Note that this goes out with the acknowledgement; False where the handler has settled the message itself: then nothing goes out."""
        if self.hand.give(message, commands):
            return True
        error = RuntimeError("the message was settled before its handler returned: what it put out is not written")
        self.lifecycle.tell(self.hand.event("error", message=message, error=error, reason="settled before"))
        return False

    def denied(self, message: Any) -> None:
        """A handler returned, and had asked for another try or for the dead letters (which tells itself)."""
        if message._denied is not None:
            self.lifecycle.tell(message._denied)

    def failed(self, message: Any, error: Exception, duration: float) -> None:
        """A handler raised, or left the message out."""
        retrying = failed(self.hand, message, error, self.driver.chance())
        self.lifecycle.tell(self.hand.event("failed", message=message, error=error, duration=duration))
        if retrying is not None:
            self.lifecycle.tell(retrying)

    def takes(self, batch: Batch) -> bool:
        """Whether anything is left in the batch, which runs from now on. (Beside others it runs already.)"""
        if self.hand.settings.concurrency == 1:
            self.hand.current = batch
            begin(self.hand, batch)
        return bool(batch.started)

    # -- a batch ------------------------------------------------------------------------------------------------------------------------

    def returned(self, batch: Batch, done: set[str] | None, began: float) -> None:
        """A batch handler returned: what it says was done (None: all) is acknowledged, the rest failed. What it settled itself keeps that verdict."""
        if done is None and self.is_plain():
            self.hand.handled += len(batch.started)
            self.hand.acks.extend([message.id for message in batch.started if closes(message)])
            if self.hand.asleep:
                self.hand.bell.ring()
            return
        refused = NotAcknowledged(batch.listener.function)
        for message in batch.started:
            if done is None or message.id in done or not message._is_open():
                self.succeeded(message, began)
            else:
                self.failed(message, refused, self.clock() - began)

    def raised(self, batch: Batch, error: Exception, began: float) -> None:
        """A batch handler raised, or returned what says nothing: all failed but what it settled itself."""
        for message in batch.started:
            if message._is_open():
                self.failed(message, error, self.clock() - began)
            else:
                self.succeeded(message, began)


def is_denied(message: Any) -> bool:
    """Whether its handler asked for another try of this message, or for the dead letters."""
    return hasattr(message, "_denied")


def acknowledged(batch: Batch, result: Any) -> set[str] | None:
    """The ids of what a batch handler says is done; None: all. An error where what it returned says nothing of the kind."""
    if result is None or result is True:
        return None
    if result is False:
        return set()
    if isinstance(result, (str, bytes)) or not isinstance(result, Iterable):
        raise TypeError(f"{batch.listener.function!r} returned {result!r}: a batch handler returns None, a bool, or ids or messages that are done")
    done: set[Any] = {getattr(each, "id", each) for each in result}
    unknown = done - {message.id for message in batch.started}
    if unknown:
        raise ValueError(f"{batch.listener.function!r} returned {unknown.pop()!r}, which is not in its batch")
    return done
