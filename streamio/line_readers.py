"""What `member.open("r")` gives: `io` objects whose lines are a group's entries.

1. An entry is acknowledged when the line after its last one is asked for. What one call gathers (`read()`, `readlines()`) is acknowledged with the
   next call. Nothing is read ahead of what was asked for, so after a crash only the entries of the last call come again.
2. `close()`, and a `with` block that ends without an exception, acknowledge what was handed out to its end. After an exception, or where the file is
   dropped, it is tried again at once, or as the end of `with member:` decides.
   From another thread they end a read that waits, as `member.stop()` does.
3. The end of the file is where nothing came for `timeout` seconds, and asking again looks again; or where the member stopped, for good.
"""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, AnyStr, Generic

from .codec import payload_of
from .message import Message

if TYPE_CHECKING:
    from .line_feed import Feed


class Texts(Generic[AnyStr]):
    """The messages' texts, each with a newline. `rest` is what was not handed out of the one at hand."""

    def __init__(self, feed: Feed, text: Callable[[Message], AnyStr], newline: AnyStr) -> None:
        self.feed = feed
        self.text: Callable[[Message], AnyStr] = text
        self.newline: AnyStr = newline
        self.empty: AnyStr = newline[:0]
        self.rest: AnyStr = newline[:0]
        self.fault: UnicodeError | None = None  # of the entry after those that were gathered: the next call raises it

    def fetch(self) -> AnyStr:
        """The next text; empty at the end."""
        message = self.feed.next()
        if message is None:
            return self.empty
        try:
            return self.text(message) + self.newline
        except UnicodeError:
            message.nack()
            raise

    def begin(self) -> None:
        """Have something to hand out, unless this is the end. What was handed out to its end is through."""
        if not self.rest:
            self.feed.through()
            fault, self.fault = self.fault, None
            if fault is not None:
                raise fault
            self.rest = self.fetch()

    def hand_out(self, most: int) -> AnyStr:
        """So much of what there is."""
        found, self.rest = self.rest[:most], self.rest[most:]
        return found

    def gather(self, most: int | None) -> list[AnyStr]:
        """The texts until the end, or until they are so long together, or until one is no text. They are through with the next call."""
        texts: list[AnyStr] = []
        left = most if most is not None and most > 0 else float("inf")
        self.begin()
        try:
            while self.rest:
                left -= len(self.rest)
                texts.append(self.hand_out(len(self.rest)))
                self.feed.keep()
                self.rest = self.fetch() if left > 0 else self.empty
        except UnicodeError as error:
            self.fault = error
        except BaseException:
            self.feed.leave()  # they come again
            raise
        return texts

    def line(self, size: int | None) -> AnyStr:
        """The next line, `size` of it at most; empty at the end."""
        if size == 0:
            return self.empty
        self.begin()
        end = self.rest.find(self.newline) + 1
        return self.hand_out(end if size is None or size < 0 else min(end, size))

    def lines(self, hint: int | None) -> list[AnyStr]:
        """All lines until the end, or until they are `hint` long together."""
        found: list[AnyStr] = []
        for text in self.gather(hint):
            whole: Any = text
            found += [line + self.newline for line in whole.split(self.newline)[:-1]]
        return found

    def read(self, size: int | None) -> AnyStr:
        """All until the end; or up to `size` of one message; empty at the end."""
        if size is None or size < 0:
            between: Any = self.empty
            whole: AnyStr = between.join(self.gather(None))
            return whole
        if size > 0:
            self.begin()
        return self.hand_out(size)


class Reader(io.IOBase):
    """What text and bytes have in common."""

    texts: Texts[Any]
    name = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.texts.feed.member!r}>"

    def readable(self) -> bool:
        """True."""
        self._checkClosed()
        return True

    def close(self) -> None:
        """Acknowledge what was handed out to its end, and leave the member to others. In another thread that reads it, reading ends."""
        if not self.closed:
            super().close()
            self.texts.feed.end()
            self.texts.feed.finish(done=not self.texts.rest)
            self.texts.feed.member.flush()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Closed; what was handed out comes again where the block raised."""
        if error is None:
            self.close()
        else:
            self.drop()

    def __del__(self) -> None:
        if hasattr(self, "texts"):
            self.drop()

    def drop(self) -> None:
        """Close it; what was handed out comes again."""
        if not self.closed:
            super().close()
            self.texts.feed.end()
            self.texts.feed.leave()


class TextReader(Reader, io.TextIOBase):
    """A group's entries as a text file."""

    mode = "r"
    encoding = "utf-8"
    errors = ""

    def __init__(self, feed: Feed, errors: str) -> None:
        codecs.lookup_error(errors)
        self.errors, self.name = errors, feed.member.group.topic.name
        self.texts: Texts[str] = Texts(feed, partial(as_text, errors=errors), "\n")

    def __next__(self) -> str:  # type: ignore[override]  # typeshed gives bytes to all files
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        """The next line with its newline, `size` characters of it at most; empty at the end."""
        self._checkClosed()
        return self.texts.line(size)

    def readlines(self, hint: int | None = -1, /) -> list[str]:  # type: ignore[override]
        """All lines until the end, or until they are `hint` characters together."""
        self._checkClosed()
        return self.texts.lines(hint)

    def read(self, size: int | None = -1, /) -> str:
        """All until the end; or up to `size` characters of one entry; empty at the end."""
        self._checkClosed()
        return self.texts.read(size)


class BytesReader(Reader, io.BufferedIOBase):
    """A group's entries as a binary file."""

    mode = "rb"

    def __init__(self, feed: Feed) -> None:
        self.name = feed.member.group.topic.name
        self.texts: Texts[bytes] = Texts(feed, as_bytes, b"\n")

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def readline(self, size: int | None = -1, /) -> bytes:
        """The next line with its newline, `size` bytes of it at most; empty at the end."""
        self._checkClosed()
        return self.texts.line(size)

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """All lines until the end, or until they are `hint` bytes together."""
        self._checkClosed()
        return self.texts.lines(hint)

    def read(self, size: int | None = -1, /) -> bytes:
        """All until the end; or up to `size` bytes of one entry; empty at the end."""
        self._checkClosed()
        return self.texts.read(size)

    def read1(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes of one entry; empty at the end."""
        return self.read(io.DEFAULT_BUFFER_SIZE if size < 0 else size)


def content(message: Message) -> str | bytes:
    """The message's text: its data where that is one, else the field that holds it on the wire, else the JSON text of all its fields."""
    data = message.data
    if message._hand.is_flat and "data" in data:
        found: str | bytes = data["data"]
        return found
    if isinstance(data, (str, bytes)):
        return data
    fields = dict(payload_of(message.fields))
    field = getattr(message._hand.codec, "field", b"data")
    if field in fields:
        return fields[field]
    plain = {name.decode(errors="backslashreplace"): value.decode(errors="backslashreplace") for name, value in fields.items()}
    return json.dumps(plain, ensure_ascii=False)


def as_text(message: Message, errors: str) -> str:
    """The message's text as str."""
    found = content(message)
    return found if isinstance(found, str) else found.decode(errors=errors)


def as_bytes(message: Message) -> bytes:
    """The message's text as bytes."""
    found = content(message)
    return found if isinstance(found, bytes) else found.encode(errors="backslashreplace")
