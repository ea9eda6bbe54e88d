"""What `topic.open("w")` gives: `io` objects whose lines become entries.

1. A line is an entry as soon as its newline is written, or 500 at a time where `line_buffering=False`. A part line waits for its newline, or for
   `close()`; `flush()` does not break it. A `close()` that could not send leaves the file open.
2. Nothing is sent twice. Lines that surely were not written stay in the file and go first with the next `write`, `flush()` or `close()`; lines in
   doubt are told (`PublishUncertain.lines`) and are gone from the file. Where a `write` is interrupted (KeyboardInterrupt), the next call that sends
   tells them.
3. The lines of one `write` stay together, whatever other threads write.
"""

from __future__ import annotations

import codecs
import errno
import io
from collections import deque
from collections.abc import Iterable, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

from .codec import FlatCodec, wire
from .effects import Words
from .errors import PublishUncertain
from .forking import closed_in_children
from .items import entry
from .logbook import PUBLISH as log
from .logbook import about, error_text
from .protocol.lines import Waiting, sending_lines
from .protocol.publishing import BATCH

if TYPE_CHECKING:
    from .topic import Topic

FIELD = "data"
MOST_WAITING = 10_000  # lines that the server did not take


def refused(faults: Sequence[Exception]) -> Exception:
    """What tells of the lines that the codec refused."""
    if len(faults) == 1:
        return faults[0]
    error = ValueError(f"{len(faults)} lines were refused and are left out; the first: {faults[0]}")
    error.__cause__ = faults[0]
    return error


def tell_with(error: BaseException, faults: Sequence[Exception]) -> None:
    """Let the error that ends a call tell of refused lines, too: as its cause, before what was that."""
    if faults:
        faults[0].__context__ = error.__cause__
        error.__cause__ = refused(faults)


class BytesWriter(io.BufferedIOBase):
    """A topic as a binary file: what stands before a newline is an entry."""

    mode = "wb"

    def __init__(self, topic: Topic[Any], type: str, line_buffering: bool, errors: str | None = None) -> None:
        wire(FlatCodec(), type, {}, None)  # an error where it is no type
        self.topic, self.type, self.errors, self.name = topic, type, errors, topic.name
        self.most = 1 if line_buffering else BATCH
        self.begin()
        closed_in_children(self)

    def begin(self) -> None:
        """Nothing is written yet."""
        self.lock, self.sends = RLock(), False
        self.part: list[bytes] = []
        self.waiting: Waiting = deque()
        self.doubt: list[bytes] = []  # not told yet

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.topic!r}>"

    # -- io -----------------------------------------------------------------------------------------------------------------------------

    def writable(self) -> bool:
        """True."""
        self._checkClosed()
        return True

    def write(self, data: Any, /) -> int:
        """Take the bytes, and send the lines that are whole; how many bytes that were."""
        taken = bytes(memoryview(data))
        with self.lock:
            self._checkClosed()
            self.make_room()
            faults = self.take(taken)
            if len(self.waiting) >= self.most:
                self.send_beside(faults)
        if faults:
            raise refused(faults)
        return len(taken)

    def writelines(self, lines: Iterable[Any], /) -> None:
        """Write all of them, 500 lines in one go."""
        self._checkClosed()
        faults: list[Exception] = []
        try:
            try:
                for data in lines:
                    faults += self.take(bytes(memoryview(data)))
                    if len(self.waiting) >= BATCH:
                        self.send()
            finally:
                if len(self.waiting) >= self.most:
                    self.send()
        except BaseException as error:
            tell_with(error, faults)
            raise
        if faults:
            raise refused(faults)

    def flush(self) -> None:
        """Send the lines that are whole."""
        self._checkClosed()
        self.send()

    def close(self) -> None:
        """Send what is there, a last line without a newline too.

        Where lines could not be sent, that is an error, they stay, and the file stays open: `write`, `flush` and `close` may be tried again.
        """
        if self.closed:
            return
        with self.lock:
            if self.sends:
                raise RuntimeError("close() in the middle of a write to the same file: close it when that is through")
            faults = self.take(b"\n") if any(self.part) else []
            try:
                self.send_beside(faults)
            finally:
                if not self.waiting or self.topic.closed:
                    self.end()
        if faults:
            raise refused(faults)

    def end(self) -> None:
        """Closed; nothing is sent any more."""
        self.waiting.clear()
        self.doubt.clear()
        super().close()

    def __del__(self) -> None:
        if hasattr(self, "doubt"):
            self.drop()

    def drop(self) -> None:
        """Close it, where nobody is there any more to whom an error could be told: what was not written is logged."""
        if self.closed:
            return
        try:
            self.close()
        except Exception as error:
            text = "%r was dropped with %d lines that were not written: %r"
            log.error(text, self, len(self.waiting), error, extra=about(topic=self.topic.name, error=error_text(error)))
        finally:
            self.end()

    # -- lines ----------------------------------------------------------------------------------------------------------------------------

    def make_room(self) -> None:
        """Where too much waits, the server must take some first; else an error, and nothing of the new text is taken."""
        if len(self.waiting) < MOST_WAITING:
            return
        try:
            self.send()
        except Exception as error:
            raise BlockingIOError(errno.EAGAIN, f"{len(self.waiting)} lines wait for the server, and nothing more was taken: {error}", 0) from error

    def take(self, data: bytes) -> list[Exception]:
        """Take whole lines to those that wait, and the rest to the part line. What is wrong with lines that the codec refuses: they are left out."""
        with self.lock:
            self._checkClosed()
            self.part.append(data)
            if b"\n" not in data:
                return []
            *lines, rest = b"".join(self.part).split(b"\n")
            self.part, faults = [rest], list[Exception]()
            for line in lines:
                try:
                    self.waiting.append((line, self.words(line)))
                except (TypeError, ValueError) as error:
                    faults.append(error)
            return faults

    def words(self, line: bytes) -> Words:
        """The line's entry."""
        codec = self.topic.codec
        if isinstance(codec, FlatCodec):
            return entry(codec, self.type, {FIELD: line}, {}, None)
        return entry(codec, self.type, line.decode(errors=self.errors or "strict"), {}, None)

    def send(self) -> None:
        """Send the lines that wait. From within (a signal handler, a log record of ours) they go with the next."""
        with self.lock:
            if self.sends or not (self.waiting or self.doubt):
                return
            self.sends = True
            try:
                self.topic._driver.run(sending_lines(self.topic._publisher, self.waiting, self.doubt))
            except PublishUncertain as error:
                error.lines = self.in_doubt(error.lines)
                raise
            finally:
                self.sends = False
            if self.doubt:
                raise PublishUncertain(self.topic.name, (), 0, self.in_doubt()) from InterruptedError("an earlier call was interrupted")

    def send_beside(self, faults: Sequence[Exception]) -> None:
        """Send the lines that wait; an error tells of lines that were refused, too."""
        try:
            self.send()
        except BaseException as error:
            tell_with(error, faults)
            raise

    def in_doubt(self, lines: Iterable[str | bytes] = ()) -> list[str | bytes]:
        """These lines, and those of calls that were interrupted, as they are told."""
        found = [self.told(bytes(line)) for line in (*self.doubt, *lines) if isinstance(line, bytes)]
        self.doubt.clear()
        return found

    def told(self, line: bytes) -> str | bytes:
        """The line, as it was written."""
        return line

    def _after_fork(self) -> None:
        """What was written before the fork is the parent's to send."""
        self.begin()


class LineBytes(BytesWriter):
    """What is below a text file: `\\r\\n` ends a line, too."""

    def words(self, line: bytes) -> Words:
        """The line's entry."""
        return super().words(line.removesuffix(b"\r"))

    def told(self, line: bytes) -> str | bytes:
        """The line, as it was written."""
        return line.decode(errors="surrogateescape")


class TextWriter(io.TextIOBase):
    """A topic as a text file, UTF-8: a line is an entry. `buffer` is the binary file below."""

    mode = "w"
    encoding = "utf-8"
    errors = ""
    name = ""

    def __init__(self, topic: Topic[Any], type: str, line_buffering: bool, errors: str | None) -> None:
        self.errors = self.strictness = errors or "strict"
        codecs.lookup_error(self.strictness)
        self.buffer, self.name, self.line_buffering = LineBytes(topic, type, line_buffering, errors), topic.name, line_buffering

    def __repr__(self) -> str:
        return f"<TextWriter of {self.buffer.topic!r}>"

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self.buffer.closed

    def writable(self) -> bool:
        """True."""
        return self.buffer.writable()

    def write(self, text: str, /) -> int:
        """Take the text, and send the lines that are whole; how many characters that were."""
        self.buffer.write(self.encoded(text))
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:  # type: ignore[override]  # typeshed has bytes here
        """Write all of them, 500 lines in one go."""
        self.buffer.writelines(map(self.encoded, lines))

    def encoded(self, text: str) -> bytes:
        """The text as it stands on the wire."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        return text.encode(errors=self.strictness)

    def flush(self) -> None:
        """Send the lines that are whole."""
        self.buffer.flush()

    def close(self) -> None:
        """Send what is there, a last line without a newline too.

        Where lines could not be sent, that is an error, they stay, and the file stays open: `write`, `flush` and `close` may be tried again.
        """
        self.buffer.close()

    def __del__(self) -> None:
        if hasattr(self, "buffer"):
            self.buffer.drop()
