"""Members that are stopped, cancelled and interrupted at any moment: nothing is lost, and no connection is left."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import redis.asyncio

from ..proxy import Proxy
from ..servers import RedisServer
from ..world import World
from .crew import ROOT

REAL = pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
ASYNCIO = pytest.mark.parametrize("w", ["asyncio-real", "asyncio-embedded"], indirect=True)

# -- signals that stop ----------------------------------------------------------------------------------------------------------------------

AGAIN = """
import asyncio, signal, sys
from streamio import ConsumerGroupMember, ConsumerGroupTopic, Topic, from_url
url, name, style = sys.argv[1:]
group = ConsumerGroupTopic(Topic(name, from_url(url, asyncio=style.endswith("asyncio"))), "group")
member = ConsumerGroupMember(group, "me", block=30)
member.on("*", lambda message: print("handled", message["n"], flush=True))

def again():
    while True:
        if style == "on":
            member.connect_and_listen()
        else:
            for message in member:
                print("handled", message["n"], flush=True)
        print("stopped", flush=True)

async def again_asyncio():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, member.stop)
    while True:
        if style == "on-asyncio":
            await member.connect_and_listen()
        else:
            async for message in member:
                print("handled", message["n"], flush=True)
        print("stopped", flush=True)

if style.endswith("asyncio"):
    asyncio.run(again_asyncio())
else:
    signal.signal(signal.SIGTERM, lambda *_: member.stop())
    again()
"""


@pytest.fixture
def client(real_server: RedisServer) -> Iterator[Any]:
    """A foreign client."""
    client = real_server.client(decode_responses=True)
    yield client
    client.close()


def handled(child: Child) -> list[str]:
    """The numbers of the entries that the child handled."""
    return [line.split()[1] for line in child.said if line.startswith("handled")]


@pytest.fixture
def proxy(real_server: RedisServer) -> Iterator[Proxy]:
    """A proxy in front of the server."""
    proxy = Proxy(real_server.port)
    yield proxy
    proxy.close()


class Child:
    """A script in a process of its own, and what it says."""

    def __init__(self, script: str, *words: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", script, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.said: list[str] = []
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self) -> None:
        """Take down each line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())

    def until(self, holds: Any) -> None:
        """Wait until the condition holds."""
        end = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < end and self.process.poll() is None, self.said[-5:]
            time.sleep(0.0005)

    def end(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(10)
        self.thread.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("style", ["on", "for", "on-asyncio", "for-asyncio"])
def test_an_entry_that_comes_in_the_moment_of_the_signal_is_handled_once_or_left_for_another(
    client: Any, real_server: RedisServer, style: str
) -> None:
    topic, chance, rounds = f"moment:{style}", random.Random(46), 150
    child = Child(AGAIN, real_server.url, topic, style)
    try:
        for n in range(rounds):
            child.until(lambda n=n: child.said.count("stopped") == n and any("b" in each["flags"] for each in client.client_list()))
            if n % 2:
                client.xadd(topic, {"type": "x", "n": n})
            child.process.send_signal(signal.SIGTERM)
            time.sleep(chance.random() * 0.001)
            if not n % 2:
                client.xadd(topic, {"type": "x", "n": n})
        child.until(lambda: len(handled(child)) >= rounds and client.xpending(topic, "group")["pending"] == 0)
    finally:
        child.end()
    assert Counter(handled(child)) == dict.fromkeys(map(str, range(rounds)), 1)
    client.delete(topic)


# -- interrupts that are raised -------------------------------------------------------------------------------------------------------------

INTERRUPTED = """
import os, signal, sys
from streamio import ConsumerGroupMember, ConsumerGroupTopic, Topic
url, name, style = sys.argv[1:]
member = ConsumerGroupMember(ConsumerGroupTopic(Topic(name, url), "group", lease=1), "me", block=0.02)
ready = True

def interrupt(number, frame):
    if ready:
        raise KeyboardInterrupt

def say(text):
    os.write(1, text.encode())  # whole, or not at all

def handle(message):
    say(f"handled {message['n']}\\n")

def listen():
    if style == "on":
        member.connect_and_listen()
    else:
        for message in member:
            handle(message)

signal.signal(signal.SIGINT, interrupt)
if style == "on":
    member.on("*", handle)
while True:
    try:
        ready = True
        listen()
    except KeyboardInterrupt:
        ready = False
        say("interrupted\\n")
"""


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("style", ["on", "for"])
def test_an_interrupt_at_any_moment_loses_nothing_and_takes_no_wrong_reply(client: Any, real_server: RedisServer, style: str) -> None:
    topic, chance, rounds = f"interrupt:{style}", random.Random(58), 60
    child = Child(INTERRUPTED, real_server.url, topic, style)
    try:
        child.until(lambda: client.exists(topic))
        for n in range(rounds):
            for part in range(3):
                client.xadd(topic, {"type": "x", "n": f"{n}.{part}"})
            time.sleep(chance.random() * 0.02)
            child.process.send_signal(signal.SIGINT)
            child.until(lambda n=n: child.said.count("interrupted") == n + 1)
        written = {f"{n}.{part}" for n in range(rounds) for part in range(3)}
        child.until(lambda: set(handled(child)) == written and client.xpending(topic, "group")["pending"] == 0)
    finally:
        child.end()
    assert client.keys(f"{topic}:dead:*") == []
    client.delete(topic)


# -- cancelled ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.asyncio
@ASYNCIO
@pytest.mark.parametrize("how", ["listen", "loop", "read", "group of tasks"])
async def test_a_cancel_at_any_moment_loses_nothing_and_leaves_no_connection(w: World, how: str) -> None:
    group, seen, chance, rounds = w.group(lease=30), [], random.Random(57), 40
    member = w.member(group, "me", block=5, concurrency=2)

    @member.on("*")
    async def handle(message: Any) -> None:
        await asyncio.sleep(0)
        seen.append(message["n"])

    async def loop() -> None:
        async for message in member:
            seen.append(message["n"])

    async def read() -> None:
        while True:
            for message in await member.read(5):
                seen.append(message["n"])
                message.ack()

    async def fail(after: float) -> None:
        await asyncio.sleep(after)
        raise ValueError("a neighbour failed")

    async def grouped(after: float) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(member.connect_and_listen())
            tasks.create_task(fail(after))

    await member.connect()
    others = len(connections(w))
    for n in range(rounds):
        await group.topic.publish_many([("x", {"n": f"{n}.{part}"}) for part in range(3)])
        after = chance.random() * 0.01
        try:
            if how == "group of tasks":
                await grouped(after)
            else:
                await asyncio.wait_for({"listen": member.connect_and_listen, "loop": loop, "read": read}[how](), after)
        except* (TimeoutError, ValueError):
            pass
    written = {f"{n}.{part}" for n in range(rounds) for part in range(3)}
    if how in ("loop", "read"):  # the member itself goes on, and at once: no lease is over, no interval has passed
        async with asyncio.timeout(5):
            while set(seen) != written:
                for message in await member.read(5, timeout=1):
                    seen.append(message["n"])
                    message.ack()
    last = w.member(group, "me")  # the next start of the same name
    last.on("*", lambda message: seen.append(message["n"]))
    await member.close()
    await last.drain()
    assert set(seen) == written
    assert w.pending(group) == []
    await last.close()
    await w.until(lambda: len(connections(w)) <= others)


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize("w", ["asyncio-real"], indirect=True)
async def test_what_a_cancelled_read_had_taken_comes_at_once_with_the_next_one(w: World, proxy: Proxy) -> None:
    client: Any = redis.asyncio.Redis(host="127.0.0.1", port=proxy.port)
    w.clients.append(client)
    group = w.group(w.topic(client=client), lease=30)
    member, first = w.member(group, "me"), w.member(group, "first")
    await group.topic.publish_many([("x", {"n": n}) for n in range(5)])
    messages = await first.read(5, timeout=1)
    assert await member.read(1, timeout=0.2) == []  # it has looked for what silent members left, and does so next in 15 s
    for message in messages:
        message.nack(0)
    proxy.delay = 0.3
    await first.flush()
    reading = asyncio.ensure_future(member.read(5))
    await w.until(lambda: "me" in {owner for _, owner, _ in w.pending(group)})
    reading.cancel()  # the server gave them away, and the reply is on its way
    await asyncio.wait({reading})
    proxy.delay = 0.0
    again = []
    while len(again) < 5 and (found := await member.read(5, timeout=1)):
        again += found
    assert sorted(message["n"] for message in again) == ["0", "1", "2", "3", "4"]
    for message in again:
        message.ack()
    await member.flush()
    assert w.pending(group) == []


def connections(w: World) -> list[Any]:
    """All connections to the server, where it can tell."""
    return [] if w.embedded else w.raw.client_list()


# -- closed from elsewhere ------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@REAL
async def test_close_from_another_thread_or_task_ends_a_read_that_waits_and_nothing_connects_again(w: World) -> None:
    for how in ("listen", "read"):
        member = w.member(w.group(), f"me-{how}", block=30)
        member.on("*", print)
        future = w.start(member.connect_and_listen if how == "listen" else partial(member.read, 1))
        await w.until(lambda m=member: m._hand.blocked and m._hand.number)
        number = member._hand.number
        began = time.monotonic()
        await w.do(member.close())
        await asyncio.wait_for(future, 10)
        assert time.monotonic() - began < 2
        assert number not in {row["id"] for row in w.raw.client_list()}
        assert (await w.do(member.info())).connections == 0
