"""Which server it is: one too old is refused at once, by its version; what it is and which commands are used is visible."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import fakeredis
import pytest
import redis
import redis.asyncio

from streamio import SetupError

from ..world import World

pytestmark = pytest.mark.asyncio
COLOURS = pytest.mark.parametrize("w", ["blocking-embedded", "asyncio-embedded"], indirect=True)
PURPOSES = {"read", "acknowledge", "wait", "renew", "claim", "publish once"}
UNKNOWN = "-ERR unknown command"


class Stub:
    """A server that is nothing but its answers: `answer(words, in MULTI)` gives each command's reply as it stands on the wire."""

    def __init__(self, answer: Callable[[list[str], bool], str]) -> None:
        self.answer, self.writes, self.asked = answer, 0, list[str]()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open: list[socket.socket] = [self.listener]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        """Take connections until the stub is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.open.append(client)
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        """Answer one connection, write by write."""
        multi = False
        with suppress(OSError):
            while data := client.recv(65536):
                self.writes += 1
                for words in commands(data.decode()):
                    self.asked.append(words[0])
                    client.sendall((self.answer(words, multi) + "\r\n").encode())
                    multi = words[0] == "MULTI" or (multi and words[0] != "DISCARD")

    def close(self) -> None:
        """End it."""
        for each in self.open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a write."""
    lines = iter(text.split("\r\n"))
    for line in lines:
        if line.startswith("*"):
            yield [(next(lines), next(lines))[1] for _ in range(int(line[1:]))]


def bulk(text: str) -> str:
    """A string on the wire."""
    return f"${len(text)}\r\n{text}"


@contextmanager
def stub(info: str, **others: str) -> Iterator[Stub]:
    """A server that answers INFO so, commands named in `others` so, and takes all else."""

    def answer(words: list[str], multi: bool) -> str:
        if words[0] in others:
            return others[words[0]]
        return info if words[0] == "INFO" else "+QUEUED" if multi and words[0] != "DISCARD" else "+OK"

    server = Stub(answer)
    try:
        yield server
    finally:
        server.close()


def member_on(w: World, port: int) -> Any:
    """A member in the world's colour on the server of this port."""
    client: Any = (redis.asyncio.Redis if w.asyncio else redis.Redis)(host="127.0.0.1", port=port)
    w.clients.append(client)
    return w.member(w.group(w.topic(client=client)))


@COLOURS
@pytest.mark.parametrize("version", ["6.0.16", "5.0.14", "2.8", "6.1.240"])
async def test_a_server_before_6_2_is_refused_by_its_version(w: World, version: str) -> None:
    with stub(bulk(f"# Server\r\nredis_version:{version}\r\nos:Linux\r\n")) as server:
        with pytest.raises(SetupError, match=rf"Redis {version}: streamio needs 6\.2"):
            await w.do(member_on(w, server.port).connect())
        assert server.asked == ["XACK", "INFO", "MULTI"]  # nothing was made or read


@COLOURS
@pytest.mark.parametrize("options", [lambda: {"version": (6, 0)}, lambda: {"server": fakeredis.FakeServer(version=(6, 0))}], ids=["client", "server"])
async def test_an_embedded_server_that_plays_one_before_6_2_is_refused(w: World, options: Any) -> None:
    client: Any = (fakeredis.FakeAsyncRedis if w.asyncio else fakeredis.FakeRedis)(**options())
    w.clients.append(client)
    group = w.group(w.topic(client=client))
    with pytest.raises(SetupError, match=r"Redis 6\.0 \(fakeredis\): streamio needs 6\.2"):
        await w.do(w.member(group).connect())
    with pytest.raises(SetupError, match="6.2"):
        await w.do(group.connect())
    with pytest.raises(SetupError, match="6.2"):
        await w.next(w.loop(w.member(group)))


@COLOURS
@pytest.mark.parametrize(
    "info", ["-NOPERM this user has no permissions to run the 'info' command", UNKNOWN, bulk("# Server\r\n"), bulk("redis_version:?")]
)
async def test_a_server_that_does_not_tell_is_tried_with_a_command_of_6_2(w: World, info: str) -> None:
    with stub(info, XAUTOCLAIM=UNKNOWN) as server, pytest.raises(SetupError, match=r"XAUTOCLAIM.*6\.2"):
        await w.do(member_on(w, server.port).connect())
    for answer in ("+QUEUED", "-NOPERM this user has no permissions to run the 'xautoclaim' command"):
        with stub(info, XAUTOCLAIM=answer, XGROUP="-ERR enough") as server:
            member = member_on(w, server.port)
            with pytest.raises(redis.RedisError, match="enough"):  # it went on to make the group
                await w.do(member.connect())
            assert (await w.do(member.info())).server is None


@COLOURS
async def test_asking_for_the_version_costs_no_round_trip(w: World) -> None:
    with stub(bulk("redis_version:7.0.15\r\n"), XGROUP="-ERR enough") as server:
        with pytest.raises(redis.RedisError, match="enough"):
            await w.do(member_on(w, server.port).connect())
        assert "XAUTOCLAIM" not in server.asked
        place = server.asked.index("INFO")
        assert server.asked[place : place + 2] == ["INFO", "MULTI"]
        assert server.writes <= 4  # reach, ask, rights, make the group


@COLOURS
@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ("redis_version:6.2.0", "6.2.0"),
        ("redis_version:255.255.255", "255.255.255"),
        ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2", "7.2.4 (valkey 9.1.2)"),
        ("redis_version:7.4.0\r\ndragonfly_version:df-v1.36.0", "7.4.0 (dragonfly df-v1.36.0)"),
    ],
)
async def test_info_tells_which_server_it_is(w: World, facts: str, told: str) -> None:
    with stub(bulk(facts), XGROUP="-ERR enough") as server:
        member = member_on(w, server.port)
        assert (await w.do(member.info())).server is None
        with pytest.raises(redis.RedisError, match="enough"):
            await w.do(member.connect())
        assert (await w.do(member.info())).server == told


async def test_info_tells_the_server_and_the_commands(w: World) -> None:
    member = w.member()
    before = await w.do(member.info())
    assert before.server is None
    await w.do(member.connect())
    info = await w.do(member.info())
    facts = {} if w.embedded else w.raw.info("server")
    assert info.server is not None
    assert info.server.split()[0] == ("7" if w.embedded else facts["redis_version"])
    assert info.commands == before.commands and info.commands.keys() == PURPOSES
    assert (info.commands["acknowledge"], info.commands["claim"]) == ("XACK", "XPENDING+XCLAIM")
