"""`streamio run`: members of one's own, in this process for breadth, in real ones where signals, deaths and supervision show."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from streamio.cli.supervise import Supervisor, Worker, modified

from ..servers import free_port
from .terminal import PROGRAM, Ended
from .waiting import until

HEAD = """
import asyncio, os, time
from streamio import ConsumerGroupMember, RetryPolicy, Topic, from_url
topic = Topic({name!r})
def note(message, kind=None):
    with open({log!r}, "a") as seen:
        print(kind or message.group, message["n"], os.getpid(), file=seen)
member = topic.group("plain").member(handlers={{"*": note}})
"""
Write = Callable[[str], str]


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, real_server: Any) -> Iterator[Write]:
    """Write a module in the current folder, which has a member that notes what it gets; the module's name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", real_server.url)
    monkeypatch.setattr(sys, "path", [*sys.path])
    module = f"code_of_{name}"

    def write(text: str = "") -> str:
        (tmp_path / f"{module}.py").write_text(HEAD.format(name=name, log=str(tmp_path / "log")) + text)
        return module

    yield write
    loaded = sys.modules.pop(module, None)
    if loaded is not None and hasattr(loaded, "topic"):
        loaded.topic.close()


def lines(tmp_path: Path) -> list[list[str]]:
    """What the handlers noted."""
    return [line.split() for line in (tmp_path / "log").read_text().splitlines()] if (tmp_path / "log").exists() else []


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`streamio run` in a process of its own, which is killed where the test leaves it running."""
    process = subprocess.Popen([*PROGRAM, "run", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=15)


def ended(process: subprocess.Popen[bytes]) -> Ended:
    """How it ended."""
    out, err = process.communicate(timeout=15)
    return Ended(process.returncode, out, err.decode())


def log_until(process: subprocess.Popen[bytes], text: str) -> None:
    """Read its log up to the line that says this."""
    assert process.stderr is not None
    while text not in (line := process.stderr.readline().decode()):
        assert line, "its log has ended"


MORE = """
group = topic.group("pool", min=2)
group.on("*", note)
pipe = topic.group("piped").member() | note
several = ConsumerGroupMember([topic.group("several")], handlers={"*": note})
client = from_url(asyncio=True)
aside = Topic(topic.name, client).group("aside").member()
@aside.on("*")
async def anote(message):
    note(message)
async def factory():
    return [aside, Topic(topic.name, client).group("tasks").member(handlers={"*": anote})]
def pair():
    return [member, pipe]
class Box:
    inner = member
"""


@pytest.mark.parametrize(
    ("target", "groups"),
    [("member", {"plain"}), ("group", {"pool"}), ("pipe", {"piped"}), ("pair", {"plain", "piped"}), ("aside", {"aside"}),
     ("factory", {"aside", "tasks"}), ("several", {"several"}), ("Box.inner", {"plain"})],
)  # fmt: skip
def test_what_is_named_works_off_what_is_there(run: Any, code: Write, topic: Any, tmp_path: Path, target: str, groups: set[str]) -> None:
    topic.publish_many(("order", {"n": n}) for n in range(3))
    done = run("run", f"{code(MORE)}:{target}", "--burst")
    assert (done.code, done.err) == (0, "")
    assert sorted((group, n) for group, n, _ in lines(tmp_path)) == sorted((group, str(n)) for group in groups for n in range(3))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("MODULE", "write module:name"),
        ("MODULE:nothing", "has no 'nothing': did you mean 'member'?"),
        ("MODULE:membr", "did you mean 'member'?"),
        ("MODULE:Box.outer", "MODULE:Box' has no 'outer'"),
        ("no_such_module:member", "there is no module 'no_such_module'"),
        ("MODULE:topic", "is or gives a Topic: it must be a member, a group"),
        ("MODULE:Box", "the class 'Box'"),
        ("MODULE:number", "a int"),
        ("MODULE:empty", "is empty"),
        ("MODULE:silent", "nothing listens on"),
        ("MODULE:silent_pool", "nothing listens on"),
        ("MODULE:twice", "one member twice"),
        ("MODULE:mixed", "blocking and asyncio members"),
        ("MODULE:broken", "broken() raised KeyError: 'key'"),
        ("MODULE:abroken", "abroken() raised KeyError: 'key'"),
        ("MODULE:ablocking", "async function that gives blocking members"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(run: Any, code: Write, target: str, says: str) -> None:
    module = code(
        MORE + "def broken(): return {}['key']\nasync def abroken(): return {}['key']\nasync def ablocking(): return member\nnumber, empty = 1, []\n"
        "silent, silent_pool = topic.group('s').member(), topic.group('s')\ntwice, mixed = [member, member], [member, aside]\n"
    )
    done = run("run", target.replace("MODULE", module), "--burst")
    assert done.code == 1 and says.replace("MODULE", module) in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "says"), [("import no_such_thing\n", "No module named 'no_such_thing'"), ("1 / 0\n", "ZeroDivisionError"), ("def\n", "SyntaxError")]
)
def test_a_module_that_cannot_be_imported_says_why(run: Any, code: Write, text: str, says: str) -> None:
    done = run("run", f"{code(text)}:member", "--burst")
    assert done.code == 1 and "could not be imported" in done.err and says in done.err


def test_the_command_line_says_how_many_run_at_once(run: Any, code: Write, topic: Any, tmp_path: Path) -> None:
    topic.publish_many(("order", {"n": n}) for n in range(4))
    text = """
import threading
both = threading.Barrier(4, timeout=5)
def together(message):
    both.wait()
    note(message)
apart = topic.group("apart").member(handlers={"*": together})
"""
    assert run("run", f"{code(text)}:apart", "--burst", "--concurrency", "4").code == 0
    assert len(lines(tmp_path)) == 4


SLOW = """
def slow(message):
    print("begun", flush=True)
    time.sleep(float(message["seconds"]))
    print("done", flush=True)
sleeper = topic.group("slow").member(handlers={"*": slow})
hasty = topic.group("slow").member(handlers={"*": slow}, grace=0.1)
client = from_url(asyncio=True)
dozer = Topic(topic.name, client).group("slow").member()
@dozer.on("*")
async def aslow(message):
    print("begun", flush=True)
    await asyncio.sleep(60)
"""


@pytest.mark.slow
def test_a_signal_lets_the_handler_finish_and_all_is_told_as_json(code: Write, topic: Any) -> None:
    port = free_port()
    topic.publish("order", seconds=0.3)
    with running(f"{code(SLOW)}:sleeper", "--log-format", "json", "--health-port", str(port)) as process:
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            assert json.load(answer)["alive"] is True
        process.send_signal(signal.SIGTERM)
        done = ended(process)
    assert (done.code, done.out) == (0, "done\n")
    records = [json.loads(line) for line in done.err.splitlines()]
    assert {"streamio.run", "streamio.member"} <= {record["logger"] for record in records}
    assert topic.group("slow").info().pending == 0


@pytest.mark.slow
@pytest.mark.parametrize("words", [("sleeper", "--shutdown-timeout", "100ms"), ("hasty",)])
def test_what_does_not_finish_in_time_is_abandoned_and_stays_pending(code: Write, topic: Any, words: tuple[str, ...]) -> None:
    topic.publish("order", seconds=60)
    with running(f"{code(SLOW)}:{words[0]}", *words[1:]) as process:
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert done.code == 1 and "abandoned" in done.err
    assert topic.group("slow").info().pending == 1


@pytest.mark.slow
def test_a_task_that_does_not_finish_in_time_gives_its_entry_back(code: Write, topic: Any) -> None:
    topic.publish("order")
    with running(f"{code(SLOW)}:dozer", "--shutdown-timeout", "100ms", "-q") as process:
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGTERM)
        done = ended(process)
    assert (done.code, done.err) == (0, "")
    assert [each.consumer for each in topic.group("slow").pending()] == ["~waiting"]


@pytest.mark.slow
def test_a_worker_that_dies_is_started_again_and_all_end_with_their_supervisor(code: Write, topic: Any, tmp_path: Path) -> None:
    with running(f"{code()}:member", "-w", "2") as process:
        until(lambda: len(topic.group("plain").consumers()) == 2)
        before = {each.name for each in topic.group("plain").consumers()}
        victim = sorted(before)[0]
        os.kill(int(victim.split("-")[-2]), signal.SIGKILL)
        until(lambda: len({each.name for each in topic.group("plain").consumers()} - {victim}) == 2)
        topic.publish_many(("order", {"n": n}) for n in range(20))
        until(lambda: len(lines(tmp_path)) == 20)
        process.send_signal(signal.SIGTERM)
        done = ended(process)
    assert done.code == 0 and "ended by signal 9: it is started again" in done.err
    assert sorted(int(n) for _, n, _ in lines(tmp_path)) == [*range(20)]
    workers = [int(line.rpartition(" ")[2]) for line in done.err.splitlines() if "started, process" in line]
    assert len(workers) == 3 and not any(Path(f"/proc/{each}").exists() for each in workers)


@pytest.mark.slow
def test_workers_whose_code_cannot_be_loaded_tell_it_once_and_end(code: Write) -> None:
    with running(f"{code()}:nothing", "-w", "2", "-q") as process:
        done = ended(process)
    assert done.code == 1 and done.err.count("has no 'nothing'") == 1


@pytest.mark.slow
def test_code_that_changed_is_loaded_again_and_no_worker_outlives_its_supervisor(code: Write, topic: Any, tmp_path: Path) -> None:
    with running(f"{code()}:member", "--reload") as process:
        topic.publish("order", n="old")
        until(lambda: len(lines(tmp_path)) == 1)
        log_until(process, "started, process")
        code("member.on('*', lambda message: note(message, 'new'))\n")
        log_until(process, "changed: the workers are started again")
        log_until(process, "started, process")
        topic.publish("order", n="again")
        until(lambda: ["new", "again"] in [line[:2] for line in lines(tmp_path)], timeout=20)
        worker = int(lines(tmp_path)[-1][2])
        process.kill()
        process.wait()
        until(lambda: not Path(f"/proc/{worker}").exists() or "Z" in Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2][:3])


def test_one_that_keeps_dying_waits_longer_each_time() -> None:
    worker, waits = Worker(1, []), []
    worker.began = time.monotonic()
    for _ in range(9):
        worker.died(1)
        waits.append(round(worker.again_at - time.monotonic(), 1))
    assert waits == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    worker.began -= 11
    worker.died(1)
    assert worker.again_at <= time.monotonic()


def test_a_worker_that_was_told_to_end_is_told_again_by_a_second_signal_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    supervisor = Supervisor(1, [], True, None)
    supervisor.workers[0].process = process = mock.Mock(**{"poll.return_value": None})
    for number in range(2):  # code that changes twice, in the middle of a handler
        (tmp_path / f"{number}.py").write_text("")
        supervisor.look_at = 0
        supervisor.reload_if_changed()
    supervisor.stop()
    process.send_signal.assert_called_once_with(signal.SIGTERM)
    supervisor.stop()
    assert process.send_signal.call_count == 2


def test_not_even_one_that_takes_no_signal_outlives_its_supervisor() -> None:
    deaf = """
import signal, sys, time
from streamio.cli import supervise
signal.signal(signal.SIGTERM, signal.SIG_IGN)
supervise.AFTER_ABANDONING = 0.1
supervise.watch_supervisor(0.1)
time.sleep(60)
"""
    ours, theirs = socket.socketpair()
    with ours, subprocess.Popen([sys.executable, "-c", deaf], stdin=theirs.fileno()) as process:
        theirs.close()
        assert ours.recv(1) == b"."
        ours.close()
        assert process.wait(15) == -signal.SIGKILL


def test_only_code_of_the_folder_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("a.py", "b/c.py", ".git/d.py", "venv/e.py", "node_modules/f.py", "g.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    assert {path.name for path in modified()} == {"a.py", "c.py"}


def test_two_processes_share_no_name(run: Any, code: Write) -> None:
    module = code("named = topic.group('plain').member('worker-1', handlers={'*': note})\n")
    done = run("run", f"{module}:named", "--place", "2", "--burst")
    assert done.code == 78 and "a name is one living member's" in done.err


def test_a_port_that_is_taken_is_named(run: Any, code: Write, real_server: Any) -> None:
    done = run("run", f"{code()}:member", "--health-port", str(real_server.port))
    assert done.code == 1 and f"--health-port {real_server.port}: Address already in use" in done.err
