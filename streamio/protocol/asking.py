"""How an exchange asks and reads the answer: on any free connection (`call`), or on a member's line (`ask`)."""

from __future__ import annotations

from typing import Any, TypeVar

from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from ..commands import Command
from ..effects import Call, Drop, Exchange, Line, Receive, Redirect, Words, Write
from ..errors import SetupError, Unanswered

R = TypeVar("R")
MOVES = 5
BROKEN = (ConnectionError, TimeoutError, OSError)  # what a connection that is lost raises
PASSING = (AskError, ClusterDownError, ReadOnlyError, TryAgainError)  # moved away; or demoted, which redis-py tells without the word
STATES = ("MOVED", "ASK", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY Redis")


def call(command: Command[R], patience: float = 0.0) -> Exchange[R]:
    """What the command gives. redis-py's errors pass through."""
    return command.read(fine((yield from followed(command, patience)), command.words))


def followed(command: Command[Any], patience: float) -> Exchange[Any]:
    """The reply to a command, sent in full where the server does not know the script, and to where the key moved."""
    reply: Any = None
    for _ in range(MOVES):
        reply = yield from sent(command.words, patience)
        if isinstance(reply, NoScriptError) and command.in_full:
            reply = yield from sent(command.in_full, patience)
        if not isinstance(reply, MovedError):
            break
        yield Redirect(reply.host, reply.port)
    return reply


def sent(words: Words, patience: float = 0.0) -> Exchange[Any]:
    """The reply to one command, an error reply as a value."""
    try:
        (reply,) = yield Call([words], patience)
    except Unanswered as broken:
        raise broken.cause from broken
    return reply


def ask(line: Line, command: Command[R]) -> Exchange[R]:
    """What the command gives on this line, which owes nothing."""
    return command.read(fine((yield from lasting(line, command)), command.words))


def lasting(line: Line, command: Command[Any]) -> Exchange[Any]:
    """The reply on this line. A refusal that passes is as good as a lost line: notes go back, and the member connects again."""
    reply = yield from answered(line, command)
    if isinstance(reply, ResponseError) and passes(reply):
        yield Drop(line)
        raise ConnectionError(str(reply)) from None
    return reply


def answered(line: Line, command: Command[Any]) -> Exchange[Any]:
    """The reply on this line: to the full script where the server does not know it, and from the node that the key moved to."""
    reply: Any = None
    for _ in range(MOVES):
        yield Write(line, [command.words])
        reply = yield Receive(line)
        if isinstance(reply, NoScriptError) and command.in_full:
            yield Write(line, [command.in_full])
            reply = yield Receive(line)
        if not isinstance(reply, MovedError):
            break
        yield Drop(line)
        yield Redirect(reply.host, reply.port)
    return reply


def fine(reply: Any, words: Words) -> Any:
    """The reply, or the error that it is: raised, and by name where setup is at fault."""
    if not isinstance(reply, ResponseError):
        return reply
    try:
        if says(reply, "WRONGTYPE"):
            raise SetupError(wrong_type(str(reply), words)) from reply
        raise reply
    finally:
        del reply  # no cycle of error, traceback and frame: it would keep the caller's stack alive


def wrong_type(reply: str, words: Words) -> str:
    """Which key holds something else than a stream. Of a script's two keys its own sentence says which."""
    return reply.removeprefix("WRONGTYPE ") if "the key" in reply else f"the key {key_of(words)!r} holds something else than a stream: {reply}"


def key_of(words: Words) -> str:
    """The key that a command is about."""
    place = {"XGROUP": 2, "XINFO": 2, "EVAL": 3, "EVALSHA": 3}.get(str(words[0]), 1)
    return str(words[words.index("STREAMS") + 1] if "STREAMS" in words else words[place])


def says(error: BaseException, *words: str) -> bool:
    """Whether an error reply begins with one of these words, behind the prefix that Lua puts before it."""
    text = str(error)
    return any(text.startswith(word) or f" {word} " in text[:160] or f" -{word} " in text[:160] for word in words)


def passes(error: BaseException) -> bool:
    """Whether the server refused what it, or another node, will take later: so the line is as good as lost."""
    return isinstance(error, PASSING) or says(error, *STATES)
