"""A topic as what is written to: one object at a time, or, as a file, one line at a time."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TextIO, overload

from .codec import AnyCodec
from .colour import Blocking, C, Coloured, operation
from .effects import Do, Exchange, Words
from .errors import PublishStopped
from .items import Stamp, copied, encoded, entry, entry_of, taker
from .message import Message
from .watching import Watches, stamped, watched

if TYPE_CHECKING:
    from .protocol.publishing import Publisher

MODES = ("w", "wt", "wb")


class Writable(Coloured[C]):
    """A topic's side as a file in object mode."""

    name: str
    codec: AnyCodec
    _publisher: Publisher
    _watches: Watches = ()

    def _check_open(self) -> None:
        """Raise a ValueError where the topic is closed."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether the topic was closed."""
        raise NotImplementedError

    def _stamped(self, headers: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """These headers, and those of whoever watches."""
        return stamped(self._watches, headers) if self._watches else headers

    def _encoded(self, words: Words) -> None:
        """Whoever watches is told what is written."""
        for each in self._watches:
            each.encoded(words)

    @operation
    @watched
    def write(self, obj: Any, *, type: str | None = None) -> Exchange[str]:
        """Add one entry, now; its id. `obj` is `(type, data)`, a mapping with `type`, or a message; with `type`, it is the data.

        A message is added with its data and headers, under its own type or the one given. Writing to a closed topic is a ValueError.
        """
        self._check_open()
        words = written(self.codec, obj, type, self._stamped if self._watches else None)
        self._encoded(words)
        return (yield from self._publisher.publishing(words, "*"))

    @operation
    @watched
    def writelines(self, objects: Iterable[Any] | AsyncIterable[Any], *, type: str | None = None) -> Exchange[list[str]]:
        """Add many entries, pipelined as in `publish_many`; their ids, in order. Each object is what `write` takes."""
        self._check_open()
        done: list[str] = []
        take = taker(objects, self._is_asyncio, "writelines")
        while found := (yield Do(take)):
            batch, fault = encoded(self.codec, found, partial(written, type=type, stamp=self._stamped if self._watches else None))
            if batch:
                yield from self._publisher.publishing_batch(batch, done)
            if fault is not None:
                raise PublishStopped(done, len(done)) from fault
        return done

    @operation
    def flush(self) -> Exchange[None]:
        """Nothing: what was written is sent already. A ValueError where the topic is closed."""
        self._check_open()
        return
        yield

    def writable(self) -> bool:
        """Whether the topic is open."""
        return not self.closed

    def readable(self) -> bool:
        """False: what is read are the members of its groups, `replay` and `tail`."""
        return False

    @overload
    def open(
        self: Coloured[Blocking], mode: Literal["w", "wt"] = "w", *, type: str = "line", errors: str | None = None, line_buffering: bool = True
    ) -> TextIO: ...
    @overload
    def open(self: Coloured[Blocking], mode: Literal["wb"], *, type: str = "line", line_buffering: bool = True) -> BinaryIO: ...
    def open(self: Any, mode: str = "w", *, type: str = "line", errors: str | None = None, line_buffering: bool = True) -> Any:
        """The topic as a file for whatever writes text: `print(file=…)`, `logging.StreamHandler`, `csv.writer`, `contextlib.redirect_stdout`, ….

        One line is one entry of this type, in its field `data`; with another codec than `FlatCodec` the line is the data, a str. A part line waits
        for its newline or `close()`. Lines are sent as they are written, `writelines` and a text of many lines in pipelines of 500.

        mode            "w": text, UTF-8, where `\\r\\n` ends a line as `\\n` does; "wb": bytes, where only `\\n` does
        errors          what becomes of lone surrogates ("strict": a UnicodeEncodeError, "surrogateescape", "backslashreplace", …)
        line_buffering  False: lines are sent 500 at a time, at `flush()` and at `close()`

        Where the server cannot be reached, `write` raises and the lines stay in the file: do not write them again, the next `write`, `flush()` or
        `close()` sends them first; a `close()` that could not send leaves the file open. Lines whose reply was lost are not sent again:
        `PublishUncertain` has them as `lines`. Those of a call that was interrupted (KeyboardInterrupt) are told so by the next one that sends.
        A file that is dropped unclosed sends what it can and logs what it cannot.
        """
        from .line_writers import BytesWriter, TextWriter

        if self._is_asyncio:
            raise TypeError(
                "open() gives a file that blocks, and this Topic belongs to an asyncio client: write `await topic.write(...)` or "
                "`await topic.writelines(...)` instead, or give the Topic a redis.Redis"
            )
        if mode not in MODES:
            raise ValueError(
                f"a topic is opened with mode 'w' (a stream is always added to at its end) or 'wb', not {mode!r}; to read, open a member"
            )
        self._check_open()
        if mode == "wb":
            if errors is not None:
                raise ValueError("binary mode takes no errors argument")
            return BytesWriter(self, type, line_buffering)
        return TextWriter(self, type, line_buffering, errors)


def written(codec: AnyCodec, obj: Any, type: str | None, stamp: Stamp | None = None) -> Words:
    """The entry's words for what `write` is given. (Here a codec that knows classes says what the type of an instance is.)"""
    if type is None:
        return entry_of(codec, obj, "what write() is given", stamp)
    headers, data = (copied(codec, obj), obj.data) if isinstance(obj, Message) else (None, obj)
    return entry(codec, type, data, {}, headers if stamp is None else stamp(headers))
