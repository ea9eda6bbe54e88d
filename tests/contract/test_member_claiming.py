"""What others left behind: entries that nobody renews or that were handed over, records of the gone, entries trimmed unread or while pending."""

from __future__ import annotations

import time

import pytest

from streamio import RetryPolicy

from ..servers import RedisServer
from ..world import World

pytestmark = pytest.mark.asyncio

LEASE = 0.4


async def foreign_read(w: World, group, name: str, count: int) -> list[str]:
    """Let a foreign client read entries and keep them."""
    found = w.raw.xreadgroup(group.name, name, {group.topic.name: ">"}, count=count)
    return [entry_id for entry_id, _ in found[0][1]]


def watched(member, *names: str) -> list:
    """The member's events of these names, as they come."""
    seen: list = []
    for name in names:
        member.lifecycle.on(name, seen.append)
    return seen


async def test_entries_of_a_client_that_polls_and_never_acknowledges_are_taken(w: World) -> None:
    group = w.group(lease=LEASE)
    await w.do(group.create())
    ids = await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(5)))
    await foreign_read(w, group, "foreign", 5)
    handled = []
    member = w.member(group, "m")
    member.on("a", lambda message: handled.append(message.id) and None)

    def polls() -> bool:
        w.raw.xreadgroup(group.name, "foreign", {group.topic.name: ids[-1]}, count=1)  # it speaks, and so is never silent
        w.raw.xreadgroup(group.name, "foreign", {group.topic.name: ">"}, count=1)
        return len(handled) == 5

    async with w.listening(member):
        await w.until(polls, 8)
    assert sorted(handled) == ids and w.pending(group) == []


async def test_a_page_of_strangers_is_no_more_than_there_is_room_for(w: World) -> None:
    group = w.group(lease=LEASE, claim_interval=0.05)
    await w.do(group.create())
    await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(30)))
    await foreign_read(w, group, "foreign", 30)
    w.age(group, "foreign", LEASE + 1)
    member = w.member(group, "m", prefetch=3)
    most, handled = [0], []

    def look(message) -> None:
        handled.append(message.id)
        most[0] = max(most[0], sum(1 for _, consumer, _ in w.pending(group) if consumer == "m"))

    member.on("a", look)
    async with w.listening(member):
        await w.until(lambda: len(set(handled)) == 30)
    assert most[0] <= 2 * 4, "a member takes no more than it has room for, beside what it has not acknowledged yet"


async def test_entries_handed_to_a_living_member_are_noticed_by_it(w: World) -> None:
    group = w.group(lease=30, claim_interval=0.1)
    await w.do(group.create())
    ids = await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(3)))
    await foreign_read(w, group, "other", 3)
    handled = []
    member = w.member(group, "m")
    member.on("a", lambda message: handled.append(message.id) and None)
    async with w.listening(member):
        await w.until(lambda: any(consumer["name"] == "m" for consumer in w.raw.xinfo_consumers(group.topic.name, group.name)))
        w.raw.xclaim(group.topic.name, group.name, "m", 0, ids)
        await w.until(lambda: len(handled) == 3)
    assert handled == ids and w.pending(group) == []


async def test_records_of_members_that_are_gone_are_removed(w: World) -> None:
    group = w.group(lease=LEASE, claim_interval=0.1)
    await w.do(group.create())
    for n in range(50):
        w.raw.xgroup_createconsumer(group.topic.name, group.name, f"gone-{n}")
    member = w.member(group, "m")
    member.on("a", lambda message: None)

    def names() -> set[str]:
        return {each["name"] for each in w.raw.xinfo_consumers(group.topic.name, group.name)}

    async with w.listening(member):
        await w.until(lambda: not any(name.startswith("gone-") for name in names()))


async def test_a_record_with_something_pending_is_never_removed(w: World) -> None:
    group = w.group(lease=LEASE, claim_interval=0.1, retry=RetryPolicy(max_deliveries=1))
    await w.do(group.create())
    (entry,) = await w.do(group.topic.publish_many([("a", {"n": 1})]))
    await foreign_read(w, group, "gone", 1)
    member = w.member(group, "m")
    buried = watched(member, "buried")
    member.on("a", lambda message: None)
    async with w.listening(member):
        await w.until(lambda: buried)
    assert [event.ids for event in buried] == [[entry]] and buried[0].reason == "poison"


async def test_what_was_trimmed_unread_is_told_once_and_counted(w: World) -> None:
    group = w.group(lease=LEASE, claim_interval=0.1)
    await w.do(group.create())
    for n in range(10):
        w.raw.xadd(group.topic.name, {"type": "a", "n": n}, maxlen=4, approximate=False)
    handled: list = []
    members = [w.member(group, name) for name in ("m1", "m2")]
    seen = [watched(member, "skipped") for member in members]
    for member in members:
        member.on("a", lambda message: handled.append(message.id) and None)
    async with w.listening(members[0]):
        await w.until(lambda: len(handled) == 4)
        w.raw.xadd(group.topic.name, {"type": "a", "n": 10})
        async with w.listening(members[1]):
            await w.until(lambda: len(handled) == 5 and members[1]._hand.claim_at > 0)
    assert [event.count for events in seen for event in events] == ([6] if w.version >= (7, 0) else [])  # Redis counts from 7.0 on
    assert (await w.do(group.info())).lag == 0


async def test_what_was_trimmed_while_a_member_listens_is_told_where_it_looks_before_it_reads_on(w: World) -> None:
    group = w.group(lease=LEASE)
    handled: list = []
    member = w.member(group, "m")
    member.on("a", lambda message: handled.append(message.id) and None)
    seen = watched(member, "skipped")
    async with w.listening(member):
        await w.until(lambda: member._hand.blocked)
        member.pause()
        await w.until(lambda: not member._hand.blocked)
        for n in range(10):
            w.raw.xadd(group.topic.name, {"type": "a", "n": n}, maxlen=4, approximate=False)
        member._hand.claim_at, member._hand.claimed_last = 0.0, False  # as if `claim_interval` were over
        member.resume()
        await w.until(lambda: len(handled) == 4)
    if w.version >= (7, 0):
        assert [event.count for event in seen] == [6]


@pytest.mark.slow
async def test_a_server_that_starts_again_has_skipped_nothing() -> None:
    server = RedisServer("appendonly yes", "appendfsync always").start()
    w = World("blocking", server.port)
    try:
        group, seen = w.group(lease=LEASE, claim_interval=0.05), []
        member = w.member(group, "m")
        member.on("a", lambda message: None)
        member.lifecycle.on("skipped", seen.append)
        async with w.listening(member):
            await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(50)))
            await w.until(lambda: not w.pending(group) and member._hand.handled == 50)
            server.kill()
            server.start()
            await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(50)))
            await w.until(lambda: member._hand.handled == 100)
            looked = member._hand.claim_at
            await w.until(lambda: member._hand.claim_at > looked + 0.2)
        assert seen == [] and w.raw.xinfo_groups(group.topic.name)[0]["entries-read"] in (None, 100, 50)
    finally:
        await w.close()
        server.remove()


async def test_nothing_is_told_as_skipped_that_was_trimmed_before_the_group_began(w: World) -> None:
    topic = w.topic()
    for n in range(10):
        w.raw.xadd(topic.name, {"type": "a", "n": n}, maxlen=4, approximate=False)
    group = w.group(topic)
    member = w.member(group)
    member.on("a", lambda message: None)
    seen = watched(member, "skipped")
    assert await w.do(member.drain()) == 4
    assert seen == []


async def test_what_was_deleted_while_pending_is_a_dead_letter_without_payload(w: World) -> None:
    group = w.group(lease=LEASE)
    await w.do(group.create())
    first, second = await w.do(group.topic.publish_many([("a", {"n": 1}), ("a", {"n": 2})]))
    await foreign_read(w, group, "gone", 2)
    w.raw.xdel(group.topic.name, first)
    member = w.member(group, "m")
    handled: list = []
    member.on("a", lambda message: handled.append(message.id) and None)
    missing = watched(member, "missing")
    await w.until(lambda: w.raw.xinfo_consumers(group.topic.name, group.name)[0]["idle"] >= LEASE * 1000)
    await w.do(member.drain())
    assert handled == [second] and [event.ids for event in missing] == [[first]]
    letters = [fields for _, fields in w.raw.xrange(member._hand.settings.dead_letters)]
    assert [(each["dead:id"], each["dead:reason"], each["dead:consumer"], len(each)) for each in letters] == [(first, "missing", "gone", 8)]
    assert w.pending(group) == []


async def test_an_entry_given_back_unstarted_stays_suspected(w: World) -> None:
    group = w.group(lease=LEASE, retry=RetryPolicy(max_deliveries=2))
    await w.do(group.create())
    await w.do(group.topic.publish_many([("a", {"n": n}) for n in range(3)]))
    ids = await foreign_read(w, group, "gone", 3)
    w.age(group, "gone", LEASE + 1)
    await w.until(lambda: w.raw.xinfo_consumers(group.topic.name, group.name)[0]["idle"] >= LEASE * 1000)
    first = w.member(group, "first", prefetch=5)
    loop = w.loop(first)
    message = await w.next(loop)
    assert message.claimed and message.deliveries == 2 and message.ack()
    await w.do(first.close())  # gives two back
    waiting = [(entry, consumer, count) for entry, consumer, count in w.pending(group)]
    assert waiting == [(entry, "~waiting", 1) for entry in ids[1:]]
    second = w.member(group, "second", concurrency=4)
    inside, most = [0], [0]
    gate: list = []

    def enter(message) -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        gate.append(message.claimed)
        inside[0] -= 1

    second.on("a", enter)
    assert await w.do(second.drain()) == 2
    assert gate == [True, True], "an orphan that was given back is still one"


async def hold_two(w: World, group, name: str) -> tuple:
    """A member that has taken over two entries, and runs the first."""
    await w.do(group.create())
    ids = await w.do(group.topic.publish_many([("a", {"n": n}) for n in range(2)]))
    await foreign_read(w, group, "frozen", 2)
    w.age(group, "frozen", LEASE + 1)
    await w.until(lambda: w.raw.xinfo_consumers(group.topic.name, group.name)[0]["idle"] >= LEASE * 1000)
    member = w.member(group, name, prefetch=5)
    loop = w.loop(member)
    assert (await w.next(loop)).id == ids[0]
    return member, loop, ids


async def test_an_entry_that_its_frozen_owner_acknowledges_late_is_no_dead_letter(w: World) -> None:
    group = w.group(lease=LEASE)
    member, loop, ids = await hold_two(w, group, "m")
    events = watched(member, "missing", "lease_lost")
    w.raw.xack(group.topic.name, group.name, ids[1])
    (news,) = await w.do(group.topic.publish_many([("a", {"n": 2})]))
    assert (await w.next(loop)).id == news
    assert [(event.name, event.ids) for event in events] == [("lease_lost", [ids[1]])]
    assert w.raw.exists(member._hand.settings.dead_letters) == 0
    del loop


async def test_a_late_start_does_not_steal_an_entry_back(w: World) -> None:
    group = w.group(lease=LEASE)
    member, loop, ids = await hold_two(w, group, "m")
    events = watched(member, "lease_lost")
    w.raw.xclaim(group.topic.name, group.name, "other", 0, [ids[1]], justid=True)
    (news,) = await w.do(group.topic.publish_many([("a", {"n": 2})]))
    assert (await w.next(loop)).id == news
    assert [event.ids for event in events] == [[ids[1]]]
    assert (ids[1], "other", 1) in w.pending(group)
    del loop


async def test_an_entry_deleted_after_it_was_taken_over_is_a_dead_letter_with_its_payload(w: World) -> None:
    group = w.group(lease=LEASE)
    member, loop, ids = await hold_two(w, group, "m")
    w.raw.xdel(group.topic.name, ids[1])
    (news,) = await w.do(group.topic.publish_many([("a", {"n": 2})]))
    assert (await w.next(loop)).id == news
    await w.do(member.flush())
    letters = [fields for _, fields in w.raw.xrange(member._hand.settings.dead_letters)]
    assert [(each["dead:id"], each["dead:reason"], each["n"]) for each in letters] == [(ids[1], "missing", "1")]
    del loop


@pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
async def test_what_a_lost_reply_brought_is_given_back_by_a_member_that_stops(w: World) -> None:
    group = w.group(lease=30)
    member = w.member(group, "m")
    await w.do(member.connect())
    ids = await w.do(group.topic.publish_many([("a", {"n": n}) for n in range(3)]))
    await foreign_read(w, group, "m", 3)  # as a read whose reply never came
    await w.do(member.close())
    assert w.pending(group) == [(entry, "~waiting", 1) for entry in ids]
    assert [each["name"] for each in w.raw.xinfo_consumers(group.topic.name, group.name)] == ["~waiting"]


async def deleted_while_it_runs(w: World, fails: bool, until=None, **options) -> tuple:
    """A member whose handler sees its entry deleted, waits and fails, or does not: the member's events, the entry's id, the group's dead letters."""
    group = w.group(**options)
    member = w.member(group, "m")
    events = watched(member, "missing", "lease_lost", "buried")

    def handler(message) -> None:
        w.raw.xdel(group.topic.name, message.id)
        end = time.monotonic() + 8
        while until is not None and not until(group) and time.monotonic() < end:
            time.sleep(0.01)
        if fails:
            raise ValueError("not this time")

    member.on("a", handler)
    entry_id = await w.do(group.topic.publish("a", n=1))
    await w.do(member.drain())
    assert w.pending(group) == []
    letters = [fields for _, fields in w.raw.xrange(member._hand.settings.dead_letters)]
    return [(event.name, event.ids) for event in events], entry_id, [(each["dead:id"], each["dead:reason"], each["n"]) for each in letters]


def dropped_by_a_renewal(w: World):
    """Holds where nothing is pending any more: redis-server 7.0 drops what it does not find in the stream."""
    return lambda group: w.version < (7, 0) or not w.pending(group)


@pytest.mark.parametrize("renewed", [False, True])
async def test_an_entry_deleted_while_its_handler_fails_is_a_dead_letter_with_its_payload(w: World, renewed: bool) -> None:
    until = dropped_by_a_renewal(w) if renewed and not (w.asyncio or w.embedded) else None
    events, entry_id, letters = await deleted_while_it_runs(w, True, until, lease=LEASE if until else 30)
    assert letters == [(entry_id, "missing", "1")]
    assert events == [("missing", [entry_id]), ("buried", [entry_id])]


@pytest.mark.parametrize("renewed", [False, True])
async def test_an_entry_deleted_while_its_last_delivery_fails_is_buried_as_failed(w: World, renewed: bool) -> None:
    until = dropped_by_a_renewal(w) if renewed and not (w.asyncio or w.embedded) else None
    options = {"lease": LEASE if until else 30, "retry": RetryPolicy(max_deliveries=1)}
    events, entry_id, letters = await deleted_while_it_runs(w, True, until, **options)
    assert letters == [(entry_id, "failed", "1")]
    assert events == [("buried", [entry_id])]


async def test_an_entry_deleted_while_its_handler_succeeds_is_acknowledged_and_no_more(w: World) -> None:
    events, _, letters = await deleted_while_it_runs(w, False, lease=30)
    assert (events, letters) == ([], [])


async def test_what_failed_after_another_acknowledged_it_is_no_dead_letter(w: World) -> None:
    group = w.group(lease=30, retry=RetryPolicy(max_deliveries=1))
    member = w.member(group, "m")
    events = watched(member, "missing", "lease_lost", "buried")

    def handler(message) -> None:
        w.raw.xack(group.topic.name, group.name, message.id)
        raise ValueError("not this time")

    member.on("a", handler)
    entry_id = await w.do(group.topic.publish("a", n=1))
    await w.do(member.drain())
    assert [(event.name, event.ids) for event in events] == [("lease_lost", [entry_id])]
    assert w.raw.exists(member._hand.settings.dead_letters) == 0


async def test_an_entry_deleted_before_it_started_is_a_dead_letter_when_its_member_stops(w: World) -> None:
    group = w.group(lease=30)
    member = w.member(group, "m", prefetch=5)
    ids = await w.do(group.topic.publish_many([("a", {"n": 0}), ("a", {"n": 1})]))
    loop = w.loop(member)
    assert (await w.next(loop)).id == ids[0]
    w.raw.xdel(group.topic.name, ids[1])
    await w.do(member.close())
    letters = [fields for _, fields in w.raw.xrange(member._hand.settings.dead_letters)]
    assert [(each["dead:id"], each["dead:reason"], each["n"]) for each in letters] == [(ids[1], "missing", "1")]


async def test_where_an_entry_that_is_gone_cannot_be_buried_it_is_told_once(w: World) -> None:
    group = w.group(lease=30)
    member = w.member(group, "m")
    events, seen = watched(member, "missing", "error"), []

    def handler(message) -> None:
        seen.append(message)
        if len(seen) == 1:
            w.raw.set(member._hand.settings.dead_letters, "no stream")
            w.raw.xdel(group.topic.name, message.id)
            raise ValueError("not this time")

    member.on("a", handler)
    ids = await w.do(group.topic.publish_many([("a", {"n": 0})]))
    async with w.listening(member):
        await w.until(lambda: len(events) >= 2)
        await w.do(group.topic.publish("a"))
        await w.until(lambda: len(seen) == 2)
    assert [(event.name, event.ids) for event in events][:2] == [("missing", ids), ("error", ids)]
    assert len(events) < 5
