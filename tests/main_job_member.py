"""One member process of the main job: `python -m tests.main_job_member STYLE URL FILE`.

It connects, says so on its output, waits for a line on its input, and appends the id of each entry that it handles to its file until SIGTERM.
Then it says when it handled the last one (CLOCK_MONOTONIC, the same for all processes of the machine).
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import Any, TextIO

from streamio import ConsumerGroupMember, ConsumerGroupTopic, Topic, from_url

TOPIC, GROUP = "orders", "billing"


class Record:
    """What this process handled."""

    def __init__(self, file: TextIO) -> None:
        self.write, self.last = file.write, 0.0

    def add(self, message: Any) -> None:
        """This entry is handled now."""
        self.write(f"{message.id} {message['n']}\n")
        self.last = time.monotonic()


def blocking(style: str, url: str, record: Record) -> None:
    """A `for` loop, or a handler."""
    member = ConsumerGroupMember(ConsumerGroupTopic(Topic(TOPIC, url), GROUP))
    signal.signal(signal.SIGTERM, lambda *_: member.stop())
    member.connect()
    ready()
    if style == "on":
        member.on("order.placed", record.add)
        member.connect_and_listen()
    else:
        with member:
            for message in member:
                record.add(message)


async def awaited(style: str, url: str, record: Record) -> None:
    """An `async for` loop, or a coroutine handler."""
    member = ConsumerGroupMember(ConsumerGroupTopic(Topic(TOPIC, from_url(url, asyncio=True)), GROUP))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, member.stop)
    await member.connect()
    ready()
    if style == "on-asyncio":

        @member.on("order.placed")
        async def add(message: Any) -> None:
            record.add(message)

        await member.connect_and_listen()
    else:
        async with member:
            async for message in member:
                record.add(message)


def ready() -> None:
    """Say so, and wait for the start signal."""
    print("ready", flush=True)
    sys.stdin.readline()


def main() -> None:
    """See the head of this file."""
    style, url, path = sys.argv[1:]
    with open(path, "a") as file:
        record = Record(file)
        if style.endswith("asyncio"):
            asyncio.run(awaited(style, url, record))
        else:
            blocking(style, url, record)
    print(record.last, flush=True)


if __name__ == "__main__":
    main()
