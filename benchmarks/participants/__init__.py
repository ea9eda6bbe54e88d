"""Who takes part, by name. A participant is a function that does a `Job`; modules are imported when one of theirs is called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from ..job import Job

PEERS = {"peers_faststream": "faststream", "peers_walrus": "walrus", "peers_coredis": "coredis", "peers_taskiq": "taskiq-redis"}


@dataclass(frozen=True)
class Participant:
    """`place` is `module:function` here. A round consumes `share` of the entries, where it is slow; of `wire`, where it understands only that."""

    name: str
    colour: str
    place: str
    share: float = 1.0
    payloads: tuple[str, ...] = ("fields",)
    wire: str = ""
    puts_out: bool = False  # whether an entry of each goes into another stream

    @property
    def package(self) -> str:
        """The name of the package that it shows."""
        module = self.place.split(":")[0]
        if module == "putting_out":
            return "redis" if self.name.startswith("by hand") else "streamio"
        return {"ours": "streamio", "by_hand": "redis"}.get(module) or PEERS[module]

    @property
    def kind(self) -> str:
        """One of `ours`, `by hand` and `other`."""
        return {"streamio": "ours", "redis": "by hand"}.get(self.package, "other")

    def found(self) -> Callable[[Job], float | None]:
        """The function: does the job, and may give the `time.perf_counter()` of its end, where closing down is not to count."""
        module, function = self.place.split(":")
        found: Callable[[Job], float | None] = getattr(importlib.import_module(f"{__package__}.{module}"), function)
        return found


BOTH = ("fields", "json")
YARDSTICK = {"blocking": "by hand, COUNT 1000, one XACK per batch", "asyncio": "by hand in asyncio, COUNT 1000, one XACK per batch"}
FASTSTREAM = ("FastStream, max_records=1000, no log", "FastStream, 10 workers, no log")  # with a handler for each message
RECIPE = {"blocking": "the recipe: COUNT 10, XACK each", "asyncio": "the recipe in asyncio: COUNT 10, XACK each"}

PARTICIPANTS = [
    Participant(YARDSTICK["blocking"], "blocking", "by_hand:thousand", payloads=BOTH),
    Participant("by hand, COUNT 100, one XACK per batch", "blocking", "by_hand:hundred"),
    Participant(RECIPE["blocking"], "blocking", "by_hand:recipe", 0.1),
    Participant("streamio: on(type, handler)", "blocking", "ours:on", payloads=BOTH),
    Participant("streamio: on_batch(handler)", "blocking", "ours:on_batch", payloads=BOTH),
    Participant("streamio: for message in member", "blocking", "ours:loop", payloads=BOTH),
    Participant(YARDSTICK["asyncio"], "asyncio", "by_hand:thousand_asyncio", payloads=BOTH),
    Participant("by hand in asyncio, COUNT 100, one XACK per batch", "asyncio", "by_hand:hundred_asyncio"),
    Participant(RECIPE["asyncio"], "asyncio", "by_hand:recipe_asyncio", 0.1),
    Participant("streamio: on(type, coroutine)", "asyncio", "ours:on_asyncio", payloads=BOTH),
    Participant("streamio: on_batch(coroutine)", "asyncio", "ours:on_batch_asyncio", payloads=BOTH),
    Participant("streamio: async for message in member", "asyncio", "ours:loop_asyncio", payloads=BOTH),
    Participant("walrus, COUNT 100, XACK each", "blocking", "peers_walrus:each", 0.1),
    Participant("walrus, COUNT 1000, one XACK per batch", "blocking", "peers_walrus:batches"),
    Participant("FastStream, default (logs each message)", "asyncio", "peers_faststream:default", 0.02, wire="faststream"),
    Participant(FASTSTREAM[0], "asyncio", "peers_faststream:thousand", 0.02, wire="faststream"),
    Participant(FASTSTREAM[1], "asyncio", "peers_faststream:workers", 0.02, wire="faststream"),
    Participant("FastStream, batch=True, no log", "asyncio", "peers_faststream:batch", 0.4),
    Participant("coredis, default (COUNT 1), XACK each", "asyncio", "peers_coredis:default", 0.02),
    Participant("coredis, buffer 1000, XACK each", "asyncio", "peers_coredis:each", 0.02),
    Participant("coredis, buffer 1000, one XACK per 1000", "asyncio", "peers_coredis:batches", 0.4),
    Participant("taskiq-redis, its worker, default", "asyncio", "peers_taskiq:worker", 0.02, wire="taskiq"),
    Participant("taskiq-redis, listen and ack, xread_count=1000", "asyncio", "peers_taskiq:listen", 0.02, wire="taskiq"),
]
PLAIN = {"blocking": "streamio: on(type, handler), no output", "asyncio": "streamio: on(type, coroutine), no output"}
OUTPUTS = [
    Participant(PLAIN["blocking"], "blocking", "putting_out:plain"),
    Participant("streamio: a pipe into a topic, run", "blocking", "putting_out:pipe", puts_out=True),
    Participant("streamio: a pipe into a topic, iterated", "blocking", "putting_out:flow", puts_out=True),
    Participant("streamio: on(type, handler), reply_to=topic", "blocking", "putting_out:replies", puts_out=True),
    Participant("by hand, COUNT 1000, XADD each and XACK in one MULTI", "blocking", "putting_out:by_hand", puts_out=True),
    Participant(PLAIN["asyncio"], "asyncio", "putting_out:plain_asyncio"),
    Participant("streamio in asyncio: a pipe into a topic, run", "asyncio", "putting_out:pipe_asyncio", puts_out=True),
    Participant("streamio in asyncio: a pipe into a topic, iterated", "asyncio", "putting_out:flow_asyncio", puts_out=True),
    Participant("streamio: on(type, coroutine), reply_to=topic", "asyncio", "putting_out:replies_asyncio", puts_out=True),
    Participant("by hand in asyncio, COUNT 1000, XADD each and XACK in one MULTI", "asyncio", "putting_out:by_hand_asyncio", puts_out=True),
]
BY_NAME = {participant.name: participant for participant in (*PARTICIPANTS, *OUTPUTS)}
