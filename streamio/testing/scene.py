"""What happens on a stage: who is there, what time it is, and what waiting comes to. No I/O of its own but through `aside`.

1. Time stands still while anybody acts. It passes where somebody would wait, and when the test says so (`pass_time`).
2. When it passes it goes from moment to moment: keepers take their turns, timers ring, a server that was away is back.
3. A service that waits for news (`connect_and_listen`, a loop) is through: nothing is due any more, so it is stopped.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from ..commands import milliseconds
from ..effects import Do, Exchange, Words
from ..keys import WAITING
from ..protocol.settling import SLACK
from ..reports import Event
from .clock import Clock
from .drivers import Staged, breathing
from .errors import Killed, NeverSettles
from .keepers import Turns
from .server import StageServer
from .trace import Trace, spoken, told

MOST = 500  # waits of one play that bring nothing
SERVICES = ("listening", "iterating")
NEVER = float("inf")
SPARE = 0.002  # seconds: the server counts milliseconds, and what is idle for exactly a lease is not due yet
PAGE = 1000
numbers = count(1)


class Timer:
    """A function that is to be called at a moment."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.function, self.cancelled = function, False

    def cancel(self) -> None:
        """Do not call it."""
        self.cancelled = True


class Scene:
    """See the head of this file."""

    def __init__(self, now: float, patience: float) -> None:
        self.clock, self.began, self.patience = Clock(now), now, patience
        self.name = f"stage-{next(numbers)}"
        self.server = StageServer(self, self.name)
        self.drivers: list[Staged] = []
        self.keepers: set[Turns] = set()
        self.timers: list[tuple[float, int, Timer]] = []
        self.trace = Trace()
        self.errors: dict[tuple[str, str, str], list[BaseException]] = {}  # what handlers raised, by topic, group and id
        self.long: dict[tuple[str, str, str], tuple[float, int, float]] = {}  # waits longer than a lease: when they end, deliveries, lease
        self.players: list[Any] = []  # the lifecycles of the members that play now, innermost last
        self.cast: list[Callable[[], Any]] = []  # who plays while somebody waits
        self.jumps = 0
        self.writes_seen, self.kill_at, self.killed_at = 0, 0, ""
        self.aside: Any = None

    # -- who is there ------------------------------------------------------------------------------------------------------------------------

    def enter(self, driver: Staged) -> None:
        """One more driver. Of a member it is heard what its lifecycle listeners are told, without being one of them."""
        self.drivers.append(driver)
        lifecycle = driver.lifecycle
        if lifecycle is not None:
            tell = lifecycle.tell

            def hears(event: Event) -> None:
                self.hear(event)
                tell(event)

            lifecycle.tell = hears

    def fellows(self, driver: Staged) -> list[Any]:
        """The drivers of the same member: of several topics it has several."""
        if driver.lifecycle is None:
            return []
        return [each for each in self.drivers if each.lifecycle is driver.lifecycle and each.hand is not None]

    def hear(self, event: Event) -> None:
        """Something happened to a member."""
        message = event.message
        if message is not None and event.error is not None and event.name in ("failed", "buried"):
            known = self.errors.setdefault((message.topic, message.group or "", message.id), [])
            if event.error not in known:
                known.append(event.error)
        self.note(event.member, told(event))

    def note(self, who: str, what: str) -> None:
        """One line of the trace."""
        self.trace.append(f"{self.clock.now - self.began:+9.3f} s  {who}: {what}")

    def writes(self, driver: Staged, commands: Sequence[Words], when: str) -> None:
        """Somebody writes to the server; where the process is to end here, it does."""
        if when == "before":
            for line in spoken(commands):
                self.note(driver.name, line)
        if self.players:
            self.writes_seen += 1
            if self.writes_seen == self.kill_at:
                self.killed_at = f"{when} {driver.name} wrote {' and '.join(spoken(commands))}"
                self.kill(driver)

    # -- the end of a process -----------------------------------------------------------------------------------------------------------------

    def kill(self, driver: Staged | None = None) -> None:
        """The process ends here: all members that play, and that of this driver, are dead. Raises `Killed`."""
        playing = [each for each in self.drivers if each.lifecycle in self.players or (each.hand is not None and each.hand.state in SERVICES)]
        for each in {*playing, *(self.fellows(driver) if driver is not None else ())}:
            self.bury(each)
        raise Killed

    def bury(self, driver: Staged) -> None:
        """This driver's member is dead: it says nothing more to the server."""
        if driver.is_dead or driver.hand is None:
            return
        hand = driver.hand
        driver.is_dead, hand.state, hand.finished, hand.quitting = True, "closed", True, True
        self.keepers -= {keeper for keeper in self.keepers if keeper.hand is hand}
        self.note(hand.settings.me, "is killed")

    # -- time --------------------------------------------------------------------------------------------------------------------------------

    def call_later(self, seconds: float, function: Callable[[], None]) -> Timer:
        """Call the function when so much time has passed."""
        timer = Timer(function)
        heapq.heappush(self.timers, (self.clock.now + seconds, next(numbers), timer))
        return timer

    def passing(self, seconds: float, driver: Any) -> Exchange[None]:
        """Let so much time pass, with all that falls due meanwhile."""
        end = self.clock.now + seconds
        if seconds >= 1:
            self.note("stage", f"{seconds:g} s pass")
        while (due := self.next_due()) <= end:
            self.clock.go_to(due)
            if self.timers and self.timers[0][0] <= due:
                yield from self.ringing(driver)
            else:
                keeper: Any = min(self.keepers, key=lambda each: each.due)
                yield Do(keeper.take_turn)
        self.clock.go_to(end)
        self.keep_parked()

    def next_due(self) -> float:
        """When the next keeper or timer is due."""
        return min([NEVER, *(keeper.due for keeper in self.keepers), *(at for at, _, _ in self.timers[:1])])

    def ringing(self, driver: Any) -> Exchange[None]:
        """The first timer's moment has come."""
        _, _, timer = heapq.heappop(self.timers)
        if not timer.cancelled:
            timer.function()
            yield from breathing(driver)

    def waiting(self, driver: Any, seconds: float | None) -> Exchange[None]:
        """Somebody has nothing to do but wait, `seconds` at most: a service is through (3.), for others the time passes."""
        self.jumps += 1
        if self.jumps > MOST or (seconds is None and not self.is_service(driver)):
            raise NeverSettles(f"{driver.name} waits, and nothing comes: {self.jumps} times in one play\n\n{self.trace.end()}")
        if self.is_service(driver) and not any(each.hand.gathered or each.hand.down_since is not None for each in self.fellows(driver)):
            for each in self.fellows(driver):
                each.hand.halt(stopping=True)
            return
        yield from self.passing(0.05 if seconds is None else seconds, driver)

    def is_service(self, driver: Staged) -> bool:
        """Whether this is the driver of a member that listens, or is iterated, until somebody stops it."""
        hands = [each.hand for each in self.fellows(driver)]
        return any(hand.state in SERVICES for hand in hands) and not any(hand.draining for hand in hands)

    def rung(self, driver: Staged, waited: float) -> None:
        """Somebody has really waited for handlers in other threads or tasks."""
        if waited >= self.patience:
            running = [message for each in self.fellows(driver) for message in each.hand.started()]
            raise NeverSettles(
                f"the play does not end: {driver.name} handles {running} for more than {self.patience:g} s now (patience={self.patience:g})"
            )

    def others_play(self) -> Exchange[None]:
        """Somebody waits for an answer: those who are to answer play."""
        cast, self.cast = self.cast, []
        try:
            for play in cast:
                yield Do(play)
        finally:
            self.cast = cast

    # -- waits that are longer than a lease -----------------------------------------------------------------------------------------------------

    def keep_waits(self, hand: Any) -> None:
        """A member leaves: its long waits are the stage's to keep."""
        settings = hand.settings
        for id, (due, deliveries) in hand.long.items():
            self.long[settings.topic, settings.group, id] = due - SLACK, deliveries, settings.lease

    def keep_parked(self) -> None:
        """Let long waits end when they are to, as the keeper of a member that listens on would."""
        for (topic, group, id), (due, deliveries, lease) in [*self.long.items()]:
            rows = self.aside.xpending_range(topic, group, id, id, 1, WAITING) if self.has_group(topic, group) else ()
            if not rows or due <= self.clock.now:
                del self.long[topic, group, id]
            if rows:
                self.park(topic, group, id, WAITING, max(0.0, lease - max(0.0, due - self.clock.now)), deliveries)

    def nudge(self) -> None:
        """What is due at this very moment is due: fakeredis (2.40) takes an idle time to be over only a millisecond later."""
        settings = {(each.hand.settings.topic, each.hand.settings.group): each.hand.settings.lease for each in self.drivers if each.hand is not None}
        for (topic, group), lease in settings.items():
            for row in self.aside.xpending_range(topic, group, "-", "+", PAGE) if self.has_group(topic, group) else ():
                if row["time_since_delivered"] == round(lease * 1000):
                    self.park(topic, group, row["message_id"], row["consumer"], lease + SPARE, row["times_delivered"])

    def has_group(self, topic: str, group: str) -> bool:
        """Whether the group is there (yet)."""
        return bool(self.aside.exists(topic)) and any(each["name"] == group for each in self.aside.xinfo_groups(topic))

    def park(self, topic: str, group: str, id: str, owner: str, idle: float, deliveries: int) -> None:
        """Let a pending entry look idle for so many seconds."""
        words = ("XCLAIM", topic, group, owner, 0, id, "IDLE", milliseconds(idle), "RETRYCOUNT", deliveries, "JUSTID")
        if self.aside.xrange(topic, id, id):  # (of what left the stream XCLAIM forgets that it is pending)
            self.aside.execute_command(*words)
