"""`group.dead_letters`: what was put aside is told exactly, goes back once and only to its group, and is removed only when asked."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.exceptions import ResponseError

from streamio import DeadLetter, DeadLettersInfo, JSONCodec, RedriveResult, RetryPolicy, SetupError, Topic, from_url
from streamio.keys import side_key

from ..world import World
from .gates import Failing

pytestmark = pytest.mark.asyncio
ODD = b"\xff\x00\xc3("


async def letters(w: World, group: Any) -> list[DeadLetter]:
    """All of the group's dead letters."""
    return [letter async for letter in w.each(group.dead_letters)]


async def bury(w: World, group: Any, count: int = 1, reason: Any = "by hand") -> list[DeadLetter]:
    """Entries that a member put aside."""
    if count:
        await w.do(group.topic.publish_many([("t", {"n": n}) for n in range(count)]))
    member = w.member(group, "burier")
    for message in await w.do(member.read(max(count, 1), timeout=0)):
        message.bury(reason)
    await w.do(member.close())
    return await letters(w, group)


async def taken(w: World, group: Any, **options: Any) -> list[tuple[str, int]]:
    """What a new member of the group handles now: (n, deliveries)."""
    seen: list[tuple[str, int]] = []
    member = w.member(group, **options)
    member.on("*", lambda message: seen.append((message["n"], message.deliveries)))
    await w.do(member.drain())
    return sorted(seen)


def result(**found: list[str]) -> RedriveResult:
    """A result with only these."""
    return RedriveResult(**{"redriven": [], "copied": [], "held": [], "refused": [], "missing": [], **found})


def add(w: World, topic: Any, *words: bytes | str) -> str:
    """An entry of a foreign producer, word for word."""
    entry_id: str = w.raw.execute_command("XADD", topic.name, "*", *words)
    return entry_id


# -- what a letter tells ----------------------------------------------------------------------------------------------------------------


async def test_a_letter_of_a_failed_entry_tells_all_about_it(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=2, backoff=(0, 0)))
    entry_id = await w.do(group.topic.publish("t", a="1", headers={"h": "v"}))
    member = w.member(group, "me", handlers={"t": Failing()})
    before = datetime.now(UTC) - timedelta(seconds=5)
    await w.do(member.drain())
    (letter,) = await letters(w, group)
    assert (letter.entry_id, letter.type, letter.data, letter["a"], letter.headers) == (entry_id, "t", {"a": "1"}, "1", {"h": "v"})
    assert (letter.topic, letter.group, letter.consumer, letter.deliveries, letter.reason) == (group.topic.name, "group", "me", 2, "failed")
    assert letter.error == "ValueError: not this time"
    assert "Traceback" in letter.traceback
    assert "not this time" in letter.traceback
    assert letter.fields == [(b"type", b"t"), (b"header:h", b"v"), (b"a", b"1")]
    assert before < letter.buried_at < before + timedelta(seconds=60)
    assert letter == (await letters(w, group))[0]
    assert hash(letter) == hash((await letters(w, group))[0])
    with pytest.raises(AttributeError):
        letter.reason = "other"  # type: ignore[misc]


async def test_a_letter_has_its_entrys_bytes(w: World) -> None:
    group = w.group()
    words = (b"\xfe", ODD, b"type", b"t", b"twice", b"1", b"twice", b"2", b"dead:id", b"0-0", b"empty", b"")
    add(w, group.topic, *words)
    (letter,) = await bury(w, group, 0)
    assert [word for pair in letter.fields for word in pair] == list(words)
    assert (letter.type, letter.data[b"\xfe"], letter.data["twice"], letter.reason) == ("t", ODD, "2", "by hand")


async def test_an_undecodable_letter_gives_its_fields_and_says_why_it_has_no_data(w: World) -> None:
    group = w.group(w.topic(codec=JSONCodec()))
    add(w, group.topic, "type", "t", "data", ODD)
    await w.do(w.member(group, handlers={"t": print}).drain())
    (letter,) = await letters(w, group)
    assert (letter.reason, letter.type, letter.fields) == ("undecodable", "t", [(b"type", b"t"), (b"data", ODD)])
    with pytest.raises(ValueError, match=f"{letter.id} does not decode .*'data' is not JSON"):
        _ = letter.data


async def test_a_letters_data_is_decoded_by_the_topics_codec(w: World) -> None:
    group = w.group(w.topic(codec=JSONCodec()))
    await w.do(group.topic.publish("t", {"a": [1, {"b": None}]}))
    (letter,) = await bury(w, group, 0)
    assert letter.data == {"a": [1, {"b": None}]}
    assert letter.data is letter.data


async def test_a_letter_of_an_entry_that_killed_its_members_is_poison(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=1), lease=0.5)
    await w.do(group.topic.publish("t", n=1))
    w.raw.xgroup_create(group.topic.name, "group", "0")
    w.raw.xreadgroup("group", "dead", {group.topic.name: ">"})
    w.age(group, "dead", 60)
    member = w.member(group, "me", handlers={"*": print})
    async with w.listening(member):
        await w.until(lambda: not w.pending(group))
    (letter,) = await letters(w, group)
    assert (letter.reason, letter.deliveries, letter["n"]) == ("poison", 1, "1")


async def test_a_letter_of_an_entry_that_nobody_wants_says_so(w: World) -> None:
    group = w.group(unhandled="bury")
    await w.do(group.topic.publish("other", n=1))
    await w.do(w.member(group, handlers={"t": print}).drain())
    assert [(letter.reason, letter.type) for letter in await letters(w, group)] == [("unhandled", "other")]


async def test_a_letter_buried_by_hand_has_its_reason_or_its_error(w: World) -> None:
    group = w.group()
    await bury(w, group, 1, "no such customer")
    await bury(w, group, 1, KeyError("x"))
    assert [(each.reason, each.error, bool(each.traceback)) for each in await letters(w, group)] == [
        ("no such customer", "", False),
        ("buried", "KeyError: 'x'", True),
    ]


async def test_an_entry_with_thousands_of_fields_is_put_aside_whole_and_redriven(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=1))
    await w.do(group.topic.publish("t", {f"f{i}": ODD for i in range(5000)}))
    await w.do(w.member(group, handlers={"*": Failing()}).drain())
    (letter,) = await letters(w, group)
    assert (letter.type, len(letter.fields), letter.fields[-1], letter["f0"]) == ("t", 5001, (b"f4999", ODD), ODD)
    assert await w.do(group.dead_letters.redrive()) == result(redriven=[letter.id])
    (again,) = await w.do(w.member(group).read(1, timeout=5))
    assert again.fields == letter.fields
    again.bury("again")
    await w.do(w.things[-1].flush())
    (letter,) = await letters(w, group)
    await w.do(group.topic.delete(letter.entry_id))
    assert await w.do(group.dead_letters.redrive()) == result(refused=[letter.id])


# -- iterating, looking -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_letters_come_oldest_first_in_pages_and_every_loop_begins_anew(w: World) -> None:
    group = w.group()
    entries = await w.do(group.topic.publish_many([("t", {"n": n}) for n in range(1203)]))
    member = w.member(group)
    while some := await w.do(member.read(500, timeout=0)):
        for message in some:
            message.bury("by hand")
    await w.do(member.flush())
    found = await letters(w, group)
    assert sorted(letter.entry_id for letter in found) == sorted(entries)
    assert [letter.id for letter in found] == sorted((letter.id for letter in found), key=lambda i: tuple(map(int, i.split("-"))))
    assert await letters(w, group) == found
    assert await w.do(group.dead_letters.length()) == 1203


async def test_a_group_that_put_nothing_aside_has_no_letters(w: World) -> None:
    group = w.group()
    dead, key = group.dead_letters, side_key(group.topic.name, "dead", "group")
    assert await letters(w, group) == []
    assert await w.do(dead.length()) == 0
    assert await w.do(dead.info()) == DeadLettersInfo(key, 0, None, None, 100_000)
    assert await w.do(dead.redrive()) == result()
    assert await w.do(dead.purge()) == 0
    assert not w.raw.exists(key)


async def test_info_tells_where_the_letters_are_and_how_many(w: World) -> None:
    group = w.group()
    found = await bury(w, group, 3)
    info = await w.do(group.dead_letters.info())
    assert info == DeadLettersInfo(side_key(group.topic.name, "dead", "group"), 3, found[0].id, found[2].id, 100_000)


async def test_each_group_has_its_own_letters(w: World) -> None:
    topic = w.topic()
    one, other = w.group(topic, "one"), w.group(topic, "other")
    (letter,) = await bury(w, one)
    assert await letters(w, other) == []
    await bury(w, other, 0)
    assert [each.group for each in await letters(w, one)] == ["one"]
    with pytest.raises(ValueError, match="is not of group 'other'"):
        await w.do(other.dead_letters.redrive(letter))


async def test_what_somebody_else_wrote_there_is_shown_and_left_alone(w: World) -> None:
    group = w.group()
    key = side_key(group.topic.name, "dead", "group")
    await bury(w, group)
    odd = [w.raw.xadd(key, fields) for fields in ({"a": "1"}, {"dead:id": "x", "dead:deliveries": "x"}, {"dead:id": "1-1"})]
    odd += [w.raw.xadd(key, {"dead:id": f"{i}", **dict.fromkeys("abcdefgh", 1)}) for i in ("1-18446744073709551616", "18446744073709551616-0", "")]
    found = await letters(w, group)
    assert [(each.entry_id, each.deliveries, each.reason) for each in found[1:4]] == [("", 0, ""), ("x", 0, ""), ("1-1", 0, "")]
    assert found[1].fields == [(b"a", b"1")]
    assert found[2].data is None
    assert await w.do(group.dead_letters.redrive()) == result(redriven=[found[0].id], refused=odd)
    assert w.raw.xlen(key) == 6


# -- redriving --------------------------------------------------------------------------------------------------------------------------


async def test_redrive_brings_all_back_once_with_a_fresh_count(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=2, backoff=(0, 0)))
    await w.do(group.topic.publish_many([("t", {"n": n}) for n in range(3)]))
    await w.do(w.member(group, handlers={"*": Failing()}).drain())
    found = await letters(w, group)
    assert [letter.deliveries for letter in found] == [2, 2, 2]
    assert await w.do(group.dead_letters.redrive()) == result(redriven=[letter.id for letter in found])
    assert await letters(w, group) == []
    assert await taken(w, group) == [("0", 1), ("1", 1), ("2", 1)]
    assert await taken(w, group) == []
    assert w.pending(group) == []
    assert w.raw.xlen(group.topic.name) == 3


async def test_redrive_takes_ids_letters_and_lists_of_them(w: World) -> None:
    group = w.group()
    a, b, c, d = await bury(w, group, 4)
    dead = group.dead_letters
    assert await w.do(dead.redrive([])) == result()
    assert await w.do(dead.redrive([], (each for each in ()))) == result()
    assert await w.do(dead.redrive(a.id, a, b)) == result(redriven=[a.id, b.id])
    assert await w.do(dead.redrive([b, "5-5"] * 100, c.id)) == result(redriven=[c.id], missing=[b.id, "5-5"])
    assert [each.id for each in await letters(w, group)] == [d.id]
    assert await taken(w, group) == [("0", 1), ("1", 1), ("2", 1)]


@pytest.mark.parametrize("bad", ["x", "", "-", "+", "1-1-1", b"1-1", None, 5, True, object])
@pytest.mark.parametrize("what", ["redrive", "purge"])
async def test_what_is_no_letter_is_named_and_nothing_is_done(w: World, what: str, bad: Any) -> None:
    group = w.group()
    (letter,) = await bury(w, group)
    for words in ((bad,), (letter, bad), ([letter.id, bad],)):
        with pytest.raises(ValueError, match="no dead letter and no id of one") as caught:
            await w.do(getattr(group.dead_letters, what)(*words))
        assert repr(bad) in str(caught.value)
    assert await letters(w, group) == [letter]


@pytest.mark.slow
async def test_redrive_goes_through_all_pages(w: World) -> None:
    group = w.group()
    found = await bury(w, group, 250)
    await w.do(group.topic.delete(*[letter.entry_id for letter in found[::50]]))
    came = await w.do(group.dead_letters.redrive())
    assert (came.count, came.copied) == (250, [letter.id for letter in found[::50]])
    assert await taken(w, group) == sorted((str(n), 1) for n in range(250))


@pytest.mark.slow
async def test_a_redrive_by_ids_goes_through_all_pages(w: World) -> None:
    group = w.group()
    found = await bury(w, group, 230)
    came = await w.do(group.dead_letters.redrive(found))
    assert came == result(redriven=[letter.id for letter in found])


async def test_a_redriven_entry_that_fails_again_is_buried_again_with_a_fresh_count(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=3, backoff=(0, 0)))
    entry_id = await w.do(group.topic.publish("t", n=1))
    failing = Failing()
    for _ in range(3):
        await w.do(w.member(group, handlers={"*": failing}).drain())
        (letter,) = await letters(w, group)
        assert (letter.entry_id, letter.deliveries, letter.reason) == (entry_id, 3, "failed")
        assert await w.do(group.dead_letters.redrive(letter)) == result(redriven=[letter.id])
    assert failing.tries == [1, 2, 3] * 3


async def test_two_redrives_at_once_bring_each_entry_back_once(w: World) -> None:
    group = w.group(w.topic())
    await bury(w, group, 60)
    found = await letters(w, group)
    await w.do(group.topic.delete(*[letter.entry_id for letter in found[::2]]))
    others = [w.group(w.topic()) for _ in range(3)]
    came = await asyncio.gather(*(w.start(each.dead_letters.redrive) for each in (group, *others)))
    back = [letter_id for each in came for letter_id in (*each.redriven, *each.copied)]
    assert sorted(back) == sorted(letter.id for letter in found)
    assert await taken(w, group) == sorted((str(n), 1) for n in range(60))


async def test_an_entry_that_is_pending_is_not_taken_from_its_member(w: World) -> None:
    group = w.group()
    (letter,) = await bury(w, group)
    await w.do(group.seek("0"))
    holder = w.member(group, "holder")
    (held,) = await w.do(holder.read(1, timeout=0))
    assert await w.do(group.dead_letters.redrive()) == result(held=[letter.id])
    assert w.pending(group) == [(letter.entry_id, "holder", 1)]
    assert await letters(w, group) == [letter]
    held.nack(60)
    await w.do(holder.flush())
    assert await w.do(group.dead_letters.redrive(letter)) == result(held=[letter.id])
    assert w.pending(group) == [(letter.entry_id, "~waiting", 1)]


async def test_an_error_in_the_middle_loses_nothing(w: World) -> None:
    group = w.group()
    a, b, c = await bury(w, group, 3)
    await w.do(group.topic.delete(b.entry_id))
    last = w.raw.xadd(group.topic.name, {"type": "last"}, id="18446744073709551615-18446744073709551615")  # no copy can be added above it
    with pytest.raises(ResponseError):
        await w.do(group.dead_letters.redrive())
    assert await letters(w, group) == [b, c]
    assert [row[0] for row in w.pending(group)] == [a.entry_id]
    assert await w.do(group.dead_letters.redrive(c, a)) == result(redriven=[c.id], missing=[a.id])
    assert sorted(row[0] for row in w.pending(group)) == sorted([a.entry_id, c.entry_id])
    assert [entry_id for entry_id, _ in w.raw.xrange(group.topic.name)] == [a.entry_id, c.entry_id, last]


@pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
@pytest.mark.parametrize("right", ["xdel", "xclaim", "xadd", "xinfo|groups"])
async def test_without_a_right_nothing_is_lost_and_nothing_comes_twice(w: World, right: str) -> None:
    if "|" in right and w.version < (7, 0):
        pytest.skip("rights to a command's parts come with Redis 7.0")
    group = w.group()
    a, b = await bury(w, group, 2)
    await w.do(group.topic.delete(b.entry_id))
    w.raw.execute_command("ACL", "SETUSER", w.name, "on", ">secret", "~*", "&*", "+@all", f"-{right}")
    poor = w.group(w.topic(client=w.client(username=w.name, password="secret")))
    with pytest.raises(SetupError, match=f"redrive needs the rights to .*{right.replace('|', ' ').upper()}.* on '{group.topic.name}:dead"):
        await w.do(poor.dead_letters.redrive())
    w.raw.execute_command("ACL", "DELUSER", w.name)
    left = [letter.id for letter in await letters(w, group)]
    assert left == ([b.id] if right == "xadd" else [a.id, b.id])
    assert len(w.pending(group)) == 2 - len(left)
    assert (await w.do(group.dead_letters.redrive())).count == len(left)
    assert await taken(w, group) == [("0", 1), ("1", 1)]


async def test_an_entry_that_the_group_will_read_anyway_comes_once(w: World) -> None:
    group = w.group()
    found = await bury(w, group, 3)
    await w.do(group.seek(found[0].entry_id))
    assert (await w.do(group.dead_letters.redrive())).count == 3
    assert [row[0] for row in w.pending(group)] == [found[0].entry_id]
    assert await taken(w, group) == [("0", 1), ("1", 1), ("2", 1)]


async def test_a_letter_without_payload_is_refused_and_stays(w: World) -> None:
    group = w.group()
    await bury(w, group, 0)
    facts = ("id", "1-1"), ("group", "group"), ("consumer", "me"), ("deliveries", "1"), ("reason", "missing"), ("error", ""), ("traceback", "")
    key = side_key(group.topic.name, "dead", "group")
    letter_id = w.raw.xadd(key, {f"dead:{name}": value for name, value in (*facts, ("topic", group.topic.name))})
    assert await w.do(group.dead_letters.redrive()) == result(refused=[letter_id])
    (letter,) = await letters(w, group)
    assert (letter.entry_id, letter.reason, letter.data, letter.fields, letter.type) == ("1-1", "missing", None, [], "")


async def test_a_redrive_to_a_group_that_is_not_there_says_so_and_keeps_the_letters(w: World) -> None:
    group = w.group()
    (letter,) = await bury(w, group)
    await w.do(group.destroy(force=True))
    for _ in range(2):
        with pytest.raises(SetupError, match=r"has no consumer group 'group'.* create\(\)"):
            await w.do(group.dead_letters.redrive())
        assert await letters(w, group) == [letter]
        w.raw.delete(group.topic.name)
    await w.do(group.create())
    assert await w.do(group.dead_letters.redrive()) == result(copied=[letter.id])
    assert await taken(w, group) == [("0", 1)]


@pytest.mark.parametrize("name", ["dead letters", "stream"])
async def test_a_key_of_another_type_is_named_and_nothing_is_done(w: World, name: str) -> None:
    group = w.group()
    (letter,) = await bury(w, group)
    key, other = side_key(group.topic.name, "dead", "group"), group.topic.name
    if name == "stream":
        key, other = other, key
    w.raw.delete(key)
    w.raw.set(key, "no stream")
    before = w.raw.xlen(other)
    dead = group.dead_letters
    calls = [lambda: dead.redrive(letter)]
    if name == "dead letters":
        calls += [dead.redrive, dead.purge, dead.info, dead.length, lambda: dead.purge(letter), lambda: letters(w, group)]
    for call in calls:
        with pytest.raises(SetupError, match=f"the key '?{re.escape(key)}'? "):
            await w.do(call())
    assert w.raw.xlen(other) == before


# -- other groups -----------------------------------------------------------------------------------------------------------------------


async def test_other_groups_see_nothing_of_a_redrive(w: World) -> None:
    topic = w.topic()
    one, other = w.group(topic, "one"), w.group(topic, "other")
    await bury(w, one)
    assert await taken(w, other) == [("0", 1)]
    await w.do(one.dead_letters.redrive())
    assert (await w.do(other.info())).lag == 0
    assert await taken(w, other) == []
    assert await taken(w, one) == [("0", 1)]


async def gone(w: World, name: str = "one") -> Any:
    """A topic with another group, and a copy for group `name` of a trimmed entry that lies between two plain ones."""
    topic = w.topic()
    one, other = w.group(topic, name), w.group(topic, "other")
    await w.do(other.create("$"))
    words = (b"odd", ODD, b"header:h", b"v", b"type", b"t", b"n", b"7", b"n", b"8")
    add(w, topic, *words)
    (letter,) = await bury(w, one, 0)
    await w.do(topic.delete(letter.entry_id))
    await w.do(other.seek("$"))
    await w.do(topic.publish("t", n="before"))
    assert await w.do(one.dead_letters.redrive()) == result(copied=[letter.id])
    await w.do(topic.publish("t", n="after"))
    return one, other, letter


@pytest.mark.parametrize("name", ["one", "ü:{}~", "type"])
async def test_a_copy_is_handled_by_its_group_like_the_original(w: World, name: str) -> None:
    one, _, letter = await gone(w, name)
    first, copy, last = await w.do(w.member(one).read(3, timeout=5))
    assert (first["n"], copy["n"], last["n"]) == ("before", "8", "after")
    assert (copy.type, copy.headers, copy.fields, copy.deliveries) == ("t", {"h": "v"}, letter.fields, 1)
    assert copy.data == letter.data == {"odd": ODD, "n": "8"}
    copy.bury("again")
    await w.do(w.things[-1].close())
    (again,) = await letters(w, one)
    assert (again.fields, again.entry_id) == (letter.fields, copy.id)
    assert await w.do(one.dead_letters.redrive()) == result(redriven=[again.id])
    back = await w.do(w.member(one).read(3, timeout=5))
    assert [each.fields for each in back if each.id == copy.id] == [letter.fields]
    for message in back:
        message.bury("again")
    await w.do(w.things[-1].close())
    await w.do(one.topic.delete(copy.id))
    found = [each for each in await letters(w, one) if each.entry_id == copy.id]
    assert await w.do(one.dead_letters.redrive(found)) == result(copied=[each.id for each in found])
    *_, entry = [each async for each in w.each(one.topic.replay())]
    assert entry.headers == {"for-group": name, "h": "v"}
    assert (entry.type, len(entry.fields)) == ("t", 6)


@pytest.mark.parametrize("how", ["listening", "draining", "loop", "read", "pool"])
async def test_other_groups_acknowledge_a_copy_unseen(w: World, how: str) -> None:
    _, other, _ = await gone(w)
    member = w.member(other, "me", concurrency=3 if how == "pool" else 1)
    events: list[str] = []
    seen: list[str] = []
    for name in ("started", "succeeded", "unhandled", "claimed", "buried", "failed", "missing", "lease_lost"):
        member.lifecycle.on(name, lambda event: events.append(event.name))
    if how in ("listening", "draining", "pool"):
        member.on("*", lambda message: seen.append(message["n"]))
    if how == "draining":
        assert await w.do(member.drain()) == 2
    elif how in ("listening", "pool"):
        async with w.listening(member):
            await w.until(lambda: len(seen) == 2 and not w.pending(other))
    elif how == "read":
        found = await w.do(member.read(3, timeout=0))
        seen += [message["n"] for message in found]
        for message in found:
            message.ack()
        await w.do(member.flush())
    else:
        loop = w.loop(member)
        seen += [(await w.next(loop))["n"], (await w.next(loop))["n"]]
        member.stop()
        assert await w.next(loop) is None
    assert sorted(seen) == ["after", "before"]
    assert (await w.do(member.info())).handled == (0 if how == "read" else 2)
    assert not {"unhandled", "missing", "claimed", "lease_lost", "buried", "failed"} & set(events)
    assert events.count("started") == (0 if how in ("loop", "read") else 2)
    await w.do(member.close())
    assert w.pending(other) == []


async def test_a_copy_alone_is_acknowledged_unseen_and_the_read_waits_on(w: World) -> None:
    topic = w.topic()
    one, other = w.group(topic, "one"), w.group(topic, "other")
    (letter,) = await bury(w, one)
    await w.do(topic.delete(letter.entry_id))
    await w.do(other.create("$"))
    member = w.member(other)
    await w.do(member.connect())
    await w.do(one.dead_letters.redrive())
    assert await w.do(member.read(1, timeout=0)) == []
    await w.until(lambda: not w.pending(other))
    assert (await w.do(other.info())).lag == 0


def hold(w: World, group: Any, name: str) -> None:
    """Let a consumer read all that is new, and say no more."""
    with from_url(w.url) as client:
        client.xreadgroup(group.name, name, {group.topic.name: ">"})


async def test_a_copy_that_a_dead_member_of_another_group_held_is_acknowledged_unseen(w: World) -> None:
    _, other, _ = await gone(w)
    hold(w, other, "dead")
    w.age(other, "dead", 60)
    seen: list[str] = []
    member = w.member(w.group(other.topic, "other", lease=0.2), "dead", handlers={"*": lambda message: seen.append(message["n"])})
    claimed: list[Any] = []
    member.lifecycle.on("claimed", claimed.append)
    assert await w.do(member.drain()) == 2
    assert seen == ["before", "after"]
    assert w.pending(other) == []
    assert claimed == []


@pytest.mark.slow
async def test_a_copy_claimed_from_a_dead_member_counts_nowhere(w: World) -> None:
    _, other, _ = await gone(w)
    hold(w, other, "gone")
    group = w.group(other.topic, "other", lease=0.3, claim_interval=0.05)
    seen: list[str] = []
    member = w.member(group, "me", handlers={"*": lambda message: seen.append(message["n"])}, block=0.05)
    counts: list[int] = []
    member.lifecycle.on("claimed", lambda event: counts.append(event.count))
    async with w.listening(member):
        await w.until(lambda: not w.pending(other) and len(seen) == 2)
    assert (sorted(seen), sum(counts), (await w.do(member.info())).claimed) == (["after", "before"], 2, 2)


async def test_consumers_without_streamio_see_a_copy_and_its_mark(w: World) -> None:
    one, _, _ = await gone(w)
    found = [each async for each in w.each(one.topic.replay())]
    assert [each.headers.get("for-group") for each in found] == [None, "one", None]
    assert found[1].fields[0] == (b"header:for-group", b"one")


async def test_a_producers_header_of_that_name_is_only_a_header(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish("t", n=1, headers={"for-group": "other"}))
    add(w, group.topic, "header:for-group", "other")
    first, second = await w.do(w.member(group).read(2, timeout=0))
    assert (first.headers, first["n"]) == ({"for-group": "other"}, "1")
    assert (second.type, second.data) == ("", {})


async def test_a_copy_in_a_topic_with_another_codec_is_decoded(w: World) -> None:
    topic = w.topic(codec=JSONCodec())
    group = w.group(topic)
    await w.do(topic.publish("t", {"a": [1]}))
    (letter,) = await bury(w, group, 0)
    await w.do(topic.delete(letter.entry_id))
    await w.do(group.dead_letters.redrive())
    (copy,) = await w.do(w.member(group).read(1, timeout=0))
    assert (copy.data, copy.type) == ({"a": [1]}, "t")


# -- purging ----------------------------------------------------------------------------------------------------------------------------


async def test_purge_removes_what_it_is_told(w: World) -> None:
    group = w.group()
    a, b, c, d = await bury(w, group, 4)
    dead = group.dead_letters
    assert await w.do(dead.purge([])) == 0
    assert await w.do(dead.purge(a, b.id, "5-5")) == 2
    assert await w.do(dead.purge([a, c])) == 1
    assert await letters(w, group) == [d]
    assert await w.do(dead.purge()) == 1
    assert await letters(w, group) == []
    assert w.raw.xlen(group.topic.name) == 4


async def test_purge_removes_what_is_older(w: World) -> None:
    group = w.group()
    key = side_key(group.topic.name, "dead", "group")
    for age in (7200, 3700, 3500, 10):
        w.raw.xadd(key, {"a": "1"}, id=f"{round((datetime.now(UTC).timestamp() - age) * 1000)}-0")
    assert await w.do(group.dead_letters.purge(older_than=timedelta(hours=1))) == 2
    assert await w.do(group.dead_letters.purge(older_than=600)) == 1
    assert await w.do(group.dead_letters.length()) == 1
    with pytest.raises(ValueError, match="letters or older_than"):
        await w.do(group.dead_letters.purge("1-1", older_than=5))
    for bad in (-1, float("nan"), "1"):
        with pytest.raises((ValueError, TypeError), match="older_than"):
            await w.do(group.dead_letters.purge(older_than=bad))
    assert await w.do(group.dead_letters.length()) == 1


async def test_purging_all_leaves_the_streams_groups(w: World) -> None:
    group = w.group()
    await bury(w, group, 2)
    triage = w.group(w_topic(w, group), "triage")
    await w.do(triage.create())
    assert await w.do(group.dead_letters.purge()) == 2
    assert await w.do(triage.create()) is False
    await bury(w, group)
    assert len(await w.do(w.member(triage).read(5, timeout=0))) == 1


# -- dead letters as a topic ------------------------------------------------------------------------------------------------------------


def w_topic(w: World, group: Any) -> Any:
    """The group's dead letters as a topic."""
    topic: Any = Topic(side_key(group.topic.name, "dead", group.name), w.client())
    w.things.append(topic)
    return topic


async def test_dead_letters_are_a_topic_like_any_other(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish("t", n=1, headers={"h": "v"}))
    (letter,) = await bury(w, group, 0, ValueError("no"))
    seen: list[Any] = []
    await w.do(w.member(w.group(w_topic(w, group), "triage"), handlers={"t": seen.append}).drain())
    (message,) = seen
    assert (message.type, message["n"], message["dead:reason"], message["dead:error"]) == ("t", "1", "buried", "ValueError: no")
    assert (message.id, message.headers) == (letter.id, {"h": "v"})


async def test_a_dead_letter_of_a_dead_letter_is_one_and_no_more(w: World) -> None:
    group = w.group()
    await bury(w, group)
    topic = w_topic(w, group)
    triage = w.group(topic, "triage", retry=RetryPolicy(max_deliveries=1))
    await w.do(w.member(triage, "t", handlers={"*": Failing()}).drain())
    (inner,) = await letters(w, group)
    (outer,) = await letters(w, triage)
    assert (outer.entry_id, outer.topic, outer.group, outer.consumer, outer.reason) == (inner.id, topic.name, "triage", "t", "failed")
    assert (inner.group, inner.consumer, inner.reason) == ("group", "burier", "by hand")
    assert [name for name, _ in outer.fields[:2]] == [b"dead:id", b"dead:group"]
    assert outer.fields[8:] == inner.fields
    assert outer["dead:reason"] == "by hand"
    assert {*w.raw.scan_iter(f"{group.topic.name}*")} == {group.topic.name, topic.name, side_key(topic.name, "dead", "triage")}
    assert await w.do(triage.dead_letters.redrive()) == result(redriven=[outer.id])
    assert await taken(w, triage) == [("0", 1)]


async def test_a_dead_letter_of_a_dead_letter_does_not_bring_its_entry_back_twice(w: World) -> None:
    group = w.group()
    await bury(w, group)
    triage = w.group(w_topic(w, group), "triage", retry=RetryPolicy(max_deliveries=1))
    await w.do(w.member(triage, handlers={"*": Failing()}).drain())
    assert (await w.do(group.dead_letters.redrive())).count == 1
    assert (await w.do(triage.dead_letters.redrive())).count == 1
    assert (await w.do(group.dead_letters.redrive())).count == 0
    assert await taken(w, group) == [("0", 1)]
    assert await taken(w, triage) == [("0", 1)]


# -- colours ----------------------------------------------------------------------------------------------------------------------------


async def test_the_wrong_keyword_names_the_right_one(w: World) -> None:
    dead = w.group().dead_letters
    if w.asyncio:
        with pytest.raises(TypeError, match="async for"):
            list(dead)
    else:
        with pytest.raises(TypeError, match="`for`"):
            aiter(dead)
    assert "dead letters of group 'group'" in repr(dead)


@pytest.mark.parametrize("value", ["[" * 5000, '["a","b"]', '["a"]', "{}", "1"])
async def test_an_entry_that_looks_like_a_packed_dead_letter_is_read_as_it_was(w: World, value: str) -> None:
    group = w.group()
    member = w.member(group)
    w.raw.xadd(group.topic.name, {"dead:fields": value})
    (message,) = await w.do(member.read())
    message.bury("why")
    await w.do(member.flush())
    w.raw.xadd(side_key(group.topic.name, "dead", group.name), {"dead:id": "1-1", "dead:deliveries": "9" * 5000, "dead:fields": value})
    letter, foreign = [each async for each in w.each(group.dead_letters)]
    assert letter.fields == [(b"dead:fields", value.encode())]
    assert foreign.deliveries == 0


async def test_an_entry_that_cannot_be_moved_stands_in_no_other_ones_way(w: World) -> None:
    topic = w.topic()
    w.raw.zadd(side_key(topic.name, "delayed"), {f"x 6:MAXLEN,25:{'9' * 25},4:type,1:a,": 1})
    await w.do(topic.publish("b", delay=0.01))
    member, seen = w.member(topic.group("group")), []
    member.on("*", lambda message: seen.append(message.type))
    async with w.listening(member):
        await w.until(lambda: seen == ["b"])
    with pytest.raises(ValueError, match="maxlen"):
        w.topic("long", maxlen=2**64)
