"""A member as a file: its lines are the group's entries, acknowledged line by line."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
import time
from typing import Any

import pytest

from streamio import JSONCodec, RetryPolicy

from ..world import World

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("w", ["blocking-embedded", "blocking-real"], indirect=True)]
each_mode = pytest.mark.parametrize("mode", ["r", "rb"])


def opened(w: World, *texts: Any, mode: str = "r", codec: Any = None, **options: Any) -> tuple[Any, Any]:
    """A member of a group with entries of these texts, and a file of it that ends after what is there."""
    topic = w.topic(codec=codec)
    for text in texts:
        topic.publish("line", text if codec else {"data": text})
    member = w.member(w.group(topic, retry=RetryPolicy(max_deliveries=2, backoff=(0, 0))))
    return member, member.open(mode, **{"timeout": 0, **options})


def owed(w: World, member: Any) -> int:
    """How many entries are not acknowledged, once what is settled was sent."""
    member.flush()
    return len(w.pending(member.group))


# -- what reads text ----------------------------------------------------------------------------------------------------------------------


async def test_a_loop_gives_the_lines(w: World) -> None:
    member, file = opened(w, "a", "", "ä€ b")
    with file:
        assert list(file) == ["a\n", "\n", "ä€ b\n"]
    assert owed(w, member) == 0


async def test_csv_and_copies_work(w: World) -> None:
    member, file = opened(w, 'a,"b ""c"""', "1,")
    assert list(csv.reader(file)) == [["a", 'b "c"'], ["1", ""]]
    member.group.topic.open().write("x\ny\n")
    target = io.StringIO()
    shutil.copyfileobj(file, target)
    member.group.topic.open().write("z\n")
    file.close()
    with member.open("rb", timeout=0) as raw:
        binary = io.BytesIO()
        shutil.copyfileobj(raw, binary)
    assert (target.getvalue(), binary.getvalue()) == ("x\ny\n", b"z\n")
    assert owed(w, member) == 0


async def test_what_was_written_is_read_byte_by_byte(w: World) -> None:
    topic = w.topic()
    written = b"\xff\x00\r\n\na\rb\n" + "ä\n".encode()
    with topic.open("wb") as file:
        file.write(written)
    with w.member(w.group(topic)).open("rb", timeout=0) as file:
        assert file.read() == written


async def test_a_text_wrapper_reads_the_binary_file(w: World) -> None:
    _, file = opened(w, "a", "b", mode="rb")
    assert io.TextIOWrapper(file, encoding="utf-8").readlines() == ["a\n", "b\n"]


@each_mode
async def test_the_ways_to_read(w: World, mode: str) -> None:
    _, file = opened(w, "one", "two", "three", "four", "five", "six", mode=mode)
    found = [file.readline(2), file.readline(), file.readline(0), file.read(0), file.read(2), file.read(100), file.readlines(7)]
    found += [file.readlines(), file.read(), file.readline(), file.read(1), file.readlines()]
    wanted: list[Any] = ["on", "e\n", "", "", "tw", "o\n", ["three\n", "four\n"], ["five\n", "six\n"], "", "", "", []]
    if mode == "rb":
        wanted = [[line.encode() for line in each] if isinstance(each, list) else each.encode() for each in wanted]
    assert found == wanted
    file.close()


# -- acknowledging --------------------------------------------------------------------------------------------------------------------------


@each_mode
async def test_an_entry_is_acknowledged_when_the_next_line_is_asked_for(w: World, mode: str) -> None:
    member, file = opened(w, "a", "b\nc", "d", mode=mode)
    ids = [entry_id for entry_id, _ in w.raw.xrange(member.group.topic.name)]
    for current in (ids[0], ids[1], ids[1], ids[2]):
        assert file.readline()
        member.flush()
        begun = [entry_id for entry_id, _, _ in w.pending(member.group) if entry_id <= current]  # what is read ahead is pending, too
        assert begun == [current]
    assert not file.readline()
    assert owed(w, member) == 0
    file.close()


@pytest.mark.parametrize("how", ["close", "with", "error", "drop"])
async def test_the_end_decides_about_what_was_handed_out(w: World, how: str) -> None:
    member, file = opened(w, "a", "b", "c")
    try:
        if how in ("with", "error"):
            with file:
                assert (next(file), next(file)) == ("a\n", "b\n")
                if how == "error":
                    raise LookupError
        else:
            assert (next(file), next(file)) == ("a\n", "b\n")
            if how == "close":
                file.close()
    except LookupError:
        assert file.closed
    del file
    with member.open(timeout=0) as again:
        assert sorted(again) == (["c\n"] if how in ("close", "with") else ["b\n", "c\n"])
    assert owed(w, member) == 0


async def test_close_brings_the_acknowledgements_to_the_server(w: World) -> None:
    member, file = opened(w, "a", "b")
    assert file.readlines() == ["a\n", "b\n"]
    assert len(w.pending(member.group)) == 2
    file.close()
    assert w.pending(member.group) == []


async def test_what_one_call_gathered_is_acknowledged_with_the_next_call(w: World) -> None:
    member, file = opened(w, "a", "b", "c")
    assert file.read() == "a\nb\nc\n"
    assert owed(w, member) == 3
    assert file.read() == ""
    assert owed(w, member) == 0
    file.close()


async def test_what_was_gathered_comes_again_after_an_exception(w: World) -> None:
    member, file = opened(w, "a", "b")
    with pytest.raises(LookupError), file:
        assert file.read() == "a\nb\n"
        raise LookupError
    with member.open(timeout=0) as again:
        assert sorted(again) == ["a\n", "b\n"]
    assert owed(w, member) == 0


async def test_an_entry_that_was_handed_out_in_part_comes_again(w: World) -> None:
    member, file = opened(w, "a\nb")
    with file:
        assert next(file) == "a\n"
    with member.open(timeout=0) as again:
        assert again.readlines() == ["a\n", "b\n"]
    assert owed(w, member) == 0


@pytest.mark.parametrize("fails", [False, True])
async def test_a_file_that_is_dropped_in_a_members_block_is_decided_by_the_block(w: World, fails: bool) -> None:
    member, file = opened(w, "a", "b", "c")
    try:
        with member:
            assert file.readlines(3) == ["a\n", "b\n"]
            del file
            if fails:
                raise LookupError
    except LookupError:
        assert fails
    with member.clone().open(timeout=0) as again:
        assert sorted(again) == (["a\n", "b\n", "c\n"] if fails else ["c\n"])


async def test_at_most_once_members_can_be_read(w: World) -> None:
    topic = w.topic()
    topic.open().write("a\nb\nc\n")
    member = w.member(w.group(topic), ack="none")
    with member.open(timeout=0) as file:
        assert (file.readline(), file.read()) == ("a\n", "b\nc\n")
    assert w.pending(member.group) == []


async def test_a_line_that_takes_too_long_is_tried_again(w: World) -> None:
    topic = w.topic()
    topic.open().write("a\nb\n")
    member = w.member(w.group(topic, retry=RetryPolicy(max_deliveries=2, backoff=(0, 0))), handler_timeout=0.05)
    seen: list[str] = []
    with member.open(timeout=0.3) as file:
        for line in file:
            seen.append(line)
            if len(seen) == 1:
                time.sleep(0.1)
    assert sorted(seen) == ["a\n", "a\n", "b\n"]


# -- the end --------------------------------------------------------------------------------------------------------------------------------


async def test_a_file_ends_where_nothing_came_and_looks_again(w: World) -> None:
    member, file = opened(w, "a", timeout=0.05)
    assert list(file) == ["a\n"]
    assert list(file) == []
    member.group.topic.publish("line", {"data": "b"})
    assert list(file) == ["b\n"]
    file.close()


async def test_a_file_without_a_timeout_waits_and_ends_when_the_member_stops(w: World) -> None:
    member, file = opened(w, "a", timeout=None)
    reading = w.start(lambda: list(file))
    await w.until(lambda: member._hand.handled == 1)
    member.group.topic.publish("line", {"data": "b"})
    await w.until(lambda: member._hand.handled == 2)
    member.stop()
    assert await reading == ["a\n", "b\n"]
    member.group.topic.publish("line", {"data": "late"})
    assert file.read() == ""
    file.close()


@each_mode
@pytest.mark.parametrize("how", ["close", "exit"])
async def test_a_close_from_another_thread_ends_a_loop_that_waits_and_leaves_nothing_pending(w: World, mode: str, how: str) -> None:
    member, file = opened(w, "a", timeout=None, mode=mode)
    topic: Any = member.group.topic
    seen: list[Any] = []
    reading = w.start(lambda: seen.extend(file))
    await w.until(lambda: member._hand.handled == 1 and member._hand.blocked)
    began = time.monotonic()
    file.close() if how == "close" else file.__exit__(None, None, None)
    await asyncio.wait_for(reading, 5)
    assert time.monotonic() - began < 1
    assert [bytes(line, "ascii") if mode == "r" else line for line in seen] == [b"a\n"]
    topic.publish("line", {"data": "later"})
    assert w.pending(member.group) == []
    with pytest.raises(ValueError, match="closed"):
        next(file)
    with member.open(timeout=0) as after:  # the member goes on
        assert list(after) == ["later\n"]
    assert owed(w, member) == 0


async def test_a_close_between_two_lines_from_another_thread_ends_the_loop_and_leaves_nothing_pending(w: World) -> None:
    member, file = opened(w, "a", "b", "c", timeout=None)
    assert next(file) == "a\n"
    await w.start(file.close)
    with pytest.raises(ValueError, match="closed"):
        next(file)
    await w.until(lambda: [consumer for _, consumer, _ in w.pending(member.group) if consumer == member.id] == [])
    with member.open(timeout=0) as after:
        assert list(after) == ["b\n", "c\n"]


async def test_a_message_that_comes_while_the_file_is_closed_is_given_back(w: World) -> None:
    member, file = opened(w, "a", timeout=None)
    feed = file.texts.feed
    wait = feed.wait

    def closing() -> Any:
        message = wait()
        feed.over = True  # what another thread's close() does first
        return message

    feed.wait = closing
    assert file.readline() == ""
    file.close()
    await w.until(lambda: [consumer for _, consumer, _ in w.pending(member.group) if consumer == member.id] == [])
    with member.open(timeout=0) as after:
        assert list(after) == ["a\n"]


async def test_what_was_gathered_until_the_member_stopped_is_acknowledged_by_close(w: World) -> None:
    member, file = opened(w, "a", "b", timeout=None)
    reading = w.start(file.read)
    await w.until(lambda: len(member._hand.held) == 2)
    member.stop()
    assert await reading == "a\nb\n"
    assert len(w.pending(member.group)) == 2
    file.close()
    assert w.pending(member.group) == []


# -- what an entry's text is ------------------------------------------------------------------------------------------------------------------


async def test_entries_without_data_are_the_json_text_of_their_fields(w: World) -> None:
    member, file = opened(w)
    member.group.topic.publish("order", n=1, who="ä", headers={"trace": "x"})
    w.raw.xadd(member.group.topic.name, {"alone": "1"})
    assert [json.loads(line) for line in file] == [{"n": "1", "who": "ä"}, {"alone": "1"}]
    file.close()


@pytest.mark.parametrize("codec", [JSONCodec(), JSONCodec("payload")])
async def test_json_data_is_the_string_or_the_json_text(w: World, codec: JSONCodec) -> None:
    _, file = opened(w, "say hi", {"a": [1]}, 5, codec=codec)
    assert list(file) == ["say hi\n", '{"a":[1]}\n', "5\n"]
    file.close()


async def test_bytes_that_are_no_text_do_not_end_the_file(w: World) -> None:
    topic = w.topic()
    topic.open("wb").write(b"a\n\xffb\nc\n")
    for errors, middle in ((None, "\\xffb\n"), ("surrogateescape", "\udcffb\n"), ("replace", "\ufffdb\n")):
        with w.member(w.group(topic, str(errors))).open(timeout=0, errors=errors) as file:
            assert list(file) == ["a\n", middle, "c\n"]


async def test_where_it_is_strict_such_an_entry_has_failed_and_the_file_goes_on(w: World) -> None:
    member, file = opened(w, "a", b"\xff", "c", errors="strict", timeout=0.1)
    found: list[str] = []
    faults = 0
    while True:
        try:
            line = file.readline()
        except UnicodeDecodeError:
            faults += 1
            continue
        if not line:
            break
        found.append(line)
    file.close()
    assert (found, faults, owed(w, member)) == (["a\n", "c\n"], 2, 0)
    assert [letter.reason for letter in member.group.dead_letters] == ["failed"]


@pytest.mark.parametrize("call", ["read", "readlines"])
async def test_what_was_gathered_before_such_an_entry_is_given_and_only_that_entry_fails(w: World, call: str) -> None:
    topic = w.topic()
    for text in ("a", b"\xff", "b"):
        topic.publish("line", {"data": text})
    member = w.member(w.group(topic, retry=RetryPolicy(max_deliveries=2, backoff=(0.01, 0.01))))
    file, found, faults = member.open(errors="strict", timeout=0.1), "", 0
    while not list(member.group.dead_letters) and faults < 9:
        try:
            found += "".join(getattr(file, call)())
        except UnicodeDecodeError:
            faults += 1
    file.close()
    assert (found, faults, owed(w, member)) == ("a\nb\n", 2, 0)
    assert [letter.deliveries for letter in member.group.dead_letters] == [2]


async def test_a_call_that_fails_half_way_gives_back_what_it_gathered(w: World) -> None:
    member, file = opened(w, "a", "b", "c")
    text, asked = file.texts.text, []

    def interrupted(message: Any) -> Any:
        asked.append(message.id)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return text(message)

    file.texts.text = interrupted
    with pytest.raises(KeyboardInterrupt):
        file.read()
    file.close()
    with member.open(timeout=0) as again:
        assert sorted(again) == ["a\n", "b\n", "c\n"]
    assert owed(w, member) == 0


async def test_an_entry_that_its_codec_cannot_read_is_put_aside_and_the_file_goes_on(w: World) -> None:
    member, file = opened(w, "a", codec=JSONCodec())
    w.raw.xadd(member.group.topic.name, {"type": "line", "data": "{no json"})
    member.group.topic.publish("line", "\ud800")
    assert [line.encode("utf-8", "surrogatepass") for line in file] == [b"a\n", b"\xed\xa0\x80\n"]
    file.close()
    assert [letter.reason for letter in member.group.dead_letters] == ["undecodable"]


# -- as io does -----------------------------------------------------------------------------------------------------------------------------


@each_mode
async def test_what_cannot_work_raises_as_io_does(w: World, mode: str) -> None:
    member, file = opened(w, "a", mode=mode)
    for name in ("fileno", "tell", "truncate", "detach"):
        with pytest.raises(io.UnsupportedOperation):
            getattr(file, name)()
    for write in (lambda: file.write("a" if mode == "r" else b"a"), lambda: file.writelines(["a"]), lambda: file.seek(0)):
        with pytest.raises(io.UnsupportedOperation):
            write()
    assert isinstance(file, io.TextIOBase if mode == "r" else io.BufferedIOBase)
    assert (file.readable(), file.writable(), file.seekable(), file.isatty(), file.closed) == (True, False, False, False, False)
    assert (file.mode, file.name) == (mode, member.group.topic.name)
    file.close()
    file.close()
    for late in (file.read, file.readline, file.readlines, file.readable, lambda: next(file), file.__enter__):
        with pytest.raises(ValueError, match="closed"):
            late()


@pytest.mark.parametrize("mode", ["w", "a", "x", "r+", "wb", "", None])
async def test_a_member_is_only_opened_to_read(w: World, mode: Any) -> None:
    with pytest.raises(ValueError, match="opened with mode 'r'"):
        w.member().open(mode)


async def test_bad_options_are_refused_before_anything_is_read(w: World) -> None:
    with pytest.raises(ValueError, match="timeout"):
        w.member().open(timeout=-1)
    with pytest.raises(LookupError):
        w.member().open(errors="no such thing")
    with pytest.raises(ValueError, match="binary mode"):
        w.member().open("rb", errors="strict")
    with pytest.raises(ValueError, match="'manual'"):
        w.member(ack="manual").open()
    with pytest.raises(TypeError, match="a file reads one group"):
        w.member([w.group()]).open()
    member = w.member()
    assert (member.closed, member.readable(), member.writable()) == (False, True, False)
    member.close()
    assert (member.closed, member.readable()) == (True, False)
    with pytest.raises(RuntimeError, match="is closed"):
        member.open()


async def test_two_files_at_once_are_an_error_and_one_after_the_other_is_none(w: World) -> None:
    member, file = opened(w, "a", "b")
    assert next(file) == "a\n"
    with pytest.raises(RuntimeError, match="one loop at a time"):
        next(member.open(timeout=0))
    file.close()
    with member.open(timeout=0) as after:
        assert list(after) == ["b\n"]
    member.on("*", lambda message: None)
    assert member.drain() == 0
