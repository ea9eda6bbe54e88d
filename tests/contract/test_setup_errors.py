"""What waiting does not heal is said at once and by name; what it may heal is waited for, `connect_timeout` at most, and then said by name."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
import redis
import redis.asyncio

from streamio import SetupError

from ..servers import RedisServer, free_port
from ..topologies import Hub, world
from ..world import World

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.real]
AT_ONCE = 0.9  # seconds


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A server with every door, and users who lack one right each."""
    server = Hub().start()
    with server.client() as client:
        client.acl_setuser("eve", enabled=True, passwords=["+secret"], commands=["+@all"], keys=["*"])
        for command in ("xreadgroup", "xack", "xclaim", "xpending", "xinfo", "xgroup", "xadd", "eval", "evalsha", "multi"):
            client.acl_setuser(f"no-{command}", enabled=True, nopass=True, commands=["+@all", f"-{command}"], keys=["*"])
        client.acl_setuser("no-key", enabled=True, nopass=True, commands=["+@all"], keys=["other*"])
        client.acl_setuser("no-dead-letters", enabled=True, nopass=True, commands=["+@all"], keys=["*:topic"])
    yield server
    server.remove()


@pytest_asyncio.fixture(params=["blocking", "asyncio"])
async def w(request: pytest.FixtureRequest, hub: Hub) -> AsyncIterator[World]:
    """A world of each colour on the hub."""
    async with world(request.param, hub.port) as made:
        yield made


def client(w: World, **options: Any) -> Any:
    """A client of the world's colour with these settings."""
    made = (redis.asyncio.Redis if w.asyncio else redis.Redis)(**{"host": "127.0.0.1", "port": w.port, **options})
    w.clients.append(made)
    return made


@asynccontextmanager
async def raised(kind: type[BaseException], *words: Any, least: float = 0, most: float = AT_ONCE) -> AsyncIterator[None]:
    """The block raises this error with these words, not sooner and not later than so many seconds."""
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        yield
    assert least <= time.monotonic() - began <= most
    for word in words:
        assert str(word) in str(caught.value)


# -- a server that is not there --------------------------------------------------------------------------------------------------------


async def test_a_server_that_is_down_is_waited_for_and_then_named(w: World) -> None:
    port = free_port()
    member = w.member(w.group(w.topic(client=client(w, port=port))), connect_timeout=1)
    async with raised(redis.ConnectionError, f"127.0.0.1:{port}", "connect_timeout=1", least=1, most=2):
        await w.do(member.connect())
    assert (await w.do(member.info())).connections == 0


async def test_a_loop_waits_for_the_server_no_longer_than_connecting_does(w: World) -> None:
    member = w.member(w.group(w.topic(client=client(w, port=free_port()))), connect_timeout=0.3)
    async with raised(redis.ConnectionError, "connect_timeout=0.3", least=0.3):
        await w.next(w.loop(member))
    member.on("x", print)
    async with raised(redis.ConnectionError, "connect_timeout=0.3", least=0.3):
        await w.do(member.connect_and_listen())


async def test_a_server_that_comes_up_within_connect_timeout_is_found(w: World) -> None:
    server = RedisServer()
    member = w.member(w.group(w.topic(client=client(w, port=server.port))))
    connecting = w.start(member.connect)
    server.start()
    try:
        await connecting
        await w.do(member.close())
    finally:
        server.remove()


async def test_publishing_on_a_dead_port_fails_at_once_and_names_it(w: World) -> None:
    port = free_port()
    topic = w.topic(client=client(w, port=port))
    async with raised(redis.ConnectionError, f"127.0.0.1:{port}", most=0.4):
        await w.do(topic.publish("x"))


async def test_a_server_that_never_answers_is_named(w: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        member = w.member(w.group(w.topic(client=client(w, port=port)), lease=1.5), connect_timeout=0.1)
        async with raised(redis.ConnectionError, f"127.0.0.1:{port}", "connect_timeout=0.1", least=0.1, most=3.5):
            await w.do(member.connect())


async def test_an_unknown_host_is_named(w: World) -> None:
    topic = w.topic(client=client(w, host="nowhere.invalid"))
    async with raised(redis.ConnectionError, "nowhere.invalid:", least=0.2, most=10):
        await w.do(w.member(w.group(topic), connect_timeout=0.2).connect())
    async with raised(redis.ConnectionError, "nowhere.invalid:", most=10):
        await w.do(topic.publish("x"))


async def test_a_missing_unix_socket_is_named(w: World) -> None:
    kind = redis.asyncio.Redis if w.asyncio else redis.Redis
    made = kind(unix_socket_path="/nowhere/redis.sock")
    w.clients.append(made)
    async with raised(redis.ConnectionError, "/nowhere/redis.sock", least=0.1):
        await w.do(w.member(w.group(w.topic(client=made)), connect_timeout=0.1).connect())


# -- a server that does not let us in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", [{"username": "eve", "password": "wrong"}, {"username": "nobody", "password": "x"}, {"password": "wrong"}], ids=str)
async def test_a_wrong_password_is_said_at_once(w: World, login: dict[str, str]) -> None:
    topic = w.topic(client=client(w, **login))
    async with raised(redis.AuthenticationError):
        await w.do(w.member(w.group(topic)).connect())
    async with raised(redis.AuthenticationError):
        await w.do(topic.publish("x"))


async def test_a_missing_password_is_said_at_once(w: World) -> None:
    server = RedisServer("requirepass secret").start(ready=False)
    try:
        with server.client(password="secret") as ready:
            await w.until(lambda: answers(ready))
        async with raised(redis.AuthenticationError, "required"):
            await w.do(w.member(w.group(w.topic(client=client(w, port=server.port)))).connect())
    finally:
        server.remove()


def answers(foreign: Any) -> bool:
    """Whether the server is up."""
    try:
        return bool(foreign.ping())
    except redis.ConnectionError:
        return False


async def test_an_untrusted_certificate_is_said_at_once(w: World, hub: Hub) -> None:
    member = w.member(w.group(w.topic(client=client(w, port=hub.tls_port, ssl=True))))
    async with raised(redis.ConnectionError, "CERTIFICATE_VERIFY_FAILED", f"127.0.0.1:{hub.tls_port}"):
        await w.do(member.connect())


async def test_a_certificate_for_another_host_is_said_at_once(w: World, hub: Hub) -> None:
    member = w.member(w.group(w.topic(client=client(w, host="localhost", port=hub.tls_port, ssl=True, ssl_ca_certs=hub.ca))))
    async with raised(redis.ConnectionError, "CERTIFICATE_VERIFY_FAILED", f"localhost:{hub.tls_port}"):
        await w.do(member.connect())


async def test_a_plain_client_on_a_tls_port_is_told_which_port(w: World, hub: Hub) -> None:
    """The server hangs up without a word, as one that restarts does; so this lasts `connect_timeout`."""
    member = w.member(w.group(w.topic(client=client(w, port=hub.tls_port))), connect_timeout=0.3)
    async with raised(redis.ConnectionError, f"127.0.0.1:{hub.tls_port}", least=0.3):
        await w.do(member.connect())


# -- a server that does not let us do it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["xreadgroup", "xack", "xclaim", "xpending", "xinfo", "xgroup", "xadd", "eval", "evalsha", "multi"])
async def test_a_missing_right_is_named_before_anything_is_read(w: World, command: str) -> None:
    topic = w.topic()
    await w.do(topic.publish("x"))
    member = w.member(w.group(w.topic(client=client(w, username=f"no-{command}", password=""))))
    async with raised(SetupError, command.upper()):
        await w.do(member.connect())
    assert w.raw.xinfo_groups(topic.name) == []


async def test_a_key_that_the_user_may_not_touch_is_named(w: World) -> None:
    group = w.group(w.topic(client=client(w, username="no-key", password="")))
    async with raised(SetupError, "XREADGROUP", group.topic.name):
        await w.do(w.member(group).connect())
    async with raised(SetupError, "XREADGROUP", group.topic.name):
        await w.do(group.connect())


async def test_the_dead_letters_key_is_named_where_the_user_may_not_touch_it(w: World) -> None:
    group = w.group(w.topic(client=client(w, username="no-dead-letters", password="")))
    async with raised(SetupError, f"{group.topic.name}:dead:"):
        await w.do(w.member(group).connect())


async def test_a_server_without_scripts_is_a_setup_error(w: World) -> None:
    server = RedisServer('rename-command EVAL ""').start()
    try:
        async with raised(SetupError, "EVAL"):
            await w.do(w.member(w.group(w.topic(client=client(w, port=server.port)))).connect())
    finally:
        server.remove()


async def test_a_key_of_another_type_is_named(w: World) -> None:
    group = w.group()
    w.raw.set(group.topic.name, "x")
    async with raised(SetupError, group.topic.name, "WRONGTYPE"):
        await w.do(w.member(group).connect())
    async with raised(SetupError, group.topic.name, "WRONGTYPE"):
        await w.do(group.topic.publish("x"))
