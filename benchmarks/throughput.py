"""One member against the loop one would write by hand on redis-py: COUNT 1000, one XACK for each batch.

    python benchmarks/throughput.py [--entries 100000] [--rounds 7]

Starts its own redis-server, fills a stream with entries of four short fields, and consumes it again and again: all participants in turn, so that a
change in the machine's speed meets them alike. Each participant reads one field of every entry; afterwards every entry must be acknowledged.
Prints medians, the ratio to the hand-written loop of the same colour (median of the ratios of each round), and CPU time for each entry.
It wants a machine where the server has a core to itself: on a busy one the ratios shrink.
"""

from __future__ import annotations

import argparse
import asyncio
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from streamio import ConsumerGroupMember, ConsumerGroupTopic, Topic
from tests.servers import RedisServer

KEY, GROUP = "benchmark:throughput", "g"


class Bench:
    """The stream, and everybody who consumes it."""

    def __init__(self, port: int, entries: int) -> None:
        self.port, self.entries = port, entries
        self.raw: Any = redis.Redis(port=port)

    def fill(self) -> None:
        """Write the entries."""
        pipe = self.raw.pipeline(transaction=False)
        for i in range(self.entries):
            pipe.xadd(KEY, {"type": "order.placed", "order_id": f"o-{i}", "customer": "alice", "amount": "49.50"})
            if i % 1000 == 999:
                pipe.execute()
        pipe.execute()

    def fresh_group(self) -> None:
        """A group that has read nothing."""
        self.raw.xgroup_destroy(KEY, GROUP)
        self.raw.xgroup_create(KEY, GROUP, id="0")

    def member(self, asyncio_: bool) -> Any:
        """A member with all defaults."""
        client: Any = (redis.asyncio.Redis if asyncio_ else redis.Redis)(port=self.port)
        return ConsumerGroupMember(ConsumerGroupTopic(Topic(KEY, client), GROUP), "m")

    # -- participants ----------------------------------------------------------------------------------------------------------------

    def by_hand(self) -> None:
        client: Any = redis.Redis(port=self.port, decode_responses=True)
        left = self.entries
        while left:
            for _, found in client.xreadgroup(GROUP, "c", {KEY: ">"}, count=1000, block=1000):
                for _, fields in found:
                    fields["order_id"]
                client.xack(KEY, GROUP, *[entry_id for entry_id, _ in found])
                left -= len(found)
        client.close()

    def handlers(self) -> None:
        member, left = self.member(False), self.entries

        @member.on("order.placed")
        def handle(message: Any) -> None:
            nonlocal left
            message.data["order_id"]
            left -= 1
            if not left:
                member.stop()

        member.connect_and_listen()

    def batches(self) -> None:
        member, left = self.member(False), self.entries

        @member.on_batch(size=100)
        def handle(messages: Any) -> None:
            nonlocal left
            for message in messages:
                message.data["order_id"]
            left -= len(messages)
            if not left:
                member.stop()

        member.connect_and_listen()

    def loop(self) -> None:
        left = self.entries
        with self.member(False) as member:
            for message in member:
                message.data["order_id"]
                left -= 1
                if not left:
                    break

    async def by_hand_asyncio(self) -> None:
        client: Any = redis.asyncio.Redis(port=self.port, decode_responses=True)
        left = self.entries
        while left:
            for _, found in await client.xreadgroup(GROUP, "c", {KEY: ">"}, count=1000, block=1000):
                for _, fields in found:
                    fields["order_id"]
                await client.xack(KEY, GROUP, *[entry_id for entry_id, _ in found])
                left -= len(found)
        await client.aclose()

    async def handlers_asyncio(self) -> None:
        member, left = self.member(True), self.entries

        @member.on("order.placed")
        async def handle(message: Any) -> None:
            nonlocal left
            message.data["order_id"]
            left -= 1
            if not left:
                member.stop()

        await member.connect_and_listen()

    async def batches_asyncio(self) -> None:
        member, left = self.member(True), self.entries

        @member.on_batch(size=100)
        async def handle(messages: Any) -> None:
            nonlocal left
            for message in messages:
                message.data["order_id"]
            left -= len(messages)
            if not left:
                member.stop()

        await member.connect_and_listen()

    async def loop_asyncio(self) -> None:
        left = self.entries
        async with self.member(True) as member:
            async for message in member:
                message.data["order_id"]
                left -= 1
                if not left:
                    break

    def participants(self) -> dict[str, tuple[str, Callable[[], Any]]]:
        """Each with the one it is measured against."""
        return {
            "by hand, blocking": ("by hand, blocking", self.by_hand),
            "on(type, handler)": ("by hand, blocking", self.handlers),
            "on_batch(handler)": ("by hand, blocking", self.batches),
            "for": ("by hand, blocking", self.loop),
            "by hand, asyncio": ("by hand, asyncio", lambda: asyncio.run(self.by_hand_asyncio())),
            "on(type, coroutine)": ("by hand, asyncio", lambda: asyncio.run(self.handlers_asyncio())),
            "on_batch(coroutine)": ("by hand, asyncio", lambda: asyncio.run(self.batches_asyncio())),
            "async for": ("by hand, asyncio", lambda: asyncio.run(self.loop_asyncio())),
        }

    def measure(self, rounds: int) -> None:
        """All in turn, so many times."""
        walls: dict[str, list[float]] = {name: [] for name in self.participants()}
        cpus: dict[str, list[float]] = {name: [] for name in self.participants()}
        for _ in range(rounds):
            for name, (_, job) in self.participants().items():
                self.fresh_group()
                wall, cpu = time.perf_counter(), time.process_time()
                job()
                walls[name].append(time.perf_counter() - wall)
                cpus[name].append(time.process_time() - cpu)
                group = self.raw.xinfo_groups(KEY)[0]
                assert group["pending"] == 0 and group["entries-read"] == self.entries, (name, group)
        print(f"{'':22}{'entries/s':>12}{'against by hand':>18}{'CPU µs per entry':>18}")
        for name, (yardstick, _) in self.participants().items():
            ratio = statistics.median(theirs / ours for theirs, ours in zip(walls[yardstick], walls[name], strict=True))
            speed, cpu = self.entries / statistics.median(walls[name]), statistics.median(cpus[name]) / self.entries * 1e6
            print(f"{name:22}{speed:>12,.0f}{ratio:>16.2f} ×{cpu:>18.2f}")


def main() -> None:
    """As the head of this file says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    server = RedisServer("appendonly no").start()
    try:
        bench = Bench(server.port, options.entries)
        bench.fill()
        bench.measure(options.rounds)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
