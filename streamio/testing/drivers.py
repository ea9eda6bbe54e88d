"""The drivers of a stage: they perform effects as the others do, in the stage's time.

1. Nobody waits. A read that would block is made without blocking; where it brings nothing, the stage says what waiting comes to (`Scene.waiting`).
2. Before and after each write the stage may end the process (`Killed`). What was killed says nothing more to the server.
3. A keeper has no thread and no timer: it takes its turns when the stage's time passes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..drivers import asyncio as asyncio_driver
from ..drivers import blocking as blocking_driver
from ..effects import Do, Exchange, Line, Words
from .errors import Killed
from .keepers import StagedKeeper, StagedTimerKeeper

if TYPE_CHECKING:
    from .scene import Scene

ASIDE = 0.002  # real seconds


class Staged:
    """What both colours share."""

    source: Any
    wake: Any
    key: str
    lifecycle: Any
    hand: Any = None  # of the member, where this is one's driver
    is_dead = False

    def begin(self) -> None:
        """Be one of the stage's drivers."""
        self.scene: Scene = self.source.client.connection_pool.connection_kwargs["server"].scene
        self.clock: Any = self.scene.clock
        self.waits: dict[Line, deque[float]] = {}  # how long the commands would have waited whose replies are owed
        self.scene.enter(self)

    @property
    def name(self) -> str:
        """Who it is."""
        return str(self.hand.settings.me) if self.hand is not None else f"topic {self.key}"

    def chance(self) -> float:
        """Nothing is left to chance: waits are as long as they are without jitter."""
        return 0.0

    def sends(self, commands: Sequence[Words]) -> tuple[list[Words], list[float]]:
        """The commands without their waits, and these. `Killed` where the process ends here."""
        if self.is_dead:
            raise Killed
        self.scene.writes(self, commands, "before")
        plain, waits = zip(*map(unblocked, commands)) if commands else ((), ())
        return list(plain), list(waits)

    def sent(self, commands: Sequence[Words]) -> None:
        """They stand on the server. `Killed` where the process ends here, before it has read what came of it."""
        self.scene.writes(self, commands, "after")

    def waited(self, line: Line, reply: Any) -> float | None:
        """How long the reply would have been waited for; None where it was there."""
        owed = self.waits.get(line)
        wait = owed.popleft() if owed else 0.0
        return wait if wait and not reply else None

    def rings(self) -> bool:
        """Whether to wait for a ring really: handlers run in other threads or tasks."""
        return any(driver.hand.running for driver in self.scene.fellows(self))

    def has_company(self) -> bool:
        """Whether the member has several topics."""
        return len(self.scene.fellows(self)) > 1


class StagedBlocking(Staged, blocking_driver.Blocking):
    """Blocking code on a stage."""

    clock: Any
    chance: Any = Staged.chance

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.begin()
        if self.lifecycle is not None:
            self.wake = StagedBell(self)

    def write(self, line: Line, commands: Any) -> None:
        """Send; connect first where the line is down."""
        if line.connection is None:
            self.waits.pop(line, None)
        plain, waits = self.sends(commands)
        super().write(line, plain)
        self.waits.setdefault(line, deque()).extend(waits)
        self.sent(commands)

    def receive(self, line: Line) -> Any:
        """The next reply."""
        reply = super().receive(line)
        wait = self.waited(line, reply)
        if wait is not None:
            self.run(self.scene.waiting(self, wait))
        return reply

    def call(self, commands: Any, patience: float) -> list[Any]:
        """Send on a free connection and receive all replies; what would block is asked again when others had their turn."""
        plain, waits = self.sends(commands)
        replies = super().call(plain, patience)
        self.sent(commands)
        for place, wait in enumerate(waits):
            if wait and not replies[place]:
                self.run(self.scene.others_play())
                (replies[place],) = super().call([plain[place]], 0.0)
                if not replies[place]:
                    self.run(self.scene.waiting(self, wait))
        return replies

    def keeper(self, hand: Any, driver: Any) -> Any:
        """What keeps a member of this driver."""
        self.hand = hand
        return StagedKeeper(hand, driver)


class StagedAsyncio(Staged, asyncio_driver.Asyncio):
    """asyncio on a stage."""

    clock: Any
    chance: Any = Staged.chance

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.begin()
        if self.lifecycle is not None:
            self.wake = StagedAsyncioBell(self)

    async def write(self, line: Line, commands: Any) -> None:
        """Send; connect first where the line is down."""
        if line.connection is None:
            self.waits.pop(line, None)
        plain, waits = self.sends(commands)
        await super().write(line, plain)
        self.waits.setdefault(line, deque()).extend(waits)
        self.sent(commands)

    async def receive(self, line: Line) -> Any:
        """The next reply."""
        reply = await super().receive(line)
        wait = self.waited(line, reply)
        if wait is not None:
            await self.run(self.scene.waiting(self, wait))
        return reply

    async def call(self, commands: Any, patience: float) -> list[Any]:
        """Send on a free connection and receive all replies; what would block is asked again when others had their turn."""
        plain, waits = self.sends(commands)
        replies = await super().call(plain, patience)
        self.sent(commands)
        for place, wait in enumerate(waits):
            if wait and not replies[place]:
                await self.run(self.scene.others_play())
                (replies[place],) = await super().call([plain[place]], 0.0)
                if not replies[place]:
                    await self.run(self.scene.waiting(self, wait))
        return replies

    def call_later(self, seconds: float, function: Callable[[], None]) -> Any:
        """Call the function when so much time has passed on the stage."""
        return self.scene.call_later(seconds, function)

    def keeper(self, hand: Any, driver: Any) -> Any:
        """What keeps a member of this driver."""
        self.hand = hand
        return StagedTimerKeeper(hand, driver)


# -- who waits to be rung for ------------------------------------------------------------------------------------------------------------


class StagedBell(blocking_driver.Bell):
    """A listener's bell."""

    def __init__(self, driver: StagedBlocking) -> None:
        super().__init__()
        self.driver = driver

    def rest(self, seconds: float | None) -> None:
        """Wait for a ring: really where handlers run in threads, else in the stage's time."""
        driver = self.driver
        if not self.queue.empty():
            super().rest(0)
        elif driver.rings():
            began = time.monotonic()
            super().rest(driver.scene.patience)
            driver.scene.rung(driver, time.monotonic() - began)
        else:
            if driver.has_company():  # a wait beside this one is in a thread
                super().rest(ASIDE)
            driver.run(driver.scene.waiting(driver, seconds))


class StagedAsyncioBell(asyncio_driver.Bell):
    """A listener's bell in asyncio."""

    def __init__(self, driver: StagedAsyncio) -> None:
        super().__init__()
        self.driver = driver

    async def rest(self, seconds: float | None) -> None:
        """Wait for a ring: really where handlers run in tasks, else in the stage's time."""
        driver = self.driver
        if self.rung:
            self.rung = False
        elif driver.rings():
            began = time.monotonic()
            await super().rest(driver.scene.patience)
            driver.scene.rung(driver, time.monotonic() - began)
        else:
            await breathe()  # a wait beside this one is in a task
            if not self.rung:
                await driver.run(driver.scene.waiting(driver, seconds))
            self.rung = False


def unblocked(words: Words) -> tuple[Words, float]:
    """The command without BLOCK, and how many seconds it would have waited."""
    if words[0] not in ("XREAD", "XREADGROUP") or "BLOCK" not in words:
        return words, 0.0
    place = list(words).index("BLOCK")
    return (*words[:place], *words[place + 2 :]), int(words[place + 1]) / 1000


async def breathe() -> None:
    """Let the tasks that became ready run."""
    for _ in range(3):
        await asyncio.sleep(0)


def breathing(driver: Any) -> Exchange[None]:
    """The same in both colours; in blocking code there is nothing to let run."""
    if driver.asyncio:
        yield Do(breathe)
