"""A lost factor of two is seen: the loop by hand of the same run is the yardstick, and CPU time, which moves less than the clock."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Iterator

import pytest

from benchmarks.arena import Arena
from benchmarks.job import Job
from benchmarks.participants import BY_NAME, YARDSTICK

ENTRIES, ROUNDS = 40_000, 5
MOST = 1.5  # times the CPU of the loop by hand; 0.7 to 1 is usual
LONGEST = 1.0  # times its seconds; 0.4 to 0.7 is usual


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    gc.collect()
    gc.freeze()  # what all other tests left behind is not to be looked through meanwhile
    try:
        with Arena() as arena:
            yield arena
    finally:
        gc.unfreeze()


def spent(arena: Arena, name: str, payload: str) -> tuple[float, float]:
    """Seconds of CPU and by the clock that the participant took here."""
    arena.fill(ENTRIES, payload)
    consume, job = BY_NAME[name].found(), Job(arena.port, ENTRIES, payload)
    cpu, clock = time.process_time(), time.perf_counter()
    consume(job)
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    arena.check(name, ENTRIES)
    return cpu, clock


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("streamio: on(type, handler)", "fields"),
        ("streamio: on_batch(handler)", "fields"),
        ("streamio: for message in member", "fields"),
        ("streamio: for message in member", "json"),
        ("streamio: on(type, coroutine)", "fields"),
        ("streamio: async for message in member", "fields"),
    ],
)
def test_a_member_keeps_up_with_the_loop_by_hand(arena: Arena, name: str, payload: str) -> None:
    hand = YARDSTICK[BY_NAME[name].colour]
    rounds = [(spent(arena, hand, payload), spent(arena, name, payload)) for _ in range(ROUNDS)]
    cpu, clock = (statistics.median(ours[i] / theirs[i] for theirs, ours in rounds) for i in (0, 1))
    print(f"{name}, {payload}: {cpu:.2f} times the CPU, {clock:.2f} times the seconds")
    assert cpu < MOST or clock < LONGEST, f"{cpu:.2f} times the CPU, {clock:.2f} times the seconds"
