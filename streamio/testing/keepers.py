"""The keepers of a stage: without a thread and without a timer, they take their turns when the stage's time passes."""

from __future__ import annotations

from typing import Any

from ..drivers.keepers import ThreadKeeper, TimerKeeper
from ..protocol.asking import BROKEN

NEVER = float("inf")
AGAIN = 0.1  # seconds until a keeper's next turn, where its line broke


class Turns:
    """When a keeper takes its next turn."""

    hand: Any
    driver: Any
    due = NEVER

    def begin(self) -> None:
        """Take turns from now on."""
        self.hand.finished, self.hand.asleep, self.due = False, True, self.driver.clock.now
        self.driver.scene.keepers.add(self)

    def end(self) -> None:
        """Take none any more. Long waits are kept by the stage from now on, as a service that goes on would."""
        self.hand.finished = True
        self.driver.scene.keepers.discard(self)
        self.driver.scene.keep_waits(self.hand)

    def rung_for(self) -> None:
        """Take the next turn as soon as time passes."""
        self.due = self.driver.clock.now

    def after(self, pause: float | None) -> None:
        """Rest for so long."""
        hand, now = self.hand, self.driver.clock.now
        self.due = hand.wakes_at = NEVER if pause is None else now + pause
        hand.asleep = True
        if hand.finished:
            self.driver.scene.keepers.discard(self)


class StagedKeeper(Turns, ThreadKeeper):
    """A keeper without a thread."""

    def __init__(self, hand: Any, driver: Any) -> None:
        super().__init__(hand, driver)
        hand.bell = self

    def start(self) -> None:
        """Keep from now on."""
        self.begin()

    def stop(self) -> None:
        """Keep no more, and close the side line."""
        self.end()
        self.driver.drop(self.hand.side)

    def ring(self) -> None:
        """Something is to be done."""
        self.rung_for()

    def take_turn(self) -> None:
        """One turn."""
        try:
            pause = self.turn()
        except BROKEN as error:
            self.driver.scene.note(self.hand.settings.me, f"its keeper has no connection: {error}")
            pause = AGAIN
        self.after(pause)


class StagedTimerKeeper(Turns, TimerKeeper):
    """A keeper without a timer."""

    def start(self) -> None:
        """Keep from now on."""
        self.begin()

    async def stop(self) -> None:
        """Keep no more, and close the side line."""
        self.end()
        await self.driver.drop(self.hand.side)

    def ring(self) -> None:
        """Something is to be done."""
        self.rung_for()

    async def take_turn(self) -> None:
        """One turn."""
        try:
            pause = await self.turn()
        except BROKEN as error:
            self.driver.scene.note(self.hand.settings.me, f"its keeper has no connection: {error}")
            pause = AGAIN
        self.after(pause)
