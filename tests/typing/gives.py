"""What every public call gives, in each colour. Never run: mypy and pyright read it (`test_typing.py`)."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO, TextIO, TypedDict, assert_type

import redis
import redis.asyncio
from redis.sentinel import Sentinel

from streamio import (
    Asyncio,
    Blocking,
    ClaimResult,
    CloudEventsCodec,
    ConsumerGroupMember,
    ConsumerGroupTopic,
    ConsumerInfo,
    DeadLetter,
    DeadLetters,
    DeadLettersInfo,
    DelayedInfo,
    Entries,
    EntryCodec,
    Envelope,
    Event,
    FlatCodec,
    GroupInfo,
    MemberInfo,
    Message,
    PendingEntry,
    ReapResult,
    RedriveResult,
    RetryPolicy,
    SeekPreview,
    StreamersonCodec,
    StreamersonTopic,
    Topic,
    TopicInfo,
    TrimPreview,
    TrimResult,
    TypedCodec,
    from_url,
)
from streamio.observing import History, Observer, Sample, as_json


async def an_observer_has_its_clients_colour(client: redis.Redis, other: redis.asyncio.Redis) -> None:
    eye = Observer(client, topics=["orders:*"], most=10, lease=timedelta(minutes=1), limit=5)
    assert_type(eye, Observer[Blocking])
    assert_type(Observer("memory://t"), Observer[Blocking])
    assert_type(eye.find(side_streams=True), list[str])
    assert_type(eye.look(["orders"]), Sample)
    assert_type(eye.close(), None)
    with eye as entered:
        assert_type(entered, Observer[Blocking])
    later = Observer(other)
    assert_type(later, Observer[Asyncio])
    assert_type(await later.find(), list[str])
    assert_type(await later.look(), Sample)
    history = History(seconds=900, interval=1)
    history.add(eye.look())
    assert_type(history.series("orders", "billing"), dict[str, list[float | None]])
    assert_type(as_json(eye.look()), Any)


async def several_groups_make_one_member(
    one: ConsumerGroupTopic[Blocking], two: ConsumerGroupTopic[Blocking], first: ConsumerGroupTopic[Asyncio], second: ConsumerGroupTopic[Asyncio]
) -> None:
    assert_type(ConsumerGroupMember([one, two], "me"), ConsumerGroupMember[Blocking])
    assert_type(ConsumerGroupMember((one, two)), ConsumerGroupMember[Blocking])
    assert_type(ConsumerGroupMember({one: 1, two: 0}, concurrency=4), ConsumerGroupMember[Blocking])
    member, other = ConsumerGroupMember([first, second]), ConsumerGroupMember([one, two])
    assert_type(member, ConsumerGroupMember[Asyncio])
    assert_type(other.add_group(one, priority=2), None)
    assert_type(other.remove_group(one), None)
    assert_type(other.groups, tuple[ConsumerGroupTopic[Blocking], ...])
    assert_type(await member.add_group(first), None)
    assert_type(await member.remove_group(first), None)
    assert_type(other.info().parts, tuple[MemberInfo, ...])


def the_client_decides_the_colour(sentinel: Sentinel) -> None:
    assert_type(Topic("t", redis.Redis()), Topic[Blocking])
    assert_type(Topic("t", redis.Redis(decode_responses=True)), Topic[Blocking])
    assert_type(Topic("t", redis.Redis.from_url("redis://localhost")), Topic[Blocking])
    assert_type(Topic("t", redis.RedisCluster(host="localhost")), Topic[Blocking])
    assert_type(Topic("t", sentinel.master_for("main")), Topic[Blocking])  # type: ignore[no-untyped-call]  # redis-py has no types here
    assert_type(Topic("t", "memory://t"), Topic[Blocking])
    assert_type(Topic("t", None), Topic[Blocking])
    assert_type(Topic("t"), Topic[Blocking])
    assert_type(Topic("t", redis.asyncio.Redis()), Topic[Asyncio])
    assert_type(Topic("t", redis.asyncio.Redis.from_url("redis://localhost")), Topic[Asyncio])
    assert_type(Topic("t", redis.asyncio.RedisCluster(host="localhost")), Topic[Asyncio])


def a_url_gives_a_client_of_the_colour_asked_for() -> None:
    assert_type(from_url(), redis.Redis)
    assert_type(from_url("memory://t", socket_timeout=1), redis.Redis)
    assert_type(from_url("redis://localhost", asyncio=False), redis.Redis)
    assert_type(from_url("redis://localhost", asyncio=True), redis.asyncio.Redis)
    assert_type(Topic("t", from_url("memory://t")), Topic[Blocking])
    assert_type(Topic("t", from_url("memory://t", asyncio=True)), Topic[Asyncio])


def groups_and_members_have_their_topics_colour(blocking: Topic[Blocking], asyncio: Topic[Asyncio]) -> None:
    assert_type(ConsumerGroupTopic(blocking, name="g", retry=RetryPolicy(max_deliveries=2)), ConsumerGroupTopic[Blocking])
    assert_type(ConsumerGroupTopic(asyncio, "g"), ConsumerGroupTopic[Asyncio])
    assert_type(ConsumerGroupMember(ConsumerGroupTopic(blocking, "g"), "m"), ConsumerGroupMember[Blocking])
    assert_type(ConsumerGroupMember(ConsumerGroupTopic(asyncio, "g")), ConsumerGroupMember[Asyncio])
    assert_type(blocking.group("g", max=2), ConsumerGroupTopic[Blocking])
    assert_type(asyncio.group("g"), ConsumerGroupTopic[Asyncio])
    assert_type(blocking.group("g").member("m", block=1), ConsumerGroupMember[Blocking])
    assert_type(asyncio.group("g").member(), ConsumerGroupMember[Asyncio])
    assert_type(blocking.group("g").member().clone("n"), ConsumerGroupMember[Blocking])
    assert_type(asyncio.group("g").member().clone(), ConsumerGroupMember[Asyncio])


def a_blocking_topic(topic: Topic[Blocking]) -> None:
    assert_type(topic.publish("a", {"b": 1}, headers={"c": "d"}, e=2), str)
    assert_type(topic.publish("a", idempotency_key="k"), str)
    assert_type(topic.publish("a", {"b": 1}, delay=timedelta(1), e=2), str)
    assert_type(topic.publish("a", at=datetime.now()), str)
    assert_type(topic.cancel_delayed("delayed-1"), bool)
    assert_type(topic.delayed(), DelayedInfo)
    assert_type(topic.delayed().next_due, datetime | None)
    assert_type(topic.publish_many([("a", {}), {"type": "b"}]), list[str])
    assert_type(topic.replay(count=3), Entries[Blocking, Message])
    assert_type(topic.tail(), Entries[Blocking, Message])
    assert_type(iter(topic.replay()), Iterator[Message])
    assert_type(topic.length(), int)
    assert_type(topic.info(), TopicInfo)
    assert_type(topic.groups(), list[GroupInfo])
    assert_type(topic.delete("1-1"), int)
    assert_type(topic.trim(maxlen=1), TrimResult)
    assert_type(topic.closed, bool)
    topic.close()
    for message in topic.replay():
        assert_type(message, Message)
    with topic as same:
        assert_type(same, Topic[Blocking])


async def an_asyncio_topic(topic: Topic[Asyncio]) -> None:
    await assert_type(topic.publish("a"), Coroutine[Any, Any, str])
    assert_type(await topic.publish("a", {"b": 1}, headers={"c": "d"}, e=2), str)
    assert_type(await topic.publish("a", idempotency_key="k"), str)
    assert_type(await topic.publish("a", {"b": 1}, delay=0.5), str)
    assert_type(await topic.publish("a", at=datetime.now()), str)
    assert_type(await topic.cancel_delayed("delayed-1"), bool)
    assert_type(await topic.delayed(), DelayedInfo)
    assert_type(await topic.publish_many([("a", {}), {"type": "b"}]), list[str])
    assert_type(topic.replay(count=3), Entries[Asyncio, Message])
    assert_type(topic.tail(), Entries[Asyncio, Message])
    assert_type(aiter(topic.replay()), AsyncIterator[Message])
    assert_type(await topic.length(), int)
    assert_type(await topic.info(), TopicInfo)
    assert_type(await topic.groups(), list[GroupInfo])
    assert_type(await topic.delete("1-1"), int)
    assert_type(await topic.trim(maxlen=1), TrimResult)
    assert_type(topic.closed, bool)
    await topic.close()
    async for message in topic.replay():
        assert_type(message, Message)
    async with topic as same:
        assert_type(same, Topic[Asyncio])


def a_blocking_group(group: ConsumerGroupTopic[Blocking]) -> None:
    group.connect()
    group.seek("0")
    group.connect_and_listen(members=2)
    group.stop()
    group.close()
    assert_type(group.topic, Topic[Blocking])
    assert_type(group.create(), bool)
    assert_type(group.destroy(force=True), bool)
    assert_type(group.info(), GroupInfo)
    assert_type(group.consumers(), list[ConsumerInfo])
    assert_type(group.pending(idle=1.5, count=3), list[PendingEntry])
    assert_type(group.handover("a", "b"), int)
    assert_type(group.handover(group.member("a"), None), int)
    assert_type(group.remove_consumer("a", heir=group.member("b")), bool)
    assert_type(group.reap(), ReapResult)
    assert_type(group.ack("1-1"), int)
    assert_type(group.nack("1-1", delay=timedelta(seconds=5)), int)
    assert_type(group.bury("1-1", "2-1", reason="seen to"), int)
    assert_type(group.claim(group.member("a"), "1-1", idle=5, count=10), ClaimResult)
    assert_type(group.preview_seek("$"), SeekPreview)
    assert_type(group.topic.preview_trim(maxlen=10), TrimPreview)
    for message in group:
        assert_type(message, Message)


def blocking_dead_letters(group: ConsumerGroupTopic[Blocking], letter: DeadLetter) -> None:
    assert_type(group.dead_letters, DeadLetters[Blocking])
    assert_type(iter(group.dead_letters), Iterator[DeadLetter])
    for each in group.dead_letters:
        assert_type(each, DeadLetter)
    assert_type(group.dead_letters.redrive(), RedriveResult)
    assert_type(group.dead_letters.redrive("1-1", letter, [letter], (each.id for each in group.dead_letters)), RedriveResult)
    assert_type(group.dead_letters.purge(letter), int)
    assert_type(group.dead_letters.purge(older_than=timedelta(days=1)), int)
    assert_type(group.dead_letters.length(), int)
    assert_type(group.dead_letters.info(), DeadLettersInfo)


async def asyncio_dead_letters(group: ConsumerGroupTopic[Asyncio], letter: DeadLetter) -> None:
    assert_type(group.dead_letters, DeadLetters[Asyncio])
    assert_type(aiter(group.dead_letters), AsyncIterator[DeadLetter])
    async for each in group.dead_letters:
        assert_type(each, DeadLetter)
    await assert_type(group.dead_letters.redrive(), Coroutine[Any, Any, RedriveResult])
    assert_type(await group.dead_letters.redrive(letter, [letter.id]), RedriveResult)
    assert_type(await group.dead_letters.purge(), int)
    assert_type(await group.dead_letters.length(), int)
    assert_type(await group.dead_letters.info(), DeadLettersInfo)


def a_dead_letter(letter: DeadLetter, result: RedriveResult, info: DeadLettersInfo) -> None:
    assert_type(letter.id, str)
    assert_type(letter.entry_id, str)
    assert_type(letter.type, str)
    assert_type(letter.deliveries, int)
    assert_type(letter.reason, str)
    assert_type(letter.error, str)
    assert_type(letter.traceback, str)
    assert_type(letter.fields, Sequence[tuple[bytes, bytes]])
    assert_type(letter.buried_at, datetime)
    assert_type(result.redriven, list[str])
    assert_type(result.count, int)
    assert_type(info.first_id, str | None)


async def an_asyncio_group(group: ConsumerGroupTopic[Asyncio]) -> None:
    await group.connect()
    await group.seek("0")
    await group.connect_and_listen(members=2)
    group.stop()
    await group.close()
    assert_type(group.topic, Topic[Asyncio])
    await assert_type(group.connect(), Coroutine[Any, Any, None])
    assert_type(await group.create(), bool)
    assert_type(await group.destroy(force=True), bool)
    assert_type(await group.info(), GroupInfo)
    assert_type(await group.consumers(), list[ConsumerInfo])
    assert_type(await group.pending(idle=1.5, count=3), list[PendingEntry])
    assert_type(await group.handover("a", "b"), int)
    assert_type(await group.handover(group.member("a"), None), int)
    assert_type(await group.remove_consumer("a", heir=group.member("b")), bool)
    assert_type(await group.reap(), ReapResult)
    assert_type(await group.ack("1-1"), int)
    assert_type(await group.nack("1-1", delay=5), int)
    assert_type(await group.bury("1-1"), int)
    assert_type(await group.claim("a"), ClaimResult)
    assert_type(await group.preview_seek(timedelta(hours=1)), SeekPreview)
    assert_type(await group.topic.preview_trim(acked=True), TrimPreview)
    async for message in group:
        assert_type(message, Message)


def a_blocking_member(member: ConsumerGroupMember[Blocking]) -> None:
    member.connect()
    member.connect_and_listen()
    member.stop()
    member.pause()
    member.resume()
    member.flush()
    member.close()
    assert_type(member.group, ConsumerGroupTopic[Blocking])
    assert_type(member.drain(retries=False), int)
    assert_type(member.read(10, timeout=1.5), list[Message])
    assert_type(member.info(), MemberInfo)
    with member as same:
        assert_type(same, ConsumerGroupMember[Blocking])
        for message in member:
            assert_type(message, Message)


async def an_asyncio_member(member: ConsumerGroupMember[Asyncio]) -> None:
    await member.connect()
    await member.connect_and_listen()
    member.stop()
    member.pause()
    member.resume()
    await member.flush()
    await member.close()
    assert_type(member.group, ConsumerGroupTopic[Asyncio])
    await assert_type(member.connect_and_listen(), Coroutine[Any, Any, None])
    assert_type(await member.drain(retries=False), int)
    assert_type(await member.read(10, timeout=1.5), list[Message])
    assert_type(await member.info(), MemberInfo)
    async with member as same:
        assert_type(same, ConsumerGroupMember[Asyncio])
        async for message in member:
            assert_type(message, Message)


def told(event: Event) -> None:
    assert_type(event.name, str)
    assert_type(event.duration, float | None)
    assert_type(event.error, BaseException | None)
    assert_type(event.ids, Sequence[str])


def lifecycle_listeners(blocking: ConsumerGroupMember[Blocking], asyncio: ConsumerGroupMember[Asyncio]) -> None:
    blocking.lifecycle.on("failed", told)
    asyncio.lifecycle.once("stopped", told)

    @asyncio.lifecycle.on("retrying")
    async def retrying(event: Event) -> None:
        pass


def a_message(message: Message) -> None:
    assert_type(message.id, str)
    assert_type(message.type, str)
    assert_type(message.topic, str)
    assert_type(message.group, str | None)
    assert_type(message.published_at, datetime)
    assert_type(message.deliveries, int)
    assert_type(message.claimed, bool)
    assert_type(message.ack(), bool)
    assert_type(message.nack(delay=1.5), bool)
    assert_type(message.bury("bad"), bool)
    assert_type(message.extend(), bool)
    with message as same:
        assert_type(same, Message)


def plain(message: Message) -> None:
    pass


def giving(message: Message) -> dict[str, int]:
    return {}


async def coroutine(message: Message) -> int:
    return 1


def a_listener_keeps_its_type_on_blocking(group: ConsumerGroupTopic[Blocking], member: ConsumerGroupMember[Blocking], message: Message) -> None:
    assert_type(member.on("a", giving)(message), dict[str, int])
    assert_type(member.once("a", giving)(message), dict[str, int])
    assert_type(member.add_listener("a", giving)(message), dict[str, int])
    assert_type(group.on("a", giving)(message), dict[str, int])
    member.on("a", plain)
    member.on("*", lambda message: message["a"])
    member.on("*", lambda message: print(message))
    member.remove_listener("a", plain)
    member.remove_all_listeners("a")

    @member.on("a")
    def decorated(message: Message) -> int:
        return 1

    @group.once("a")
    def another(message: Message) -> bool:
        return True

    @member.on("a")
    @member.once_per("number", window=timedelta(days=7), in_doubt="run", name="charge")
    def charge(message: Message) -> dict[str, int]:
        return {}

    assert_type(charge(message), dict[str, int])
    assert_type(decorated(message), int)
    assert_type(another(message), bool)
    ConsumerGroupMember(group, handlers={"a": plain, "b": giving})
    group.member(handlers={"a": plain})


async def a_listener_keeps_its_type_on_asyncio(group: ConsumerGroupTopic[Asyncio], member: ConsumerGroupMember[Asyncio], message: Message) -> None:
    assert_type(member.on("a", giving)(message), dict[str, int])
    assert_type(member.on("a", giving, thread=True)(message), dict[str, int])
    assert_type(await member.once("a", coroutine)(message), int)
    assert_type(await member.add_listener("a", coroutine)(message), int)
    assert_type(await group.on("a", coroutine)(message), int)

    @member.on("a")
    async def decorated(message: Message) -> int:
        return 1

    @member.on("a", thread=True)
    def in_thread(message: Message) -> bool:
        return True

    @member.on("a")
    @member.once_per(lambda message: message["number"])
    async def charge(message: Message) -> int:
        return 1

    assert_type(await member.once_per("number", name="other")(giving)(message), Any)
    assert_type(await charge(message), Any)
    assert_type(await decorated(message), int)
    assert_type(in_thread(message), bool)
    ConsumerGroupMember(group, handlers={"a": plain, "b": coroutine})
    group.member(handlers={"a": coroutine})


def the_done(messages: list[Message]) -> list[Message]:
    return messages


async def done_later(messages: list[Message]) -> set[str]:
    return {message.id for message in messages}


def a_batch_handler_keeps_its_type_on_blocking(group: ConsumerGroupTopic[Blocking], member: ConsumerGroupMember[Blocking]) -> None:
    assert_type(member.on_batch(the_done, size=10, wait=timedelta(seconds=1), type="a.*")([]), list[Message])
    assert_type(group.on_batch(the_done, 10, 0.5)([]), list[Message])
    member.on_batch(lambda messages: print(messages), type="b")
    member.on_batch(lambda messages: (message.id for message in messages), type="c")

    @member.on_batch(size=100, wait=1)
    def decorated(messages: list[Message]) -> bool:
        return True

    assert_type(decorated([]), bool)
    ConsumerGroupMember(group, handler_timeout=timedelta(minutes=1))
    group.member(handler_timeout=2.5)
    member.clone(handler_timeout=None)


async def a_batch_handler_keeps_its_type_on_asyncio(group: ConsumerGroupTopic[Asyncio], member: ConsumerGroupMember[Asyncio]) -> None:
    assert_type(member.on_batch(the_done, size=10)([]), list[Message])
    assert_type(await group.on_batch(done_later, size=10)([]), set[str])

    @member.on_batch(size=100, wait=1)
    async def decorated(messages: list[Message]) -> None:
        return None

    await decorated([])


@dataclass
class Order:
    customer: str
    amount: int


@dataclass
class Other:
    n: int


class Line(TypedDict):
    sku: str


def a_topic_says_what_its_data_is(client: redis.Redis, client_asyncio: redis.asyncio.Redis) -> None:
    assert_type(Topic("t", type=Order), Topic[Blocking, Order])
    assert_type(Topic("t", client, type=Order, codec=FlatCodec(), maxlen=5), Topic[Blocking, Order])
    assert_type(Topic("t", client_asyncio, type=Order), Topic[Asyncio, Order])
    assert_type(Topic("t", type=Line), Topic[Blocking, Line])
    assert_type(Topic("t", type=list[Order]), Topic[Blocking, list[Order]])
    assert_type(Topic("t", type=int), Topic[Blocking, int])
    assert_type(Topic("t"), Topic[Blocking, Any])
    assert_type(Topic("t", client_asyncio), Topic[Asyncio, Any])
    assert_type(Topic("t", codec=TypedCodec(Order)), Topic[Blocking, Any])
    both: Topic[Blocking, Order | Other] = Topic("t", client, type={"order": Order, "other.*": Other})
    either: Topic[Asyncio, Order | Other] = Topic("t", client_asyncio, type=Order | Other)
    assert_type([message.data for message in both.replay()], list[Order | Other])
    assert_type(either.group("g"), ConsumerGroupTopic[Asyncio, Order | Other])


def data_is_what_the_topic_says(topic: Topic[Blocking, Order], letter: DeadLetter[Order]) -> None:
    group = topic.group("g")
    member = group.member()
    assert_type(group, ConsumerGroupTopic[Blocking, Order])
    assert_type(ConsumerGroupTopic(topic, "g"), ConsumerGroupTopic[Blocking, Order])
    assert_type(ConsumerGroupMember(group), ConsumerGroupMember[Blocking, Order])
    assert_type(member, ConsumerGroupMember[Blocking, Order])
    assert_type(member.clone(), ConsumerGroupMember[Blocking, Order])
    assert_type(member.read(), list[Message[Order]])
    assert_type(topic.replay(), Entries[Blocking, Message[Order]])
    assert_type(group.dead_letters, DeadLetters[Blocking, Order])
    assert_type(letter.data, Order)
    for message in member:
        assert_type(message.data.amount, int)
    for message in group:
        assert_type(message.data, Order)
    for message in topic.tail():
        assert_type(message.data, Order)
    for each in group.dead_letters:
        assert_type(each.data.customer, str)
    with member as same, topic as open_:
        assert_type(same, ConsumerGroupMember[Blocking, Order])
        assert_type(open_, Topic[Blocking, Order])
        assert_type([message.data for message in same], list[Order])
    with member.read()[0] as one:
        assert_type(one, Message[Order])


async def data_is_what_the_topic_says_in_asyncio(topic: Topic[Asyncio, Order]) -> None:
    group = topic.group("g")
    member = group.member()
    assert_type(await member.read(), list[Message[Order]])
    async with member as same, topic as open_:
        assert_type(open_, Topic[Asyncio, Order])
        async for message in same:
            assert_type(message.data.amount, int)
    async for message in group:
        assert_type(message.data, Order)
    async for message in topic.replay():
        assert_type(message.data, Order)
    async for letter in group.dead_letters:
        assert_type(letter.data, Order)


def charge(message: Message[Order]) -> None: ...
async def charge_later(message: Message[Order]) -> None: ...
def charge_all(messages: list[Message[Order]]) -> None: ...


def a_handler_of_the_topics_type_is_accepted(
    blocking: ConsumerGroupTopic[Blocking, Order], asyncio: ConsumerGroupMember[Asyncio, Order], plain_: ConsumerGroupMember[Blocking]
) -> None:
    member = blocking.member("m", handlers={"a": charge, "b": plain})
    ConsumerGroupMember(blocking, handlers={"a": charge})
    member.on("a", charge)
    member.once("a", plain)
    member.on("a", lambda message: message.data.amount)
    member.on_batch(charge_all)
    asyncio.on("a", charge_later)
    asyncio.on("a", charge, thread=True)
    plain_.on("a", charge)

    @blocking.on("b")
    def decorated(message: Message[Order]) -> int:
        return message.data.amount

    @asyncio.on("b")
    async def later(message: Message[Order]) -> int:
        return message.data.amount


def files_of_a_blocking_topic_and_member(topic: Topic[Blocking], member: ConsumerGroupMember[Blocking]) -> None:
    assert_type(topic.write(("a", {"b": 1})), str)
    assert_type(topic.write([1, 2], type="a"), str)
    assert_type(topic.writelines([("a", {}), {"type": "b"}]), list[str])
    assert_type(topic.flush(), None)
    assert_type(topic.writable(), bool)
    assert_type(topic.readable(), bool)
    assert_type(topic.open(), TextIO)
    assert_type(topic.open("w", type="log", errors="surrogateescape", line_buffering=False), TextIO)
    assert_type(topic.open("wb"), BinaryIO)
    assert_type(member.open(), TextIO)
    assert_type(member.open("r", timeout=timedelta(seconds=1), errors="strict"), TextIO)
    assert_type(member.open("rb", timeout=0), BinaryIO)
    assert_type(member.closed, bool)
    print("a", file=topic.open())
    with contextlib.redirect_stdout(topic.open()), member.open() as file:
        for line in file:
            assert_type(line, str)
    member.connect_and_listen(until=threading.Event())
    assert_type(member.pipe(str).run(until=threading.Event()), None)
    member.group.connect_and_listen(2, until=multiprocessing.Event())


async def objects_written_to_an_asyncio_topic(topic: Topic[Asyncio], member: ConsumerGroupMember[Asyncio]) -> None:
    await assert_type(topic.write(("a", {"b": 1})), Coroutine[Any, Any, str])
    assert_type(await topic.writelines([[1], 2], type="a"), list[str])
    await topic.flush()
    assert_type(topic.writable(), bool)
    assert_type(member.closed, bool)
    await member.connect_and_listen(until=asyncio.Event())
    await member.pipe(str).run(until=asyncio.Event())
    await member.group.connect_and_listen(2, until=asyncio.Event())


class Lines:
    """A codec of one's own, for whole entries."""

    cannot_fail = False

    def write(self, type: str, data: Any, headers: Mapping[str, Any] | None) -> Iterable[tuple[bytes, bytes]]:
        yield b"line", f"{type} {data}".encode()

    def read(self, fields: Sequence[tuple[bytes, bytes]]) -> Envelope:
        return Envelope("line", dict(fields)[b"line"])


def codecs_of_whole_entries_are_codecs(message: Message[Any]) -> None:
    keys = StreamersonTopic("game", shard="7")
    assert_type(Topic(keys.incoming, codec=StreamersonCodec("me")), Topic[Blocking, Any])
    assert_type(Topic(keys.subtopic("eu").outgoing, codec=CloudEventsCodec("/orders", plain=FlatCodec())), Topic[Blocking, Any])
    assert_type(Topic("t", type=Order, codec=CloudEventsCodec("/orders")), Topic[Blocking, Order])
    assert_type(Topic("t", codec=Lines()), Topic[Blocking, Any])
    own: EntryCodec = Lines()
    assert_type(own.read([]).type, str)
    assert_type(StreamersonCodec().reply(message, 1, type="resp"), list[tuple[bytes, bytes]])
    assert_type(keys.sharded(None), StreamersonTopic)


def what_stands_around_a_blocking_members_handlers(group: ConsumerGroupTopic[Blocking, Order], member: ConsumerGroupMember[Blocking]) -> None:
    @group.around
    def timed(message: Message[Order]) -> Iterator[None]:
        assert_type(message.data, Order)
        yield

    @member.around_batch
    @contextlib.contextmanager
    def session(messages: list[Message[Any]]) -> Generator[None]:
        yield

    member.around(lambda message: contextlib.nullcontext(message.id))
    assert_type(group.remove_around(timed), None)


def what_stands_around_an_asyncio_members_handlers(member: ConsumerGroupMember[Asyncio]) -> None:
    @member.around
    async def timed(message: Message[Any]) -> AsyncIterator[None]:
        yield

    @member.around
    def named(message: Message[Any]) -> Iterator[None]:
        yield

    member.around_batch(contextlib.asynccontextmanager(timed_batch))


async def timed_batch(messages: list[Message[Any]]) -> AsyncGenerator[None]:
    yield
