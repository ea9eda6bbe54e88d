"""`Message`: what an entry looks like to its handler, and how it is settled by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streamio import FlatCodec, JSONCodec, Message, RetryPolicy
from streamio.keys import side_key

from ..world import World

pytestmark = pytest.mark.asyncio
BAD = b"\xff\x00\xc3("


async def only(w: World, member: Any) -> Any:
    """The one message there is."""
    (message,) = await w.do(member.read(5, timeout=0))
    return message


def dead(w: World, group: Any) -> list[dict[str, str]]:
    """The group's dead letters, as a foreign client sees them."""
    return [row for _, row in w.raw.xrange(side_key(group.topic.name, "dead", group.name))]


def send(w: World, topic: Any, *words: bytes | str) -> str:
    """An entry of a foreign producer, word for word."""
    entry_id: str = w.raw.execute_command("XADD", topic.name, "*", *words)
    return entry_id


# -- what a message tells ---------------------------------------------------------------------------------------------------------------


async def test_a_message_tells_all_of_its_entry(w: World) -> None:
    group = w.group()
    entry_id = await w.do(group.topic.publish("order.placed", {"a": 1}, b="ü", headers={"tenant": "t", "traceparent": "00-1"}))
    message = await only(w, w.member(group))
    assert (message.id, message.type, message.data) == (entry_id, "order.placed", {"a": "1", "b": "ü"})
    assert (message["a"], message.headers) == ("1", {"tenant": "t", "traceparent": "00-1"})
    assert message.fields == [
        (b"type", b"order.placed"), (b"header:tenant", b"t"), (b"traceparent", b"00-1"), (b"a", b"1"), (b"b", "ü".encode()),
    ]  # fmt: skip
    assert (message.topic, message.group, message.deliveries, message.claimed) == (group.topic.name, "group", 1, False)
    assert abs(message.published_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert isinstance(message, Message)
    assert entry_id in repr(message) and "order.placed" in repr(message)


async def test_a_field_that_is_not_there_is_a_key_error(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish("a"))
    message = await only(w, w.member(group))
    with pytest.raises(KeyError, match="x"):
        message["x"]


async def test_the_type_and_headers_are_no_data(w: World) -> None:
    group = w.group()
    send(w, group.topic, "x", "1", "header:h", "v", "type", "t", "tracestate", "s")
    message = await only(w, w.member(group))
    assert (message.type, message.data, message.headers) == ("t", {"x": "1"}, {"h": "v", "tracestate": "s"})


async def test_bytes_that_are_not_utf8_come_as_bytes_and_go_out_again(w: World) -> None:
    group = w.group()
    send(w, group.topic, "type", "t", "bad", BAD, BAD, "value", "good", "ü")
    member = w.member(group)
    message = await only(w, member)
    assert message.data == {"bad": BAD, BAD: "value", "good": "ü"}
    assert message.fields == [(b"type", b"t"), (b"bad", BAD), (BAD, b"value"), (b"good", "ü".encode())]
    message.ack()
    await w.do(group.topic.publish(message.type, message.data))
    again = await only(w, member)
    assert again.fields == message.fields
    assert again.data == message.data


async def test_a_header_that_is_not_utf8_comes_as_bytes(w: World) -> None:
    group = w.group()
    send(w, group.topic, "type", "t", "header:h", BAD, b"header:" + BAD, "v")
    message = await only(w, w.member(group))
    assert message.headers == {"h": BAD, "\\xff\x00\\xc3(": "v"}
    assert message.data == {}


async def test_an_entry_without_a_type_has_an_empty_one(w: World) -> None:
    group, seen = w.group(), []
    member = w.member(group, handlers={"*": lambda message: seen.append((message.type, message.data))})
    send(w, group.topic, "x", "type")
    async with w.listening(member):
        await w.until(lambda: seen)
    assert seen == [("", {"x": "type"})]
    assert w.pending(group) == []


async def test_a_repeated_field_keeps_its_last_value_and_all_are_in_fields(w: World) -> None:
    group = w.group()
    send(w, group.topic, "type", "t", "x", "1", "x", "2")
    message = await only(w, w.member(group))
    assert message.data == {"x": "2"}
    assert message.fields == [(b"type", b"t"), (b"x", b"1"), (b"x", b"2")]


async def test_a_repeated_type_is_the_first_and_is_no_data(w: World) -> None:
    group = w.group()
    send(w, group.topic, "type", "first", "type", "second", "x", "1")
    message = await only(w, w.member(group))
    assert (message.type, message.data) == ("first", {"x": "1"})


async def test_a_type_that_is_not_utf8_is_handled_like_any_other(w: World) -> None:
    group, seen = w.group(), []
    member = w.member(group, handlers={"*": lambda message: seen.append(message.type)})
    send(w, group.topic, "type", BAD, "x", "1")
    send(w, group.topic, "type", "ü", "x", "1")
    async with w.listening(member):
        await w.until(lambda: len(seen) == 2)
    assert seen == ["\\xff\x00\\xc3(", "ü"]
    assert w.pending(group) == []


async def test_an_entry_whose_bytes_are_not_utf8_is_buried_byte_for_byte(w: World) -> None:
    group = w.group()
    send(w, group.topic, "type", "t", "bad", BAD)
    member = w.member(group)
    (await only(w, member)).bury("broken")
    await w.do(member.flush())
    letters = w.topic("letters-reader")  # reads bytes exactly
    letters.name = side_key(group.topic.name, "dead", group.name)
    (letter,) = [each async for each in w.each(letters.replay())]
    assert letter.fields[-2:] == [(b"type", b"t"), (b"bad", BAD)]
    assert w.pending(group) == []


async def test_an_empty_value_and_a_large_one_come_as_they_are(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish("t", empty="", large="ü" * 500_000))
    message = await only(w, w.member(group))
    assert message.data == {"empty": "", "large": "ü" * 500_000}


# -- codecs -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [{"a": [1, {"b": None}], "type": "inner"}, [1, 2], "text", 0, False, None])
async def test_json_carries_nested_payloads(w: World, data: Any) -> None:
    group = w.group(w.topic(codec=JSONCodec()))
    await w.do(group.topic.publish_many([("t", data)]))
    message = await only(w, w.member(group))
    assert message.data == data


async def test_json_data_and_fields_are_published_together(w: World) -> None:
    group = w.group(w.topic(codec=JSONCodec()))
    await w.do(group.topic.publish("t", {"a": [1]}, b={"c": None}, headers={"h": "v"}))
    message = await only(w, w.member(group))
    assert (message.data, message.headers, message["b"]) == ({"a": [1], "b": {"c": None}}, {"h": "v"}, {"c": None})


@pytest.mark.parametrize("bad", ["{", b"\xff", "", "NaN!"])
async def test_an_undecodable_payload_among_good_ones_is_buried_and_they_are_handled(w: World, bad: Any) -> None:
    group, seen = w.group(w.topic(codec=JSONCodec())), []
    member = w.member(group, "me", handlers={"*": lambda message: seen.append(message.data["i"])})
    for i in range(5):
        send(w, group.topic, "type", "t", "data", bad if i == 2 else f'{{"i": {i}}}')
    async with w.listening(member):
        await w.until(lambda: len(seen) == 4 and not w.pending(group))
    assert seen == [0, 1, 3, 4]
    letters = w.raw.xrange(side_key(group.topic.name, "dead", group.name)) if bad != b"\xff" else [("", {"dead:reason": "undecodable"})]
    assert [row["dead:reason"] for _, row in letters] == ["undecodable"]


async def test_a_loop_never_sees_what_does_not_decode(w: World) -> None:
    group = w.group(w.topic(codec=JSONCodec()))
    for i in range(3):
        send(w, group.topic, "type", "t", "other" if i == 1 else "data", str(i))
    member = w.member(group)
    loop = w.loop(member)
    assert [(await w.next(loop)).data for _ in range(2)] == [0, 2]
    member.stop()
    assert await w.next(loop) is None
    (letter,) = dead(w, group)
    assert (letter["dead:reason"], letter["other"]) == ("undecodable", "1")
    assert "no field 'data'" in letter["dead:error"]
    assert w.pending(group) == []


class Upper(FlatCodec):
    """A user's own codec."""

    def decode(self, fields: Any) -> Any:
        return {name: str(value).upper() for name, value in super().decode(fields).items()}


async def test_a_codec_of_the_users_own_is_used(w: World) -> None:
    group = w.group(w.topic(codec=Upper()))
    await w.do(group.topic.publish("t", x="a"))
    assert (await only(w, w.member(group))).data == {"x": "A"}


# -- settling by hand -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settle", ["ack", "nack", "bury"])
async def test_only_the_first_settlement_counts(w: World, settle: str) -> None:
    group = w.group()
    await w.do(group.topic.publish("t"))
    member = w.member(group)
    message = await only(w, member)
    assert getattr(message, settle)() is True
    assert [message.ack(), message.nack(), message.nack(delay=0), message.bury()] == [False] * 4
    await w.do(member.flush())
    assert len(w.pending(group)) == (settle == "nack")
    assert len(dead(w, group)) == (settle == "bury")


async def test_an_acknowledgement_is_sent_soon_without_a_flush(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish("t"))
    member = w.member(group)
    (await only(w, member)).ack()
    await w.until(lambda: w.pending(group) == [], timeout=2)


async def test_a_nack_of_no_delay_comes_back_at_once(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish("t"))
    member = w.member(group)
    message = await only(w, member)
    message.nack(delay=0)
    (again,) = await w.do(member.read(1, timeout=5))
    assert (again.id, again.deliveries, again.claimed) == (message.id, 2, False)
    again.ack()


async def test_a_nack_waits_as_long_as_it_is_told(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish("t"))
    member = w.member(group)
    (await only(w, member)).nack(delay=timedelta(seconds=20))
    await w.do(member.flush())
    assert [row[1:] for row in w.pending(group)] == [("~waiting", 1)]
    assert await w.do(member.read(1, timeout=0.15)) == []
    (row,) = await w.do(group.pending())
    assert 9 <= row.idle <= 12  # a lease of 30 s is over in 20


async def test_a_nack_by_the_policy_is_buried_after_the_last_delivery(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=2, backoff=(0, 0)))
    await w.do(group.topic.publish("t", x=1))
    member = w.member(group)
    (await only(w, member)).nack()
    (again,) = await w.do(member.read(1, timeout=5))
    assert again.deliveries == 2
    assert again.nack() is True
    await w.do(member.flush())
    (letter,) = dead(w, group)
    assert (letter["dead:reason"], letter["dead:deliveries"], letter["x"]) == ("failed", "2", "1")
    assert w.pending(group) == []


async def test_a_buried_message_tells_why_and_whose_it_was(w: World) -> None:
    group = w.group()
    entry_id = await w.do(group.topic.publish("t", x=1, headers={"h": "v"}))
    member = w.member(group, "me")
    (await only(w, member)).bury("poisonous")
    await w.do(member.flush())
    (letter,) = dead(w, group)
    facts = {"dead:id": entry_id, "dead:group": "group", "dead:consumer": "me", "dead:deliveries": "1", "dead:reason": "poisonous"}
    assert letter.items() >= {**facts, "dead:topic": group.topic.name, "type": "t", "x": "1", "header:h": "v"}.items()


async def test_a_block_acknowledges_at_its_end(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish("t"))
    member = w.member(group)
    with await only(w, member) as message:
        assert message.type == "t"
    assert message.ack() is False
    await w.do(member.flush())
    assert w.pending(group) == []


async def test_a_block_that_raises_asks_for_another_try(w: World) -> None:
    group = w.group(retry=RetryPolicy(backoff=(0, 0)))
    await w.do(group.topic.publish("t"))
    member = w.member(group)
    with pytest.raises(OSError, match="disk"), await only(w, member):
        raise OSError("disk")
    (again,) = await w.do(member.read(1, timeout=5))
    assert again.deliveries == 2
    again.ack()


async def test_a_settlement_in_a_block_decides(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish("t"))
    member = w.member(group)
    with await only(w, member) as message:
        message.bury("as I like it")
    await w.do(member.flush())
    assert [letter["dead:reason"] for letter in dead(w, group)] == ["as I like it"]


@pytest.mark.parametrize("settle", ["ack", "nack", "bury"])
async def test_a_handler_may_settle_its_message_itself(w: World, settle: str) -> None:
    group, said = w.group(), []
    member = w.member(group)
    member.on("*", lambda message: said.append(getattr(message, settle)()))
    async with w.listening(member):
        await w.do(group.topic.publish("t"))
        await w.until(lambda: said)
    assert said == [True]
    assert len(w.pending(group)) == (settle == "nack")
    assert len(dead(w, group)) == (settle == "bury")


@pytest.mark.parametrize("delay", [-1, "5", float("nan"), True])
async def test_a_bad_delay_is_refused_and_settles_nothing(w: World, delay: Any) -> None:
    group = w.group()
    await w.do(group.topic.publish("t"))
    member = w.member(group)
    message = await only(w, member)
    with pytest.raises((TypeError, ValueError), match="delay"):
        message.nack(delay=delay)
    assert message.ack() is True


async def test_extend_renews_at_once_what_the_member_has_in_hand(w: World) -> None:
    group = w.group(lease=60)
    await w.do(group.topic.publish_many([("t", {})] * 2))
    member = w.member(group, "me")
    messages = await w.do(member.read(2, timeout=5))
    w.age(group, "me", 10)
    assert all(row.idle >= 10 for row in await w.do(group.pending()))
    assert messages[0].extend() is True
    await w.until(lambda: max(row["time_since_delivered"] for row in w.raw.xpending_range(group.topic.name, group.name, "-", "+", 9)) < 5000)
    assert [row[1:] for row in w.pending(group)] == [("me", 1)] * 2
    assert all(message.ack() for message in messages)


@pytest.mark.parametrize("settle", ["ack", "nack", "bury"])
async def test_extend_is_false_of_a_settled_message(w: World, settle: str) -> None:
    group = w.group()
    await w.do(group.topic.publish("t"))
    member = w.member(group)
    message = await only(w, member)
    getattr(message, settle)()
    assert message.extend() is False


async def test_without_a_group_there_is_nothing_to_extend(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish("t"))
    (message,) = [message async for message in w.each(topic.replay())]
    with pytest.raises(RuntimeError, match="without a group"):
        message.extend()


async def test_deliveries_and_claimed_tell_of_an_earlier_life(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish("t"))
    await w.do(group.create())
    w.raw.xreadgroup(group.name, "me", {group.topic.name: ">"})
    (message,) = await w.do(w.member(group, "me").read(1, timeout=5))
    assert (message.deliveries, message.claimed) == (2, True)
    message.ack()


async def test_json_can_say_nothing(w: World) -> None:
    topic = w.topic(codec=JSONCodec())
    await w.do(topic.publish("x"))
    await w.do(topic.publish_many([("x", None), ("x", {}), ("x", [])]))
    assert [message.data async for message in w.each(topic.replay())] == [None, None, {}, []]


@pytest.mark.parametrize("settle", ["ack", "nack", "bury", "extend"])
async def test_a_message_kept_beyond_its_members_end_cannot_be_settled(w: World, settle: str) -> None:
    member = w.member(id="m")
    await w.do(member.group.topic.publish("a"))
    (message,) = await w.do(member.read())
    await w.do(member.close())
    assert getattr(message, settle)() is False
    assert len(w.pending(member.group)) == 1


async def test_a_reply_acknowledges_and_answers_in_one_step(w: World) -> None:
    group = w.group()
    for ack in ("auto", "manual"):
        member = w.member(group, ack=ack)
        answer = w.start(lambda: group.topic.request("sum", a=1, b=2, timeout=8))
        (message,) = await w.do(member.read())
        assert message.reply(3) and not message.reply(4) and not message.ack()
        assert await answer == 3
        assert w.pending(group) == []


async def test_a_reply_that_nobody_waits_for_is_refused_and_the_message_stays_open(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish("a"))
    (message,) = await w.do(w.member(group).read())
    with pytest.raises(ValueError, match="asks for no reply"):
        message.reply(1)
    assert message.ack()
