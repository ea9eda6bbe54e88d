"""What an entry carries of its trace, and how much it holds: read from its words as they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..codec import is_reserved
from ..enveloped import EntryMessage

TRACE = ("traceparent", "tracestate")
HEADER = "header:"


def carrier_of(message: Any) -> Mapping[str, str]:
    """The message's headers as text, as a propagator reads them; empty where it has none, which is seen at a glance."""
    if isinstance(message, EntryMessage):
        return {name: value for name, value in message.headers.items() if isinstance(value, str)}
    names: list[str] = message._flat[::2]
    found = {name: message._flat[2 * names.index(name) + 1] for name in TRACE if name in names}
    if HEADER in "".join(names):
        found.update((name[len(HEADER) :], message._flat[2 * at + 1]) for at, name in enumerate(names) if name.startswith(HEADER))
    return found


def size_of(words: Sequence[str | bytes]) -> int:
    """How many bytes an entry's fields are, names and values, without its type and headers."""
    exact = [word.encode("utf-8", "surrogateescape") if isinstance(word, str) else word for word in words]
    return sum(len(name) + len(value) for name, value in zip(exact[::2], exact[1::2]) if not is_reserved(name))


def total_size(messages: Iterable[Any]) -> int:
    """The same of all these messages."""
    return sum(size_of(message._flat) for message in messages)
