"""The demo's keys are its own: nobody else's are touched, and its own are gone at the end."""

from __future__ import annotations

from typing import Any

import pytest

from streamio import SetupError
from streamio.demo import Demo, Refused

from .conftest import Made, both, until

pytestmark = pytest.mark.asyncio


async def killed(demo: Demo) -> None:
    """End the demo as `kill -9` does: it says nothing any more, and its keys stay."""
    demo._ending.set()
    for each in [each for team in demo.teams.values() for each in team.workers.values()]:
        assert each.member is not None
        each._task = None  # it does not come back
        each.member.abandon()


async def keys(raw: Any, demo: Demo) -> list[str]:
    """The keys that begin with the stream's name."""
    return sorted([key async for key in raw.scan_iter(f"{demo.topic.name}*")])


@both
async def test_a_stream_of_somebody_else_is_refused_and_left_alone(made: Made, raw: Any) -> None:
    await raw.xadd("theirs", {"a": "b"})
    with pytest.raises(SetupError, match="'theirs', or a key beside it, was not made by a demo: nothing was touched"):
        await made(key="theirs")
    assert [key async for key in raw.scan_iter("theirs*")] == ["theirs"]
    assert await raw.xlen("theirs") == 1
    assert await raw.xinfo_groups("theirs") == []


async def test_a_marker_of_somebody_else_is_refused(made: Made, raw: Any) -> None:
    marker = "mine:demo:{mine}"
    for write in (lambda: raw.set(marker, "x"), lambda: raw.hset(marker, "made-by", "me")):
        await write()
        with pytest.raises(SetupError, match="was not made by a demo"):
            await made(key="mine")
        assert await raw.delete(marker) == 1
    assert [key async for key in raw.scan_iter("mine*")] == []


async def test_dead_letters_of_somebody_else_are_refused(made: Made, raw: Any) -> None:
    await raw.xadd("hers:dead:{hers}:analytics", {"a": "b"})
    with pytest.raises(SetupError, match="was not made by a demo"):
        await made(key="hers")
    assert await raw.xlen("hers:dead:{hers}:analytics") == 1


@both
async def test_two_demos_at_once_are_refused_on_one_stream(made: Made) -> None:
    demo = await made(key="twice")
    with pytest.raises(SetupError, match="another demo is running on 'twice'"):
        await made(key="twice")
    await demo.produce(3)
    await until(lambda: demo.teams["analytics"].acked == 3)
    await made(key="another")


@both
async def test_what_a_killed_demo_left_goes_on(made: Made) -> None:
    demo = await made(key="left")
    await demo.pause("notifications", "worker-a")
    await demo.pause("notifications", "worker-b")
    await demo.produce(10)
    await killed(demo)
    again = await made(key="left")
    assert again.left_over
    await until(lambda: again.teams["notifications"].acked == 10)


@both
async def test_at_the_end_its_keys_are_gone(made: Made, raw: Any) -> None:
    demo = await made()
    await raw.set(f"{demo.topic.name}:notes", "somebody's")
    await demo.produce(10)
    await demo.topic.group("watchers").create()
    await demo.topic.publish("order.paid", delay=60)
    await demo.stop()
    assert await keys(raw, demo) == [f"{demo.topic.name}:notes"]


@both
async def test_a_demo_whose_keys_another_one_took_stops_and_deletes_nothing(made: Made, raw: Any) -> None:
    demo = await made(key="taken", rate=50)
    await raw.hset(demo.marks.marker, "token", "another's")
    await until(lambda: demo.fault)
    count = await raw.xlen("taken")
    with pytest.raises(Refused, match="another demo has it"):
        await demo.produce(1)
    with pytest.raises(Refused, match="another demo has it"):
        await demo.reset()
    await demo.stop()
    assert count == await raw.xlen("taken")
    assert await raw.hget(demo.marks.marker, "token") == "another's"


async def test_a_bad_setting_is_refused_by_name(url: str) -> None:
    for options, error in (({"claim_idle": 0}, "claim_idle"), ({"rate": -1}, "rate"), ({"key": ""}, "topic name")):
        with pytest.raises((ValueError, Refused), match=error):
            Demo(url, **options)  # type: ignore[arg-type]
