"""An operator's acts on a group: `ack`, `nack`, `bury`, `claim`, and the previews of `seek` and `trim`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streamio import ClaimResult, SeekPreview, SetupError, TrimPreview, from_url

from ..world import World
from .test_group_consumers import dead, fill, idle, owners

pytestmark = pytest.mark.asyncio
WAITING = "~waiting"


def counts(w: World, group: Any) -> dict[str, int]:
    """How often each pending entry was delivered."""
    return {entry_id: deliveries for entry_id, _, deliveries in w.pending(group)}


async def test_ack_settles_what_is_pending_and_tells_how_many_that_were(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 3, "a", "b")
    assert await w.do(group.ack(ids[0], ids[4], ids[0], "99-1")) == 2
    assert list(owners(w, group)) == [ids[1], ids[2], ids[3], ids[5]]
    assert await w.do(group.ack(*ids)) == 4
    assert await w.do(group.ack(*ids)) == 0 == await w.do(group.ack())


async def test_ack_of_thousands_goes_in_pages(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 1201, "a")
    assert await w.do(group.ack(*ids)) == 1201
    assert owners(w, group) == {}


async def test_nack_gives_entries_to_whoever_is_free_and_counts_nothing(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 3, "gone")
    assert await w.do(group.nack(ids[0], ids[1], "99-1")) == 2
    assert owners(w, group) == {ids[0]: WAITING, ids[1]: WAITING, ids[2]: "gone"}
    assert set(counts(w, group).values()) == {1}
    member = w.member(w.group(w.topic(), lease=600), "me")  # whatever the members' lease is
    messages = [await w.do(member.read(1, timeout=5)) for _ in range(2)]
    assert [(message.id, message.deliveries) for page in messages for message in page] == [(ids[0], 2), (ids[1], 2)]


async def test_nack_with_a_delay_is_due_then(w: World) -> None:
    group = w.group(lease=10)
    (entry,) = fill(w, group, 1, "gone")
    assert await w.do(group.nack(entry, delay=4)) == 1
    assert 6000 <= idle(w, group)[entry] < 9000
    assert await w.do(group.nack(entry, delay=timedelta(seconds=1))) == 1  # what waits may be told to wait otherwise
    assert 9000 <= idle(w, group)[entry] < 10000


async def test_what_is_free_is_not_idle_since_ever(w: World) -> None:
    group = w.group(lease=10)
    ids = fill(w, group, 2, "gone", "failed", "left")
    await w.do(group.nack(*ids[:2]))
    await w.do(group.nack(*ids[2:4], delay=4))
    assert await w.do(group.handover("left", None)) == 2
    assert min(idle(w, group)[each] for each in ids[:2] + ids[4:]) > 86_400_000 * 90  # (how the server is told)
    rows = await w.do(group.pending())
    assert [row.free for row in rows] == [True, True, False, False, True, True]
    assert all(row.idle < 1 for row in rows if row.free) and all(6 <= row.idle < 9 for row in rows if not row.free)
    assert [row.id for row in await w.do(group.pending(idle=5))] == ids[2:4]
    assert [row.id for row in await w.do(group.pending(idle=5, count=1))] == ids[2:3], "what is free is not among those counted"
    assert await w.do(group.pending(consumer=WAITING, idle=30)) == []
    assert [row.id for row in await w.do(group.pending(consumer=WAITING, count=5))] == ids[:5]
    w.raw.xclaim(group.topic.name, group.name, WAITING, 0, ids[:1], idle=86_400_000 * 2)
    assert [(row.free, row.idle // 86_400) for row in await w.do(group.pending(count=1))] == [(False, 2)], "nobody took it for two days"


async def test_nack_of_what_left_the_stream_leaves_a_dead_letter(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 2, "gone")
    w.raw.xdel(group.topic.name, ids[0])
    assert await w.do(group.nack(*ids)) == 1
    assert owners(w, group) == {ids[1]: WAITING}
    assert dead(w, group) == [(ids[0], "missing")]


async def test_bury_puts_entries_aside_with_all_their_bytes(w: World) -> None:
    group = w.group()
    w.raw.xgroup_create(group.topic.name, group.name, "0", mkstream=True)
    words = [b"type", b"a", b"raw", b"\xff\x00", b"raw", b"twice"]
    entry = w.raw.execute_command("XADD", group.topic.name, "*", *words)
    with from_url(w.url) as exact:
        exact.xreadgroup(group.name, "gone", {group.topic.name: ">"})
    assert await w.do(group.bury(entry, reason="seen to")) == 1
    letters = [letter async for letter in w.each(group.dead_letters)]
    assert [(one.entry_id, one.consumer, one.deliveries, one.reason, one.group) for one in letters] == [(entry, "gone", 1, "seen to", group.name)]
    assert letters[0].fields == [(b"type", b"a"), (b"raw", b"\xff\x00"), (b"raw", b"twice")]
    assert owners(w, group) == {}
    assert (await w.do(group.dead_letters.redrive())).redriven == [letters[0].id]


async def test_bury_leaves_alone_what_is_not_pending(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 2, "gone")
    w.raw.xack(group.topic.name, group.name, ids[0])
    late = w.raw.xadd(group.topic.name, {"type": "a"})
    assert await w.do(group.bury(*ids, late, "99-1")) == 1
    assert dead(w, group) == [(ids[1], "buried")]
    assert await w.do(group.bury()) == 0


async def test_bury_of_what_left_the_stream_and_of_many(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 45, "gone")
    w.raw.xdel(group.topic.name, ids[30])
    assert await w.do(group.bury(*ids)) == 45
    assert dead(w, group) == [(each, "missing" if each == ids[30] else "buried") for each in ids]
    assert owners(w, group) == {}


async def test_claim_takes_what_nobody_takes_care_of(w: World) -> None:
    group = w.group(lease=5)
    ids = fill(w, group, 2, "gone", "alive", "me")
    w.age(group, "gone", 6)
    w.age(group, "me", 6)
    assert await w.do(group.claim("me")) == ClaimResult(ids[:2], [])
    assert [*owners(w, group).values()] == ["me", "me", "alive", "alive", "me", "me"]
    assert max(idle(w, group)[each] for each in ids[:2]) < 5000  # the lease began anew
    assert set(counts(w, group).values()) == {1}
    assert await w.do(group.claim("me", idle=0)) == ClaimResult(ids[2:4], [])  # said in so many words


async def test_claim_leaves_a_retry_its_time(w: World) -> None:
    group = w.group(lease=5)
    ids = fill(w, group, 2, "gone")
    await w.do(group.nack(ids[0], delay=4))
    await w.do(group.nack(ids[1]))
    assert await w.do(group.claim("me", idle=0.5)) == ClaimResult([ids[1]], [])
    assert await w.do(group.claim("me", idle=0)) == ClaimResult([ids[0]], [])


async def test_claim_of_ids_takes_these_whoever_has_them_unless_idle_says_otherwise(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 3, "a", "b")
    assert await w.do(group.claim("me", ids[0], ids[4], "99-1")) == ClaimResult([ids[0], ids[4]], [])
    assert await w.do(group.claim("me", *ids, idle=60)) == ClaimResult([], [])
    assert await w.do(group.claim(w.member(group, "b"), *ids, count=2)) == ClaimResult(ids[:2], [])
    assert await w.do(group.claim("me", ids[5].replace("-", "-0"))) == ClaimResult([ids[5]], [])


async def test_claim_tells_what_was_deleted(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 4, "gone")
    w.raw.xdel(group.topic.name, ids[0], ids[2])
    assert await w.do(group.claim("me", ids[0], ids[1])) == ClaimResult([ids[1]], [ids[0]])
    assert await w.do(group.claim("me", idle=0)) == ClaimResult([ids[3]], [ids[2]])
    assert dead(w, group) == [(ids[0], "missing"), (ids[2], "missing")]


async def test_claim_goes_in_pages_the_oldest_first(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 230, "gone")
    assert await w.do(group.claim("me", idle=0, count=150)) == ClaimResult(ids[:150], [])
    assert await w.do(group.claim("you", *ids)) == ClaimResult(ids, [])
    assert await w.do(group.claim("me", idle=0)) == ClaimResult(ids, [])


async def test_what_was_claimed_for_a_living_member_is_handled_by_it(w: World) -> None:
    group = w.group(claim_interval=0.1)
    ids = fill(w, group, 3, "gone")
    handled = []
    member = w.member(group, "me")
    member.on("a", lambda message: handled.append(message.id))
    async with w.listening(member):
        await w.until(lambda: "me" in {each["name"] for each in w.raw.xinfo_consumers(group.topic.name, group.name)} or not w.embedded)
        await w.do(group.claim(member, *ids))
        await w.until(lambda: owners(w, group) == {})
    assert sorted(handled) == ids


async def test_acts_on_a_group_that_is_not_there_say_so(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish("a"))
    for act in (group.nack, group.bury, lambda entry: group.claim("me", entry), lambda _: group.claim("me"), lambda _: group.preview_seek("$")):
        with pytest.raises(SetupError, match="has no consumer group 'group'"):
            await w.do(act("1-1"))


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda group: group.ack("1-1", "x"), ValueError, "'x' is no entry id"),
        (lambda group: group.nack(5), ValueError, "5 is no entry id"),
        (lambda group: group.bury("99999999999999999999-1"), ValueError, "is no entry id"),
        (lambda group: group.bury("1-1", reason=None), TypeError, "reason must be a text"),
        (lambda group: group.nack("1-1", delay=-1), ValueError, "delay must be a finite number"),
        (lambda group: group.nack("1-1", delay=31), ValueError, r"delay must not be longer than the lease \(30 s\)"),
        (lambda group: group.claim("~waiting"), ValueError, "consumer name to '~waiting' is reserved"),
        (lambda group: group.claim(""), ValueError, "consumer name to must not be empty"),
        (lambda group: group.claim("me", "-"), ValueError, "'-' is no entry id"),
        (lambda group: group.claim("me", idle="5s"), TypeError, "idle must be seconds"),
        (lambda group: group.claim("me", count=0), ValueError, "count must be a whole number, 1 or more"),
        (lambda group: group.preview_seek("x"), ValueError, "position must be"),
        (lambda group: group.topic.preview_trim(), ValueError, "trim takes one of"),
        (lambda group: group.topic.preview_trim(maxlen=1, minid="1"), ValueError, "not maxlen and minid"),
        (lambda group: group.topic.preview_trim(maxlen=-1), ValueError, "maxlen must be a whole number"),
        (lambda group: group.topic.preview_trim(acked=True, ignore="g"), TypeError, "ignore must be a list"),
    ],
)
async def test_bad_arguments_are_refused_by_name_before_anything_is_sent(w: World, act: Any, error: type[Exception], words: str) -> None:
    group = w.group()
    with pytest.raises(error, match=words):
        await w.do(act(group))
    assert w.raw.exists(group.topic.name) == 0


async def test_preview_seek_tells_what_would_be_skipped_or_come_again(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 3, "a", "b")[:6]
    ids += [w.raw.xadd(group.topic.name, {"type": "a"}) for _ in range(4)]
    assert await w.do(group.preview_seek("$")) == SeekPreview(ids[5], ids[9], 4, True)
    assert await w.do(group.preview_seek("0")) == SeekPreview(ids[5], "0-0", 6, False)
    assert await w.do(group.preview_seek(ids[7])) == SeekPreview(ids[5], ids[7], 2, True)
    assert await w.do(group.preview_seek(ids[1])) == SeekPreview(ids[5], ids[1], 4, False)
    assert await w.do(group.preview_seek(ids[5])) == SeekPreview(ids[5], ids[5], 0, False)
    assert (await w.do(group.preview_seek(timedelta(hours=1)))).entries == 6
    w.raw.xdel(group.topic.name, ids[8])  # the server does not know the lag any more
    assert (await w.do(group.preview_seek("$"))).entries == 3
    await w.do(group.seek(ids[1]))
    assert (await w.do(group.preview_seek("$"))).entries == 7


async def test_preview_trim_tells_what_is_not_acknowledged_yet(w: World) -> None:
    group = w.group()
    topic = group.topic
    assert await w.do(topic.preview_trim(maxlen=0)) == TrimPreview(0, {}, {}, None)
    ids = fill(w, group, 3, "a", "b")
    w.raw.xgroup_create(topic.name, "late", "0")
    w.raw.xack(topic.name, group.name, ids[0], ids[2])
    everything = TrimPreview(6, {"group": 4, "late": 0}, {"group": 0, "late": 6}, None)
    assert await w.do(topic.preview_trim(maxlen=0)) == everything
    assert await w.do(topic.preview_trim(maxlen=2, exact=True)) == TrimPreview(4, {"group": 2, "late": 0}, {"group": 0, "late": 4}, ids[4])
    assert await w.do(topic.preview_trim(maxlen=6)) == TrimPreview(0, {"group": 0, "late": 0}, {"group": 0, "late": 0}, ids[0])
    assert await w.do(topic.preview_trim(minid=ids[3])) == TrimPreview(3, {"group": 1, "late": 0}, {"group": 0, "late": 3}, ids[3])
    assert (await w.do(topic.preview_trim(minid="0"))).entries == (await w.do(topic.preview_trim(max_age=60))).entries == 0
    assert (await w.do(topic.preview_trim(acked=True))).entries == 0
    assert await w.do(topic.preview_trim(acked=True, ignore=["late"])) == TrimPreview(1, {"group": 0, "late": 0}, {"group": 0, "late": 1}, ids[1])
    assert (await w.do(topic.preview_trim(acked=True, maxlen=0, ignore=["late", "group"]))).entries == 0  # as `trim`: without any group, nothing
    assert w.raw.xlen(topic.name) == 6


async def test_a_preview_is_what_the_trim_does(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 600, "a", "b")
    w.raw.xack(group.topic.name, group.name, *ids[:1100])
    for limits in ({"maxlen": 1190}, {"minid": ids[99]}, {"acked": True, "maxlen": 1050}, {"acked": True}, {"maxlen": 0}):
        preview = await w.do(group.topic.preview_trim(exact=True, **limits))
        assert preview.entries == (await w.do(group.topic.trim(exact=True, **limits))).removed > 0
        kept = {entry_id for entry_id, _ in w.raw.xrange(group.topic.name)}
        assert preview.pending == {"group": sum(each not in kept for each in owners(w, group))}


async def test_a_preview_counts_no_entry_of_the_millisecond_that_is_kept(w: World) -> None:
    topic = w.topic()
    for entry_id in ("1000-1", "2000-1", "3000-2"):
        w.raw.xadd(topic.name, {"n": 1}, id=entry_id)
    w.raw.xgroup_create(topic.name, "group", 0)
    w.raw.xreadgroup("group", "a", {topic.name: ">"}, count=2)
    assert await w.do(topic.preview_trim(minid="2000", exact=True)) == TrimPreview(1, {"group": 1}, {"group": 0}, "2000-1")
    assert (await w.do(topic.trim(minid="2000", exact=True))).removed == 1


async def test_acts_in_the_wrong_colour_name_the_right_one(w: World) -> None:
    group = w.group()
    if w.asyncio:
        group.ack("1-1").close()  # (made, and never awaited)
    else:
        with pytest.raises(TypeError, match="write `….ack\\(\\)` instead of `await ….ack\\(\\)`"):
            await group.ack("1-1")


async def test_a_preview_counts_no_pending_entry_that_is_gone_already(w: World) -> None:
    topic = w.topic()
    ids = await w.do(topic.publish_many(("a", {"n": n}) for n in range(4)))
    w.raw.xgroup_create(topic.name, "group", 0)
    w.raw.xreadgroup("group", "c", {topic.name: ">"})
    w.raw.xdel(topic.name, ids[0], ids[2])
    preview = await w.do(topic.preview_trim(maxlen=1))
    assert (preview.entries, preview.pending) == (1, {"group": 1})


async def test_names_of_others_that_are_not_utf_8_are_in_nobodys_way(w: World) -> None:
    topic = w.topic()
    first, second = await w.do(topic.publish_many(("a", {"n": n}) for n in range(2)))
    for name in (b"group", b"\xff"):
        w.raw.xgroup_create(topic.name, name, 0)
        w.raw.xreadgroup(name, b"c\xff", {topic.name: ">"})
    group = w.group(topic)
    assert await w.do(group.bury(first)) == 1
    assert [(entry.id, entry.consumer) for entry in await w.do(group.pending())] == [(second, "c\udcff")]
    assert (await w.do(topic.preview_trim(maxlen=0))).pending == {"group": 1, "\udcff": 2}
    assert {each.name: each.pending for each in await w.do(topic.groups())} == {"group": 1, "\udcff": 2}


@pytest.mark.parametrize("fails", [False, True])
async def test_what_a_member_had_begun_with_is_acknowledged_where_it_succeeds(w: World, fails: bool) -> None:
    member = w.member(w.group(), "m")
    group, entry_id = member.group, await w.do(member.group.topic.publish("a"))

    def handle(message: Any) -> None:
        w.raw.xclaim(group.topic.name, group.name, "other", 0, [message.id])  # (as `claim` does: nobody can await here)
        if fails:
            raise OSError

    member.on("a", handle)
    await w.do(member.drain())
    assert [(pending_id, owner) for pending_id, owner, _ in w.pending(group)] == ([(entry_id, "other")] if fails else [])
