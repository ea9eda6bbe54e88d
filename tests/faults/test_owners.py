"""Whose an entry is: late renewals, acknowledgements by one that lost it, two of one name, records, forks, and ends that are no failures."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from streamio import RetryPolicy

from ..contract.gates import Gate
from ..world import World
from .crew import ROOT

pytestmark = pytest.mark.asyncio


async def one_in_hand(w: World, gate: Gate, **options: Any) -> tuple[Any, str]:
    """A member that sits on an entry which a thief took meanwhile; and the entry."""
    member = w.member(w.group(lease=0.3), "me", **options)
    member.on("*", gate.handler)
    return member, await w.do(member.group.topic.publish("x"))


def steal(w: World, member: Any, entry: str) -> None:
    """Another consumer takes the entry."""
    w.raw.execute_command("XCLAIM", member.group.topic.name, "group", "thief", 0, entry, "JUSTID")


@pytest.mark.slow
async def test_a_late_renewal_takes_nothing_back(w: World) -> None:
    gate = Gate(w)
    member, entry = await one_in_hand(w, gate)
    async with w.listening(member):
        await w.until(lambda: gate.inside)
        steal(w, member, entry)
        renewed = member._hand.renewed_at
        await w.until(lambda: member._hand.renewed_at > renewed + 0.3)  # three times since
        assert w.pending(member.group) == [(entry, "thief", 1)]
        gate.open()


async def test_what_was_handled_is_acknowledged_whoever_has_it_now(w: World) -> None:
    gate = Gate(w)
    member, entry = await one_in_hand(w, gate)
    async with w.listening(member):
        await w.until(lambda: gate.inside)
        steal(w, member, entry)
        gate.open()
        await w.until(lambda: w.pending(member.group) == [])


@pytest.mark.parametrize("how", ["nack", "bury"])
async def test_what_is_anothers_is_neither_put_back_nor_put_aside(w: World, how: str) -> None:
    member, lost = w.member(w.group(), "me"), []
    member.lifecycle.on("lease_lost", lambda event: lost.extend(event.ids))
    entry = await w.do(member.group.topic.publish("x"))
    [message] = await w.do(member.read(1, timeout=1))
    steal(w, member, entry)
    message.nack(0) if how == "nack" else message.bury("no good")
    await w.do(member.flush())
    assert w.pending(member.group) == [(entry, "thief", 1)]
    assert lost == [entry]
    assert w.raw.keys(f"{member.group.topic.name}:dead:*") == []


async def test_members_without_a_name_never_share_one(w: World) -> None:
    group = w.group()
    assert len({w.member(group).id for _ in range(200)}) == 200


@pytest.mark.slow
async def test_two_of_one_name_may_handle_an_entry_twice_and_lose_none(w: World) -> None:
    group, seen = w.group(lease=0.5), []
    twins = [w.member(group, "twin") for _ in range(2)]
    for twin in twins:
        twin.on("*", lambda message: seen.append(message.id))
    async with w.listening(*twins):
        ids = []
        for _ in range(10):
            ids += await w.do(group.topic.publish_many([("x", {}) for _ in range(30)]))
        await w.until(lambda: set(seen) == set(ids) and w.pending(group) == [])
    assert w.raw.keys(f"{group.topic.name}:dead:*") == []


@pytest.mark.slow
async def test_fifty_members_that_came_and_went_leave_no_record(w: World) -> None:
    group, seen = w.group(), []
    for number in range(50):
        await w.do(group.topic.publish("x", i=number))
        member = w.member(group)
        member.on("*", lambda message: seen.append(message["i"]))
        await w.do(member.drain())
        await w.do(member.close())
    assert seen == [str(number) for number in range(50)]
    assert {row["name"] for row in w.raw.xinfo_consumers(group.topic.name, "group")} <= {"~waiting"}


# -- ends that are no failures --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), BaseExceptionGroup("both", [KeyboardInterrupt()])], ids=type
)
async def test_what_is_no_exception_ends_the_member_and_counts_no_failure(w: World, concurrency: int, error: BaseException) -> None:
    if w.asyncio and isinstance(error, (SystemExit, KeyboardInterrupt)):
        pytest.skip("asyncio itself passes these on to whoever runs the loop")
    group, failed, seen = w.group(retry=RetryPolicy(max_deliveries=1)), [], []
    member = w.member(group, "me", concurrency=concurrency)
    member.lifecycle.on("failed", failed.append)

    def handler(message: Any) -> None:
        raise error

    member.on("*", handler)
    entry = await w.do(group.topic.publish("x"))
    future = w.start(member.connect_and_listen)
    await w.until(future.done)
    ended = future.exception() if not future.cancelled() else asyncio.CancelledError()
    assert failed == [] and type(ended) in (type(error), type(None) if concurrency > 1 and w.asyncio else type(error))
    assert w.pending(group) == [(entry, "~waiting", 0)]
    other = w.member(group)
    other.on("*", lambda message: seen.append((message.id, message.deliveries)))
    await w.do(other.drain())
    assert seen == [(entry, 1)]


# -- forks ----------------------------------------------------------------------------------------------------------------------------------

FORKING = """
import os, sys
from streamio import Topic
topic = Topic(sys.argv[2], sys.argv[1])
topic.publish("x", by="before")
child = os.fork()
ids = [topic.publish("x", by="child" if child == 0 else "parent") for _ in range(300)]
assert ids == sorted(set(ids), key=lambda each: tuple(map(int, each.split("-")))), "every reply was for its own command"
assert topic.length() >= 301
if child == 0:
    os._exit(0)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.slow
@pytest.mark.parametrize("w", ["blocking-real"], indirect=True)
async def test_parent_and_child_publish_side_by_side_after_a_fork(w: World) -> None:
    words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, w.url, w.key()]
    child = await asyncio.to_thread(subprocess.run, words, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (child.returncode, child.stderr) == (0, "")
    assert Counter(fields["by"] for _, fields in w.raw.xrange(w.key())) == {"before": 1, "parent": 300, "child": 300}


FORKING_ASYNCIO = """
import asyncio, gc, os, sys
from streamio import Topic, from_url
topic = Topic(sys.argv[2], from_url(sys.argv[1], asyncio=True))
member = topic.group("group").member("me", block=0.05)

async def main():
    await topic.publish("x", by="before")
    await member.connect()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(topic.publish("x", by="child"))
            said = "published"
        except RuntimeError as error:
            said = str(error)
        gc.collect()
        print(said, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    await asyncio.wait_for(topic.publish("x", by="parent"), 3)
    print(len(await asyncio.wait_for(member.read(5, timeout=1), 3)))
    await member.close()

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("w", ["asyncio-real"], indirect=True)
async def test_a_fork_in_the_middle_of_an_event_loop_is_refused_by_name(w: World) -> None:
    words = [sys.executable, "-W", "ignore", "-c", FORKING_ASYNCIO, w.url, w.key()]
    child = await asyncio.to_thread(subprocess.run, words, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert child.stderr == ""
    assert child.stdout == f"topic {w.key()!r} is used on a second event loop; make one topic and client for each loop\n2\n"
    assert [fields["by"] for _, fields in w.raw.xrange(w.key())] == ["before", "parent"]
