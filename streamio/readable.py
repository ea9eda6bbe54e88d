"""A member as what is read from: a file whose lines are the group's entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TextIO, overload

from .colour import Blocking, C, Coloured
from .ids import Duration, seconds
from .message import ENDED

if TYPE_CHECKING:
    from .protocol.hand import Hand

MODES = ("r", "rt", "rb")


class Readable(Coloured[C]):
    """A member's side as a file."""

    _hand: Hand

    @property
    def closed(self) -> bool:
        """Whether the member was closed."""
        return self._hand.state in ENDED

    def readable(self) -> bool:
        """Whether the member is open."""
        return not self.closed

    def writable(self) -> bool:
        """False: what is written to is the topic."""
        return False

    @overload
    def open(self: Coloured[Blocking], mode: Literal["r", "rt"] = "r", *, timeout: Duration | None = None, errors: str | None = None) -> TextIO: ...
    @overload
    def open(self: Coloured[Blocking], mode: Literal["rb"], *, timeout: Duration | None = None) -> BinaryIO: ...
    def open(self: Any, mode: str = "r", *, timeout: Duration | None = None, errors: str | None = None) -> Any:
        """The group's entries as a file for whatever reads text: `for line in file`, `csv.reader`, `shutil.copyfileobj`, ….

        Each entry is its text and a newline. The text is its data where that is a str, else its field `data` as it stands on the wire, else the JSON
        text of its fields. An entry is acknowledged when the line after it is asked for. By `close()`, and at the end of a `with` block, what was
        handed out is acknowledged; after an exception it is tried again. A crash brings the entries of the last call again. `close()` from another
        thread ends a read that waits, as `stop()` does: the loop over the file ends.

        mode     "r": text; "rb": bytes
        timeout  seconds without an entry after which the file ends (0: it ends after what is there; None: it ends when the member stops)
        errors   what becomes of bytes that are not UTF-8 (None: "backslashreplace"). With "strict" the line is a UnicodeDecodeError, and its entry
                 has failed: it is tried again by the retry policy, in the end put aside, and the file goes on with the next
        """
        from .line_feed import Feed
        from .line_readers import BytesReader, TextReader
        from .several import SeveralTopics

        if self._is_asyncio:
            raise TypeError(
                "open() gives a file that blocks, and this ConsumerGroupMember belongs to an asyncio client: write `async for message in member` "
                "instead, or give its Topic a redis.Redis"
            )
        if mode not in MODES:
            raise ValueError(f"a member is opened with mode 'r' or 'rb', not {mode!r}; to write, open its topic")
        if mode == "rb" and errors is not None:
            raise ValueError("binary mode takes no errors argument")
        if self._hand.settings.ack == "manual":
            raise ValueError("a file acknowledges what was read from it: open() needs a member with ack='auto' or 'none', not 'manual'")
        if isinstance(self, SeveralTopics):
            raise TypeError("a file reads one group, and this member has a list of them: make a member for each, or write `for message in member`")
        self._need_open()
        feed = Feed(self, None if timeout is None else seconds(timeout, "timeout"))
        return BytesReader(feed) if mode == "rb" else TextReader(feed, errors or "backslashreplace")
