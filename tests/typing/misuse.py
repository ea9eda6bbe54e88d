"""Wrong use. Every line marked `# error` must be one for mypy and for pyright, and no other. Never run (`test_typing.py`)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import redis

from streamio import (
    Asyncio,
    Blocking,
    CloudEventsCodec,
    ConsumerGroupMember,
    ConsumerGroupTopic,
    Message,
    RetryPolicy,
    StreamersonCodec,
    StreamersonTopic,
    Topic,
)
from streamio.observing import Observer


def plain(message: Message) -> None: ...
async def coroutine(message: Message) -> None: ...
def without_message() -> None: ...


def the_loop_of_the_other_colour_on_asyncio(topic: Topic[Asyncio], group: ConsumerGroupTopic[Asyncio], member: ConsumerGroupMember[Asyncio]) -> None:
    for _ in member:  # error
        pass
    for _ in group:  # error
        pass
    for _ in topic.replay():  # error
        pass
    for _ in topic.tail():  # error
        pass
    for _ in group.dead_letters:  # error
        pass
    with member:  # error
        pass
    with topic:  # error
        pass


async def the_loop_of_the_other_colour_on_blocking(
    topic: Topic[Blocking], group: ConsumerGroupTopic[Blocking], member: ConsumerGroupMember[Blocking]
) -> None:
    async for _ in member:  # error
        pass
    async for _ in group:  # error
        pass
    async for _ in topic.replay():  # error
        pass
    async for _ in group.dead_letters:  # error
        pass
    async with member:  # error
        pass
    async with topic:  # error
        pass


async def await_of_a_blocking_operation(topic: Topic[Blocking], group: ConsumerGroupTopic[Blocking], member: ConsumerGroupMember[Blocking]) -> None:
    await topic.publish("a")  # error
    await topic.length()  # error
    await topic.close()  # error
    await group.create()  # error
    await group.info()  # error
    await group.dead_letters.redrive()  # error
    group.dead_letters.purge(5)  # error
    await group.dead_letters.length()  # error
    await member.connect_and_listen()  # error
    await member.read()  # error
    await member.close()  # error


async def await_of_a_note(member: ConsumerGroupMember[Asyncio], message: Message) -> None:
    await member.stop()  # error
    await member.pause()  # error
    await message.ack()  # error
    await message.extend()  # error


async def a_forgotten_await(topic: Topic[Asyncio], group: ConsumerGroupTopic[Asyncio], member: ConsumerGroupMember[Asyncio]) -> None:
    topic.publish("a")  # error
    topic.close()  # error
    group.create()  # error
    group.connect_and_listen()  # error
    member.connect_and_listen()  # error
    member.flush()  # error
    member.close()  # error
    ids: list[str] = topic.publish_many([])  # error
    print(ids)


def a_coroutine_handler_on_blocking(group: ConsumerGroupTopic[Blocking], member: ConsumerGroupMember[Blocking]) -> None:
    member.on("a", coroutine)  # error
    member.once("a", coroutine)  # error
    member.add_listener("a", coroutine)  # error
    group.on("a", coroutine)  # error
    ConsumerGroupMember(group, handlers={"a": coroutine})  # error

    @member.on("a")  # error
    async def decorated(message: Message) -> None: ...

    @group.once("a")  # error
    async def another(message: Message) -> None: ...


def guards_of_nothing(member: ConsumerGroupMember[Blocking]) -> None:
    member.on("a", member.once_per("number"))  # error
    member.once_per(7)  # error
    member.once_per("number", in_doubt="ask")  # error
    member.once_per("number", name=7)  # error


def what_cannot_be_a_handler(blocking: ConsumerGroupMember[Blocking], asyncio: ConsumerGroupMember[Asyncio]) -> None:
    blocking.on("a", without_message)  # error
    asyncio.on("a", without_message)  # error
    blocking.on(1, plain)  # error
    blocking.on("a", plain, thread=True)  # error
    asyncio.on("a", plain, thread="yes")  # error


async def batch_coroutine(messages: list[Message]) -> None: ...
async def batch_counting(messages: list[Message]) -> int:
    return len(messages)


def batch(messages: list[Message]) -> None: ...
def counting(messages: list[Message]) -> int:
    return len(messages)


def what_cannot_be_a_batch_handler(blocking: ConsumerGroupMember[Blocking], asyncio: ConsumerGroupMember[Asyncio]) -> None:
    blocking.on_batch(batch_coroutine)  # error
    blocking.on_batch(plain)  # error
    blocking.on_batch(counting)  # error
    asyncio.on_batch(batch_counting)  # error
    asyncio.on_batch(plain)  # error
    blocking.on_batch(batch, size="9")  # error
    blocking.on_batch(batch, wait="soon")  # error
    blocking.on_batch(batch, type=5)  # error

    @blocking.on_batch(size=2)  # error
    async def decorated(messages: list[Message]) -> None: ...


def arguments_of_the_wrong_type(topic: Topic[Blocking], group: ConsumerGroupTopic[Blocking], member: ConsumerGroupMember[Blocking]) -> None:
    Topic(b"t")  # error
    Topic("t", 6379)  # error
    Topic("t", maxlen="1")  # error
    Topic("t", redis.Redis(), codec=int)  # error
    Topic("t", redis.Redis(), codec=CloudEventsCodec)  # error
    Topic("t", redis.Redis(), size=1)  # error
    topic.publish(1)  # error
    topic.publish("a", headers=["b"])  # error
    topic.publish("a", idempotency_key=5)  # error
    topic.publish("a", delay="5")  # error
    topic.publish("a", at=5)  # error
    topic.cancel_delayed(5)  # error
    topic.publish_many(3)  # error
    topic.publish_many(["a"])  # error
    topic.replay(count="3")  # error
    topic.replay([])  # error
    topic.delete(1)  # error
    topic.trim(maxlen="1")  # error
    topic.trim(keep=1)  # error
    ConsumerGroupTopic("t", "g")  # error
    ConsumerGroupTopic(topic)  # error
    ConsumerGroupTopic(topic, "g", max="2")  # error
    ConsumerGroupTopic(topic, "g", lease="30")  # error
    ConsumerGroupTopic(topic, "g", retry=5)  # error
    ConsumerGroupMember(topic, "m")  # error
    ConsumerGroupMember(group, 1)  # error
    ConsumerGroupMember(group, concurrency="2")  # error
    group.create(start=[])  # error
    group.pending(idle="1")  # error
    group.handover("a")  # error
    group.remove_consumer("a", heir=5)  # error
    member.read("1")  # error
    member.read(timeout="1")  # error
    RetryPolicy(max_deliveries="5")  # error


def words_that_are_no_option(topic: Topic[Blocking], group: ConsumerGroupTopic[Blocking], member: ConsumerGroupMember[Blocking]) -> None:
    ConsumerGroupTopic(topic, "g", unhandled="drop")  # error
    ConsumerGroupTopic(topic, "g", on_group_lost="ignore")  # error
    ConsumerGroupMember(group, ack="yes")  # error
    ConsumerGroupMember(group, handler_timeout="2")  # error
    ConsumerGroupMember(group, prefetch="much")  # error
    topic.group("g", lease="30")  # error
    topic.group("g", leese=30)  # error
    group.member("m", block="2")  # error
    group.member("m", grease=1)  # error
    member.clone("m", blok=2)  # error


def a_message_is_read_only(message: Message) -> None:
    message.nack(delay="1")  # error
    message.data = {}  # error
    message.topic = "t"  # error


class Order:
    amount = 1


class Other:
    n = 1


def another(message: Message[Other]) -> None: ...
async def another_later(message: Message[Other]) -> None: ...
def others(messages: list[Message[Other]]) -> None: ...


def a_handler_for_data_of_another_type(
    group: ConsumerGroupTopic[Blocking, Order], member: ConsumerGroupMember[Blocking, Order], asyncio: ConsumerGroupMember[Asyncio, Order]
) -> None:
    member.on("a", another)  # error
    member.once("a", another)  # error
    member.add_listener("a", another)  # error
    member.on_batch(others)  # error
    group.on("a", another)  # error
    asyncio.on("a", another_later)  # error
    group.member(handlers={"a": another})  # error
    ConsumerGroupMember(group, handlers={"a": another})  # error

    @member.on("a")  # error
    def decorated(message: Message[Other]) -> None: ...


def data_that_has_no_such_field(topic: Topic[Blocking, Order], member: ConsumerGroupMember[Blocking, Order]) -> None:
    for message in member:
        print(message.data.amount, message.data.amuont)  # error
    print([message.data.n for message in topic.replay()])  # error
    print([letter.data.n for letter in member.group.dead_letters])  # error
    untyped: Topic[Blocking, Other] = topic  # error
    print(untyped)


def a_file_that_blocks_on_asyncio(topic: Topic[Asyncio], member: ConsumerGroupMember[Asyncio]) -> None:
    topic.open()  # error
    topic.open("wb")  # error
    member.open()  # error
    member.open("rb")  # error


def a_file_opened_wrongly(topic: Topic[Blocking], member: ConsumerGroupMember[Blocking]) -> None:
    topic.open("r")  # error
    topic.open("a")  # error
    topic.open(type=5)  # error
    topic.open("wb", errors="strict")  # error
    topic.open().write(b"bytes")  # error
    member.open("w")  # error
    member.open("rb", errors="strict")  # error
    member.open(timeout="1")  # error
    member.connect_and_listen(until=5)  # error
    member.connect_and_listen(until=lambda: True)  # error
    member.pipe(str).run(until=5)  # error


async def a_forgotten_await_of_what_is_written(topic: Topic[Asyncio], blocking: Topic[Blocking]) -> None:
    topic.write(("a", {}))  # error
    topic.writelines([])  # error
    topic.flush()  # error
    await topic.writable()  # error
    await blocking.write(("a", {}))  # error
    blocking.write(("a", {}), type=5)  # error
    blocking.writelines(5)  # error


def a_codec_of_whole_entries_that_is_none() -> None:
    StreamersonCodec(7)  # error
    StreamersonCodec("me", names="yes")  # error
    StreamersonTopic("game", shard=7)  # error
    CloudEventsCodec()  # error
    CloudEventsCodec("/orders", plain=StreamersonCodec())  # error


def groups_of_two_colours(one: ConsumerGroupTopic[Blocking], other: ConsumerGroupTopic[Asyncio], member: ConsumerGroupMember[Blocking]) -> None:
    ConsumerGroupMember([one, one.topic])  # error
    ConsumerGroupMember({one: "high"})  # error
    member.add_group("orders")  # error
    member.add_group(one, priority="high")  # error


async def an_observer_of_the_other_colour(eye: Observer[Blocking], other: Observer[Asyncio]) -> None:
    await eye.look()  # error
    with other:  # error
        pass
    eye.look("orders", "billing")  # error
    Observer(5)  # error


def around_handlers_of_a_blocking_member(member: ConsumerGroupMember[Blocking]) -> None:
    @member.around  # error
    async def timed(message: Message) -> AsyncIterator[None]:
        yield

    member.around(lambda message: message.id)  # error
    member.around(7)  # error
