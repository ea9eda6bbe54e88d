"""The commands that change something: what they do to the stream, what they print, and what they ask before."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import time
from typing import Any

import pytest

from streamio import Topic, from_url
from streamio.cli.exact import Pace, Row

from ..servers import RedisServer
from .terminal import PROGRAM, on_terminal, process
from .waiting import until

PIECES = [b"", b"type", b"a", b"\xff\x00", b"\n", b'{"$b64": "AA=="}', "☃".encode(), b"\xed\xa0\x80", b"header:x", b"$b64", b"x" * 2000]


@pytest.fixture
def raw(real_server: Any) -> Any:
    """A foreign client: plain redis-py, bytes."""
    client = real_server.client()
    yield client
    client.close()


def flat(raw: Any, name: str) -> list[Any]:
    """The stream as the server has it, repeated names too."""
    return [tuple(entry[1]) for entry in raw.execute_command("EVAL", "return redis.call('XRANGE', KEYS[1], '-', '+')", 1, name)]


def filled(raw: Any, name: str, count: int = 5) -> list[str]:
    """The ids of entries that were added."""
    return [raw.xadd(name, {"type": "order", "n": str(n)}).decode() for n in range(count)]


def taken(raw: Any, name: str, consumer: str = "c", count: int = 5, idle: int = 0) -> list[str]:
    """The ids of entries that a consumer of group g has pending, for so many milliseconds."""
    if not any(each["name"] == b"g" for each in raw.xinfo_groups(name)):
        raw.xgroup_create(name, "g", "0")
    found = raw.xreadgroup("g", consumer, {name: ">"}, count=count)
    ids = [entry[0].decode() for entry in found[0][1]]
    if idle:
        raw.xclaim(name, "g", consumer, 0, ids, idle=idle, justid=True)
    return ids


def owners(raw: Any, name: str) -> dict[str, str]:
    """Who has what pending in group g."""
    return {row["message_id"].decode(): row["consumer"].decode() for row in raw.xpending_range(name, "g", "-", "+", 1000)}


# -- add --------------------------------------------------------------------------------------------------------------------------------


def test_an_entry_is_added_exactly_as_it_is_written(run: Any, raw: Any, name: str) -> None:
    done = run("add", name, "a=1", "b=x=y", "a=2", os.fsdecode(b"c=\xff"), "-t", "order", "-H", "by=ada", "-H", "reply_to=r")
    assert done.code == 0
    words = b"header:reply_to r type order header:by ada a 1 b x=y a 2 c \xff".split(b" ")
    assert flat(raw, name) == [tuple(words)]
    assert done.lines == [raw.xrange(name)[0][0].decode()]


def test_lines_of_stdin_become_entries(run: Any, raw: Any, name: str) -> None:
    done = run("add", name, "--lines", "text", "-t", "log", input=b"one\n\n\xff\r\nlast")
    assert flat(raw, name) == [(b"type", b"log", b"text", value) for value in (b"one", b"", b"\xff\r", b"last")]
    assert len(done.lines) == 4
    assert "4 entries added" in done.err


def test_a_bad_line_is_named_and_what_went_before_is_written_and_told(run: Any, raw: Any, name: str) -> None:
    done = run("add", name, "--jsonl", input='{"fields": {"a": 1}}\n\n{"fields": {"a": 2}}\n{"field": {}}\n{"fields": {"a": 3}}\n')
    assert (done.code, raw.xlen(name), len(done.lines)) == (1, 2, 2)
    assert "line 4: 'field' is no part" in done.err
    assert "2 entries added before it" in done.err


def test_an_id_that_the_server_refuses_is_named_by_its_line(run: Any, raw: Any, name: str) -> None:
    lines = [json.dumps({"id": entry_id, "fields": {"a": "1"}}) for entry_id in ("5-1", "6-1", "5-2", "7-1")]
    done = run("add", name, "--jsonl", "--keep-ids", input="\n".join(lines))
    assert done.code == 1
    assert "line 3: its id 5-2 is not greater than" in done.err and "2 entries added" in done.err
    assert "line 1" in run("add", name, "--jsonl", "--keep-ids", input="\n".join([lines[0], lines[3]])).err
    assert [entry_id for entry_id, _ in raw.xrange(name)] == [b"5-1", b"6-1"]


def test_the_type_and_headers_given_are_for_lines_that_have_none(run: Any, raw: Any, name: str) -> None:
    run("add", name, "--jsonl", "-t", "b", "-H", "h=1", input='{"fields": {"a": "1"}}\n{"type": "c", "headers": {"h": "2"}, "fields": {"a": "1"}}\n')
    assert flat(raw, name) == [(b"type", b"b", b"header:h", b"1", b"a", b"1"), (b"type", b"c", b"header:h", b"2", b"a", b"1")]


def test_adding_keeps_as_much_as_is_said(run: Any, raw: Any, name: str) -> None:
    run("add", name, "a=1", "--count", "500", "-q")
    assert run("add", name, "a=1", "--maxlen", "100", "-q").out == ""
    assert raw.xlen(name) < 250
    assert run("add", name, "a=1", "--minid", "end").code == 0
    assert raw.xlen(name) < 110
    assert run("add", name, "a=1", "--id", "1-1").code == 1


def test_a_rate_paces_what_is_added(run: Any, name: str) -> None:
    assert len(run("add", name, "a=1", "--count", "6", "--rate", "50/s").lines) == 6
    began = time.monotonic()
    assert [len(part) for part in Pace(20).parts([Row("*", ())] * 4)] == [2, 2]
    assert time.monotonic() - began >= 0.09
    assert [len(part) for part in Pace(1000).parts([Row("*", ())] * 250)] == [100, 100, 50]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Nothing to add"),
        (["a"], "NAME=VALUE, not 'a'"),
        (["=a"], "NAME=VALUE, not '=a'"),
        (["a=1", "--jsonl"], "cannot be used together"),
        (["a=1", "--keep-ids"], "--keep-ids goes with --jsonl"),
        (["--jsonl", "--count", "3"], "--count and --id go with"),
        (["--lines", ""], "name of a field"),
        (["a=1", "--rate", "fast"], "is no rate"),
        (["a=1", "--maxlen", "3", "--minid", "start"], "cannot be used together"),
        (["-t", "x", "type=y"], "\"type\" is 'x'"),
    ],
)
def test_wrong_use_of_add_is_told_and_nothing_is_added(run: Any, raw: Any, name: str, words: list[str], says: str) -> None:
    done = run("add", name, *words)
    assert done.code in (1, 64) and says in done.err
    assert not raw.exists(name)


@pytest.mark.slow
def test_a_stream_comes_through_a_pipe_exactly(real_server: Any, raw: Any, name: str) -> None:
    chance, copy = random.Random(6), f"{name}-copy"
    for number in range(1, 600):
        words = [chance.choice(PIECES) for _ in range(2 * chance.randint(1, 5))]
        raw.execute_command("XADD", name, f"{number // 3 + 1}-{number}", *words)
    program = f"{shlex.join(PROGRAM)} -u {real_server.url}"
    pipe = f"{program} cat -J {name} | {program} add {copy} --jsonl --keep-ids -q"
    assert subprocess.run(pipe, shell=True, timeout=30).returncode == 0
    script = "return redis.call('XRANGE', KEYS[1], '-', '+')"
    assert raw.execute_command("EVAL", script, 1, name) == raw.execute_command("EVAL", script, 1, copy)


# -- read -------------------------------------------------------------------------------------------------------------------------------


def test_what_is_read_is_printed_and_acknowledged(run: Any, raw: Any, name: str) -> None:
    ids = filled(raw, name)
    done = run("read", name, "-g", "g", "-n", "2", "-c", "me", "-J")
    assert [entry["id"] for entry in done.entries] == ids[:2]
    assert done.entries[0] | {"ts": ""} == {
        "topic": name, "id": ids[0], "ts": "", "type": "order", "fields": {"type": "order", "n": "0"}, "headers": {}, "deliveries": 1, "group": "g",
        "consumer": "me",
    }  # fmt: skip
    assert [entry["id"] for entry in run("read", name, "-g", "g", "--burst").entries] == ids[2:]
    assert owners(raw, name) == {}


def test_what_is_read_without_acknowledging_comes_again(run: Any, raw: Any, name: str) -> None:
    ids = filled(raw, name, 3)
    assert len(run("read", name, "-g", "g", "--burst", "--no-ack").lines) == 3
    assert owners(raw, name) == dict.fromkeys(ids, "~waiting")
    assert [entry["deliveries"] for entry in run("read", name, "-g", "g", "--burst").entries] == [2, 2, 2]


def test_a_new_group_begins_where_it_is_told(run: Any, raw: Any, name: str) -> None:
    ids = filled(raw, name)
    assert [entry["id"] for entry in run("read", name, "-g", "g", "--from", "-2", "--burst").entries] == ids[-2:]
    again = run("read", name, "-g", "g", "--from", "start", "--burst")
    assert again.out == "" and "is there already" in again.err


def test_a_command_that_succeeds_acknowledges_and_one_that_fails_does_not(run: Any, raw: Any, name: str, tmp_path: Any) -> None:
    ids = filled(raw, name, 3)
    script = f"cat >> {tmp_path}/seen; test $STREAMIO_ID != {ids[1]}"
    done = run("read", name, "-g", "g", "--burst", "--exec", script)
    assert done.code == 1 and "1 of 3 entries failed" in done.err and "tried again in" in done.err
    assert [json.loads(line)["id"] for line in (tmp_path / "seen").read_text().splitlines()] == ids
    assert owners(raw, name) == {ids[1]: "~waiting"}


def test_a_command_that_is_not_there_ends_the_reading_and_costs_no_entry_a_try(run: Any, raw: Any, name: str) -> None:
    ids = filled(raw, name, 3)
    done = run("read", name, "-g", "g", "--exec", "no-such-command 2> /dev/null")
    assert done.code == 1 and "the shell cannot run 'no-such-command" in done.err
    assert [(row["message_id"].decode(), row["times_delivered"]) for row in raw.xpending_range(name, "g", "-", "+", 9)] == [(ids[0], 0)]


@pytest.mark.slow
def test_a_second_signal_ends_a_reader_whose_command_hangs(real_server: Any, raw: Any, name: str) -> None:
    ids = filled(raw, name, 2)
    words = ["-u", real_server.url, "read", name, "-g", "g", "-c", "me", "--exec", "echo begun; exec sleep 60"]
    with subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)  # (two at once would be one)
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=15)[1].decode()
    assert process.returncode == 1 and err == "streamio: abandoned: what was in hand stays pending until its lease ends\n"
    assert owners(raw, name) == {ids[0]: "me"}


def test_what_others_left_is_taken_over_after_the_time_given(run: Any, raw: Any, name: str) -> None:
    filled(raw, name)
    ids = taken(raw, name, "gone", idle=5000)
    assert run("read", name, "-g", "g", "--burst").out == ""
    assert [entry["id"] for entry in run("read", name, "-g", "g", "--burst", "--claim", "4s").entries] == ids


@pytest.mark.slow
def test_a_reader_whose_output_nobody_reads_ends_and_gives_back(real_server: Any, raw: Any, name: str) -> None:
    for _ in range(600):
        raw.xadd(name, {"a": "x" * 1000})
    program = f"{shlex.join(PROGRAM)} -u {real_server.url} read {name} -g g -J"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {program} | head -1 | wc -l"], capture_output=True, timeout=20)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"1", b"")
    assert set(owners(raw, name).values()) <= {"~waiting"}
    assert len(process("-u", real_server.url, "read", name, "-g", "g", "--burst", "-o", "raw").raw.splitlines()) > 300


@pytest.mark.slow
def test_a_reader_that_waits_ends_by_a_signal(real_server: Any, raw: Any, name: str) -> None:
    filled(raw, name, 1)
    with subprocess.Popen([*PROGRAM, "-u", real_server.url, "read", name, "-g", "g", "-J"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
        assert reader.stdout is not None and reader.stderr is not None
        assert json.loads(reader.stdout.readline())["group"] == "g"
        reader.send_signal(signal.SIGTERM)
        assert (reader.wait(10), reader.stderr.read()) == (0, b"")
    assert raw.xinfo_consumers(name, "g") == [] and owners(raw, name) == {}


# -- pending entries ----------------------------------------------------------------------------------------------------------------------


def test_claiming_moves_what_nobody_takes_care_of(run: Any, raw: Any, name: str) -> None:
    filled(raw, name)
    ids = taken(raw, name, "gone", 3, idle=60_000)
    fresh = taken(raw, name, "alive", 2)
    assert run("claim", name, "g", "me", "--dry-run").json == {"claimed": ids, "deleted": []}
    assert set(owners(raw, name).values()) == {"gone", "alive"}
    raw.xdel(name, ids[2])
    done = run("claim", name, "g", "me", "--idle", "30s")
    assert done.json == {"claimed": ids[:2], "deleted": ids[2:]}
    assert "dead letters now" in done.err
    assert run("claim", name, "g", "me", fresh[0], "-o", "raw").lines == fresh[:1]
    assert owners(raw, name) == {ids[0]: "me", ids[1]: "me", fresh[0]: "me", fresh[1]: "alive"}
    assert "no consumer group 'nope'" in run("claim", name, "nope", "me").err


def test_what_is_free_is_claimed_as_the_dry_run_says(run: Any, raw: Any, name: str) -> None:
    filled(raw, name)
    ids = taken(raw, name)
    assert run("nack", name, "g", *ids[:2]).code == run("nack", name, "g", ids[2], "--delay", "20s").code == 0
    foreseen = run("claim", name, "g", "me", "--idle", "10s", "--dry-run").json
    assert foreseen == {"claimed": ids[:2], "deleted": []} == run("claim", name, "g", "me", "--idle", "10s").json


def test_pending_entries_are_settled_by_id(run: Any, raw: Any, name: str) -> None:
    filled(raw, name)
    ids = taken(raw, name)
    assert run("ack", name, "g", ids[0], "1-1").json == {"acknowledged": 1, "not_pending": 1}
    assert run("nack", name, "g", ids[1]).json == {"given_back": 1, "not_pending": 0}
    assert run("dead-entry", name, "g", ids[2], "--reason", "broken").json == {"buried": 1, "not_pending": 0}
    assert owners(raw, name) == {ids[1]: "~waiting", ids[3]: "c", ids[4]: "c"}
    assert [letter["reason"] for letter in run("dead", "ls", name, "g").json] == ["broken"]
    assert run("ack", name, "g", "-", input=f"{ids[3]} c\n{ids[4]}\n").json == {"acknowledged": 2, "not_pending": 0}
    assert run("ack", name, "g", "--all-idle", "20s", "--yes").json["acknowledged"] == 0  # (what waits looks idle on the server)
    assert run("nack", name, "g", ids[1], "--delay", "5s").code == 0  # the same where it is to wait
    assert run("ack", name, "g", "--all-idle", "20s", "--yes").json["acknowledged"] == 0
    assert run("ack", name, "g", ids[0]).code == 1
    assert run("ack", name, "g", "x").code == run("ack", name, "g").code == run("ack", name, "g", "1-1", "--all-idle", "1h").code == 64
    assert run("ack", name, "nope", "1-1").code == 1


@pytest.mark.parametrize("verb", ["ack", "nack", "bury"])
def test_settling_all_that_is_idle_needs_consent(run: Any, raw: Any, name: str, verb: str) -> None:
    filled(raw, name)
    old = taken(raw, name, "gone", 3, idle=3_700_000)
    taken(raw, name, "alive", 2)
    refused = run(verb, name, "g", "--all-idle", "1h")
    assert refused.code == 1 and "3 pending entries of group 'g'" in refused.err and "--yes" in refused.err
    assert len(owners(raw, name)) == 5
    assert sorted(run(verb, name, "g", "--all-idle", "2h", "--yes").json.values()) == [0, 0]
    assert 3 in run(verb, name, "g", "--all-idle", "1h", "--yes").json.values()
    assert {entry: owner for entry, owner in owners(raw, name).items() if entry in old and owner != "~waiting"} == {}


# -- groups and consumers -----------------------------------------------------------------------------------------------------------------


def test_a_group_is_made_once_where_it_is_told(run: Any, raw: Any, name: str) -> None:
    ids = filled(raw, name)
    assert run("group", "create", name, "g", "--from", ids[2]).code == 0
    assert taken(raw, name) == ids[2:]
    again = run("group", "create", name, "g")
    assert again.code == 1 and "is there already" in again.err
    assert run("group", "create", name, "g", "--if-missing").code == 0


def test_a_group_is_removed_after_consent_and_not_while_it_is_active(run: Any, raw: Any, name: str, real_server: Any) -> None:
    filled(raw, name)
    taken(raw, name)
    active = run("group", "rm", name, "g", "--yes")
    assert active.code == 1 and "1 consumer is active ('c')" in active.err
    asked = run("group", "rm", name, "g", "--force")
    assert asked.code == 1 and "with 5 pending entries?" in asked.err
    assert run("group", "rm", name, "g", "--force", "--yes").code == 0
    assert raw.xinfo_groups(name) == []
    assert run("group", "rm", name, "g", "--yes").code == 1


def test_a_group_is_moved_after_it_is_said_what_that_does(run: Any, raw: Any, name: str) -> None:
    ids = filled(raw, name)
    raw.xgroup_create(name, "g", "0")
    facts = run("group", "seek", name, "g", "--to", ids[3], "--dry-run").json
    assert facts == {"current": "0-0", "target": facts["target"], "entries": 3, "forward": True, "moved": False}
    refused = run("group", "seek", name, "g", "--to", ids[3])
    assert refused.code == 1 and "3 entries left out?" in refused.err
    assert run("group", "seek", name, "g", "--to", ids[3], "--yes").json["moved"] is True
    assert taken(raw, name) == ids[3:]
    active = run("group", "seek", name, "g", "--to", "start", "--yes")
    assert active.code == 1 and "active" in active.err
    back = run("group", "seek", name, "g", "--to", "start", "--yes", "--force")
    assert back.json["entries"] == 5 and "5 entries delivered again" in back.err
    assert taken(raw, name) == ids


def test_a_consumer_goes_when_nothing_of_its_is_lost(run: Any, raw: Any, name: str) -> None:
    filled(raw, name)
    ids = taken(raw, name, "gone", 5)
    raw.xgroup_createconsumer(name, "g", "peer")
    alive = run("consumer", "rm", name, "g", "gone")
    assert alive.code == 1 and "seems to be alive" in alive.err
    refused = run("consumer", "rm", name, "g", "gone", "--force")
    assert refused.code == 1 and "5 entries pending" in refused.err and "--to PEER" in refused.err
    typo = run("consumer", "rm", name, "g", "gone", "--to", "pear")
    assert typo.code == 1 and "no consumer 'pear'" in typo.err
    done = run("consumer", "rm", name, "g", "gone", "--to", "peer", "--force")
    assert done.code == 0 and "5 entries handed over to peer" in done.err
    assert owners(raw, name) == dict.fromkeys(ids, "peer")
    assert run("consumer", "rm", name, "g", "peer", "--to-any", "--force").code == 0
    assert owners(raw, name) == dict.fromkeys(ids, "~waiting")
    assert run("consumer", "rm", name, "g", "peer").code == 1


# -- trimming -------------------------------------------------------------------------------------------------------------------------------


def test_trimming_says_what_is_lost_and_asks(run: Any, raw: Any, name: str) -> None:
    ids = filled(raw, name, 10)
    taken(raw, name, "c", 4)
    seen = run("trim", name, "--maxlen", "3", "--exact", "--dry-run")
    assert seen.json == {"entries": 7, "pending": {"g": 4}, "undelivered": {"g": 3}, "oldest_kept": ids[7], "removed": 0}
    refused = run("trim", name, "--maxlen", "3", "--exact")
    assert refused.code == 1 and "Remove 7 entries" in refused.err and "7 of which group 'g' has not acknowledged" in refused.err
    assert raw.xlen(name) == 10
    assert run("trim", name, "--minid", ids[2], "--exact", "--yes").json["removed"] == 2
    assert run("trim", name, "--older", "1h", "--exact", "--yes").json["removed"] == 0
    assert run("trim", name, "--maxlen", "3", "--exact", "--yes").json["removed"] == 5


def test_trimming_what_is_acknowledged_keeps_the_rest(run: Any, raw: Any, name: str) -> None:
    ids = filled(raw, name, 10)
    raw.xack(name, "g", *taken(raw, name, "c", 4))
    done = run("trim", name, "--acked", "--exact", "--yes")
    assert done.json["removed"] == 4 and done.json["held_by"]["group"] == "g"
    assert raw.xrange(name)[0][0].decode() == ids[4]
    assert run("trim", name).code == run("trim", name, "--maxlen", "1", "--older", "1h").code == 64


# -- dead letters -----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def buried(run: Any, raw: Any, name: str) -> list[str]:
    """The ids of four entries that group g has put aside."""
    filled(raw, name, 4)
    ids = taken(raw, name)
    run("bury", name, "g", *ids, "--reason", "no bank")
    return ids


def test_dead_letters_are_listed_and_shown(run: Any, name: str, buried: list[str]) -> None:
    rows = run("dlq", "ls", name, "g", "-n", "3").json
    assert [(each["id"], each["reason"], each["type"]) for each in rows] == [(entry, "no bank", "order") for entry in buried[:3]]
    shown = run("dead", "show", name, "g", rows[1]["letter"]).entries
    assert [(each["id"], each["fields"], each["letter"]) for each in shown] == [(buried[1], {"type": "order", "n": "1"}, rows[1]["letter"])]
    assert "n = 2" in run("dead", "show", name, "g", rows[2]["letter"], "-o", "table").out
    assert run("dead", "show", name, "g", "1-1").code == 1
    assert run("dead", "ls", name, "nope").code == 1


def test_dead_letters_shown_as_json_can_be_added_again(run: Any, raw: Any, name: str, buried: list[str]) -> None:
    lines = run("dead", "show", name, "g").raw
    assert run("add", f"{name}-again", "--jsonl", input=lines).code == 0
    assert flat(raw, f"{name}-again") == flat(raw, name)


def test_dead_letters_go_back_or_are_copied_elsewhere(run: Any, raw: Any, name: str, buried: list[str]) -> None:
    letters = [each["letter"] for each in run("dead", "ls", name, "g").json]
    assert run("dead", "redrive", name, "g", letters[0]).json["redriven"] == letters[:1]
    assert run("dead", "replay", name, "g", "--all", "--to", f"{name}-else").json == {"copied": 3, "empty": 0}
    assert flat(raw, f"{name}-else") == flat(raw, name)[1:]
    assert len(run("dlq", "replay", name, "g", "--all").json["redriven"]) == 3
    assert len(run("read", name, "-g", "g", "--burst").lines) == 4
    assert run("dead", "redrive", name, "g", letters[0]).code == 1
    assert run("dead", "redrive", name, "g").code == 64


def test_dead_letters_are_dropped_after_consent(run: Any, name: str, buried: list[str]) -> None:
    letters = [each["letter"] for each in run("dead", "ls", name, "g").json]
    refused = run("dead", "drop", name, "g", letters[0])
    assert refused.code == 1 and "Remove 1 dead letter of group 'g'" in refused.err
    assert run("dead", "drop", name, "g", letters[0], "--yes").json == {"removed": 1}
    assert run("dead", "drop", name, "g", "--older", "1h", "--yes").json == {"removed": 0}
    assert run("dead", "drop", name, "g", "--all", "--yes").json == {"removed": 3}
    assert run("dead", "drop", name, "g", letters[0], "--yes").code == 1
    assert run("dead", "drop", name, "g").code == 64


# -- copying ----------------------------------------------------------------------------------------------------------------------------------


def test_a_copy_is_exact_and_goes_on_where_it_stopped(run: Any, raw: Any, name: str) -> None:
    copy, chance = f"{name}-copy", random.Random(7)
    for _ in range(1200):
        raw.execute_command("XADD", name, "*", *[chance.choice(PIECES) for _ in range(2 * chance.randint(1, 4))])
    assert run("copy", name, copy, "--to", "+700").code == 0
    assert raw.xlen(copy) == 700
    rest = run("copy", name, copy)
    assert "going on behind" in rest.err and "500 entries copied" in rest.err
    script = "return redis.call('XRANGE', KEYS[1], '-', '+')"
    assert raw.execute_command("EVAL", script, 1, name) == raw.execute_command("EVAL", script, 1, copy)
    assert "0 entries copied" in run("copy", name, copy).err


def test_a_copy_never_leaves_out_what_it_cannot_add(run: Any, raw: Any, name: str) -> None:
    filled(raw, name)
    raw.xadd(f"{name}-own", {"a": "1"}, id=raw.xrange(name)[2][0])
    refused = run("copy", name, f"{name}-own")
    assert refused.code == 1 and "has entries of its own" in refused.err
    smaller = run("copy", name, f"{name}-own", "--from", "start")
    assert smaller.code == 1 and "--new-ids" in smaller.err
    done = run("copy", name, f"{name}-own", "--new-ids", "--from", "+1")
    assert raw.xlen(f"{name}-own") == 5 and "to go on: --from" in done.err
    assert run("copy", name, name).code == run("copy", name, "x", "-f", "--to", "end").code == 64


def test_a_copy_goes_to_another_server(run: Any, raw: Any, name: str, real_server: Any) -> None:
    filled(raw, name)
    assert run("copy", name, name, "--url-to", f"{real_server.url}/1").code == 0
    other = real_server.client(db=1)
    assert other.xrange(name) == raw.xrange(name)
    other.delete(name)
    other.close()


@pytest.mark.slow
def test_a_copy_follows_until_ctrl_c(real_server: Any, raw: Any, name: str) -> None:
    filled(raw, name, 2)
    with subprocess.Popen([*PROGRAM, "-u", real_server.url, "copy", name, f"{name}-copy", "-f"], stderr=subprocess.PIPE) as copying:
        until(lambda: raw.xlen(f"{name}-copy") == 2)
        filled(raw, name, 3)
        until(lambda: raw.xlen(f"{name}-copy") == 5)
        copying.send_signal(signal.SIGINT)
        assert copying.stderr is not None and copying.wait(10) == 130
        assert f"5 entries copied, up to {raw.xrevrange(name)[0][0].decode()}" in copying.stderr.read().decode()
    assert raw.xrange(name) == raw.xrange(f"{name}-copy")


@pytest.mark.slow
@pytest.mark.timeout(30)
def test_a_copy_that_follows_goes_on_when_its_server_comes_back(name: str, raw: Any, real_server: Any) -> None:
    server = RedisServer("appendonly yes").start()
    words = [*PROGRAM, "-u", server.url, "copy", name, name, "-f", "--url-to", real_server.url]
    try:
        with from_url(server.url) as client, subprocess.Popen(words, stderr=subprocess.PIPE) as copying:
            client.xadd(name, {"n": 1})
            until(lambda: raw.xlen(name) == 1)
            server.stop()
            assert copying.stderr is not None and b"the connection is lost, trying again" in copying.stderr.readline()
            server.start()
            client.xadd(name, {"n": 2})
            until(lambda: raw.xlen(name) == 2)
            copying.send_signal(signal.SIGINT)
            assert copying.wait(10) == 130
            assert client.xrange(name) == raw.xrange(name)
    finally:
        server.remove()


@pytest.mark.slow
@pytest.mark.timeout(30)
def test_adding_tells_what_was_added_when_the_server_is_gone(name: str) -> None:
    server = RedisServer("appendonly yes").start()
    words = [*PROGRAM, "-u", server.url, "add", name, "--lines", "n", "-q", "--rate", "10/s"]
    try:
        with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as adding, from_url(server.url) as client:
            assert adding.stdin is not None and adding.stderr is not None
            adding.stdin.write(b"1\n")
            adding.stdin.flush()
            until(lambda: client.xlen(name) == 1)
            server.stop()
            adding.stdin.write(b"2\n")
            adding.stdin.close()
            assert (adding.wait(20), adding.stderr.read().decode().strip().endswith("1 entry added")) == (1, True)
    finally:
        server.remove()


# -- bench ------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_measurement_tells_figures_and_leaves_nothing_behind(run: Any, raw: Any) -> None:
    done = run("bench", "-n", "300", "--batch", "100", "--consumers", "2")
    assert [(each["what"], each["entries"]) for each in done.json] == [
        ("add, one by one", 300), ("add, 100 at once", 300), ("read and acknowledge, 2 members", 600), ("from adding to the handler", 300),
    ]  # fmt: skip
    assert all(each["per_second"] > 0 for each in done.json)
    assert 0 < done.json[0]["p50_ms"] <= done.json[0]["p99_ms"]
    assert list(raw.scan_iter("*streamio:bench:*")) == []


@pytest.mark.slow
def test_a_measurement_that_is_interrupted_leaves_nothing_behind(real_server: Any, raw: Any) -> None:
    with subprocess.Popen([*PROGRAM, "-u", real_server.url, "bench", "-n", "5000000"], stderr=subprocess.DEVNULL) as measuring:
        until(lambda: list(raw.scan_iter("streamio:bench:*")))
        measuring.send_signal(signal.SIGINT)
        assert measuring.wait(10) == 130
    assert list(raw.scan_iter("*streamio:bench:*")) == []


# -- on a terminal ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_person_is_asked_and_sees_how_far_it_is(real_server: Any, raw: Any, name: str) -> None:
    with Topic(name, real_server.url) as topic:
        topic.publish_many(("order", {"n": n}) for n in range(3000))
    with on_terminal("-u", real_server.url, "trim", name, "--maxlen", "10", "--exact") as terminal:
        terminal.wait(lambda shown: "[y/N]" in shown.text and shown.rests)
        terminal.press("\x03")
        assert terminal.end() == 130
    with on_terminal("-u", real_server.url, "trim", name, "--maxlen", "10", "--exact") as terminal:
        terminal.wait("Remove 2990 entries")
        terminal.press("n\n")
        assert terminal.end() == 1 and "nothing was changed" in terminal.text
    assert raw.xlen(name) == 3000
    with on_terminal("-u", real_server.url, "copy", name, f"{name}-copy") as terminal:
        assert terminal.end() == 0
        assert f"copying {name} to {name}-copy" in terminal.text and "3000/3000" in terminal.text
