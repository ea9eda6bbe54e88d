"""Redis Streams consumer groups as Python iterables, event emitters and pipes, the same three classes for blocking code and asyncio."""

from .codec import Codec, FlatCodec, JSONCodec
from .colour import Asyncio, Blocking
from .dead_letters import DeadLetter, DeadLetters
from .entries import Entries
from .errors import GroupFull, GroupInUse, GroupLost, PublishStopped, PublishUncertain, SetupError, StreamioError
from .group import ConsumerGroupTopic
from .member import ConsumerGroupMember
from .message import Message
from .reports import ConsumerInfo, DeadLettersInfo, Event, GroupInfo, Holder, MemberInfo, PendingEntry, RedriveResult, TopicInfo, TrimResult
from .retry import RetryPolicy
from .topic import Topic, from_url

__version__ = "0.1.0"

__all__ = [
    "Asyncio",
    "Blocking",
    "Codec",
    "ConsumerGroupMember",
    "ConsumerGroupTopic",
    "ConsumerInfo",
    "DeadLetter",
    "DeadLetters",
    "DeadLettersInfo",
    "Entries",
    "Event",
    "FlatCodec",
    "GroupFull",
    "GroupInUse",
    "GroupInfo",
    "GroupLost",
    "Holder",
    "JSONCodec",
    "MemberInfo",
    "Message",
    "PendingEntry",
    "PublishStopped",
    "PublishUncertain",
    "RedriveResult",
    "RetryPolicy",
    "SetupError",
    "StreamioError",
    "Topic",
    "TopicInfo",
    "TrimResult",
    "from_url",
]
