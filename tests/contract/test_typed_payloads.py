"""Typed payloads, through a server: delivered as their class, buried where they do not fit, refused where they would not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest

from streamio import Event, FlatCodec, PublishStopped

from ..world import World

pytestmark = pytest.mark.asyncio


class Order(msgspec.Struct):
    customer: str
    amount: int


class Paid(pydantic.BaseModel):
    customer: str
    method: str = "card"


@dataclass
class Sent:
    customer: str
    parcels: int = 1


MAP: dict[str, Any] = {"order.placed": Order, "order.paid": Paid, "order.sent": Sent}


async def test_handlers_loops_reads_batches_replays_and_tails_get_the_type(w: World) -> None:
    topic = w.topic(type=Order)
    ids = await w.do(topic.publish_many(("order.placed", Order(name, n)) for n, name in enumerate(["Ada", "Grace", "Barbara"])))
    wanted = [Order("Ada", 0), Order("Grace", 1), Order("Barbara", 2)]
    got: dict[str, list[Any]] = {"on": [], "batch": [], "clone": []}

    member = w.member(w.group(topic, "on"))
    member.on("*", lambda message: got["on"].append(message.data))
    assert await w.do(member.drain()) == 3
    batch = w.member(w.group(topic, "batch"))
    batch.on_batch(lambda messages: got["batch"].extend(message.data for message in messages), size=3, wait=0.05)
    assert await w.do(batch.drain()) == 3
    await w.do(topic.publish("order.placed", customer="Edith", amount=3))
    clone = member.clone("clone")
    w.things.append(clone)
    assert await w.do(clone.drain()) == 1
    assert got == {"on": [*wanted, Order("Edith", 3)], "batch": wanted, "clone": []}

    reader = w.member(w.group(topic, "read"))
    assert [message.data for message in await w.do(reader.read(4, timeout=5))] == [*wanted, Order("Edith", 3)]
    async with w.block(w.member(w.group(topic, "loop"))) as looping:
        loop = w.loop(looping)
        assert [(await w.next(loop)).data for _ in wanted] == wanted
    assert [message.data async for message in w.each(topic.replay(end=ids[-1]))] == wanted
    assert (await w.next(w.loop(topic.tail(ids[1])))).data == Order("Barbara", 2)


async def test_a_foreign_client_reads_json_in_the_field_data_and_writes_it(w: World) -> None:
    topic = w.topic(type=Order)
    await w.do(topic.publish("order.placed", Order("Ada", 1)))
    assert w.raw.xrange(topic.name)[0][1] == {"type": "order.placed", "data": '{"customer":"Ada","amount":1}'}
    w.raw.xadd(topic.name, {"type": "order.placed", "data": json.dumps({"customer": "Grace", "amount": 2, "more": None})})
    assert [message.data async for message in w.each(topic.replay())] == [Order("Ada", 1), Order("Grace", 2)]


async def test_a_foreign_client_reads_flat_fields_and_writes_them(w: World) -> None:
    topic = w.topic(type=Order, codec=FlatCodec())
    await w.do(topic.publish("order.placed", Order("Ada", 1), headers={"trace": "x"}))
    w.raw.xadd(topic.name, {"customer": "Grace", "amount": "2", "more": "y"})
    assert w.raw.xrange(topic.name)[0][1] == {"type": "order.placed", "header:trace": "x", "customer": "Ada", "amount": "1"}
    assert [message.data async for message in w.each(topic.replay())] == [Order("Ada", 1), Order("Grace", 2)]


@pytest.mark.parametrize("codec", [None, FlatCodec()], ids=["json", "flat"])
async def test_what_does_not_fit_is_buried_with_the_words_that_name_the_field_and_the_rest_goes_on(w: World, codec: Any) -> None:
    topic = w.topic(type={**MAP, "order.placed": Order}, codec=codec)
    member, seen, events = w.member(w.group(topic)), [], []
    member.on("*", lambda message: seen.append(message.data))
    member.lifecycle.on("buried", events.append)
    bad, good = {"customer": "Ada", "amount": "twelve"}, {"customer": "Ada", "amount": 12}
    for type, data in (("order.placed", bad), ("order.paid", {"method": "cash"}), ("order.placed", good)):
        w.raw.xadd(topic.name, {"type": type, **({name: str(value) for name, value in data.items()} if codec else {"data": json.dumps(data)})})
    assert await w.do(member.drain()) == 3

    assert seen == [Order("Ada", 12)]
    letters = [letter async for letter in w.each(member.group.dead_letters)]
    assert [(letter.reason, letter.type) for letter in letters] == [("undecodable", "order.placed"), ("undecodable", "order.paid")]
    assert "Expected `int`, got `str` - at `$.amount`" in letters[0].error and "customer: Field required" in letters[1].error
    assert [isinstance(event, Event) and "Order" in str(event.error) for event in events] == [True, False]
    with pytest.raises(ValueError, match=r"dead letter .* does not decode \(the data is no Order: Expected `int`, got `str` - at `\$\.amount`\)"):
        _ = letters[0].data


async def test_what_does_not_fit_is_not_published_and_the_field_is_named(w: World) -> None:
    topic = w.topic(type=MAP)
    bad: Any = Order("Ada", "twelve")  # type: ignore[arg-type]
    for type, data, error, words in (
        ("order.placed", bad, ValueError, "amount"), ("order.placed", {"customer": "Ada"}, ValueError, "amount"),
        ("order.placed", Sent("Ada"), TypeError, "class Order"), ("order.paid", {"customer": 5}, ValueError, "customer"),
        ("order.lost", Order("Ada", 1), ValueError, "the topic's types are 'order.placed', 'order.paid', 'order.sent'"),
    ):  # fmt: skip
        with pytest.raises(error, match=words):
            await w.do(topic.publish(type, data))
    with pytest.raises(ValueError, match="amount"):
        await w.do(topic.publish("order.placed", customer="Ada"))
    with pytest.raises(PublishStopped) as stopped:
        await w.do(topic.publish_many([("order.sent", Sent("Ada")), ("order.placed", bad)]))
    assert stopped.value.index == 1 and "amount" in str(stopped.value.__cause__)
    assert await w.do(topic.length()) == 1


async def test_each_type_of_entries_has_its_class_and_the_class_says_the_type(w: World) -> None:
    topic = w.topic(type=MAP)
    await w.do(topic.publish_many([Order("Ada", 1), Paid(customer="Ada"), Sent("Ada", 2)]))
    w.raw.xadd(topic.name, {"type": "order.lost", "data": '["anything"]'})
    member, seen = w.member(w.group(topic, unhandled="bury")), []
    member.on("order.placed", lambda message: seen.append(message.data))
    member.on("order.paid", lambda message: seen.append(message.data))
    member.on("order.sent", lambda message: seen.append(message.data))
    await w.do(member.drain())
    assert seen == [Order("Ada", 1), Paid(customer="Ada"), Sent("Ada", 2)]
    (letter,) = [letter async for letter in w.each(member.group.dead_letters)]
    assert (letter.reason, letter.type, letter.data) == ("unhandled", "order.lost", ["anything"])


async def test_a_dead_letter_has_the_type_and_is_redriven_as_it(w: World) -> None:
    topic = w.topic(type=MAP)
    member, seen = w.member(w.group(topic)), []
    await w.do(topic.publish("order.paid", Paid(customer="Ada")))
    (message,) = await w.do(member.read(timeout=5))
    message.bury("not today")
    await w.do(member.flush())
    (letter,) = [letter async for letter in w.each(member.group.dead_letters)]
    assert letter.data == Paid(customer="Ada") and isinstance(letter.data, Paid)
    await w.do(member.group.dead_letters.redrive())
    other = w.member(member.group)
    other.on("order.paid", lambda message: seen.append(message.data))
    await w.do(other.drain())
    assert seen == [Paid(customer="Ada")]
