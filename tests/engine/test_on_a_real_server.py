"""The engine's five mechanisms together in one member, on a real server, in real time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streamio import RetryPolicy

from ..servers import RedisServer
from ..world import World

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)]
SCRIPT = Path(__file__).parent / "killed_by_an_entry.py"


def sitting(w: World, seconds: float) -> Any:
    """A handler's nap in the world's colour."""
    return asyncio.sleep(seconds) if w.asyncio else time.sleep(seconds)


async def test_what_is_read_ahead_under_a_sitting_handler_is_not_run_twice(w: World) -> None:
    group = w.group(lease=0.6)
    member, peer = w.member(group, "member"), w.member(group, "peer")
    starts: Counter[str] = Counter()

    def handler(message: Any) -> Any:
        starts[message["i"]] += 1
        return sitting(w, 2.0) if message["i"] == "300" else None

    for each in (member, peer):
        each.on("*", handler)
    await w.do(group.create())
    await w.do(group.topic.publish_many(("x", {"i": i}) for i in range(600)))
    async with w.listening(member, peer):
        await w.until(lambda: not w.pending(group) and len(starts) == 600)
    assert max(starts.values()) == 1


@pytest.mark.parametrize("concurrency", [1, 8])
async def test_who_stands_beside_an_entry_that_kills_its_process_is_not_buried(
    w: World, concurrency: int, real_server: RedisServer, tmp_path: Path
) -> None:
    topic, log = w.topic(), tmp_path / "log"
    await w.do(topic.group("group").create())
    await w.do(topic.publish_many([("poison" if i == 3 else "fine", {"i": i}) for i in range(20)]))
    command = [sys.executable, str(SCRIPT), real_server.url, topic.name, w.colour, str(concurrency), str(log), "0.4"]
    lives = 0
    while w.pending(topic.group("group")) or not lives:
        lives += 1
        assert lives < 40
        await (await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)).wait()
    lines = [line.split() for line in log.read_text().splitlines()]
    dead = w.raw.xrange(f"{topic.name}:dead:{{{topic.name}}}:group")
    assert [(fields["dead:reason"], fields["type"]) for _, fields in dead] == [("poison", "poison")]
    ended = Counter(entry for what, entry, kind in lines if what == "end")
    assert len(ended) == 19
    assert sum(1 for what, _, kind in lines if what == "start" and kind == "poison") == 3


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("size", [7, 30])
async def test_who_is_in_a_batch_with_an_entry_that_kills_its_process_is_not_buried(
    w: World, concurrency: int, size: int, real_server: RedisServer, tmp_path: Path
) -> None:
    topic, log = w.topic(), tmp_path / "log"
    await w.do(topic.group("group").create())
    await w.do(topic.publish_many([("poison" if i == 3 else "fine", {"i": i}) for i in range(20)]))
    command = [sys.executable, str(SCRIPT), real_server.url, topic.name, w.colour, str(concurrency), str(log), "0.4", str(size)]
    lives = 0
    while w.pending(topic.group("group")) or not lives:
        lives += 1
        assert lives < 40
        await (await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)).wait()
    lines = [line.split() for line in log.read_text().splitlines()]
    dead = w.raw.xrange(f"{topic.name}:dead:{{{topic.name}}}:group")
    assert [(fields["dead:reason"], fields["type"]) for _, fields in dead] == [("poison", "poison")]
    assert len({entry for what, entry, _ in lines if what == "end"}) == 19
    assert sum(1 for what, _, kind in lines if what == "start" and kind == "poison") == 3


@pytest.mark.parametrize("size", [None, 3])
async def test_a_handler_of_five_leases_runs_once_while_a_peer_competes(w: World, size: int | None) -> None:
    group = w.group(lease=0.5, claim_interval=0.1)
    member, peer = w.member(group, "member"), w.member(group, "peer")
    starts: Counter[str] = Counter()

    def handler(messages: Any) -> Any:
        starts.update(message["i"] for message in (messages if size else [messages]))
        return sitting(w, 2.5)

    for each in (member, peer):
        if size:
            each.on_batch(handler, size=size, wait=0.1)
        else:
            each.on("*", handler)
    await w.do(group.create())
    await w.do(group.topic.publish_many(("x", {"i": i}) for i in range(size or 2)))
    async with w.listening(member, peer):
        await w.until(lambda: starts and not w.pending(group), 15)
    assert set(starts.values()) == {1}


async def test_a_wait_longer_than_the_lease_is_kept(w: World) -> None:
    group = w.group(lease=0.5, retry=RetryPolicy(backoff=(2.0, 2.0), jitter=0))
    member, peer = w.member(group, "member"), w.member(group, "peer")
    starts: list[float] = []

    def handler(message: Any) -> None:
        starts.append(time.monotonic())
        if message.deliveries == 1:
            raise ValueError("once")

    for each in (member, peer):
        each.on("*", handler)
    async with w.listening(member, peer):
        await w.do(group.topic.publish("x"))
        await w.until(lambda: len(starts) == 2)
    assert 1.95 <= starts[1] - starts[0] <= 2.5
    assert w.pending(group) == []


async def test_an_acknowledgement_does_not_wait_for_a_blocked_read(w: World, capsys: Any) -> None:
    group = w.group()
    member = w.member(group, ack="manual", block=5)
    held: list[Any] = []
    member.on("*", held.append)
    await w.do(group.topic.publish("x"))
    future = w.start(member.connect_and_listen)
    await w.until(lambda: held)
    await w.until(lambda: any(c["cmd"].startswith("xreadgroup") and "b" in c["flags"] for c in w.raw.client_list()))
    began = time.monotonic()
    held.pop().ack()
    await w.until(lambda: not w.pending(group))
    late = time.monotonic() - began
    member.stop()
    await w.do(group.topic.publish("x"))  # ends the blocked read
    await asyncio.wait_for(future, 10)
    with capsys.disabled():
        print(f"\n  {w.colour}: an acknowledgement noted while a read of 5 s blocked reached the server after {late * 1000:.0f} ms")
    assert late < 0.5
