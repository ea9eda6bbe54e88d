"""Redis Streams consumer groups as Python iterables, event emitters and pipes, the same three classes for blocking code and asyncio."""

from .codec import Codec, FlatCodec, JSONCodec
from .colour import Asyncio, Blocking
from .dead_letters import DeadLetter, DeadLetters
from .entries import Entries
from .errors import (
    Abandoned,
    ConsumerBusy,
    GroupFull,
    GroupInUse,
    GroupLost,
    HandlerTimeout,
    NotAcknowledged,
    PublishStopped,
    PublishUncertain,
    SetupError,
    StreamioError,
)
from .group import ConsumerGroupTopic
from .member import ConsumerGroupMember
from .message import Message
from .reports import (
    ConsumerInfo,
    DeadLettersInfo,
    DelayedInfo,
    Event,
    GroupInfo,
    Holder,
    MemberInfo,
    PendingEntry,
    ReapResult,
    RedriveResult,
    TopicInfo,
    TrimResult,
)
from .retry import RetryPolicy
from .topic import Topic, from_url

__version__ = "0.1.0"

__all__ = [
    "Abandoned",
    "Asyncio",
    "Blocking",
    "Codec",
    "ConsumerBusy",
    "ConsumerGroupMember",
    "ConsumerGroupTopic",
    "ConsumerInfo",
    "DeadLetter",
    "DeadLetters",
    "DeadLettersInfo",
    "DelayedInfo",
    "Entries",
    "Event",
    "FlatCodec",
    "GroupFull",
    "GroupInUse",
    "GroupInfo",
    "GroupLost",
    "HandlerTimeout",
    "Holder",
    "JSONCodec",
    "MemberInfo",
    "Message",
    "NotAcknowledged",
    "PendingEntry",
    "PublishStopped",
    "PublishUncertain",
    "ReapResult",
    "RedriveResult",
    "RetryPolicy",
    "SetupError",
    "StreamioError",
    "Topic",
    "TopicInfo",
    "TrimResult",
    "from_url",
]
