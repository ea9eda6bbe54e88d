"""Every error that streamio raises itself.

Facts are attributes, the sentence is made in `__str__`. Errors of redis-py (`redis.ConnectionError`, `redis.AuthenticationError`, …)
pass through under their own names; wrong use of the API is a `TypeError` or a `ValueError` that names the argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class StreamioError(Exception):
    """The base of every error that streamio raises itself."""


class SetupError(StreamioError):
    """Something outside this process must change first: a key of another type, a missing right, a server too old, an extra not installed."""


class GroupLost(StreamioError):
    """The consumer group went away under a running member, and `on_group_lost="raise"` was asked for."""

    def __init__(self, topic: str, group: str, answer: str) -> None:
        super().__init__(topic, group, answer)
        self.topic, self.group, self.answer = topic, group, answer

    def __str__(self) -> str:
        return f"consumer group {self.group!r} of topic {self.topic!r} is gone: the server answered {self.answer!r}"


class GroupInUse(StreamioError):
    """`destroy()` was refused because members of the group are alive; `force=True` destroys it all the same."""

    def __init__(self, topic: str, group: str, members: Sequence[str]) -> None:
        super().__init__(topic, group, members)
        self.topic, self.group, self.members = topic, group, tuple(members)

    def __str__(self) -> str:
        names = ", ".join(map(repr, self.members))
        return f"consumer group {self.group!r} of topic {self.topic!r} has live members ({names}): stop them first, or destroy(force=True)"


class GroupFull(StreamioError):
    """All `max` places of the group are held by live members."""

    def __init__(self, topic: str, group: str, max: int) -> None:
        super().__init__(topic, group, max)
        self.topic, self.group, self.max = topic, group, max

    def __str__(self) -> str:
        return f"consumer group {self.group!r} of topic {self.topic!r} already has its max={self.max} members"


class ConsumerBusy(StreamioError):
    """A consumer was not removed, because `pending` entries are pending under its name. Without an `heir` nothing was changed.

    With one, what was pending went there, and the consumer read more: it is alive.
    """

    def __init__(self, topic: str, group: str, consumer: str, pending: int, heir: str | None = None) -> None:
        super().__init__(topic, group, consumer, pending, heir)
        self.topic, self.group, self.consumer, self.pending, self.heir = topic, group, consumer, pending, heir

    def __str__(self) -> str:
        which = f"consumer {self.consumer!r} of group {self.group!r}, topic {self.topic!r},"
        if self.heir is None:
            return f"{which} has {self.pending} entries pending: name an heir for them, or hand them over first"
        return f"{which} is alive, it reads on while its entries go to {self.heir!r} ({self.pending} pending now): stop it first"


class HandlerTimeout(StreamioError):
    """A handler, or a loop's body, ran for longer than the member's `handler_timeout`, `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"it ran for longer than handler_timeout={self.seconds:g} s"


class NotAcknowledged(StreamioError):
    """A batch handler returned, and not for this entry: it returned False, or other ids. `handler` is the function."""

    def __init__(self, handler: object) -> None:
        super().__init__(handler)
        self.handler = handler

    def __str__(self) -> str:
        return f"the batch handler {self.handler!r} did not return this entry as done"


class PublishStopped(StreamioError):
    """`publish_many` came to an item it could not publish, the one at `index`, and sent nothing more.

    `ids` are the ids of the entries written, in order: those before it and, where the server refused it, those of the same write that
    the server took all the same. The reason is the exception's `__cause__`.
    """

    def __init__(self, ids: Sequence[str], index: int) -> None:
        super().__init__(ids, index)
        self.ids, self.index = list(ids), index

    def __str__(self) -> str:
        return f"publishing stopped at item {self.index}: {self.__cause__}; {len(self.ids)} entries were written"


class PublishUncertain(StreamioError):
    """The connection broke after the write was sent: the entry may be in the stream, or not. It was not sent again.

    `ids` are the ids that `publish_many` knows to be written; `index` is the first item in doubt (0 for `publish`); `lines` are the lines in doubt
    of a file (`topic.open()`). The redis-py error is the exception's `__cause__`.
    """

    def __init__(self, topic: str, ids: Sequence[str] = (), index: int = 0, lines: Sequence[str | bytes] = ()) -> None:
        super().__init__(topic, ids, index, lines)
        self.topic, self.ids, self.index, self.lines = topic, list(ids), index, list(lines)

    def __str__(self) -> str:
        done = f" from item {self.index} on ({len(self.ids)} entries are known to be written)" if self.ids else ""
        return f"the write to {self.topic!r} is uncertain{done}: it was sent, and no reply came back ({self.__cause__})"


class Undecodable(StreamioError, ValueError):
    """An entry does not fit its codec, for this `reason`. `type` and `headers` are what was found of it all the same.

    For codecs of your own: raised by `read`, it lets the buried message and its dead letter tell more than an exception without them.
    """

    def __init__(self, reason: str, type: str = "", headers: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason, type, headers)
        self.reason, self.type, self.headers = reason, type, headers or {}

    def __str__(self) -> str:
        return self.reason


class AtLeastOnce(UserWarning):
    """Outputs or replies go to another server, or another slot of a cluster: they are written before the acknowledgement, perhaps more than once."""


class RequestTimeout(StreamioError, TimeoutError):
    """No reply to a request on `topic` came within `seconds`. Its entry is in the stream, and may still be handled."""

    def __init__(self, topic: str, seconds: float) -> None:
        super().__init__(topic, seconds)
        self.topic, self.seconds = topic, seconds

    def __str__(self) -> str:
        return f"no reply to the request on {self.topic!r} came within timeout={self.seconds:g} s"


class Abandoned(BaseException):
    """`abandon()` was called, or a second signal came (`stop_on`): nothing was acknowledged any more, and what was in hand is pending until its lease
    ends. No `Exception`, so that no handler takes it for one of its own."""

    def __str__(self) -> str:
        return "abandoned: what was in hand stays pending until its lease ends"


class Unanswered(Exception):
    """Internal: a driver sent the commands of a `Call`, and the connection broke before all replies came. `cause` is redis-py's error."""

    def __init__(self, cause: Exception, replies: Sequence[object] = ()) -> None:
        super().__init__(cause)
        self.cause, self.replies = cause, list(replies)
