"""`streamio dashboard`."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from streamio.cli import main
from streamio.dashboard.serving import hosts_for, listening

from ..servers import RedisServer
from .site import Site


@contextmanager
def running(*words: str) -> Iterator[tuple[Site, str]]:
    """The command in a process of its own, and what it says first."""
    process = subprocess.Popen([sys.executable, "-m", "streamio", *words, "--port", "0"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        site = Site.__new__(Site)
        site.base, site.port = "", int(said.split()[0].split("/")[2].rpartition(":")[2])
        yield site, said
    finally:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=10)
    assert (out, process.returncode) == ("", 130)


@pytest.mark.slow
def test_it_tells_its_address_and_serves(real_server: RedisServer, stream: str) -> None:
    options = ["--allow-writes", "--topics", stream, "--interval", "500ms", "--mask", "n", "--prefix", "/s", "--token", "t0ken", "--lease", "5s"]
    with running("-u", real_server.url.replace("//", "//:@"), "dashboard", *options) as (site, said):
        assert said.startswith(f"http://127.0.0.1:{site.port}/s/ shows redis://") and "writes are allowed" in said and "t0ken" not in said
        assert site.get("/s/api/state").status == 401
        state = site.get("/s/api/state", Authorization="Bearer t0ken").json
        assert (state["read_only"], state["interval"], [each["name"] for each in state["sample"]["topics"]]) == (False, 0.5, [stream])
        assert site.get(f"/s/api/pending?topic={stream}", Authorization="Bearer t0ken").json["lease"] == 5


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--host", "0.0.0.0"], 64, "--token"),
        (["--host", "192.0.2.1"], 64, "--insecure-public"),
        (["--host", "0.0.0.0", "--token", " "], 64, "--token"),
        (["--interval", "soon"], 64, "--interval"),
        (["--interval", "1ms"], 1, "interval"),
        (["--port", "99999"], 64, "--port"),
        (["--host", "192.0.2.1", "--token", "t"], 1, "cannot listen on host 192.0.2.1"),
    ],
)
def test_what_is_not_safe_or_wrong_is_refused(words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-u", "redis://localhost:1", "dashboard", *words]) == code
    assert says in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with listening("127.0.0.1", 0) as door:
        assert main(["-u", "redis://localhost:1", "dashboard", "--port", str(door.getsockname()[1])]) == 1
    assert "in use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "names"), [("127.0.0.1", ()), ("::1", ()), ("0.0.0.0", ("*",)), ("::", ("*",)), ("10.1.2.3", ("10.1.2.3",)), ("fe80::1", ("[fe80::1]",))]
)
def test_a_server_is_asked_for_by_the_host_that_it_listens_on(host: str, names: Any) -> None:
    assert hosts_for(host) == names
