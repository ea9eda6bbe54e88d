"""A topic's part of a member of several topics: the hand, the driver, the keeper and the handlers that a plain member of that group would have."""

from __future__ import annotations

import threading
from typing import Any
from weakref import proxy

from .colour import C
from .drivers.several import PartTasks, PartWorkers, Relay, place_of
from .effects import Do, Exchange
from .forking import closed_in_children
from .group import ConsumerGroupTopic
from .keys import slot
from .membership import Membership, prefetch_of
from .protocol.joining import leaving
from .protocol.score import Part
from .protocol.together import Shared
from .watching import present


class Share(Membership[C]):
    """One topic of a member of several. Listeners, lifecycle and flags are those of the `whole`; the group's own listeners come first."""

    def __init__(self, whole: Any, group: ConsumerGroupTopic[C], priority: int) -> None:
        super().__init__(group, whole.id, whole._options)
        self.whole, self._events, self.batches = proxy(whole), whole._events, whole.batches
        self.arounds, self.batch_arounds = whole.arounds, whole.batch_arounds
        whole.family.add(self)
        hand, driver = self._hand, self._driver
        self.lifecycle = driver.lifecycle = whole.lifecycle
        whole.lifecycle.onlookers = (*dict.fromkeys((*whole.lifecycle.onlookers, *group._onlookers)),)
        driver.wake = hand.wake = Relay(driver.wake, whole._driver.wake)
        learner = prefetch_of(whole._options)
        hand.prefetch = self.learner = Shared("auto" if learner.fixed is None else learner.fixed, learner.concurrency)
        hand.shares, hand.watches = True, (*group._watches, *whole._watches)
        self._runner = (PartTasks if self._is_asyncio else PartWorkers)(hand, driver, proxy(self), whole.lifecycle)
        self._handle_with(*whole._lent)
        self.part = Part(hand, priority, driver.run_on)
        self.place = place_of(driver.source, group.topic.name, group.name, slot(group.topic.name))
        self.gone = threading.Event()
        closed_in_children(self)

    def _forget(self) -> None:
        """Listeners changed, here or for all parts."""
        super()._forget()
        if hasattr(self, "whole"):
            for emitter in present(self.whole.family):
                emitter._look_again()

    def leave(self, closing: bool = False) -> Exchange[None]:
        """Settle, give back, leave the group, close the lines."""
        hand = self._hand
        try:
            if hand.state in ("closed", "forked"):
                return
            if hand.state not in ("new", "stopped"):
                yield Do(lambda: self._driver.run_on(hand.reading, leaving(hand)))
                yield Do(lambda: self._driver.drop(hand.reading))
                yield Do(self._keeper.stop)
                hand.empty(forgets_running=False)
            elif hand.state == "stopped" and closing:
                yield from self._settle_late()
            hand.state = "closed" if closing else "stopped"
            hand.halt(stopping=closing, displaced=False)
        finally:
            self.gone.set()

    def cut_off(self) -> Exchange[None]:
        """End without a word."""
        hand = self._hand
        yield Do(lambda: self._driver.drop(hand.reading))
        yield Do(self._keeper.stop)
        self._let_go()
        hand.state = "closed"
        self.gone.set()
