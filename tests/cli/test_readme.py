"""The commands that the README shows are right as they stand there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamio import Topic

from ..servers import RedisServer
from .terminal import inside

README = (Path(__file__).parents[2] / "README.md").read_text()
LINES = [shlex.split(line, comments=True) for line in re.findall(r"^\$ (streamio .*)$", README, re.MULTILINE)]
STAGES = [shlex.split(stage)[1:] for line in LINES for stage in shlex.join(line).split(" '|' ")]  # of pipes, each by itself
ENDLESS = {"-f", "run"}  # what waits for more, and what runs code that is not there


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server whose stream `orders` has an entry and a group."""
    server = RedisServer().start()
    with Topic("orders", server.url) as orders:
        orders.publish("order.placed", customer="Ada")
        orders.group("billing").create()
    yield server
    server.remove()


def test_the_readme_shows_commands() -> None:
    assert len(STAGES) > 12


@pytest.mark.parametrize("words", [words for words in STAGES if not ENDLESS & {*words}], ids=" ".join)
def test_a_command_of_the_readme_is_right(words: list[str], server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = inside("-u", server.url, *words, *(["--burst"] if words[0] == "read" else []), input="")
    assert ended.code in (0, 2), ended.err


@pytest.mark.parametrize("words", [words for words in STAGES if ENDLESS & {*words}], ids=" ".join)
def test_a_command_of_the_readme_that_goes_on_is_understood(words: list[str]) -> None:
    assert inside(*words, "--help").code == 0
    assert inside(*words, "--no-such-option", "--help").code == 64  # so the one above has read the options
