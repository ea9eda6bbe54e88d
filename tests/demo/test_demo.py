"""What the demo shows: crashes lose nothing, handing over loses nothing, trimming tells, replaying disturbs nobody."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from streamio.demo import Demo, Refused

from .conftest import Made, both, until

pytestmark = pytest.mark.asyncio


def worker(demo: Demo, name: str) -> dict[str, Any]:
    """A worker as the page gets it."""
    return next(each for group in demo.state()["groups"].values() for each in group if each["name"] == name)


def handled(demo: Demo) -> dict[str, Counter[str]]:
    """How often each entry was handled in each group, counted from now on."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in demo.teams}
    for team in demo.teams.values():
        told = team.tell
        counter = counts[team.group.name]

        def tell(what: str, id: str, told: Any = told, counter: Counter[str] = counter) -> None:
            counter.update([id] if what == "ack" else [])
            told(what, id)

        for each in team.workers.values():
            each.tell = tell
    return counts


async def pending(demo: Demo, consumer: str | None = None, group: str = "notifications") -> list[Any]:
    """What is pending."""
    return await demo.teams[group].group.pending(consumer=consumer)


async def is_settled(demo: Demo) -> bool:
    """Whether both groups have had all and acknowledged all."""
    infos = [await team.group.info() for team in demo.teams.values()]
    return all(info.lag == 0 and info.pending == 0 for info in infos)


async def crashed(demo: Demo, count: int = 3, name: str = "worker-a") -> list[str]:
    """Let a worker crash with so many entries in hand; their ids."""
    await demo.crash("notifications", name, count)
    await demo.produce(30)
    await until(lambda: not worker(demo, name)["alive"])
    return [row.id for row in await pending(demo, name)]


@both
async def test_what_a_crashed_worker_had_is_claimed_and_handled_by_its_peer(demo: Demo) -> None:
    counts = handled(demo)
    await demo.crash("notifications", "worker-a", 3)
    ids = (await demo.produce(300)).result["ids"]
    await until(lambda: not worker(demo, "worker-a")["alive"])
    await until(lambda: worker(demo, "worker-a")["left"] == 3)
    lost = [row.id for row in await pending(demo, "worker-a")]
    assert len(lost) == 3
    assert (await demo.claim("notifications", "worker-b", idle=60)).result["claimed"] == []  # not idle for so long
    await until(lambda: demo.story.done["wait"])
    done = await demo.claim("notifications", "worker-b")
    assert sorted(done.result["claimed"]) == sorted(lost)
    assert done.message == "3 entries claimed for worker-b"
    await until(lambda: is_settled(demo))
    assert [counts[name] for name in demo.teams] == [Counter(ids)] * 2
    assert worker(demo, "worker-b")["reaped"] == 3
    assert demo.state()["stats"] == {"produced": 300, "acked": 600, "claimed": 3}
    await until(lambda: worker(demo, "worker-a")["alive"])  # nothing is left under its name


@both
async def test_a_peer_takes_over_by_itself_after_the_lease(made: Made) -> None:
    demo = await made(claim_idle=0.1)
    await crashed(demo)
    await until(lambda: is_settled(demo))
    assert worker(demo, "worker-b")["reaped"] == 3


async def test_idle_time_grows_while_a_worker_is_down(demo: Demo) -> None:
    await crashed(demo)
    first = min(row.idle for row in await pending(demo, "worker-a"))
    await until(lambda: worker(demo, "worker-a")["left"] == 3)
    await until(lambda: worker(demo, "worker-a")["idle"] > first)


@both
async def test_a_crashed_worker_that_comes_back_handles_its_own_first(made: Made) -> None:
    demo = await made(claim_idle=30)
    counts = handled(demo)
    lost = await crashed(demo)
    await demo.resume("notifications", "worker-a")
    await until(lambda: is_settled(demo))
    assert all(counts["notifications"][id] == 1 for id in lost)
    assert worker(demo, "worker-a")["reaped"] == 0
    assert demo.state()["story"]["lost"] == 0


async def test_a_crash_waits_for_its_entries(demo: Demo) -> None:
    await demo.pause("notifications", "worker-b")
    await demo.crash("notifications", "worker-a", 3)
    await demo.produce(2)
    await until(lambda: worker(demo, "worker-a")["crash_queued"] == 1)
    assert worker(demo, "worker-a")["alive"]
    await demo.produce(1)
    await until(lambda: not worker(demo, "worker-a")["alive"])
    with pytest.raises(Refused, match="worker-a is down already"):
        await demo.crash("notifications", "worker-a")


@both
async def test_removing_a_worker_hands_over_first_and_loses_nothing(made: Made) -> None:
    demo = await made(claim_idle=30)
    counts = handled(demo)
    lost = await crashed(demo)
    done = await demo.remove_worker("notifications", "worker-a")
    assert done.result == {"heir": "worker-b", "moved": 3}
    assert [each.name for each in await demo.teams["notifications"].group.consumers()] == ["worker-b"]
    await until(lambda: is_settled(demo))
    assert all(counts["notifications"][id] == 1 for id in lost)


async def test_a_worker_without_a_peer_stays(demo: Demo) -> None:
    with pytest.raises(Refused, match="worker-c has no peer in group 'analytics'") as refused:
        await demo.remove_worker("analytics", "worker-c")
    assert (refused.value.reason, refused.value.status) == ("no-peer", 409)
    await demo.produce(5)
    await until(lambda: is_settled(demo))
    assert worker(demo, "worker-c")["processed"] == 5


async def test_a_crashed_worker_is_no_peer(demo: Demo) -> None:
    await crashed(demo)
    with pytest.raises(Refused, match="no peer"):
        await demo.remove_worker("notifications", "worker-b")


async def test_a_worker_whose_entries_cannot_be_handed_over_stays(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise ConnectionError("the server is away")

    with monkeypatch.context() as patched:
        patched.setattr(demo.teams["notifications"].group, "remove_consumer", away)
        with pytest.raises(Refused, match="could not be handed over: the server is away") as refused:
            await demo.remove_worker("notifications", "worker-a")
    assert (refused.value.reason, refused.value.status) == ("handover-failed", 409)
    await demo.produce(20)
    await until(lambda: is_settled(demo))
    assert worker(demo, "worker-a")["processed"]


@both
async def test_what_is_trimmed_while_pending_is_told(made: Made) -> None:
    demo = await made(claim_idle=30)
    lost = await crashed(demo)
    await until(lambda: demo.teams["analytics"].acked == 30)
    seen = (await demo.trim(0, preview=True)).result
    assert seen["entries"] == 30
    assert seen["pending"]["notifications"] == 3
    assert await demo.topic.length() == 30
    assert (await demo.trim(0)).result["removed"] == 30
    done = await demo.claim("notifications", "worker-b", idle=0)
    assert sorted(done.result["deleted"]) == sorted(lost)
    assert "3 entries gone: trimmed while pending" in done.message
    assert demo.state()["story"]["lost"] == 0


@both
async def test_a_replay_leaves_the_groups_alone(demo: Demo) -> None:
    ids = (await demo.produce(30)).result["ids"]
    await until(lambda: is_settled(demo))
    before = await demo.topic.groups()
    done = await demo.replay()
    assert [each["id"] for each in done.result["entries"]] == ids[:20]
    assert set(done.result["entries"][0]["data"]) == {"order", "goods", "pieces", "amount"}
    assert [each["id"] for each in (await demo.replay(ids[2], ids[4], 10)).result["entries"]] == ids[2:5]
    assert await demo.topic.groups() == before


@both
async def test_a_paused_worker_reads_nothing_and_keeps_what_is_pending(made: Made) -> None:
    demo = await made(claim_idle=30)
    lost = await crashed(demo)
    await until(lambda: demo.teams["notifications"].acked == 27)
    await demo.pause("notifications", "worker-b")
    await demo.claim("notifications", "worker-b", idle=0)
    before = worker(demo, "worker-b")["processed"]
    await demo.produce(20)
    await until(lambda: demo.teams["analytics"].acked == 50)
    assert worker(demo, "worker-b")["processed"] == before
    assert [row.id for row in await pending(demo, "worker-b")] == lost
    await demo.resume("notifications", "worker-b")
    await until(lambda: is_settled(demo))
    assert worker(demo, "worker-b")["reaped"] == 3


async def test_a_new_worker_takes_its_share(demo: Demo) -> None:
    await demo.add_worker("analytics", " worker-d ")
    await demo.produce(50)
    await until(lambda: is_settled(demo))
    assert worker(demo, "worker-d")["processed"] + worker(demo, "worker-c")["processed"] == 50
    assert worker(demo, "worker-d")["processed"]
    with pytest.raises(Refused, match="has a worker 'worker-d' already"):
        await demo.add_worker("analytics", "worker-d")


@pytest.mark.parametrize("name", ["", " ", None, 7, "~waiting", "x" * 61, "a\nb"])
async def test_a_bad_name_is_refused(demo: Demo, name: Any) -> None:
    with pytest.raises(Refused, match="name") as refused:
        await demo.add_worker("analytics", name)
    assert refused.value.status == 400


async def test_what_there_is_not_is_refused_by_name(demo: Demo) -> None:
    for act in (demo.crash, demo.pause, demo.resume, demo.remove_worker, demo.claim):
        with pytest.raises(Refused, match="has no worker 'nobody'"):
            await act("analytics", "nobody")
        with pytest.raises(Refused, match="group must be one of notifications, analytics, not 'strangers'"):
            await act("strangers", "worker-c")
    for count in (0, 501, True, "3"):
        with pytest.raises(Refused, match="count must be a whole number from 1 to 500"):
            await demo.produce(count)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="type must be one of order.placed"):
        await demo.produce(1, "order.eaten")
    with pytest.raises(Refused, match="start"):
        await demo.replay("soon")


@both
async def test_a_reset_restores_the_beginning(demo: Demo, raw: Any) -> None:
    await demo.add_worker("analytics", "worker-d")
    await crashed(demo)
    await demo.pause("analytics", "worker-c")
    await demo.flow(paused=True, rate=50)
    await raw.set("somebody's", "own")
    await demo.reset()
    state = demo.state()
    assert state["stats"] == {"produced": 0, "acked": 0, "claimed": 0}
    assert {name: [each["name"] for each in group] for name, group in state["groups"].items()} == {
        "notifications": ["worker-a", "worker-b"],
        "analytics": ["worker-c"],
    }
    assert all(each["alive"] and not each["paused"] and not each["processed"] for group in state["groups"].values() for each in group)
    assert state["producer"] == {"rate": 0, "paused": False, "fault": ""}
    assert not any(step["done"] for step in state["story"]["steps"])
    assert (await demo.topic.info()).length == 0
    assert await raw.get("somebody's") == "own"
    await demo.produce(10)
    await until(lambda: is_settled(demo))


async def test_the_producer_has_a_rate_and_can_be_paused(made: Made) -> None:
    demo = await made(rate=50)
    await until(lambda: demo.producer.produced > 3)
    assert (await demo.flow(paused=True)).message == "the producer rests"
    count = await demo.topic.length()
    await demo.produce(1)
    assert await demo.topic.length() == count + 1
    await demo.flow(paused=False, rate=100)
    await until(lambda: demo.producer.produced > count + 3)


async def test_a_seed_makes_the_same_orders(made: Made) -> None:
    found = []
    for _ in range(2):
        demo = await made(seed=7)
        await demo.produce(20)
        found.append([(each["type"], each["data"]) for each in (await demo.replay()).result["entries"]])
    assert found[0] == found[1]
    assert {type for type, _ in found[0]} <= set(demo.state()["types"])


async def test_the_story_ticks_itself_off(demo: Demo) -> None:
    def ticked() -> list[str]:
        return [step["key"] for step in demo.state()["story"]["steps"] if step["done"]]

    await demo.produce(100)
    await until(lambda: ticked() == ["watch", "produce"])
    await crashed(demo)
    await until(lambda: ticked() == ["watch", "produce", "crash", "wait"])
    await demo.claim("notifications", "worker-b")
    await until(lambda: ticked()[4:] == ["claim"])
    await demo.pause("analytics", "worker-c")
    await demo.resume("analytics", "worker-c")
    await until(lambda: ticked()[5:] == ["behind"])
    await demo.add_worker("notifications", "worker-d")
    await demo.remove_worker("notifications", "worker-b")
    await demo.replay()
    assert ticked()[6:] == ["peers", "past"]  # (the dead letters have a test of their own)


async def test_a_demo_ends_within_a_second_and_leaves_no_task(made: Made) -> None:
    before = asyncio.all_tasks()
    demo = await made(rate=20)
    await crashed(demo)
    await demo.pause("analytics", "worker-c")
    await asyncio.wait_for(demo.stop(), 1)
    assert asyncio.all_tasks() == before
