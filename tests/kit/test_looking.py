"""What a stage tells: outcomes, messages, dead letters, the trace; and how it refuses wrong use."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
import unittest
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from streamio import ConsumerGroupMember, Topic
from streamio.testing import AsyncStage, NeverSettles, Stage, kill_at_every_effect
from streamio.testing.clock import serve_time
from tests.house.source import ROOT, modules

from .conftest import Kit, order

pytestmark = pytest.mark.asyncio


@dataclass
class Order:
    """A typed payload."""

    n: int


async def test_an_outcome_says_what_became_of_its_entry(k: Kit) -> None:
    outcomes = await k.do(k.stage.play(k.member(fails=1), order(1)))
    id = outcomes[0].id
    assert repr(outcomes) == f"[<order {id} of orders/billing: waiting, delivered once, due in 1 s, after ConnectionError: the bank is closed>]"
    await k.do(k.stage.pass_time(1))
    assert "due now" in repr(outcomes)
    await k.do(k.stage.play(k.member("other", topic=k.stage.topic("orders"))))
    assert f"<order {id} of orders/billing: acknowledged" in repr(outcomes)


async def test_entries_are_told_for_a_group_a_topic_a_member_or_all(k: Kit) -> None:
    orders, refunds = k.stage.topic("orders"), k.stage.topic("refunds")
    member = k.member(topic=orders)
    await k.do(orders.group("audit").create())
    await k.do(refunds.group("billing").create())
    await k.do(refunds.publish("order", n=9))
    await k.do(k.stage.play(member, order(1)))
    assert [(entry.group, entry.state) for entry in k.stage.entries(orders)] == [("audit", "unread"), ("billing", "acknowledged")]
    assert [entry.state for entry in k.stage.entries(orders.group("audit"))] == ["unread"]
    assert [entry["n"] for entry in k.stage.entries(member)] == ["1"]
    assert len(k.stage.entries()) == 3
    await k.do(refunds.delete(k.stage.entries(refunds)[0].id))
    assert k.stage.entries(refunds) == []


async def test_entries_are_decoded_as_their_topic_says(k: Kit) -> None:
    topic = k.stage.topic("orders", type=Order)
    member: Any = ConsumerGroupMember(topic.group("billing"))
    member.on("order", k.handler(lambda message: message.bury("no")))
    [entry] = await k.do(k.stage.play(member, ("order", Order(5))))
    assert entry.data == Order(5)
    assert k.stage.published("orders")[0].data == Order(5)
    [letter] = k.stage.dead_letters(member)
    assert (letter.data, letter.reason, entry.reason) == (Order(5), "no", "no")


async def test_what_is_not_settled_is_named(k: Kit) -> None:
    await k.do(k.stage.play(k.member(fails=1), order(1), order(2)))
    with pytest.raises(AssertionError, match=r"(?s)2 not settled:\n  <order .*waiting.*what happened on the stage"):
        k.stage.assert_all_settled()


async def test_what_was_trimmed_while_it_was_pending_is_not_settled(k: Kit) -> None:
    member = k.member(fails=1)
    await k.do(k.stage.play(member, order(1)))
    k.stage.redis.xtrim("orders", maxlen=0)
    assert [(entry.state, entry.type) for entry in k.stage.entries()] == [("waiting", "(gone)")]
    with pytest.raises(AssertionError, match="1 not settled"):
        k.stage.assert_all_settled()
    assert [entry.reason for entry in await k.do(k.stage.settle(member))] == ["missing"]


async def test_the_trace_tells_the_story(k: Kit) -> None:
    k.stage.lose_reply("XACK")
    await k.do(k.stage.settle(k.member(fails=1), order(1)))
    story = str(k.stage.trace)
    for part in ("topic orders: XADD orders * type order n 1", "w: failed order", "again in 1 s", "stage: 1 s pass", "will lose the reply to XACK"):
        assert part in story


async def test_handlers_that_never_end_are_told(k: Kit) -> None:
    stage: Any = type(k.stage)(patience=0.05)
    member: Any = ConsumerGroupMember(stage.topic("orders").group("billing"), concurrency=2, grace=0.01)
    through: Any = asyncio.Event() if k.asyncio else threading.Event()

    async def wait(message: Any) -> None:
        await through.wait()

    member.on("order", wait if k.asyncio else lambda message: through.wait(5) and None)
    try:
        with pytest.raises(NeverSettles, match=r"the play does not end: .* handles \[<Message"):
            await k.do(stage.play(member, order(1)))
    finally:
        through.set()
        stage.close()


async def test_a_wait_that_nothing_can_end_is_told(k: Kit) -> None:
    member: Any = ConsumerGroupMember(k.stage.topic("orders").group("billing"))
    with pytest.raises(NeverSettles, match="waits, and nothing comes"):
        await k.do(member.read())
    await k.do(member.close())


async def test_a_fault_that_was_never_met_is_told_at_the_end(k: Kit) -> None:
    stage: Any = type(k.stage)()
    stage.lose_reply("XAKC")
    with pytest.raises(AssertionError, match="was to lose the reply to XAKC, and no such command came"), stage:
        pass
    with pytest.raises(RuntimeError, match="mine"), type(k.stage)() as other:
        other.refuse("XADD", "OOM")
        raise RuntimeError("mine")


async def test_wrong_use_is_refused(k: Kit) -> None:
    stage, member = k.stage, k.member()
    elsewhere: Any = Topic("orders", "memory://elsewhere").group("billing").member()
    several: Any = ConsumerGroupMember([stage.topic("a").group("g"), stage.topic("b").group("g")])
    for who, error in ((elsewhere, "not on this stage"), (5, "can play, not 5")):
        with pytest.raises((TypeError, ValueError), match=error):
            await k.do(stage.play(who))
    with pytest.raises(TypeError, match=r"write `with (Async)?Stage\(\)` instead of `async with`"):
        async with type(stage)():
            pass
    with pytest.raises(ValueError, match="publish to the one you mean"):
        await k.do(stage.play(several, order(1)))
    with pytest.raises(ValueError, match="seconds must be a finite number"):
        await k.do(stage.pass_time(-1))
    with pytest.raises(TypeError, match="command must be the name"):
        stage.lose_reply(member)
    with pytest.raises(ValueError, match="times must be a whole number"):
        stage.refuse("XADD", "OOM", times=0)
    with pytest.raises(TypeError, match="action must be callable"):
        stage.before("XACK", "crash")
    with pytest.raises(TypeError, match="a scenario is a function"):
        kill_at_every_effect(stage)
    with pytest.raises(ValueError, match="nothing listens"):
        await k.do(stage.play(several))


async def test_nothing_is_left_of_a_stage(k: Kit) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with type(k.stage)() as stage:
            await k.do(stage.settle(k.member(topic=stage.topic("orders"), fails=1), order(1)))
        del stage
        gc.collect()


async def test_the_kit_works_in_unittest() -> None:
    class Case(unittest.TestCase):
        def test_it(self) -> None:
            with Stage() as stage:
                member = stage.topic("orders").group("billing").member()
                member.on("order", lambda message: None)
                self.assertEqual([entry.state for entry in stage.play(member, order(1))], ["acknowledged"])

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    assert (result.testsRun, result.failures, result.errors) == (1, [], [])


# -- fakeredis' private names ------------------------------------------------------------------------------------------------------------------

ASKED = {"fakeredis._helpers", "fakeredis.model._stream", "fakeredis._socket._base", "fakeredis.commands_mixins.server_mixin"}


async def test_fakeredis_asks_for_the_time_where_the_stage_gives_it() -> None:
    Stage().close()
    assert set(serve_time()) >= ASKED
    before = time.time()
    assert int(fakeredis.FakeRedis().time()[0]) >= int(before)  # a server without a stage has the system's time


async def test_fakeredis_has_what_the_stage_changes() -> None:
    with Stage() as stage:
        connection = stage.client.connection_pool.make_connection()
        connection.connect()
        assert {"_process_command", "is_aside", "is_asking"} <= set(vars(connection._sock))
        assert all(hasattr(connection._sock, name) for name in ("put_response", "_decode_error", "_killed"))
        connection.disconnect()
    from fakeredis._helpers import SimpleError

    assert SimpleError("x").value == "x"


async def test_fakeredis_takes_an_idle_time_to_be_over_a_millisecond_late() -> None:
    """What `Scene.nudge` is for: where this fails, it can go."""
    with Stage() as stage:
        stage.redis.xgroup_create("key", "group", "0", mkstream=True)
        stage.redis.xadd("key", {"a": "b"})
        stage.redis.xreadgroup("group", "me", {"key": ">"})
        stage.pass_time(1)
        assert stage.redis.xpending_range("key", "group", "-", "+", 1, idle=1000) == []


# -- the fixtures ----------------------------------------------------------------------------------------------------------------------------------

TESTS = """
import os
import pytest
from streamio import Topic

def test_good(stage):
    assert os.environ["REDIS_URL"] == stage.url
    Topic("orders").publish("order", n=1)
    assert len(stage.published("orders")) == 1

def test_bad(async_stage):
    async_stage.redis.xadd("orders", {"a": "b"})
    async_stage.refuse("XADD", "OOM")
    async_stage._scene.note("worker", "did something")
    assert False

def test_unmet(stage):
    stage.refuse("XADD", "OOM")
"""


@pytest.mark.slow
async def test_the_fixtures_give_stages_and_show_what_happened(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["streamio.testing.fixtures"]\n')
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = await asyncio.to_thread(subprocess.run, words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert "1 failed, 2 passed, 1 error" in done.stdout
    assert "- streamio stage -" in done.stdout
    assert "worker: did something" in done.stdout
    assert "was to refuse XADD, and no such command came" in done.stdout


async def test_the_core_of_the_kit_does_not_need_pytest() -> None:
    kit = [module for module in modules() if module.name.startswith("testing")]
    assert [module.name for module in kit if any(each.name == "pytest" for each in module.imports)] == ["testing.fixtures"]
    assert not [module.name for module in kit if any(each.ours and each.name == "testing.fixtures" for each in module.imports)]


async def test_without_the_embedded_server_the_extra_is_named() -> None:
    code = "import sys; sys.modules['fakeredis'] = None; import streamio.testing"
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "SetupError: streamio.testing needs the embedded server: pip install 'streamio[testing]'" in done.stderr


async def test_both_colours_have_the_same_stage() -> None:
    assert {name for name in dir(Stage) if not name.startswith("_")} == {name for name in dir(AsyncStage) if not name.startswith("_")}
