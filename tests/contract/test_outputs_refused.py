"""Outputs and replies that cannot be written: what becomes of their entries, and who is told."""

from __future__ import annotations

import asyncio
import warnings

import pytest

from streamio import AtLeastOnce, Envelope, RetryPolicy, Topic, from_url
from streamio.keys import side_key
from streamio.outputs import output

from ..servers import RedisServer, free_port
from ..world import World

pytestmark = pytest.mark.asyncio


def errors_of(member) -> list:
    """The member's `error` events, as they come."""
    told: list = []
    member.lifecycle.on("error", told.append)
    return told


def dead(w: World, group) -> list[str]:
    """What is told of the group's dead letters."""
    return [row["dead:error"] for _, row in w.raw.xrange(side_key(group.topic.name, "dead", group.name))]


@pytest.mark.parametrize("words", [("type", "a", "header:reply_to"), ("header:reply_to",)], ids=["behind the type", "in front"])
async def test_a_foreign_asker_has_its_answer_where_the_handler_returns_nothing(w: World, words) -> None:
    member, answers = w.member(), w.key("answers")
    member.on("a", lambda message: None)
    rest = () if "type" in words else ("type", "a")
    w.raw.execute_command("XADD", member.group.topic.name, "*", *words, answers, *rest, "n", "1")
    await w.do(member.drain())
    assert [fields["data"] for _, fields in w.raw.xrange(answers)] == ["null"]


@pytest.mark.parametrize("address", [b"\xff", "", "taken"])
async def test_an_address_where_no_reply_can_be_written_does_its_entry_no_harm(w: World, address) -> None:
    member, seen = w.member(), []
    told = errors_of(member)
    member.on("a", lambda message: seen.append(message.deliveries) or {"n": 1})
    w.raw.set(w.key("taken"), "x")
    await w.do(member.group.topic.publish("a", headers={"reply_to": w.key("taken") if address == "taken" else address}))
    assert await w.do(member.drain()) == 1
    assert (seen, dead(w, member.group), w.pending(member.group)) == ([1], [], [])
    assert [event.reason for event in told] == ["no reply is written"]


async def test_what_a_stranger_asks_for_keeps_no_pipe_from_putting_out(w: World) -> None:
    client = w.client()
    group, out = w.group(w.topic(client=client)), w.topic("out", client)
    w.raw.set(w.key("taken"), "x")
    for address in (w.key("taken"), w.key("answers"), b"\xff"):
        await w.do(group.topic.publish("a", n=1, headers={"reply_to": address}))
    assert await w.do((w.member(group) | (lambda message: {"n": 2}) | out).drain()) == 3
    assert await w.do(out.length()) == 3
    assert (dead(w, group), w.raw.exists(w.key("answers"))) == ([], 0)


async def test_a_step_that_settles_its_message_is_told_that_nothing_is_put_out(w: World) -> None:
    client = w.client()
    group, out = w.group(w.topic(client=client)), w.topic("out", client)
    member = w.member(group)
    told = errors_of(member)
    await w.do(group.topic.publish("a", n=1))
    await w.do((member | (lambda message: message.ack() and {"n": 2}) | out).drain())
    assert await w.do(out.length()) == 0
    assert [(event.reason, event.message["n"]) for event in told] == [("settled before", "1")]


async def test_a_step_that_never_ends_is_its_entrys_failure(w: World) -> None:
    def endless(message):
        while True:
            yield {"n": 1}

    async def endless_asyncio(message):
        while True:
            yield {"n": 1}

    client = w.client()
    group, out = w.group(w.topic(client=client), retry=RetryPolicy(max_deliveries=1)), w.topic("out", client)
    await w.do(group.topic.publish("a"))
    await w.do((w.member(group) | (endless_asyncio if w.asyncio else endless) | out).drain())
    (reason,) = dead(w, group)
    assert "can put out 10000 values at most" in reason
    assert await w.do(out.length()) == 0


async def test_a_pipe_of_entries_that_the_server_forgot_does_not_say_exactly_once(w: World) -> None:
    client = w.client()
    out = w.topic("out", client)
    pipes = [w.member(w.group(w.topic(client=client)), ack=ack) | out for ack in ("auto", "none")]
    assert [pipe.is_exactly_once for pipe in pipes] == [True, False]


@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
async def test_a_pipe_waits_for_a_server_of_its_topic_that_is_away(colour: str, caplog) -> None:
    w, server = World(colour, None), RedisServer(port=free_port())
    client = from_url(server.url, asyncio=w.asyncio)  # type: ignore[call-overload]
    try:
        group, out = w.group(retry=RetryPolicy(max_deliveries=1)), Topic("out", client)
        w.things.append(out)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AtLeastOnce)
            pipe = w.member(group) | (lambda message: {"n": message["n"]}) | out
        await w.do(group.topic.publish_many([("a", {"n": n}) for n in range(3)]))
        drained = w.start(pipe.drain)
        await w.until(lambda: "waits for the server of topic" in caplog.text)
        server.start()
        assert await drained == 3
        assert (await w.do(out.length()), dead(w, group)) == (3, [])
    finally:
        await w.close()
        await w.do(client.aclose() if w.asyncio else client.close())
        server.remove()


async def test_a_strangers_address_that_cannot_be_written_ends_no_member(w: World) -> None:
    class Headers:
        cannot_fail = False

        def write(self, type, data, headers):
            return [(b"line", headers["correlation_id"].encode())]

        def read(self, fields):
            return Envelope("a", 1, {"reply_to": "\udcff", "correlation_id": "\udcff"})

    group, seen = w.group(w.topic(codec=Headers())), []
    member = w.member(group)
    member.on("a", lambda message: seen.append(message.id) or 1)
    w.raw.xadd(group.topic.name, {"line": "x"})
    assert await w.do(member.drain()) == 1
    assert (len(seen), w.pending(group), dead(w, group)) == (1, [], [])


REAL = pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)


@REAL
async def test_an_address_that_is_forbidden_harms_neither_its_entry_nor_those_beside_it(w: World) -> None:
    w.raw.execute_command("ACL", "SETUSER", w.name, "reset", "on", ">x", f"~{w.name}:topic*", "+@all")
    topic = w.topic(client=w.client(username=w.name, password="x"))
    member, seen = w.member(w.group(topic), concurrency=4), []
    told = errors_of(member)
    member.on("a", lambda message: seen.append(message["n"]) or {"n": 1})
    await w.do(member.group.create())
    for n in range(6):
        await w.do(topic.publish("a", n=n, headers={"reply_to": "secret" if n == 3 else f"{topic.name}:answers"}))
    assert await w.do(member.drain()) == 6
    assert (sorted(seen), w.pending(member.group), dead(w, member.group)) == ([*"012345"], [], [])
    assert w.raw.xlen(f"{topic.name}:answers") == 5
    assert [event.reason for event in told] == ["no reply is written"]
    w.raw.execute_command("ACL", "DELUSER", w.name)


async def test_an_entry_that_stands_twice_in_one_step_puts_out_once(w: World) -> None:
    group, out = w.group(), w.key("out")
    await w.do(group.create())
    await w.do(group.topic.publish_many([("a", {"n": n}) for n in range(2)]))
    w.raw.xreadgroup("group", "me", {group.topic.name: ">"})
    (first, _, _), (second, _, _) = w.pending(group)
    put = (("XADD", out, "*"), ("n", "1"))
    command = output(group.topic.name, "group", "me", [(first, [put]), (second, [put]), (first, [put])])
    assert w.raw.eval(command.in_full[1], int(command.in_full[2]), *command.in_full[3:]) == [1, 1, 0]
    assert (w.raw.xlen(out), w.pending(group)) == (2, [])


async def test_a_flush_acknowledges_what_could_only_go_without_its_reply(w: World) -> None:
    member = w.member()
    w.raw.set(w.key("taken"), "x")
    await w.do(member.group.topic.publish("a", headers={"reply_to": w.key("taken")}))
    (message,) = await w.do(member.read())
    assert message.reply(1)
    await w.do(member.flush())
    assert w.pending(member.group) == []


@REAL
async def test_a_member_that_stops_while_memory_is_out_writes_its_outputs_when_it_is_back(w: World) -> None:
    client = w.client()
    group, out = w.group(w.topic(client=client)), w.topic("out", client)
    member = w.member(group)
    told = errors_of(member)

    def step(message):
        w.raw.config_set("maxmemory", 1)
        member.stop()
        return {"n": 1}

    try:
        await w.do(group.topic.publish("a"))
        ran = w.start((member | step | out).run)
        await w.until(lambda: told)
    finally:
        w.raw.config_set("maxmemory", 0)
    await ran
    assert (await w.do(out.length()), w.pending(group)) == (1, [])


async def test_a_cancelled_listener_leaves_nothing_under_its_name(w: World) -> None:
    if not w.asyncio:
        return
    group, seen = w.group(), []
    member = w.member(group, "me", concurrency=4, grace=20)

    async def count(message):
        seen.append(message.id)

    member.on("a", count)
    await group.topic.publish_many([("a", {"n": n}) for n in range(400)])
    listening = asyncio.ensure_future(member.connect_and_listen())
    while len(seen) < 40:
        await asyncio.sleep(0)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(listening, 5)
    assert [name for _, name, _ in w.pending(group) if name == "me"] == []
