"""The names of keys. One function makes every side key, so that all processes and versions meet at the same ones.

A side key must share its topic's Redis Cluster slot and should begin with the topic's name (ACL patterns, SCAN):

1. the topic has a hash tag (`orders:{eu}`): append;                 `orders:{eu}:dead:billing`
2. it has none: the whole name becomes the tag;                      `orders:dead:{orders}:billing`
3. neither works (`a{}b`, `a}b`): a searched number is the tag.      `a}b:dead:{3991}:billing`
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from functools import lru_cache
from itertools import chain

WAITING = "~waiting"
LONGEST = 64 * 1024
SIDE_STREAM = re.compile(":(dead|replies)(?=:)")


def tag(key: str) -> str:
    """The part of the key that Redis Cluster hashes: what stands between the first `{` and the next `}`, or the whole key."""
    _, opening, rest = key.partition("{")
    inside, closing, _ = rest.partition("}")
    return inside if opening and closing and inside else key


def slot(key: str) -> int:
    """The key's Redis Cluster slot, 0 to 16383."""
    return crc_hqx(tag(key).encode(), 0) % 16384


def escape(name: str) -> str:
    """A group's or member's name as it stands in a key: `%`, `:`, `{`, `}` and `~` percent-encoded."""
    return "".join(f"%{ord(sign):02X}" if sign in "%:{}~" else sign for sign in name)


@lru_cache(maxsize=1024)
def side_key(topic: str, kind: str, *names: str) -> str:
    """The key of what belongs to the topic: `kind` is `dead`, `slots`, …; `names` are the group's or member's."""
    tail = "".join(f":{escape(name)}" for name in names)
    if tag(topic) != topic:
        return f"{topic}:{kind}{tail}"
    for candidate in chain([topic], map(str, range(1_000_000))):
        key = f"{topic}:{kind}:{{{candidate}}}{tail}"
        if candidate and slot(key) == slot(topic):
            return key
    raise ValueError(f"no side key shares a slot with topic {topic!r}")


def is_side_stream(key: str) -> bool:
    """Whether the key is that of a stream of ours beside a topic: dead letters or replies."""
    return any(key[: each.start()] and key.startswith(side_key(key[: each.start()], each[1]) + ":") for each in SIDE_STREAM.finditer(key))


def checked(name: str, what: str) -> str:
    """The name of a topic, group or member, or an error that says which is wrong and why."""
    if not isinstance(name, str):
        raise TypeError(f"the {what} must be a str, not {name!r}")
    if not name:
        raise ValueError(f"the {what} must not be empty")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ValueError(f"the {what} {name!r} cannot be written as UTF-8") from None
    if size > LONGEST:
        raise ValueError(f"the {what} is {size} bytes long, {LONGEST} are allowed")
    return name


def checked_consumer(name: str, what: str) -> str:
    """The name of a member, as `checked`; the parking consumer is none."""
    if checked(name, what) == WAITING:
        raise ValueError(f"the {what} {WAITING!r} is reserved: it is where waiting entries are parked")
    return name
