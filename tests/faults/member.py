"""A member process: `python -m tests.faults.member '{"style": "on", "url": ..., "topic": ..., "id": ..., "log": ..., ...}'`.

It handles entries until SIGTERM. What its handler does is written in the entry: it sits for `seconds`; where the type is `exit` it ends the process.
What happens goes into the log, one write for each line, so that the log survives the process: `what time member entry number`. The time is
CLOCK_MONOTONIC, the same for all processes of the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any

from streamio import ConsumerGroupMember, ConsumerGroupTopic, RetryPolicy, Topic, from_url

FOR_GROUP = ("lease", "claim_interval")


class Log:
    """Lines of one member."""

    def __init__(self, path: str, name: str) -> None:
        self.file, self.name = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), name

    def add(self, what: str, entry: str = "-", number: str = "-") -> None:
        """Write a line."""
        os.write(self.file, f"{what} {time.monotonic():.4f} {self.name} {entry} {number}\n".encode())

    def begin(self, message: Any) -> float:
        """An entry begins; how long to sit on it."""
        self.add("begin", message.id, message["n"])
        if message.type == "exit":
            os._exit(1)
        return float(message["seconds"])

    def end(self, message: Any) -> None:
        """An entry is handled."""
        self.add("end", message.id, message["n"])


def made(settings: dict[str, Any], log: Log) -> Any:
    """The member. The more lifecycle events are told the less of the quickest path is taken, so only what matters here."""
    client: Any = from_url(settings["url"], asyncio=settings["style"].endswith("asyncio"))
    options = {name: settings[name] for name in FOR_GROUP if name in settings}
    group: Any = ConsumerGroupTopic(Topic(settings["topic"], client), "group", retry=RetryPolicy(max_deliveries=3), **options)
    member: Any = ConsumerGroupMember(group, settings["id"], **{"block": 0.2, **settings.get("options", {})})
    member.lifecycle.on("lease_lost", lambda event: [log.add("lost", each) for each in event.ids])
    member.lifecycle.on("lagging", lambda event: log.add("lagging"))
    return member


def blocking(style: str, member: Any, log: Log) -> None:
    """A `for` loop, or a handler."""

    def handle(message: Any) -> None:
        time.sleep(log.begin(message))
        log.end(message)

    signal.signal(signal.SIGTERM, lambda *_: member.stop())
    member.connect()
    log.add("ready")
    if style == "on":
        member.on("*", handle)
        member.connect_and_listen()
    else:
        for message in member:
            handle(message)


async def awaited(style: str, member: Any, log: Log) -> None:
    """An `async for` loop, or a coroutine handler; `inline`: a plain function that keeps the event loop from turning."""

    async def handle(message: Any) -> None:
        await asyncio.sleep(log.begin(message))
        log.end(message)

    def inline(message: Any) -> None:
        time.sleep(log.begin(message))
        log.end(message)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, member.stop)
    await member.connect()
    log.add("ready")
    if style == "for-asyncio":
        async for message in member:
            await handle(message)
    else:
        member.on("*", inline if style == "inline-asyncio" else handle)
        await member.connect_and_listen()


def main(settings: dict[str, Any]) -> None:
    """See the head of this file."""
    style, log = settings["style"], Log(settings["log"], settings["id"])
    member = made(settings, log)
    if style.endswith("asyncio"):
        asyncio.run(awaited(style, member, log))
    else:
        blocking(style, member, log)
    log.add("stopped")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
