"""The commands that look: `ls`, `info`, `report`, `cat`, `pending`, `top`, `doctor`."""

from __future__ import annotations

import json
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import ConnectionError

from streamio import from_url
from streamio.cli.looking import Trends
from streamio.cli.shown import age, memory, number, rate
from streamio.keys import side_key
from streamio.observing import Observer

from ..servers import RedisServer
from .conftest import Run
from .terminal import PROGRAM, environment, inside, on_terminal


def filled(topic: Any, count: int = 10) -> list[str]:
    """The ids of so many entries, every second of type order.paid, with a number and bytes that are not text."""
    return [topic.publish("order.paid" if n % 2 else "order.placed", {"n": n, "raw": b"\xff\x00"}, headers={"tenant": "eu"}) for n in range(count)]


def left_pending(topic: Any, count: int, group: str = "g", consumer: str = "worker-1", idle: float = 0, times: int = 3) -> None:
    """Let a consumer take so many entries, and say nothing any more."""
    opened = topic.group(group, start="0")
    opened.create()
    client = topic._driver.source.client
    taken = client.xreadgroup(group, consumer, {topic.name: ">"}, count=count)[0][1]
    client.xclaim(topic.name, group, consumer, 0, [each for each, _ in taken], idle=round(idle * 1000), retrycount=times)


def ids(entries: list[dict[str, Any]]) -> list[str]:
    """The entries' ids."""
    return [each["id"] for each in entries]


# -- cat ------------------------------------------------------------------------------------------------------------------------------


def test_cat_prints_every_entry_as_a_line_of_json_in_a_pipe(run: Run, topic: Any) -> None:
    there = filled(topic, 3)
    found = run("cat", topic.name)
    assert ids(found.entries) == there
    first = found.entries[0]
    assert list(first) == ["topic", "id", "ts", "type", "fields", "headers", "deliveries", "group", "consumer"]
    assert first["fields"] == {"type": "order.placed", "header:tenant": "eu", "n": "0", "raw": {"$b64": "/wA="}}
    assert found.raw == run("view", topic.name, "-J").raw == run("cat", topic.name, "-o", "jsonl").raw


def test_cat_touches_no_group(run: Run, topic: Any) -> None:
    filled(topic, 3)
    topic.group("g").create("0")
    before = topic.groups()
    run("cat", topic.name)
    assert topic.groups() == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-n", "3"), [0, 1, 2]),
        (("-r", "-n", "3"), [9, 8, 7]),
        (("--from", "-3"), [7, 8, 9]),
        (("--from", "+7"), [7, 8, 9]),
        (("--from", "{3}", "--to", "{5}"), [3, 4, 5]),
        (("--from", "{3}:{5}"), [3, 4, 5]),
        (("--to", "+2"), [0, 1]),
        (("--from", "@-1h"), list(range(10))),
        (("--from", "end"), []),
        (("-t", "order.placed"), [0, 2, 4, 6, 8]),
        (("-t", "order.placed", "-t", "nothing"), [0, 2, 4, 6, 8]),
        (("-t", "order.*", "-n", "4"), [0, 1, 2, 3]),
        (("--where", "n=4"), [4]),
        (("--where", "n=4", "--where", "type=order.paid"), []),
        (("-t", "order.paid", "-n", "2", "-r"), [9, 7]),
        (("-f", "-e"), list(range(10))),
        (("-n", "0"), []),
    ],
)
def test_cat_prints_what_is_asked_for(words: tuple[str, ...], expected: list[int], run: Run, topic: Any) -> None:
    there = filled(topic)
    found = run("cat", topic.name, *(word.format(*there) for word in words))
    assert (found.code, ids(found.entries)) == (0, [there[place] for place in expected])


def test_cat_says_how_many_entries_a_filter_looked_at(run: Run, topic: Any) -> None:
    filled(topic)
    assert run("cat", topic.name, "--where", "n=4").err == "1 of 10 entries looked at\n"
    assert run("cat", topic.name).err == ""


@pytest.mark.parametrize(
    ("format", "printed"),
    [
        (r"%i|%T|%n\n", b"{id}|order.placed|{topic}\n"),
        (r"%t\t%h{tenant} %f{n}%f{none}%%", b"{ts}\teu 0%"),
        (r"%f{raw}\0", b"\xff\x00\0"),
        (r"%d\\", b'{"n": "0", "raw": {"$b64": "/wA="}}\\'),
        ("ß", "ß".encode()),
    ],
)
def test_cat_prints_by_a_format_of_ones_own(format: str, printed: bytes, run: Run, topic: Any) -> None:
    (entry,) = filled(topic, 1)
    at = run("cat", topic.name).entries[0]["ts"]
    printed = printed.replace(b"{id}", entry.encode()).replace(b"{topic}", topic.name.encode()).replace(b"{ts}", at.encode())
    assert run("cat", topic.name, "--format", format).raw == printed


@pytest.mark.slow
def test_what_a_format_prints_steers_no_terminal(real_server: RedisServer, topic: Any) -> None:
    topic.publish("\x1b[31mred", n="\x1b]0;title\x07", headers={"h": "\x1b[2J"})
    with on_terminal("cat", topic.name, "--format", r"%T %f{n} %h{h} %d\n", REDIS_URL=real_server.url) as terminal:
        assert terminal.end() == 0
    assert "red" in terminal.shown and "title" in terminal.shown
    assert not set("\x1b\x07") & set(terminal.shown)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--format", "%x"), "'%x' means nothing"),
        (("--format", "100%"), "'%' means nothing"),
        (("-f", "-r"), "does not go together with -r"),
        (("-f", "--to", "end"), "does not go together with an end"),
        (("-f", "-o", "json"), "say -o jsonl"),
        (("--where", "n"), "'n' is not field=value"),
        (("--from", "yesterday"), "'yesterday' is no"),
        (("--from", "start:end", "--to", "end"), "leave out --to"),
        (("--format", "%i", "--meta-only"), "leave out --meta-only"),
    ],
)
def test_cat_refuses_what_contradicts_itself(words: tuple[str, ...], says: str, run: Run, name: str) -> None:
    found = run("cat", name, *words)
    assert (found.code, found.out) == (64, "")
    assert says in found.err


def test_cat_prints_readable_lines_that_steer_no_terminal(run: Run, topic: Any) -> None:
    topic.publish("a", {"plain": "x", "spaced": "a b", "none": "", "evil": "\x1b[31m\x9b", "long": "y" * 1000, "raw": b"\xff"})
    (line,) = run("cat", topic.name, "-o", "table").lines
    assert 'plain=x spaced="a b" none="" evil=' in line
    assert line.endswith(f"long={'y' * 200}…(1000 bytes) raw=0xff")
    assert "\x1b" not in line and "\x9b" not in line


def test_cat_prints_values_as_they_are_or_one_list_of_json(run: Run, topic: Any) -> None:
    filled(topic, 2)
    assert run("cat", topic.name, "-o", "raw").raw == b"0\t\xff\x00\n1\t\xff\x00\n"
    assert ids(run("cat", topic.name, "-o", "json").json) == ids(run("cat", topic.name).entries)
    assert run("cat", topic.name, "-o", "json", "-t", "none").json == []


def test_cat_tells_only_facts_where_those_are_asked_for(run: Run, topic: Any) -> None:
    filled(topic, 1)
    (found,) = run("cat", topic.name, "--meta-only").entries
    assert "fields" not in found and "headers" not in found
    assert found["bytes"] == len(b"typeorder.placedheader:tenanteun0raw\xff\x00")


def test_a_stream_that_is_not_there_is_an_error(run: Run, name: str, real_server: RedisServer) -> None:
    assert (run("cat", name).code, run("cat", name).err) == (1, f"streamio: there is no stream '{name}'\n")
    for command in ("info", "report"):
        assert (run(command, name).code, run(command, name).err.splitlines()[-1]) == (1, f"streamio: '{name}': there is no such stream")
    with real_server.client() as client:
        client.set(name, "text")
    for command in ("cat", "info", "report"):
        found = run(command, name)
        assert found.code == 1
        assert "something else than a stream" in found.err
        assert found.out in ("", run("report", name).out)


@contextmanager
def follow(server: RedisServer, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that follows a stream; ended, where it does not by itself."""
    command = [*PROGRAM, "-u", server.url, "cat", "-f", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as program:
        try:
            yield program
        finally:
            program.kill()


@pytest.mark.slow
@pytest.mark.timeout(30)
def test_following_prints_the_last_ten_then_each_new_entry_once_and_at_once(real_server: RedisServer, topic: Any) -> None:
    there = filled(topic, 15)
    with follow(real_server, topic.name, "-n", "40", "--format", r"%i\n") as program:
        assert program.stdout is not None
        first = [program.stdout.readline().decode().strip()]  # (it has begun)
        there += filled(topic, 30)
        rest = [line.decode().strip() for line in program.stdout]
        assert first + rest == there[5:45]
        assert program.wait(10) == 0


def test_following_misses_and_doubles_nothing_between_history_and_what_comes(run: Run, topic: Any) -> None:
    there = filled(topic, 1200)  # more than two pages
    assert ids(run("cat", "-f", topic.name, "--from", "start", "-n", "1200").entries) == there
    assert ids(run("cat", "-f", topic.name, "--from", there[600], "-n", "600").entries) == there[600:]


@pytest.mark.slow
@pytest.mark.timeout(30)
def test_following_goes_on_where_it_was_when_the_server_comes_back(name: str) -> None:
    server = RedisServer("appendonly yes").start()
    try:
        with follow(server, name, "--from", "start", "-n", "2", "--format", r"%f{n}\n") as program:
            assert program.stdout is not None and program.stderr is not None
            with from_url(server.url) as client:
                client.xadd(name, {"n": 1})
                assert program.stdout.readline() == b"1\n"
                server.stop()
                assert b"the connection is lost, trying again" in program.stderr.readline()
                server.start()
                client.xadd(name, {"n": 2})
            assert program.stdout.readline() == b"2\n"
            assert program.wait(10) == 0
    finally:
        server.remove()


# -- ls and info ----------------------------------------------------------------------------------------------------------------------


def test_ls_tells_length_groups_worst_lag_and_the_newest_entry(run: Run, topic: Any) -> None:
    there = filled(topic, 5)
    left_pending(topic, 2)
    topic.group("other").create("$")
    (found,) = run("ls", topic.name).json
    assert {name: found[name] for name in ("topic", "length", "groups", "lag", "last_id")} == {
        "topic": topic.name, "length": 5, "groups": 2, "lag": 3, "last_id": there[-1],
    }  # fmt: skip
    assert 0 <= found["last_age"] < 60
    head, line = run("ls", topic.name, "-o", "table").lines
    assert head.split() == ["TOPIC", "LENGTH", "GROUPS", "LAG", "LAST", "ID", "AGE"]
    assert line.split()[:5] == [topic.name, "5", "2", "3", there[-1]]


def test_ls_lists_names_that_fit_and_side_streams_when_asked(run: Run, topic: Any) -> None:
    filled(topic, 1)
    left_pending(topic, 1)
    topic.group("g").bury(topic.info().first_id)
    dead = side_key(topic.name, "dead", "g")
    assert run("ls", "-n", f"{topic.name}*").lines == [topic.name]
    assert run("ls", "-n", "-a", f"{topic.name}*").lines == [topic.name, dead]
    assert run("ls", "-n", "nothing*").out == ""
    assert run("ls", "nothing*").json == []


def test_ls_sorts_by_lag(run: Run, topic: Any, real_server: RedisServer) -> None:
    with real_server.client() as client:
        for each, count in (("a", 1), ("b", 3), ("c", 2)):
            client.xgroup_create(f"{topic.name}:{each}", "g", "$", mkstream=True)
            for _ in range(count):
                client.xadd(f"{topic.name}:{each}", {"x": 1})
    assert [line[-1] for line in run("ls", "-n", "--lag", f"{topic.name}:*").lines] == ["b", "c", "a"]


def test_info_tells_about_the_stream_its_groups_and_consumers(run: Run, topic: Any) -> None:
    there = filled(topic, 5)
    topic.trim(maxlen=4, exact=True)
    left_pending(topic, 2)
    found = run("info", topic.name).json
    assert (found["length"], found["first_id"], found["entries_added"], found["removed"]) == (4, there[1], 5, 1)
    assert found["memory"] and found["memory_per_entry"] == found["memory"] // 4
    assert [(each["name"], each["lag"], each["pending"]) for each in found["groups"]] == [("g", 2, 2)]
    table = run("info", topic.name, "-o", "table").out
    assert f"stream          {topic.name}\n" in table
    assert "worker-1" in table and "DIAGNOSIS" in table


# -- report ---------------------------------------------------------------------------------------------------------------------------


def test_report_tells_each_group_with_rates_and_trend(run: Run, topic: Any) -> None:
    filled(topic, 5)
    left_pending(topic, 2, idle=100)
    (row,) = run("report", topic.name).json
    assert (row["topic"], row["group"], row["consumers"], row["lag"], row["pending"]) == (topic.name, "g", 1, 3, 2)
    assert (row["state"], row["rate_in"], row["rate_out"], row["trend"]) == ("stuck", 0.0, 0.0, "steady")
    assert row["oldest_idle"] >= 100
    found = run("report", topic.name, "-o", "table")
    assert found.lines[0].split()[:3] == ["TOPIC", "GROUP", "STATE"]
    assert "= steady" in found.lines[1]
    assert f"{topic.name} g: received but not acknowledged" in found.err


def test_report_tells_of_topics_without_groups_and_of_patterns(run: Run, topic: Any) -> None:
    filled(topic, 1)
    (row,) = run("report", f"{topic.name}*", "--fail-lag", "0").json
    assert (row["group"], row["diagnosis"]) == (None, "no group reads it")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--fail-lag", "3"), 0, ""),
        (("--fail-lag", "2"), 2, "lag 3, at most 2 allowed"),
        (("--fail-pending", "2"), 0, ""),
        (("--fail-pending", "1"), 2, "2 pending, at most 1 allowed"),
        (("--fail-idle", "5m"), 0, ""),
        (("--fail-idle", "90s"), 2, "pending and idle for 1.7m, at most 1.5m allowed"),
        (("--fail-lag", "0", "--fail-pending", "0"), 2, "lag 3, at most 0 allowed"),
        (("-i", "10ms", "--fail-lag", "0"), 2, "lag 3"),
    ],
)
def test_report_fails_on_limits(words: tuple[str, ...], code: int, says: str, run: Run, topic: Any) -> None:
    filled(topic, 5)
    left_pending(topic, 2, idle=100)
    found = run("report", topic.name, *words)
    assert found.code == code
    assert says in found.err


def test_what_was_given_back_just_now_is_not_idle(run: Run, topic: Any) -> None:
    filled(topic, 1)
    group = topic.group("billing")
    with group.member() as member:
        member.read()[0].nack()
    assert group.info().waiting == 1
    assert run("report", topic.name, "--fail-idle", "10s").code == 0


def test_a_report_that_goes_on_waits_for_a_server_that_is_away(run: Run, topic: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(topic, 1)
    look, answers = vars(Observer)["look"], iter([True, False, False, True])
    monkeypatch.setattr(Observer, "look", lambda self: look.__get__(self)() if next(answers) else away())
    found = run("report", topic.name, "-i", "1ms", "-n", "4")
    assert (found.code, len(found.entries)) == (0, 2)
    assert found.err.count("waiting for the server: ") == 1


def away() -> None:
    raise ConnectionError("the server is away")


def test_a_lag_that_the_server_does_not_tell_is_counted(run: Run, topic: Any) -> None:
    there = filled(topic, 6)
    left_pending(topic, 2)
    topic.delete(there[3])
    assert topic.groups()[0].lag is None
    assert run("report", topic.name, "--fail-lag", "3").code == 0
    found = run("report", topic.name, "--fail-lag", "2")
    assert (found.code, found.err.splitlines()[-1]) == (2, f"streamio: {topic.name} g: lag over 2, at most 2 allowed")


def test_a_trend_says_whether_the_work_that_is_left_grows(real_server: RedisServer, topic: Any) -> None:
    topic.group("g", start="0").create()
    trends = Trends()
    with Observer(real_server.url, topics=[topic.name]) as observer:
        told = [trends.of(observer.look().topics[0].groups[0])]
        filled(topic, 3)
        told.append(trends.of(observer.look().topics[0].groups[0]))
        left_pending(topic, 3)
        told.append(trends.of(observer.look().topics[0].groups[0]))
        topic.group("g").seek("$")
        topic.group("g").ack(*(each.id for each in topic.group("g").pending()))
        told.append(trends.of(observer.look().topics[0].groups[0]))
        trends.known[(topic.name, "g")].popleft()  # (nothing was left to do then, and looks so long ago are forgotten)
        told.append(trends.of(observer.look().topics[0].groups[0]))
    assert told == [None, "growing", "growing", "steady", "shrinking"]


def test_report_goes_on_line_by_line(run: Run, topic: Any) -> None:
    filled(topic, 1)
    topic.group("g").create("0")
    rows = run("report", topic.name, "-i", "10ms", "-n", "3").entries
    assert [each["trend"] for each in rows] == [None, "steady", "steady"]
    assert rows[0]["at"] < rows[1]["at"] < rows[2]["at"]
    assert len(run("report", topic.name, "-i", "10ms", "-n", "2", "-o", "table").out.split("TOPIC")) == 3
    assert run("report", topic.name, "-n", "2").code == 64


# -- pending --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), [0, 1, 2, 3]),
        (("-c", "worker-2"), [2, 3]),
        (("--idle", "1m"), [0, 1]),
        (("-n", "1"), [0]),
        (("--deliveries", "3"), [0, 1]),
        (("--deliveries", "3+", "-n", "3"), [0, 1, 2]),
        (("--deliveries", "4+", "-n", "1"), [2]),
        (("--deliveries", "1-2"), []),
    ],
)
def test_pending_lists_what_is_asked_for(words: tuple[str, ...], expected: list[int], run: Run, topic: Any) -> None:
    there = filled(topic, 4)
    left_pending(topic, 2, idle=100)
    left_pending(topic, 2, consumer="worker-2", times=5)
    assert ids(run("pending", topic.name, "g", *words).json) == [there[place] for place in expected]


def test_pending_tells_whose_an_entry_is_how_old_and_of_which_type(run: Run, topic: Any) -> None:
    there = filled(topic, 2)
    left_pending(topic, 2, idle=100)
    topic.delete(there[1])
    first, second = run("pending", topic.name, "g").json
    assert (first["consumer"], first["deliveries"], first["type"], second["type"]) == ("worker-1", 3, "order.placed", None)
    assert 100 <= first["idle"] < 160
    topic.group("g").nack(there[0])
    assert "(waiting)" in run("pending", topic.name, "g", "-o", "table").lines[1]


def test_pending_of_a_group_that_is_not_there_is_an_error(run: Run, topic: Any) -> None:
    filled(topic, 1)
    found = run("pending", topic.name, "nobody")
    assert (found.code, found.err) == (1, f"streamio: topic '{topic.name}' has no consumer group 'nobody'\n")
    assert run("pending", topic.name, "g", "--deliveries", "3+-5").code == 64


# -- top ------------------------------------------------------------------------------------------------------------------------------


def test_top_needs_a_terminal(run: Run) -> None:
    found = run("top")
    assert (found.code, "streamio report -i 1s" in found.err) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize(("leave", "code"), [("q", 0), ("\x03", 130), (signal.SIGTERM, 143)], ids=["q", "ctrl-c", "sigterm"])
def test_top_shows_groups_live_and_leaves_the_terminal_as_it_was(leave: str | int, code: int, real_server: RedisServer, topic: Any) -> None:
    filled(topic, 5)
    topic.group("billing").create("0")
    with on_terminal("top", topic.name, "-i", "100ms", REDIS_URL=real_server.url, columns=120) as terminal:
        before = terminal.settings()
        terminal.wait("billing")
        terminal.wait("= steady")
        assert not terminal.settings()[3] & termios.ICANON
        terminal.press(leave) if isinstance(leave, str) else terminal.process.send_signal(leave)
        assert terminal.end() == code
        assert terminal.settings() == before
    assert terminal.shown.index("\x1b[?1049h") < terminal.shown.index("\x1b[?1049l")
    assert "\x1b[?25h" in terminal.shown[terminal.shown.index("= steady") :]
    assert "Traceback" not in terminal.shown


@pytest.mark.slow
def test_report_is_drawn_in_place_on_a_terminal_and_leaves_out_what_does_not_fit(real_server: RedisServer, topic: Any) -> None:
    filled(topic, 5)
    topic.group("billing").create("0")
    with on_terminal("report", topic.name, "-i", "50ms", "-n", "3", REDIS_URL=real_server.url, columns=60) as terminal:
        assert terminal.end() == 0
    assert "TOPIC" in terminal.text and "CONSUMERS" not in terminal.text
    assert "\x1b[1A" in terminal.shown


# -- doctor ---------------------------------------------------------------------------------------------------------------------------


def results(found: list[dict[str, str]]) -> dict[str, str]:
    """By check, what came of it."""
    return {each["check"]: each["result"] for each in found}


def test_doctor_finds_nothing_amiss_with_a_healthy_stream(run: Run, topic: Any) -> None:
    filled(topic, 1)
    group = topic.group("g", start="0")
    group.create()
    with group.member("worker") as member:
        for message in member.read(1, timeout=5):
            message.ack()
        found = run("doctor", topic.name)
    assert found.code == 0
    assert {name: result for name, result in results(found.json).items() if result != "ok"} == {"persistence": "warn"}
    assert "all is well" in found.err


def test_doctor_says_what_is_wrong_with_groups_and_what_to_do(run: Run, topic: Any) -> None:
    there = filled(topic, 5)
    left_pending(topic, 2, idle=100)
    topic.group("g").bury(there[0])
    topic.group("gone").create("0")
    found = run("doctor", topic.name, "no-such-stream")
    says = {(each["check"], each["result"]): each for each in found.json}
    assert (f"{topic.name} g", "fail") in says and ("no-such-stream", "fail") in says
    assert says[(f"{topic.name} gone", "fail")]["advice"].endswith(f"streamio group rm {topic.name} gone")
    assert any(f"streamio dead ls {topic.name} g" in each["advice"] for each in found.json)
    assert found.code == 2
    assert "failed" in found.err


def test_doctor_finds_streams_without_groups_and_dead_letters_without_a_group(run: Run, topic: Any) -> None:
    (entry,) = filled(topic, 1)
    left_pending(topic, 1)
    topic.group("g").bury(entry)
    topic.group("g").destroy(force=True)
    found = results(run("doctor", topic.name).json)
    assert found[topic.name] == "warn"
    assert found[side_key(topic.name, "dead", "g")] == "warn"


@pytest.fixture(scope="module")
def bad_server() -> Any:
    """A server with settings that are bad for streams, and a user who may only look."""
    server = RedisServer(
        "maxmemory 100mb", "maxmemory-policy allkeys-lru", "timeout 10", "user looker on >secret ~* +@read +info +acl|whoami +multi +discard"
    )
    yield server.start()
    server.remove()


def test_doctor_finds_settings_that_lose_entries(bad_server: RedisServer) -> None:
    found = inside("-u", bad_server.url, "doctor")
    assert found.code == 2
    assert {"eviction": "fail", "timeouts": "warn", "persistence": "warn", "rights": "ok"}.items() <= results(found.json).items()


def test_doctor_finds_rights_that_are_missing_and_shows_no_password(bad_server: RedisServer) -> None:
    found = inside("-u", bad_server.url.replace("://", "://looker:secret@"), "doctor", "-v")
    rights = next(each for each in found.json if each["check"] == "rights")
    assert (found.code, rights["result"]) == (2, "fail")
    assert "may not publish" in rights["says"] and "read (" in rights["says"]
    assert "not asked for: CONFIG GET" in found.err
    assert "secret" not in found.out + found.err


def test_doctor_changes_nothing(real_server: RedisServer, run: Run, topic: Any) -> None:
    filled(topic, 3)
    left_pending(topic, 2)
    with real_server.client() as client:
        before = client.dump(topic.name), sorted(client.scan_iter(f"{topic.name}*"))
        run("doctor", topic.name)
        assert (client.dump(topic.name), sorted(client.scan_iter(f"{topic.name}*"))) == before
        assert not client.exists("streamio:doctor")


# -- figures --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (age, None, "-"), (age, 0.25, "250ms"), (age, 4.23, "4.2s"), (age, 59.9, "60s"), (age, 300, "5m"), (age, 7200, "2h"),
        (age, 86400 * 12, "12d"),
        (memory, 999, "999 B"), (memory, 1536, "1.5 kB"), (memory, 250_000_000, "250 MB"), (memory, 5e12, "5000 GB"), (memory, None, "-"),
        (rate, 0.0, "0/s"), (rate, 1.25, "1.2/s"), (rate, 1234.5, "1234/s"), (rate, None, "-"),
        (number, 1234567, "1 234 567"), (number, None, "-"),
    ],
)  # fmt: skip
def test_figures_are_shown_as_people_read_them(show: Callable[[Any], str], value: Any, text: str) -> None:
    assert show(value) == text


def test_a_figure_for_programs_is_a_number(run: Run, topic: Any) -> None:
    filled(topic, 1)
    time_of_entry = json.loads(run("ls", topic.name, "-o", "jsonl").out)["last_age"]
    assert time_of_entry == pytest.approx(time.time() - int(topic.info().last_id.split("-")[0]) / 1000, abs=5)
