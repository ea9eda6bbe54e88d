"""Redis Streams consumer groups as Python iterables, event emitters and pipes, the same three classes for blocking code and asyncio."""

from .cloudevents import CloudEventsCodec
from .codec import Codec, FlatCodec, JSONCodec
from .colour import Asyncio, Blocking
from .dead_letters import DeadLetter, DeadLetters
from .entries import Entries
from .envelopes import EntryCodec, Envelope
from .errors import (
    Abandoned,
    AtLeastOnce,
    ConsumerBusy,
    GroupFull,
    GroupInUse,
    GroupLost,
    HandlerTimeout,
    NotAcknowledged,
    PublishStopped,
    PublishUncertain,
    RequestTimeout,
    SetupError,
    StreamioError,
    Undecodable,
)
from .group import ConsumerGroupTopic
from .member import ConsumerGroupMember
from .message import Message
from .pipes import Pipeline
from .reports import (
    ClaimResult,
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
    SeekPreview,
    TopicInfo,
    TrimPreview,
    TrimResult,
)
from .retry import RetryPolicy
from .streamerson import StreamersonCodec, StreamersonTopic
from .topic import Topic, from_url
from .typed import TypedCodec

__version__ = "0.1.0"

__all__ = [
    "Abandoned",
    "Asyncio",
    "AtLeastOnce",
    "Blocking",
    "ClaimResult",
    "CloudEventsCodec",
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
    "EntryCodec",
    "Envelope",
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
    "Pipeline",
    "PublishStopped",
    "PublishUncertain",
    "ReapResult",
    "RedriveResult",
    "RequestTimeout",
    "RetryPolicy",
    "SeekPreview",
    "SetupError",
    "StreamersonCodec",
    "StreamersonTopic",
    "StreamioError",
    "Topic",
    "TopicInfo",
    "TrimPreview",
    "TrimResult",
    "TypedCodec",
    "Undecodable",
    "from_url",
]
