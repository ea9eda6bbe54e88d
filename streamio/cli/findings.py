"""What `streamio doctor` looks at in the server: one function for each thing, which gives findings. Nothing is written."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module, metadata
from typing import Any

import redis

from ..keys import side_key
from .shown import age, memory

OK, WARN, FAIL = "ok", "warn", "fail"
SLOW = 0.05  # seconds for a round trip
SKEWED, APART = 1.0, 60.0  # seconds between the clocks: what to warn of, what to fail at
SHORT = 60  # seconds of silence after which a server should not hang up
FULL = 0.8  # of maxmemory
NEWER = {  # what newer servers have: by the command, by an option of it, and since when
    "XACKDEL": ("XACKDEL", "", "8.2"),
    "XADD IDMP": ("XADD", "IDMP", "8.6"),
    "XREADGROUP CLAIM": ("XREADGROUP", "CLAIM", "8.4"),
    "XNACK": ("XNACK", "", "8.8"),
}


@dataclass(frozen=True)
class Finding:
    """What was found: `result` is ok, warn or fail, `says` a sentence, `advice` what to do (empty where nothing is to be done)."""

    check: str
    result: str
    says: str
    advice: str = ""


@dataclass
class Server:
    """The server that is looked at. What this user may not ask for is None, and `denied` says what that was."""

    client: Any
    facts: dict[str, Any] = field(default_factory=dict)
    denied: list[str] = field(default_factory=list)

    def ask(self, *words: str) -> Any:
        """The reply; None where the server does not know the command, or does not let this user."""
        try:
            return self.client.execute_command(*words)
        except redis.ResponseError as error:
            self.denied.append(f"{' '.join(words)}: {error}")
            return None

    def setting(self, name: str) -> str | None:
        """A setting of the server's configuration; None where it does not tell."""
        found = self.ask("CONFIG GET", name) or {}
        values = {word(key): word(value) for key, value in (found.items() if isinstance(found, dict) else ())}
        return values.get(name)


def word(value: Any) -> str:
    """The value as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def versions(server: Server) -> Iterator[Finding]:
    """Of the library and what it needs, and of the server."""
    ours = f"streamio {import_module('streamio').__version__}, redis-py {metadata.version('redis')}, Python {platform.python_version()}"
    yield Finding("versions", OK, ours)
    try:
        yield Finding("hiredis", OK, f"replies are read by hiredis {metadata.version('hiredis')}")
    except metadata.PackageNotFoundError:
        yield Finding("hiredis", WARN, "hiredis is not installed, so replies are read slowly", "pip install 'redis[hiredis]'")
    version = str(server.facts.get("redis_version", ""))
    others = [f"{name.removesuffix('_version')} {server.facts[name]}" for name in ("valkey_version", "dragonfly_version") if name in server.facts]
    known = numbers(version)
    if not known:
        yield Finding("server", WARN, "the server does not tell its version to this user", "let the user run INFO")
    elif known < (6, 2):
        yield Finding("server", FAIL, f"the server is Redis {version}", "streamio needs 6.2 or later: update the server")
    elif known < (7, 0):
        yield Finding("server", WARN, f"the server is Redis {version}: it does not tell how far groups are behind", "7.0 or later does")
    else:
        yield Finding("server", OK, " ".join([f"Redis {version}", *(f"({each})" for each in others)]) + f", {server.facts.get('redis_mode', '?')}")


def numbers(version: str) -> tuple[int, ...]:
    """The version's first two numbers."""
    return tuple(map(int, re.findall(r"\d+", version)))[:2]


def features(server: Server) -> Iterator[Finding]:
    """Which of the newer commands the server has: by asking for them, not by its version."""
    there = [name for name, (command, option, _) in NEWER.items() if has(server, command, option)]
    lacks = [f"{name} (since {since})" for name, (_, _, since) in NEWER.items() if name not in there]
    says = f"has {', '.join(there)}" if there else "has none of the newer stream commands"
    yield Finding("features", OK, f"{says}{'; not ' + ', '.join(lacks) if lacks else ''}. streamio needs none of them")


def has(server: Server, command: str, option: str) -> bool:
    """Whether the server knows the command, and this option of it."""
    if not option:
        found = server.ask("COMMAND INFO", command)
        return bool(found) and any(found.values() if isinstance(found, dict) else found)
    return option in set(tokens(server.ask("COMMAND DOCS", command)))


def tokens(reply: Any) -> Iterator[str]:
    """All words of a reply, however deep."""
    if isinstance(reply, dict):
        yield from tokens(list(reply.items()))
    elif isinstance(reply, (list, tuple, set)):
        for each in reply:
            yield from tokens(each)
    elif isinstance(reply, (bytes, str)):
        yield word(reply)


def distance(server: Server) -> Iterator[Finding]:
    """How far away the server is, and whether its clock is ours."""
    trips: list[float] = []
    skew, clock = 0.0, None
    for _ in range(5):
        before = time.time()
        clock = server.ask("TIME")
        trips.append(time.time() - before)
        skew = clock[0] + clock[1] / 1e6 - (before + trips[-1] / 2) if clock else 0.0
    trip = sorted(trips)[2]
    slow = "keep workers near the server, and let each take more at once (prefetch)"
    yield Finding("round trip", WARN if trip > SLOW else OK, f"a round trip takes {trip * 1000:.1f} ms", slow if trip > SLOW else "")
    if clock is None:
        return
    far = abs(skew) > SKEWED
    told = f"the server's clock is {age(abs(skew))} {'ahead of' if skew > 0 else 'behind'} ours" if far else "the server's clock is ours"
    result = FAIL if abs(skew) > APART else WARN if far else OK
    yield Finding("clock", result, told, "times ago, delays and ages are off by that: let both keep time (NTP)" if far else "")


def timeouts(server: Server) -> Iterator[Finding]:
    """Whether the server hangs up on connections that say nothing."""
    idle = server.setting("timeout")
    if idle is None:
        return
    short = idle.isdigit() and 0 < int(idle) < SHORT
    says = "the server keeps idle connections" if idle == "0" else f"the server closes connections that are idle for {idle} s (timeout)"
    yield Finding("timeouts", WARN if short else OK, says, f"workers connect again each time: set timeout to 0, or {SHORT} and more" if short else "")


def eviction(server: Server) -> Iterator[Finding]:
    """Whether a full server throws streams away."""
    policy, most = str(server.facts.get("maxmemory_policy", "")), int(server.facts.get("maxmemory", 0) or 0)
    if not policy:
        return
    limit = memory(most) if most else "no limit"
    says = f"maxmemory-policy is {policy}, with {limit}"
    if policy.startswith("allkeys"):
        why = "; whole streams go when memory is full" if most else "; whole streams will go once a limit is set and reached"
        yield Finding("eviction", FAIL if most else WARN, says + why, "set maxmemory-policy to noeviction")
    else:
        yield Finding("eviction", OK, says)
    used = int(server.facts.get("used_memory", 0))
    if most and used > FULL * most:
        yield Finding(
            "memory", WARN, f"{memory(used)} of {limit} are used", "trim streams (maxlen, max_age, `streamio trim`) before writes are refused"
        )


def persistence(server: Server) -> Iterator[Finding]:
    """What a crash of the server would lose."""
    facts = server.facts
    if "aof_enabled" not in facts:
        return
    if int(facts["aof_enabled"]):
        bad = facts.get("aof_last_write_status", "ok") != "ok"
        fsync = server.setting("appendfsync") or "?"
        says = "the append-only file cannot be written" if bad else f"the append-only file is on (appendfsync {fsync})"
        yield Finding("persistence", FAIL if bad else OK, says, "look at the server's log and disk" if bad else "")
        return
    save = server.setting("save")
    if facts.get("rdb_last_bgsave_status", "ok") != "ok":
        yield Finding("persistence", FAIL, "the last snapshot could not be written", "look at the server's log and disk; or set appendonly to yes")
    elif save == "":
        yield Finding("persistence", WARN, "nothing is written to disk: a restart loses all streams and groups", "set appendonly to yes")
    else:
        yield Finding("persistence", WARN, "only snapshots are written: a crash loses what came since the last one", "set appendonly to yes")


def role(server: Server) -> Iterator[Finding]:
    """Whether this server takes writes."""
    if str(server.facts.get("role", "master")) != "master":
        yield Finding("role", FAIL, "the server is a replica: it takes no writes, and groups cannot be read from it", "give the primary's address")
    if str(server.facts.get("cluster_enabled", "0")) == "1":
        yield Finding("role", WARN, "the server is one node of a cluster: the command line sees this node's streams only", "ask each node in turn")


def rights(server: Server, topic: str) -> Iterator[Finding]:
    """Whether this user may run what members and producers run. Inside MULTI a command is checked and not run; DISCARD forgets it."""
    user = word(server.ask("ACL WHOAMI") or "default")
    refused = [f"{purpose} ({fault})" for purpose, fault in refusals(server.client, needed(topic))]
    if refused:
        advice = f"give the user the rights: ACL SETUSER {user} +@stream +@scripting +@read +@write +@transaction +@connection ~…"
        yield Finding("rights", FAIL, f"user {user!r} may not {'; nor '.join(refused)}", advice)
    else:
        yield Finding("rights", OK, f"user {user!r} may do all that producers and members do")


def needed(topic: str) -> list[tuple[str, Sequence[str]]]:
    """One harmless form of each command, and what it is for."""
    dead = side_key(topic, "dead", "doctor")
    return [
        ("publish", ("XADD", topic, "NOMKSTREAM", "*", "a", "b")),
        ("read", ("XREADGROUP", "GROUP", "doctor", "doctor", "COUNT", "1", "STREAMS", topic, ">")),
        ("acknowledge", ("XACK", topic, "doctor", "0-1")),
        ("claim", ("XCLAIM", topic, "doctor", "doctor", "1", "0-1", "JUSTID")),
        ("see what is pending", ("XPENDING", topic, "doctor", "-", "+", "1")),
        ("make groups", ("XGROUP", "CREATE", topic, "doctor", "0")),
        ("look at streams", ("XINFO", "STREAM", topic)),
        ("run scripts", ("EVAL", "return 0", "2", topic, dead)),
        ("bury", ("XADD", dead, "NOMKSTREAM", "*", "a", "b")),
        ("replay", ("XRANGE", topic, "-", "+", "COUNT", "1")),
        ("trim", ("XTRIM", topic, "MAXLEN", "1")),
    ]


def refusals(client: Any, wanted: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, str]]:
    """For what the server refuses this user a command, and in which words. Where MULTI is refused nothing else is sent: it would run."""
    found: list[tuple[str, str]] = []
    with client.client() as one:
        connection = one.connection
        for purpose, words in (("begin a transaction", ("MULTI",)), *wanted, ("", ("DISCARD",))):
            connection.send_command(*words)
            try:
                connection.read_response()
            except redis.ResponseError as error:
                if purpose:
                    found.append((purpose, str(error)))
                if words == ("MULTI",):
                    break
    return found
