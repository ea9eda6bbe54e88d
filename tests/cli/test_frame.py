"""The frame of the command line: how commands are found, where output goes, and how they end."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from streamio.cli import MISSING, table
from streamio.cli.ending import masked
from streamio.cli.output import confirm, emit, note, progress, visible
from streamio.cli.program import program, with_global_options
from streamio.cli.session import Session

from ..servers import RedisServer, free_port
from .conftest import Run
from .terminal import PROGRAM, environment, inside, on_terminal

ROOT = Path(__file__).parent.parent.parent
SPECIFIED = (
    "ls info report cat view pending top doctor add produce read consume run claim ack nack bury dead-entry group consumer trim "
    "dead dlq copy bench dashboard demo"
)


def called(monkeypatch: pytest.MonkeyPatch, function: Any, *words: str, **options: Any) -> Any:
    """What a command of this test's own comes to."""
    command = with_global_options(click.command("mine")(function))
    monkeypatch.setitem(table.COMMANDS, "mine", ("mine:mine", "A test's own."))
    monkeypatch.setattr(type(program), "get_command", lambda *_: command)
    return inside("mine", *words, **options)


# -- the table ------------------------------------------------------------------------------------------------------------------------


def test_every_command_of_the_specification_is_there() -> None:
    assert set(SPECIFIED.split()) <= table.COMMANDS.keys() | table.ALIASES.keys()
    assert set(table.ALIASES.values()) <= table.COMMANDS.keys()


@pytest.mark.parametrize("name", [*table.COMMANDS, *table.ALIASES])
def test_every_command_tells_how_it_is_used(name: str) -> None:
    found = inside(name, "--help")
    assert (found.code, found.err) == (0, "")
    assert f"Usage: streamio {name}" in found.out
    assert len(found.out) > 200


@pytest.mark.slow
def test_help_imports_no_command_and_listing_streams_neither_rich_nor_a_web_server(real_server: RedisServer) -> None:
    code = "import sys; from streamio.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    code = code.replace("main(sys", "main(['--help']); print(*sys.modules, file=sys.stderr); main(sys")
    done = subprocess.run([sys.executable, "-c", code, "-u", real_server.url, "ls", "-n", "none*"], capture_output=True, text=True)
    helped, listed = (set(line.split()) for line in done.stderr.splitlines())
    assert all(f"\n  {name} " in done.stdout for name in table.COMMANDS)
    assert all(alias in done.stdout for alias in table.ALIASES)
    assert not {name for name in helped if name.startswith("streamio.cli.") and name.split(".")[2] in table.COMMANDS}
    assert not {"rich", "starlette", "uvicorn", "jinja2", "fakeredis", "streamio.dashboard", "streamio.cli.cat"} & listed


@pytest.mark.slow
def test_without_click_the_extra_is_named() -> None:
    code = "import sys; sys.modules['click'] = None; from streamio.cli import main; sys.exit(main(['ls']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", MISSING + "\n")
    assert "pip install 'streamio[cli]'" in MISSING


def test_the_entry_point_needs_no_click() -> None:
    imports = [node for node in ast.parse((ROOT / "streamio/cli/__init__.py").read_text()).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert {each.module for each in imports if isinstance(each, ast.ImportFrom)} == {"__future__", "collections.abc"}


# -- how commands end -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 64, "Usage: streamio"),
        (("lss",), 64, "Did you mean 'ls'?"),
        (("ls", "--nothing"), 64, "No such option"),
        (("ls", "-o", "xml"), 64, "'xml' is not one of"),
        (("cat",), 64, "Missing argument 'TOPIC'"),
        (("-u", "memory://x", "ls"), 1, "--url is 'memory://x', a server that lives in one process only"),
        (("-u", "http://x", "ls"), 1, "--url must be an address that begins with one of redis://"),
    ],
)
def test_what_is_wrong_is_told_on_stderr(words: tuple[str, ...], code: int, says: str) -> None:
    found = inside(*words)
    assert (found.code, found.out) == (code, "")
    assert says in found.err


def test_wrong_use_is_not_taken_for_a_failed_check(run: Run, topic: Any) -> None:
    topic.publish("a", x=1)
    topic.group("g").create("0")
    assert run("report", topic.name, "--fail-lag", "none").code == 64
    assert run("report", topic.name, "--fail-lag", "0").code == 2


def test_a_server_that_is_not_there_is_one_line_without_its_password() -> None:
    found = inside("-u", f"redis://me:secret@127.0.0.1:{free_port()}/0?password=hidden", "ls")
    assert (found.code, len(found.err.splitlines())) == (1, 1)
    assert "Connection refused" in found.err
    assert "secret" not in found.err and "hidden" not in found.err


def test_verbose_shows_the_traceback_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def mine() -> None:
        raise ZeroDivisionError("of redis://me:secret@host:1/0")

    quiet, verbose = called(monkeypatch, mine), called(monkeypatch, mine, "-v")
    assert (quiet.code, quiet.err) == (1, "streamio: ZeroDivisionError: of redis://me:***@host:1/0\n")
    assert "Traceback" in verbose.err and "raise ZeroDivisionError" in verbose.err
    assert "secret@host:1/0" not in verbose.err.replace('of redis://me:secret@host:1/0")', "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:p%40ss@h:1/0 and rediss://u:x@h", "redis://:***@h:1/0 and rediss://u:***@h"),
        ("redis://h:1/0?password=abc&x=1", "redis://h:1/0?password=***&x=1"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("redis://u:a/b?c#d@h:1", "redis://u:***@h:1"),
    ],
)
def test_passwords_in_addresses_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.slow
def test_a_closed_pipe_ends_silently(real_server: RedisServer, topic: Any) -> None:
    topic.publish_many(("a", {"x": "y" * 100}) for _ in range(5000))
    program = subprocess.Popen([*PROGRAM, "-u", real_server.url, "cat", topic.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout is not None and program.stderr is not None
    assert program.stdout.readline()
    program.stdout.close()
    assert (program.wait(20), program.stderr.read()) == (0, b"")
    program.stderr.close()


@pytest.mark.slow
def test_following_ends_silently_when_nobody_reads_and_nothing_comes(real_server: RedisServer, topic: Any) -> None:
    topic.publish("a", x=1)
    with subprocess.Popen([*PROGRAM, "-u", real_server.url, "cat", "-f", topic.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None and program.stderr is not None
        assert program.stdout.readline()
        assert program.poll() is None
        program.stdout.close()
        try:
            assert (program.wait(5), program.stderr.read()) == (0, b"")
        finally:
            program.kill()


@pytest.mark.slow
def test_without_stdout_nothing_is_done_and_one_line_says_why(real_server: RedisServer, topic: Any) -> None:
    topic.publish("a", x=1)
    script = f"{' '.join(PROGRAM)} -u {real_server.url} read {topic.name} -g g --burst >&-"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment())
    assert (done.returncode, done.stderr) == (1, "streamio: stdout is closed: give it a place to go, /dev/null say\n")
    assert topic.groups() == []


@pytest.mark.slow
def test_a_failed_check_is_told_by_its_code_also_into_a_closed_pipe_or_a_full_disk(real_server: RedisServer, topic: Any) -> None:
    topic.publish("a", x=1)
    topic.group("g").create("0")
    command = f"{' '.join(PROGRAM)} -q -u {real_server.url} report {topic.name} --fail-lag 0"
    script = f"{command} | true; echo ${{PIPESTATUS[0]}}; {command} > /dev/full; echo $?"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment())
    fault = f"streamio: {topic.name} g: lag 1, at most 0 allowed\n"
    assert (done.stdout, done.stderr) == ("2\n2\n", 2 * fault)


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_no_traceback(real_server: RedisServer, topic: Any) -> None:
    topic.publish("a", x=1)
    program = subprocess.Popen([*PROGRAM, "-u", real_server.url, "cat", "-f", topic.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout is not None and program.stderr is not None
    with program.stdout, program.stderr:
        assert program.stdout.readline()
        program.send_signal(signal.SIGINT)
        assert (program.wait(20), program.stderr.read().strip()) == (130, b"")


def test_data_goes_to_stdout_and_all_else_to_stderr(run: Run, topic: Any) -> None:
    topic.publish("a", x=1)
    found = run("cat", topic.name, "-t", "b")
    assert (found.code, found.out, found.err) == (0, "", "0 of 1 entries looked at\n")


# -- the session ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("-u", "{}", "ls", "-n"), ("ls", "-n", "-u", "{}"), ("-u", "redis://127.0.0.1:1", "ls", "-n", "-u", "{}")])
def test_the_servers_address_may_stand_before_the_command_or_after_it(words: tuple[str, ...], real_server: RedisServer, topic: Any) -> None:
    topic.publish("a", x=1)
    found = inside(*(each.format(real_server.url) for each in words), topic.name)
    assert found.lines == [topic.name]


def test_the_environment_tells_the_servers_address(real_server: RedisServer, topic: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    topic.publish("a", x=1)
    monkeypatch.setenv("REDIS_URL", real_server.url)
    assert inside("ls", "-n", topic.name).lines == [topic.name]
    monkeypatch.setenv("REDIS_URL", "memory://")
    assert "$REDIS_URL is 'memory://'" in inside("ls").err


def test_a_session_closes_what_it_opened(real_server: RedisServer) -> None:
    session = Session()
    session.given_url = real_server.url
    topic, client = session.topic("x"), session.client()
    observer = session.observer()
    assert client is session.client()
    session.close()
    assert topic.closed
    with pytest.raises(ValueError, match="closed"):
        observer.look()


def test_what_a_command_opened_is_closed_also_when_it_fails(monkeypatch: pytest.MonkeyPatch, real_server: RedisServer) -> None:
    opened: list[Any] = []

    @click.pass_obj
    def mine(session: Session) -> None:
        opened.append(session.topic("x"))
        raise ValueError("no")

    assert called(monkeypatch, mine, "-u", real_server.url).err == "streamio: no\n"
    assert opened[0].closed


def test_quiet_says_nothing_but_errors(run: Run, topic: Any) -> None:
    topic.publish("a", x=1)
    assert run("-q", "cat", topic.name, "-t", "b").err == ""
    assert run("-q", "cat", "no-such-stream").err != ""


# -- output ---------------------------------------------------------------------------------------------------------------------------

ROWS = [{"a": "x\x1b[31m", "n": 1.23456}, {"a": None, "n": 20}]


@pytest.mark.parametrize(
    ("kind", "printed"),
    [
        ("table", "a          n\nx\\x1b[31m  1.23456\n-          20\n"),
        ("json", '[\n  {\n    "a": "x\\u001b[31m",\n    "n": 1.235\n  },\n  {\n    "a": null,\n    "n": 20\n  }\n]\n'),
        ("jsonl", '{"a": "x\\u001b[31m", "n": 1.235}\n{"a": null, "n": 20}\n'),
        ("raw", "x\\x1b[31m\t1.23456\n-\t20\n"),
    ],
)
def test_rows_are_printed_as_the_output_says(kind: str, printed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert called(monkeypatch, lambda: emit(ROWS), "-o", kind).out == printed


def test_a_name_that_is_not_utf_8_is_told_all_the_same(run: Run, name: str, real_server: RedisServer) -> None:
    with real_server.client() as client:
        client.xgroup_create(name, b"g\xff", "$", mkstream=True)
    assert run("report", name, "--fail-lag", "9").json[0]["group"] == "g\udcff"
    assert "g\\udcff" in run("report", name, "--fail-lag", "9", "-o", "table").out
    assert "g\\xff" in run("info", name, "-o", "table").out


def test_nothing_steers_the_terminal() -> None:
    assert visible("a\x1b]0;title\x07\x9b31m\x7f\nß") == "a\\x1b]0;title\\x07\\x9b31m\\x7f\\nß"


def test_without_a_person_to_ask_nothing_is_destroyed(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[bool] = []

    def mine() -> None:
        confirm("Remove 3 entries of 'orders'?", False)
        done.append(True)

    found = called(monkeypatch, mine, input="y\n")
    assert (found.code, done) == (1, [])
    assert found.err == "streamio: Remove 3 entries of 'orders'? Nobody is here to ask: --yes says so.\n"


def test_no_progress_is_shown_where_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    def mine() -> None:
        with progress("copying", 10) as advance:
            advance(10)
        note("done")

    assert called(monkeypatch, mine).err == "done\n"


@pytest.mark.slow
def test_a_table_on_a_terminal_is_drawn_with_colours_unless_they_are_unwanted(real_server: RedisServer, topic: Any) -> None:
    topic.publish("a", x=1)
    with on_terminal("cat", topic.name, REDIS_URL=real_server.url) as terminal:
        assert terminal.end() == 0
    assert "  a  x=1" in terminal.text
    assert "\x1b[36m" in terminal.shown
    with on_terminal("cat", topic.name, REDIS_URL=real_server.url, NO_COLOR="1") as plain:
        assert plain.end() == 0
    assert "  a  x=1" in plain.text
    assert "\x1b[" not in plain.shown


# -- completion -----------------------------------------------------------------------------------------------------------------------


def completed(monkeypatch: pytest.MonkeyPatch, url: str, *words: str) -> set[str]:
    """What the shell is offered for the last of these words."""
    known = {"_STREAMIO_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(["streamio", *words]), "COMP_CWORD": str(len(words)), "REDIS_URL": url}
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    found = inside()
    assert found.err == ""
    return {line.partition(",")[2] for line in found.lines if line}


def test_the_shell_completes_commands_options_streams_groups_and_consumers(
    real_server: RedisServer, topic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic.publish("a", x=1)
    group = topic.group("billing", start="0")
    group.create()
    with group.member("worker-1") as member:
        assert member.read(1, timeout=5)
        url = real_server.url
        assert completed(monkeypatch, url, "rep") == {"report"}
        assert completed(monkeypatch, url, "report", "--fail") == {"--fail-lag", "--fail-pending", "--fail-idle"}
        assert completed(monkeypatch, url, "cat", topic.name) >= {topic.name}
        assert completed(monkeypatch, url, "pending", topic.name, "b") == {"billing"}
        assert completed(monkeypatch, url, "pending", topic.name, "billing", "-c", "w") == {"worker-1"}


def test_completion_offers_nothing_where_the_server_cannot_be_asked(real_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed(monkeypatch, f"redis://127.0.0.1:{free_port()}", "cat", "or") == set()
    assert completed(monkeypatch, "memory://", "cat", "or") == set()
    assert completed(monkeypatch, real_server.url, "pending", "no-such-stream", "b") == set()
