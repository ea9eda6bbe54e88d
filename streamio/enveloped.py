"""Messages whose codec owns the whole entry. A member, a replay and a tail choose their class of message once, by their codec: others pay nothing.

The entry is read when its type, data or headers are first asked for: like every payload that may not decode, just before it is delivered. What the
codec cannot read has an empty type, or what was found of it, and is buried as undecodable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .codec import FOR_GROUP, Pairs
from .envelopes import Envelope, despite, is_whole, opened
from .message import Message, Redelivered


class EntryMessage(Message):
    """A message whose type, data and headers are its codec's to read."""

    __slots__ = ()
    _data: Any

    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        del self.type, self._asks  # what a field `type` says, and a header of ours

    def __getattr__(self, name: str) -> Any:
        """The type, and whether its producer waits for a reply: read once, when first asked for."""
        if name == "type":
            self.type = self._seen.type
        elif name == "_asks":
            self._asks = "reply_to" in self.headers
        else:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self, name)

    @property
    def data(self) -> Any:
        """The payload. An error where the codec cannot read the entry."""
        return self._envelope.data

    @property
    def headers(self) -> Mapping[str, Any]:
        """The headers by name, as the codec reads them."""
        return self._seen.headers

    def _header(self, name: str) -> Any:
        """One header, as the codec reads it."""
        return self.headers.get(name)

    @property
    def _seen(self) -> Envelope:
        """What the codec reads, or what was found of an entry that it cannot read."""
        try:
            return self._envelope
        except Exception as error:
            return despite(error)

    @property
    def _envelope(self) -> Envelope:
        if self._data is None:
            self._data = opened(self._hand.codec, self._unmarked)
        found: Envelope = self._data
        return found

    @property
    def _unmarked(self) -> Pairs:
        """All pairs that are the entry's own: a copy for one group begins with one that is not."""
        fields = self.fields
        return fields[1:] if fields[0][0] == FOR_GROUP.encode() and len(fields) > 1 else fields


class RedeliveredEntry(EntryMessage, Redelivered):
    """As `Redelivered`."""

    __slots__ = ()


def classes_for(codec: object) -> tuple[type[Message], type[Redelivered]]:
    """The classes of messages, new and redelivered, for this codec."""
    return (EntryMessage, RedeliveredEntry) if is_whole(codec) else (Message, Redelivered)
