"""The options of groups and members as types, for calls that hand them on. What they mean stands where they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict

from .colour import D
from .ids import Duration, Position
from .message import Message
from .retry import RetryPolicy

if TYPE_CHECKING:
    from .topic import Topic

Unhandled = Literal["ack", "leave", "bury"]
OnGroupLost = Literal["recreate", "raise"]
Ack = Literal["auto", "manual", "none"]
Prefetch = int | Literal["auto"]


class GroupOptions(TypedDict, total=False):
    """The keywords of `ConsumerGroupTopic`."""

    start: Position
    min: int
    max: int | None
    lease: Duration
    claim_interval: Duration | None
    retry: RetryPolicy | None
    unhandled: Unhandled
    on_group_lost: OnGroupLost


class MemberSettings(TypedDict, total=False):
    """The keywords of `ConsumerGroupMember` that are alike in both colours."""

    concurrency: int
    prefetch: Prefetch
    block: Duration
    ack: Ack
    grace: Duration
    connect_timeout: Duration
    handler_timeout: Duration | None
    standby: bool
    reply_to: Topic[Any] | None


class MemberOptions(MemberSettings, Generic[D], total=False):
    """All keywords of `ConsumerGroupMember`."""

    handlers: Mapping[str, Callable[[Message[D]], Any]] | None
