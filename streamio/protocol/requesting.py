"""Requests: an entry that says where its reply is to go, and the wait for it.

1. A topic has one stream for all its replies, a side key of its own, or one that others write to, too, which is read from its end and never trimmed.
   Whoever waits has a `Request` among `waiting`, from before it is sent: no reply is too early. One that is too late is nobody's, and dropped.
2. One of those that wait reads the stream, for all; when its own reply has come it lets another one read. No thread or task of its own is needed.
3. A request that nobody else stands beside is sent and waited for in one write. Others are sent together, by one of them.
4. Reading takes nothing away: where a read breaks, or is cancelled, the next one begins at the same place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import copy
from itertools import count
from typing import Any

from redis.exceptions import MovedError, ResponseError

from ..codec import REPLY_TO, AnyCodec, headers_in
from ..commands import xread
from ..effects import NOW, Call, Do, Exchange, Redirect, Words
from ..errors import PublishUncertain, RequestTimeout, SetupError, Unanswered
from ..ids import NEW
from ..keys import side_key
from .asking import BROKEN, fine
from .publishing import BATCH, Publisher, is_refusal
from .recovering import backoff
from .replaying import Tail

BLOCK = 2.0  # seconds one read may last
PAGE = 1000  # replies in one read
KEPT = 500  # replies that are read before they are deleted


class Request:
    """One that waits. `flat` is its reply's words."""

    def __init__(self, id: str, bell: Any) -> None:
        self.id, self.bell = id, bell
        self.words: Words = ()
        self.is_sent = False
        self.flat: list[str] | None = None
        self.error: Exception | None = None


class Desk:
    """A topic's requests whose replies come on the stream `shared` (None: one of its own), as `codec` reads them. `alone` performs an exchange that
    goes on where the caller of this one is cancelled."""

    def __init__(
        self, publisher: Publisher, codec: AnyCodec, token: str, make_bell: Callable[[], Any], alone: Callable[[Exchange[None]], Any],
        shared: str | None = None,
    ) -> None:  # fmt: skip
        self.publisher, self.codec, self.make_bell, self.alone = publisher, codec, make_bell, alone
        self.key = side_key(publisher.topic, "replies", token) if shared is None else shared
        self.is_own, self.prefix = shared is None, "" if shared is None else f"{token}-"
        self.waiting: dict[str, Request] = {}
        self.outbox: deque[Request] = deque()
        self.reader, self.sender = deque([None]), deque([None])  # whoever has the token reads, or sends
        self.numbers = count(1)
        self.last, self.read, self.faults = "0-0" if self.is_own else "", 0, 0

    def expect(self) -> Request:
        """A new request; its reply may come from now on."""
        request = Request(f"{self.prefix}{next(self.numbers)}", self.make_bell())
        self.waiting[request.id] = request
        return request

    def headers(self, request: Request) -> dict[str, str]:
        """What its entry says of the reply."""
        return {REPLY_TO.removeprefix("header:"): self.key, "correlation_id": request.id}

    def requesting(self, request: Request, timeout: float) -> Exchange[list[str]]:
        """The words of the reply. A RequestTimeout where none came in time."""
        began: float = yield NOW
        end, fault = began + timeout, None
        try:
            if not self.last:
                yield from self.beginning()
            self.outbox.append(request)
            while request.flat is None:
                if request.error is not None:
                    raise request.error
                left = end - (yield NOW)
                if left <= 0:
                    raise RequestTimeout(self.publisher.topic, timeout) from fault
                try:
                    yield from self.turning(request, left)
                except BROKEN as error:
                    fault = yield from self.outlasting(request, error, left)
            return request.flat
        finally:
            self.waiting.pop(request.id, None)
            withdrawn(self.outbox, request)
            self.wake()

    def beginning(self) -> Exchange[None]:
        """Read a stream that is not our own from its end: what comes from now on."""
        after = yield from Tail(self.key, NEW, nothing).beginning()
        self.last = self.last or after

    def turning(self, request: Request, left: float) -> Exchange[None]:
        """One turn: send, read for all, or wait for whoever does."""
        if not request.is_sent and self.reader and self.is_alone(request):
            yield from self.holding(self.reader, self.sending_and_reading(request, left))
        elif not request.is_sent and self.sender:
            yield Do(lambda: self.alone(self.holding(self.sender, self.sending())))
        elif request.is_sent and self.reader:
            yield from self.holding(self.reader, self.reading(left))
        else:
            yield Do(lambda: request.bell.rest(left))

    def outlasting(self, request: Request, error: Exception, left: float) -> Exchange[Exception]:
        """The error, after a rest: its reply may still come. Raised where the request was not sent."""
        if not request.is_sent:
            raise error
        self.faults += 1
        yield Do(lambda: request.bell.rest(min(left, backoff(self.faults, 0.5))))
        return error

    def is_alone(self, request: Request) -> bool:
        """Whether no other request is to be sent."""
        return [*self.outbox] == [request]

    def holding(self, token: deque[None], exchange: Exchange[None]) -> Exchange[None]:
        """Perform it where the token is free; after that it is again."""
        if not taken(token):
            exchange.close()
            return
        try:
            yield from exchange
        finally:
            token.append(None)
            self.wake()

    def wake(self) -> None:
        """Let one that waits go on with what nobody does now."""
        if self.sender and self.outbox:
            ring(next(iter([*self.outbox]), None))
        elif self.reader:
            ring(next((request for request in [*self.waiting.values()] if request.flat is None and request.is_sent), None))

    # -- sending ----------------------------------------------------------------------------------------------------------------------

    def sending(self) -> Exchange[None]:
        """Send all requests that are to be sent; each knows what became of it."""
        while self.outbox:
            batch = emptied(self.outbox, BATCH)
            try:
                yield from self.sending_batch(batch)
            except Exception as error:
                for request in batch:
                    request.error = self.doubt(error.__cause__) if isinstance(error, PublishUncertain) else copy(error)
            except BaseException as error:  # whoever sends was interrupted; the others wait for an answer
                for request in batch:
                    request.error = self.doubt(error)
                raise
            finally:
                for request in batch:
                    request.bell.ring()

    def sending_batch(self, batch: list[Request]) -> Exchange[None]:
        """Send these in one write."""
        retention = yield from self.publisher.retaining()
        replies = yield from self.publisher.sending([self.added(retention, request) for request in batch], [])
        for request, reply in zip(batch, replies):
            request.is_sent = True
            try:
                fine(reply, ("XADD", self.publisher.topic))
            except (ResponseError, SetupError) as error:
                request.error = error

    def doubt(self, cause: BaseException | None) -> Exception:
        """What the caller of one request gets where its write broke: the cause itself where that says that nothing was written."""
        if isinstance(cause, Exception) and is_refusal(cause):
            return cause
        error = PublishUncertain(self.publisher.topic)
        error.__cause__ = cause
        return error

    def added(self, retention: Words, request: Request) -> Words:
        """The command that adds its entry."""
        return ("XADD", self.publisher.topic, *retention, "*", *request.words)

    def sending_and_reading(self, request: Request, left: float) -> Exchange[None]:
        """Send the request, and read, in one write; not where somebody sends it with others."""
        if not withdrawn(self.outbox, request):
            return
        retention = yield from self.publisher.retaining()
        reads = self.read_words(left)
        try:
            replies = yield from calling([self.added(retention, request), *reads])
        except Unanswered as broken:
            if not broken.replies:
                raise self.doubt(broken.cause) from broken.cause
            replies = broken.replies
        request.is_sent = True
        self.publisher.learned(str(fine(replies[0], ("XADD", self.publisher.topic))))
        if len(replies) > len(reads):
            self.deal(fine(replies[-1], ("XREAD", self.key)))

    # -- reading ----------------------------------------------------------------------------------------------------------------------

    def reading(self, left: float) -> Exchange[None]:
        """Read what came, or wait for the next reply, and give each to whom it is for."""
        try:
            replies = yield from calling(self.read_words(left))
        except Unanswered as broken:
            raise broken.cause from broken
        self.deal(fine(replies[-1], ("XREAD", self.key)))

    def read_words(self, left: float) -> list[Words]:
        """The commands that read. What was read is deleted now and then."""
        trims: list[Words] = []
        if self.is_own and self.read >= KEPT:
            self.read = 0
            trims.append(("XTRIM", self.key, "MINID", self.last))
        return [*trims, xread(self.key, self.last, PAGE, max(0.001, min(left, BLOCK))).words]

    def deal(self, reply: Any) -> None:
        """Give each reply to its request."""
        self.faults = 0
        for entry_id, flat in reply[0][1] if reply else ():
            self.last, self.read = entry_id, self.read + 1
            request = self.waiting.get(str(headers_in(self.codec, flat).get("correlation_id")))
            if request is not None:
                request.flat = flat
                request.bell.ring()


def calling(commands: list[Words]) -> Exchange[list[Any]]:
    """The replies; a moved key is followed, because nothing of it was done."""
    replies: list[Any] = yield Call(commands, BLOCK)
    if isinstance(replies[0], MovedError):
        yield Redirect(replies[0].host, replies[0].port)
        replies = yield Call(commands, BLOCK)
    return replies


def taken(token: deque[None]) -> bool:
    """Whether the token was free; it is the caller's now."""
    try:
        token.popleft()
    except IndexError:
        return False
    return True


def emptied(queue: deque[Request], most: int) -> list[Request]:
    """The first of the queue, taken from it."""
    found: list[Request] = []
    while queue and len(found) < most:
        try:
            found.append(queue.popleft())
        except IndexError:  # another thread took it
            break
    return found


def withdrawn(queue: deque[Request], request: Request) -> bool:
    """Whether the request was in the queue; it is not any more."""
    try:
        queue.remove(request)
    except ValueError:
        return False
    return True


def ring(request: Request | None) -> None:
    """Wake it, where there is one."""
    if request is not None:
        request.bell.ring()


def nothing(*entry: Any) -> None:
    """No message is made."""
