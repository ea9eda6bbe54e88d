"""A topic as an object that is written to, and as a file whose lines become entries."""

from __future__ import annotations

import contextlib
import csv
import gc
import io
import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from streamio import JSONCodec, PublishStopped, PublishUncertain, SetupError, Topic

from ..proxy import Proxy
from ..servers import RedisServer, free_port
from ..world import World

pytestmark = pytest.mark.asyncio
blocking = pytest.mark.parametrize("w", ["blocking-embedded", "blocking-real"], indirect=True)
blocking_real = pytest.mark.parametrize("w", ["blocking-real"], indirect=True)


def lines(w: World, topic: Topic[Any], field: str = "data") -> list[str]:
    """What stands in the stream, as a foreign client sees it."""
    return [fields[field] for _, fields in w.raw.xrange(topic.name)]


@pytest.fixture
def proxied(w: World) -> Iterator[tuple[Proxy, Any]]:
    """A topic behind a proxy."""
    proxy = Proxy(w.port or 0)
    client = redis.Redis(port=proxy.port)
    yield proxy, w.topic(client=client)
    client.close()
    proxy.close()


# -- objects --------------------------------------------------------------------------------------------------------------------------


async def test_write_adds_one_entry_now_and_gives_its_id(w: World) -> None:
    topic = w.topic()
    ids = [
        await w.do(topic.write(("a", {"n": 1}))),
        await w.do(topic.write({"type": "b", "n": 2})),
        await w.do(topic.write({"n": 3}, type="c")),
    ]
    found = w.raw.xrange(topic.name)
    assert [entry_id for entry_id, _ in found] == ids
    assert [fields for _, fields in found] == [{"type": "a", "n": "1"}, {"type": "b", "n": "2"}, {"type": "c", "n": "3"}]


async def test_a_message_is_written_on_with_its_headers_under_its_type_or_another(w: World) -> None:
    topic, other = w.topic(), w.topic("other")
    await w.do(topic.publish("a", n=1, headers={"who": "Ada"}))
    async for message in w.each(topic.replay()):
        await w.do(other.write(message))
        await w.do(other.write(message, type="b"))
    assert [fields for _, fields in w.raw.xrange(other.name)] == [{"type": kind, "header:who": "Ada", "n": "1"} for kind in "ab"]


async def test_with_a_type_any_data_of_the_codec_can_be_written(w: World) -> None:
    topic = w.topic(codec=JSONCodec())
    await w.do(topic.writelines([[1, 2], "text", None, {"type": "mine"}, ("a", 1)], type="x"))
    assert [json.loads(text) for text in lines(w, topic)] == [[1, 2], "text", None, {"type": "mine"}, ["a", 1]]
    assert set(lines(w, topic, "type")) == {"x"}


@pytest.mark.parametrize("thing", ["text", {"n": 1}, 5, ("a", "b", "c")])
async def test_write_says_what_it_takes(w: World, thing: Any) -> None:
    topic = w.topic()
    with pytest.raises((TypeError, ValueError), match=r"what write\(\) is given"):
        await w.do(topic.write(thing))
    assert not w.raw.exists(topic.name)


async def test_writelines_gives_the_ids_in_order(w: World) -> None:
    topic = w.topic()
    ids = await w.do(topic.writelines({"type": "a", "n": n} for n in range(1100)))
    assert ids == [entry_id for entry_id, _ in w.raw.xrange(topic.name)]
    assert lines(w, topic, "n") == [str(n) for n in range(1100)]
    with pytest.raises(TypeError, match="writelines takes an iterable"):
        await w.do(topic.writelines("text"))


async def test_asyncio_writelines_takes_async_iterables(w: World) -> None:
    topic = w.topic()

    async def numbers() -> Any:
        for n in range(3):
            yield {"n": n}

    if not w.asyncio:
        with pytest.raises(TypeError, match="writelines of a blocking topic"):
            topic.writelines(numbers(), type="a")
        return
    assert len(await topic.writelines(numbers(), type="a")) == 3


async def test_writelines_that_stops_tells_what_was_written(w: World) -> None:
    topic = w.topic()
    with pytest.raises(PublishStopped, match="stopped at item 1") as caught:
        await w.do(topic.writelines([("a", {}), "text", ("b", {})]))
    assert caught.value.ids == [entry_id for entry_id, _ in w.raw.xrange(topic.name)]


async def test_a_topic_is_writable_until_it_is_closed(w: World) -> None:
    topic = w.topic()
    await w.do(topic.write(("a", {})))
    await w.do(topic.flush())
    assert (topic.writable(), topic.readable(), topic.closed) == (True, False, False)
    await w.do(topic.close())
    assert (topic.writable(), topic.closed) == (False, True)
    for again in (lambda: topic.write(("a", {})), lambda: topic.writelines([]), topic.flush):
        with pytest.raises(ValueError, match="is closed"):
            await w.do(again())


@pytest.mark.parametrize("w", ["asyncio-embedded"], indirect=True)
async def test_an_asyncio_topic_or_member_cannot_be_opened_and_says_what_to_do(w: World) -> None:
    with pytest.raises(TypeError, match=r"await topic.write"):
        w.topic().open()
    with pytest.raises(TypeError, match=r"async for message in member"):
        w.member().open()


# -- what writes text -------------------------------------------------------------------------------------------------------------------


@blocking
async def test_print_writes_lines(w: World) -> None:
    topic = w.topic()
    with topic.open() as file:
        print("one", 1, file=file)
        print(file=file)
        print("two", end="", file=file, flush=True)
        assert lines(w, topic) == ["one 1", ""]
        print(" halves", file=file)
        assert lines(w, topic) == ["one 1", "", "two halves"]
        print("last", end="", file=file)
    assert lines(w, topic) == ["one 1", "", "two halves", "last"]
    assert set(lines(w, topic, "type")) == {"line"}


@blocking
async def test_logging_from_many_threads_gives_each_record_once(w: World) -> None:
    topic = w.topic()
    file = topic.open(type="log")
    logger = logging.Logger("test")
    logger.addHandler(logging.StreamHandler(file))
    threads = [threading.Thread(target=lambda n=n: [logger.info("%d-%d", n, i) for i in range(25)]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lines(w, topic)) == sorted(f"{n}-{i}" for n in range(8) for i in range(25))
    assert set(lines(w, topic, "type")) == {"log"}


@blocking
async def test_threads_that_write_whole_lines_break_no_line(w: World) -> None:
    topic = w.topic()
    file = topic.open()
    threads = [threading.Thread(target=lambda n=n: [file.write(f"{n}a\n{n}b\n") for _ in range(20)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = lines(w, topic)
    assert sorted(zip(found[::2], found[1::2])) == sorted((f"{n}a", f"{n}b") for n in range(4) for _ in range(20))


@blocking
async def test_stdout_can_be_redirected(w: World) -> None:
    topic = w.topic()
    with topic.open() as file, contextlib.redirect_stdout(file):
        print("text")
        sys.stdout.buffer.write(b"bytes\n")
    assert lines(w, topic) == ["text", "bytes"]


@blocking
async def test_json_and_csv_writers_work(w: World) -> None:
    topic = w.topic()
    with topic.open() as file:
        json.dump({"a": [1, {"b": None}], "c": "ä"}, file)
        file.write("\n")
        csv.writer(file).writerows([["a", 'b "c"'], [1, ""]])
    found = lines(w, topic)
    assert json.loads(found[0]) == {"a": [1, {"b": None}], "c": "ä"}
    assert found[1:] == ['a,"b ""c"""', "1,"]


@blocking
async def test_files_and_processes_can_be_copied_in(w: World) -> None:
    topic = w.topic()
    text = "".join(f"line {n}\n" for n in range(3_000))
    with topic.open() as file:
        shutil.copyfileobj(io.StringIO(text), file)
    assert lines(w, topic) == text.splitlines()
    topic = w.topic("process")
    with topic.open("wb") as raw, subprocess.Popen(["printf", "a\\nb\\nc"], stdout=subprocess.PIPE) as process:
        shutil.copyfileobj(process.stdout, raw)
    assert lines(w, topic) == ["a", "b", "c"]


@blocking_real
async def test_writelines_of_a_file_is_pipelined(w: World) -> None:
    topic = w.topic()
    before = w.raw.info("stats")["total_reads_processed"]
    with topic.open() as file:
        file.writelines(f"{n}\n" for n in range(5_000))
    assert w.raw.info("stats")["total_reads_processed"] - before < 250
    assert lines(w, topic) == [str(n) for n in range(5_000)]


@blocking
async def test_without_line_buffering_lines_go_at_flush_and_close(w: World) -> None:
    topic = w.topic()
    with topic.open(line_buffering=False) as file:
        file.write("a\nb\nc")
        assert lines(w, topic) == []
        file.flush()
        assert lines(w, topic) == ["a", "b"]
        for n in range(600):
            file.write(f"{n}\n")
        assert len(lines(w, topic)) == 502
    assert lines(w, topic)[2:] == ["c0", *map(str, range(1, 600))]


# -- lines ------------------------------------------------------------------------------------------------------------------------------


@blocking
@pytest.mark.parametrize(
    ("written", "text", "raw"),
    [
        (["a\r\nb\n"], ["a", "b"], ["a\r", "b"]),
        (["a\r", "\nb\n"], ["a", "b"], ["a\r", "b"]),
        (["50%\r100%\n"], ["50%\r100%"], ["50%\r100%"]),
        (["\n\n", "\r\n"], ["", "", ""], ["", "", "\r"]),
        (["a", "b", "", "c\nd", "e"], ["abc", "de"], ["abc", "de"]),
        (["ä€😀\n\x00\x0b\u2028\n"], ["ä€😀", "\x00\x0b\u2028"], ["ä€😀", "\x00\x0b\u2028"]),
        ([""], [], []),
    ],
)
async def test_what_a_line_is(w: World, written: list[str], text: list[str], raw: list[str]) -> None:
    topic, binary = w.topic(), w.topic("binary")
    with topic.open() as file, binary.open("wb") as other:
        assert [file.write(part) for part in written] == [len(part) for part in written]
        assert [other.write(part.encode()) for part in written] == [len(part.encode()) for part in written]
    assert lines(w, topic) == text
    assert lines(w, binary) == raw


@blocking
async def test_bytes_stand_in_the_stream_as_they_were_written(w: World) -> None:
    topic = w.topic()
    with topic.open("wb") as file:
        file.writelines([b"\xff\xfe\n", bytearray(b"a"), memoryview(b"b\n")])
    assert [message["data"] for message in topic.replay()] == [b"\xff\xfe", "ab"]


@blocking
async def test_a_lone_surrogate_is_an_error_or_written_as_asked_for(w: World) -> None:
    topic = w.topic()
    file = topic.open()
    file.write("half")
    with pytest.raises(UnicodeEncodeError):
        file.write("\udcff and more\n")
    file.write(" a line\n")
    topic.open(errors="surrogateescape").write("\udcff\n")
    assert [message["data"] for message in topic.replay()] == ["half a line", b"\xff"]
    with pytest.raises(LookupError):
        topic.open(errors="no such thing")


@blocking
async def test_with_another_codec_the_line_is_the_data(w: World) -> None:
    topic = w.topic(codec=JSONCodec())
    with topic.open() as file:
        print('say "hi"', file=file)
    assert [message.data for message in topic.replay()] == ['say "hi"']


@blocking
async def test_a_line_that_the_codec_refuses_is_an_error_and_the_others_are_written(w: World) -> None:
    topic = w.topic(codec=JSONCodec())
    file = topic.open("wb")
    with pytest.raises(UnicodeDecodeError):
        file.write(b"a\n\xff\nb\nhal")
    file.write(b"f\n")
    with pytest.raises(UnicodeDecodeError):
        file.writelines([b"c\n", b"\xff\n", b"d\n", b"\xff"])
    with pytest.raises(UnicodeDecodeError):
        file.close()
    assert file.closed
    assert [message.data for message in topic.replay()] == ["a", "b", "half", "c", "d"]


@blocking
async def test_all_lines_that_the_codec_refuses_are_counted(w: World) -> None:
    topic = w.topic(codec=JSONCodec())
    file = topic.open("wb")
    for write in (lambda: file.write(b"\xff\na\n\xfe\n"), lambda: file.writelines([b"\xff\n", b"a\n", b"\xfe\n"])):
        with pytest.raises(ValueError, match="2 lines .* 0xff") as raised:
            write()
        assert isinstance(raised.value.__cause__, UnicodeDecodeError)
    file.close()
    assert [message.data for message in topic.replay()] == ["a", "a"]


@blocking
async def test_a_refused_line_is_told_where_the_others_cannot_be_sent_either(w: World) -> None:
    topic = w.topic(codec=JSONCodec())
    file = topic.open("wb")
    w.raw.set(topic.name, "no stream")
    for write in (lambda: file.write(b"\xff\na\n"), lambda: file.writelines([b"\xff\n", b"a\n"]), lambda: [file.part.append(b"\xff"), file.close()]):
        with pytest.raises(SetupError) as raised:
            write()
        assert isinstance(raised.value.__cause__, UnicodeDecodeError)
    w.raw.delete(topic.name)
    file.close()
    assert [message.data for message in topic.replay()] == ["a", "a"]


@blocking
async def test_a_refused_line_is_told_where_the_lines_end_with_an_error(w: World) -> None:
    file = w.topic(codec=JSONCodec()).open("wb")
    with pytest.raises(TypeError) as raised:
        file.writelines([b"\xff\n", "text"])
    assert isinstance(raised.value.__cause__, UnicodeDecodeError)
    file.close()


# -- as io does -------------------------------------------------------------------------------------------------------------------------


@blocking
@pytest.mark.parametrize("mode", ["w", "wb"])
async def test_what_cannot_work_raises_as_io_does(w: World, mode: str) -> None:
    file: Any = w.topic().open(mode)
    for name in ("read", "readline", "readlines", "fileno", "tell", "truncate", "detach", "__next__"):
        with pytest.raises(io.UnsupportedOperation):
            getattr(file, name)()
    with pytest.raises(io.UnsupportedOperation):
        file.seek(0)
    with pytest.raises(TypeError):
        file.write(b"bytes\n" if mode == "w" else "text\n")
    assert isinstance(file, io.TextIOBase if mode == "w" else io.BufferedIOBase)
    assert (file.readable(), file.writable(), file.seekable(), file.isatty(), file.closed) == (False, True, False, False, False)
    assert (file.mode, file.name) == (mode, file.name)
    file.close()
    file.close()
    assert file.closed
    for late in (file.flush, file.writable, lambda: file.write("" if mode == "w" else b""), lambda: file.writelines([]), file.__enter__):
        with pytest.raises(ValueError, match="closed"):
            late()


@blocking
@pytest.mark.parametrize("mode", ["r", "a", "x", "w+", "rb", "", None])
async def test_a_topic_is_only_opened_to_write(w: World, mode: Any) -> None:
    with pytest.raises(ValueError, match="opened with mode 'w'"):
        w.topic().open(mode)


@blocking
async def test_bad_options_are_refused_before_anything_is_written(w: World) -> None:
    topic: Any = w.topic()
    with pytest.raises(TypeError, match="type of an entry must be a str"):
        topic.open(type=5)
    with pytest.raises(ValueError, match="binary mode"):
        topic.open("wb", errors="strict")
    topic.close()
    with pytest.raises(ValueError, match="is closed"):
        topic.open()


@blocking
async def test_a_file_of_a_closed_topic_keeps_nothing_silently(w: World) -> None:
    topic = w.topic()
    file = topic.open()
    topic.close()
    with pytest.raises(ValueError, match="is closed"):
        file.write("a\n")
    with pytest.raises(ValueError, match="is closed"):
        file.close()
    assert file.closed


@blocking
async def test_what_is_written_while_another_thread_closes_the_file_is_refused_not_lost(w: World) -> None:
    topic = w.topic()
    for write in (lambda file: file.write(b"b\nrest"), lambda file: file.writelines(iter([b"b\n", b"rest"]))):
        file: Any = topic.open("wb", line_buffering=False)
        file.write(b"a\n")
        file.lock = ClosedMeanwhile(file)
        with pytest.raises(ValueError, match="closed"):
            write(file)
        assert file.closed and not file.waiting and not any(file.part)
    assert lines(w, topic) == ["a", "a"]


class ClosedMeanwhile:
    """A file's lock that another thread got first, and closed the file."""

    def __init__(self, file: Any) -> None:
        self.file, self.lock = file, file.lock

    def __enter__(self) -> None:
        self.file.lock = self.lock
        closing = threading.Thread(target=self.file.close)
        closing.start()
        closing.join()
        self.lock.acquire()

    def __exit__(self, *raised: object) -> None:
        self.lock.release()


# -- failures ---------------------------------------------------------------------------------------------------------------------------


@blocking
async def test_lines_that_the_server_refused_go_first_later_and_once(w: World) -> None:
    topic = w.topic()
    file = topic.open()
    w.raw.set(topic.name, "no stream")
    for text in ("a\nb\n", "c\n"):
        with pytest.raises(SetupError, match="something else than a stream"):
            file.write(text)
    w.raw.delete(topic.name)
    file.write("d\n")
    file.flush()
    assert lines(w, topic) == ["a", "b", "c", "d"]


@blocking
@pytest.mark.parametrize("mode", ["w", "wb"])
async def test_a_close_that_cannot_send_leaves_the_file_open_and_may_be_tried_again(w: World, mode: Any) -> None:
    topic = w.topic()
    file: Any = topic.open(mode)
    file.write("part" if mode == "w" else b"part")
    w.raw.set(topic.name, "no stream")
    for attempt in (file.close, file.close, file.flush):
        with pytest.raises(SetupError):
            attempt()
        assert not file.closed
    w.raw.delete(topic.name)
    file.close()
    assert file.closed and lines(w, topic) == ["part"]
    with pytest.raises(ValueError, match="closed"):
        file.flush()


@blocking
async def test_a_dropped_file_whose_lines_cannot_be_sent_says_so_in_the_log_and_raises_nowhere(
    w: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)
    topic = w.topic()
    w.raw.set(topic.name, "no stream")
    for mode in ("w", "wb"):
        file: Any = topic.open(mode)
        file.write("part" if mode == "w" else b"part")
        del file
        gc.collect()
    assert raised == []
    assert [record.message.partition(" was dropped with 1 lines")[1] != "" for record in caplog.records] == [True, True]


@blocking
async def test_lines_whose_write_was_interrupted_are_told_by_the_next_call_and_stand_once(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = w.topic()
    file = topic.open()
    call = topic._driver.call

    def interrupted(*args: Any) -> Any:
        call(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(topic._driver, "call", interrupted)
        with pytest.raises(KeyboardInterrupt):
            file.write("a\nb\n")
    with pytest.raises(PublishUncertain, match="interrupted") as caught:
        file.write("c\n")
    assert caught.value.lines == ["a", "b"]
    file.close()
    assert lines(w, topic) == ["a", "b", "c"]


@blocking_real
async def test_too_many_lines_that_wait_refuse_new_ones(w: World) -> None:
    topic = w.topic()
    file = topic.open()
    w.raw.set(topic.name, "no stream")
    with pytest.raises(SetupError):
        file.write("a\n" * 10_000)
    with pytest.raises(BlockingIOError, match="nothing more was taken") as caught:
        file.write("b\n")
    assert caught.value.characters_written == 0
    w.raw.delete(topic.name)
    file.write("c\n")
    assert lines(w, topic) == ["a"] * 10_000 + ["c"]


@blocking_real
async def test_lines_wait_for_a_server_that_is_not_there(w: World) -> None:
    port = free_port()
    client = redis.Redis(port=port)
    topic = Topic("lines", client)
    file = topic.open()
    with pytest.raises(redis.ConnectionError):
        file.write("a\n")
    server = RedisServer(port=port).start()
    file.write("b\n")
    assert [fields[b"data"] for _, fields in client.xrange("lines")] == [b"a", b"b"]
    topic.close()
    client.close()
    server.remove()


@blocking_real
async def test_lines_whose_reply_was_lost_are_told_and_stand_once(w: World, proxied: tuple[Proxy, Any]) -> None:
    proxy, topic = proxied
    file = topic.open()
    file.write("before\n")
    proxy.cut(b"precious")
    with pytest.raises(PublishUncertain, match=topic.name) as caught:
        file.write("precious\nmore\nhal")
    assert caught.value.lines == ["precious", "more"]
    file.write("f\n")
    file.close()
    assert lines(w, topic) == ["before", "precious", "more", "half"]


@blocking_real
async def test_a_signal_handler_may_write_to_a_file_that_is_being_written(w: World, proxied: tuple[Proxy, Any]) -> None:
    proxy, topic = proxied
    file = topic.open()
    file.write("before\n")
    proxy.delay = 0.2
    old = signal.signal(signal.SIGALRM, lambda *_: file.write("signal\n"))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        file.write("written\n")
    finally:
        signal.signal(signal.SIGALRM, old)
    file.close()
    assert lines(w, topic) == ["before", "written", "signal"]


FORK = """
import os, sys
from streamio import Topic
topic = Topic(sys.argv[1], sys.argv[2])
file = topic.open(line_buffering=False)
file.write("whole\\npart")
child = os.fork()
if child == 0:
    file.close()
    os._exit(0)
os.waitpid(child, 0)
file.close()
"""


@blocking_real
async def test_what_was_written_before_a_fork_is_sent_once(w: World) -> None:
    subprocess.run([sys.executable, "-c", FORK, w.key(), w.url], check=True)
    assert lines(w, w.topic()) == ["whole", "part"]
