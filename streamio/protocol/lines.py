"""Sending the lines of a file. Lines that wait are taken out when the server has them, or may have them; what was surely not written waits on."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any

from redis.exceptions import InvalidResponse, ResponseError

from ..commands import xadds
from ..effects import Exchange, Words
from ..errors import PublishUncertain, Unanswered
from .asking import fine
from .publishing import BATCH, Publisher, is_refusal, parted

Line = tuple[bytes, Words]  # and its entry
Waiting = deque[Line]


def sending_lines(publisher: Publisher, waiting: Waiting, doubt: list[bytes]) -> Exchange[None]:
    """Write the lines that wait now, pipelined, in order.

    redis-py's error, or a SetupError, where lines were not written: they wait. `PublishUncertain` where the connection broke before all replies
    came: its `lines` are in doubt, and wait no more. Those that were being written where it is interrupted are in `doubt` then, and wait no more.
    """
    retention = yield from publisher.retaining()
    left = len(waiting)
    while left > 0 and waiting:
        part = [*islice(waiting, min(left, BATCH))]
        part = part[: len(parted([words for _, words in part])[0])]
        left -= len(part)
        yield from sending_part(publisher, retention, part, waiting, doubt)


def sending_part(publisher: Publisher, retention: Words, part: list[Line], waiting: Waiting, doubt: list[bytes]) -> Exchange[None]:
    """Write the first lines that wait."""
    try:
        replies = yield from publisher.asking(xadds(publisher.topic, retention, [words for _, words in part]))
    except Unanswered as broken:
        if not broken.replies and is_refusal(broken.cause):
            raise broken.cause from None
        settle(part, broken.replies, waiting)
        ids = [str(reply) for reply in broken.replies if not isinstance(reply, ResponseError)]
        lines = [line for line, _ in part[len(broken.replies) :]]
        raise PublishUncertain(publisher.topic, ids, len(ids), lines) from broken.cause
    except BaseException as error:
        if isinstance(error, InvalidResponse) or not isinstance(error, Exception):
            settle(part, (), waiting)  # it may have been sent
            doubt += [line for line, _ in part]
        raise
    settle(part, replies, waiting)
    for reply in replies:
        publisher.learned(str(fine(reply, ("XADD", publisher.topic))))


def settle(part: list[Line], replies: Sequence[Any], waiting: Waiting) -> None:
    """Take the part out of what waits, but for the lines that the server refused."""
    refused = [line for line, reply in zip(part, replies) if isinstance(reply, ResponseError)]
    for _ in part:
        waiting.popleft()
    waiting.extendleft(reversed(refused))
