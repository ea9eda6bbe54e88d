"""A member whose process dies on entries of type `poison`: run as `python killed_by_an_entry.py URL TOPIC COLOUR CONCURRENCY LOG LEASE [BATCH]`.
With BATCH it takes so many entries at once.

It drains the topic. Each handler that starts writes the entry's id to LOG first, in one write, so that the log survives the process.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from streamio import ConsumerGroupMember, ConsumerGroupTopic, RetryPolicy, Topic, from_url


def main(url: str, name: str, colour: str, concurrency: str, log: str, lease: str, batch: str = "") -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    client: Any = from_url(url, asyncio=True) if colour == "asyncio" else from_url(url)
    group: Any = ConsumerGroupTopic(Topic(name, client), "group", lease=float(lease), retry=RetryPolicy(max_deliveries=3))
    member: Any = ConsumerGroupMember(group, concurrency=int(concurrency), block=0.1)

    def handle_batch(messages: list[Any]) -> None:
        for message in messages:
            os.write(file, f"start {message.id} {message.type}\n".encode())
        if any(message.type == "poison" for message in messages):
            os._exit(1)
        for message in messages:
            os.write(file, f"end {message.id} {message.type}\n".encode())

    def handle(message: Any) -> None:
        os.write(file, f"start {message.id} {message.type}\n".encode())
        if message.type == "poison":
            os._exit(1)
        os.write(file, f"end {message.id} {message.type}\n".encode())

    if batch:
        member.on_batch(handle_batch, size=int(batch), wait=0.05)
    else:
        member.on("*", handle)
    if colour == "asyncio":
        asyncio.run(member.drain())
    else:
        member.drain()


main(*sys.argv[1:])
