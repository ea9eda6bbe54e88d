"""A member whose process dies on entries of type `poison`: run as `python killed_by_an_entry.py URL TOPIC COLOUR CONCURRENCY LOG LEASE`.

It drains the topic. Each handler that starts writes the entry's id to LOG first, in one write, so that the log survives the process.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from streamio import ConsumerGroupMember, ConsumerGroupTopic, RetryPolicy, Topic, from_url


def main(url: str, name: str, colour: str, concurrency: str, log: str, lease: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    client: Any = from_url(url, asyncio=True) if colour == "asyncio" else from_url(url)
    group: Any = ConsumerGroupTopic(Topic(name, client), "group", lease=float(lease), retry=RetryPolicy(max_deliveries=3))
    member: Any = ConsumerGroupMember(group, concurrency=int(concurrency), block=0.1)

    @member.on("*")
    def handle(message: Any) -> None:
        os.write(file, f"start {message.id} {message.type}\n".encode())
        if message.type == "poison":
            os._exit(1)
        os.write(file, f"end {message.id} {message.type}\n".encode())

    if colour == "asyncio":
        asyncio.run(member.drain())
    else:
        member.drain()


main(*sys.argv[1:])
