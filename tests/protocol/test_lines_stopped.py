"""Sending lines, effect by effect: whatever happens, a line that was surely not written waits, and no other does."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from redis.exceptions import AuthenticationError, ConnectionError, InvalidResponse, MovedError, OutOfMemoryError

from streamio import PublishUncertain
from streamio.effects import Call, Now, Redirect
from streamio.errors import Unanswered
from streamio.protocol.lines import sending_lines
from streamio.protocol.publishing import Publisher
from streamio.retention import Retention

FULL = OutOfMemoryError("OOM command not allowed")
GONE = ConnectionError("gone")


def sent(answer: Any, count: int = 4, doubt: list[bytes] | None = None) -> tuple[list[bytes], BaseException | None, int]:
    """What waits after the first call was answered so, or raised so; what came of it; and how many calls there were."""
    waiting: Any = deque((b"%d" % n, (b"type", b"line", b"data", b"%d" % n)) for n in range(count))
    exchange, calls = sending_lines(Publisher("t", Retention.of(None, None)), waiting, [] if doubt is None else doubt), 0
    came: Any = None
    try:
        while True:
            effect = exchange.throw(came) if isinstance(came, BaseException) else exchange.send(came)
            came = 1.0
            if isinstance(effect, Call):
                calls += 1
                ids = [f"{calls}-{n}" for n in range(1, len(effect.commands) + 1)]
                came = answer(ids) if calls == 1 else ids
            else:
                assert isinstance(effect, (Now, Redirect))
    except StopIteration:
        return [line for line, _ in waiting], None, calls
    except BaseException as error:
        return [line for line, _ in waiting], error, calls


def test_all_that_waits_is_written_in_pipelines() -> None:
    assert sent(lambda ids: ids, count=1200) == ([], None, 3)


def test_what_the_server_refused_waits_in_order() -> None:
    waiting, error, _ = sent(lambda ids: [ids[0], FULL, ids[2], FULL, *ids[4:]], count=502)
    assert (waiting, error) == ([b"1", b"3", b"500", b"501"], FULL)


@pytest.mark.parametrize("error", [GONE, AuthenticationError("no"), ValueError("closed"), Unanswered(AuthenticationError("no"))])
def test_where_nothing_was_sent_all_waits(error: Exception) -> None:
    waiting, raised, _ = sent(lambda ids: error)
    assert waiting == [b"0", b"1", b"2", b"3"]
    assert raised is (error.cause if isinstance(error, Unanswered) else error)


def test_lines_without_a_reply_are_in_doubt_and_wait_no_more() -> None:
    waiting, error, _ = sent(lambda ids: Unanswered(GONE, [ids[0], FULL, ids[2]]), count=501)
    assert isinstance(error, PublishUncertain)
    assert waiting == [b"1", b"500"]
    assert (error.ids, error.lines[:2], len(error.lines)) == (["1-1", "1-3"], [b"3", b"4"], 497)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InvalidResponse("junk"), GeneratorExit()])
def test_what_was_being_written_when_it_was_interrupted_is_not_written_again(error: BaseException) -> None:
    doubt: list[bytes] = []
    waiting, raised, _ = sent(lambda ids: error, count=501, doubt=doubt)
    assert waiting == [b"500"]
    assert raised is error
    assert doubt == [b"%d" % n for n in range(500)]


def test_a_key_that_moved_is_followed() -> None:
    assert sent(lambda ids: [MovedError("1 127.0.0.1:7000")] * len(ids)) == ([], None, 2)
