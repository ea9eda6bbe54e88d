"""Members with nothing to do, many in one process, and what the process spends on it."""

from __future__ import annotations

import asyncio as aio
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from ..job import GROUP, KEY
from . import member_of, memory, ready


def on(port: int, members: int, asyncio: bool, seconds: float) -> dict[str, Any]:
    """So many members listen; what the process spent in so many seconds of nothing to do, from the word on."""
    before = memory()
    team = [member_of(port, f"member-{n:02}", asyncio) for n in range(members)]
    for member in team:
        member.on("order.placed", handle_asyncio if asyncio else handle)

    def over() -> None:
        for member in team:
            member.stop()

    spent = meanwhile(lambda: all(member._hand.blocked and member._hand.asleep for member in team), seconds, over)
    if asyncio:
        aio.run(together(team))
    else:
        threads = [threading.Thread(target=member.connect_and_listen) for member in team]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return {**spent, "memory": spent["resident"] - before}


async def together(team: list[Any]) -> None:
    """All listen."""
    await aio.gather(*(member.connect_and_listen() for member in team))


def by_hand(port: int, members: int, asyncio: bool, seconds: float) -> dict[str, Any]:
    """One XREADGROUP that blocks for 2 s after the other."""
    before, told = memory(), list[bool]()
    client: Any = redis.Redis(port=port, decode_responses=True)
    client.ping()
    spent = meanwhile(lambda: True, seconds, lambda: told.append(True))
    while not told:
        client.xreadgroup(GROUP, "one", {KEY: ">"}, count=1000, block=2000)
    return {**spent, "memory": spent["resident"] - before}


def handle(message: Any) -> None:
    """Nothing comes."""


async def handle_asyncio(message: Any) -> None:
    """Nothing comes."""


def meanwhile(is_idle: Callable[[], bool], seconds: float, over: Callable[[], None]) -> dict[str, Any]:
    """What the process spends while it is idle, to be filled by a thread that is there for it alone."""
    found: dict[str, Any] = {}

    def watch() -> None:
        while not is_idle():
            time.sleep(0.01)
        ready()
        cpu, woken, began = time.process_time(), wakings(), time.monotonic()
        time.sleep(seconds)
        after, took = wakings(), time.monotonic() - began
        found.update(cpu=time.process_time() - cpu, seconds=took, threads=threading.active_count() - 1, resident=memory())
        found["woken"] = sum(after.values()) - sum(woken.values()) - 1
        found["keepers woken"] = sum(times - woken[name] for name, times in after.items() if name.startswith("streamio-keeper"))
        print("measured", flush=True)
        sys.stdin.readline()
        over()

    threading.Thread(target=watch, daemon=True, name="watch").start()
    return found


def wakings() -> dict[str, int]:
    """How often each thread went to sleep of itself."""
    found = {}
    for thread in threading.enumerate():
        words = Path(f"/proc/self/task/{thread.native_id}/status").read_text().split()
        found[f"{thread.name}"] = int(words[words.index("voluntary_ctxt_switches:") + 1])
    return found
