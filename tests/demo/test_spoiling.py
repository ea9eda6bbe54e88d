"""Orders that a handler cannot read: tried again, put aside, and brought back when the handler is mended."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from streamio.demo import Demo, Refused
from streamio.demo.serving import dashboard_of

from .conftest import Made, both, until
from .test_demo import is_settled

pytestmark = pytest.mark.asyncio


@both
async def test_spoiled_orders_stand_in_the_dead_letters_until_the_handler_is_mended(made: Made) -> None:
    demo = await made(claim_idle=1)
    letters = demo.teams["analytics"].group.dead_letters
    await demo.spoil(2)
    ids = (await demo.produce(10)).result["ids"]
    await until(lambda: demo.teams["notifications"].acked == 10)  # to whom amounts are nothing
    await until(lambda: len(demo.story.dead) == 2)
    told = [(each.entry_id, each.reason, each.deliveries) async for each in letters]
    assert sorted(told) == [(id, "failed", 5) for id in ids[:2]]  # (which comes first is chance)
    assert demo.teams["analytics"].acked == 8 and demo.state()["spoil"] == {"queued": 0, "failing": 0, "mended": False}
    assert (await demo.redrive()).message == "2 dead letters brought back to analytics"
    await until(lambda: demo.state()["spoil"]["failing"] == 2)  # nothing has changed for them
    await demo.mend()
    await until(lambda: is_settled(demo))
    assert (demo.teams["analytics"].acked, await letters.length(), demo.state()["stats"]["claimed"]) == (10, 0, 0)
    amounts = [float(each.data["amount"].replace(",", ".")) async for each in demo.topic.replay()]
    assert demo.amounts.total == pytest.approx(sum(amounts))


async def test_what_is_mended_and_redriven_ends_the_chapter_of_dead_letters(made: Made) -> None:
    demo = await made()
    await demo.spoil(1)
    await demo.produce(1)
    await until(lambda: demo.story.dead)
    await demo.mend()
    assert not demo.story.done["poison"]
    assert (await demo.redrive()).result == {"count": 1}
    await until(lambda: demo.story.done["poison"])
    await demo.mend(False)
    assert demo.state()["spoil"]["mended"] is False
    for act, wrong in ((demo.spoil, 0), (demo.spoil, 101), (demo.mend, "yes")):
        with pytest.raises(Refused, match="must be"):
            await act(wrong)  # type: ignore[arg-type]


async def test_the_page_goes_by_the_lease_of_the_demos_own_groups(demo: Demo) -> None:
    made = dashboard_of(demo)
    assert made.board.settings.lease == demo.lease == demo.teams["analytics"].group.lease
    await made.close()


async def test_a_lever_may_be_the_first_thing_that_is_ever_asked_for(demo: Demo) -> None:
    made = dashboard_of(demo)
    scope = {"type": "http", "client": None, "state": {}}
    made.board.note(Request(scope), "demo spoil", demo.topic.name, "", "done")
    assert made.board.journal.count == made.board.sampler.version == 1
    await made.close()
