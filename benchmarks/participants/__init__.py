"""Who takes part, by name. A participant is a function that does a `Job`; modules are imported when one of theirs is called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from ..job import Job


@dataclass(frozen=True)
class Participant:
    """`place` is `module:function` here; a round of it consumes `share` of the entries, where it is slow."""

    name: str
    colour: str
    place: str
    share: float = 1.0
    payloads: tuple[str, ...] = ("fields",)

    def found(self) -> Callable[[Job], float | None]:
        """The function: does the job, and may give the `time.perf_counter()` of its end, where closing down is not to count."""
        module, function = self.place.split(":")
        found: Callable[[Job], float | None] = getattr(importlib.import_module(f"{__package__}.{module}"), function)
        return found


BOTH = ("fields", "json")
YARDSTICK = {"blocking": "by hand, COUNT 1000, one XACK per batch", "asyncio": "by hand in asyncio, COUNT 1000, one XACK per batch"}
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
]
BY_NAME = {participant.name: participant for participant in PARTICIPANTS}
