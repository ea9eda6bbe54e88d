"""`Observer`: looks at streams and their groups, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, overload

from redis.typing import AsyncClientProtocol, SyncClientProtocol

from ..colour import Asyncio, Blocking, C, Coloured, operation
from ..effects import Exchange
from .views import Sample


class Observer(Coloured[C], Generic[C]):
    """Looks at streams. With a `redis.Redis` or a URL everything is called, with a `redis.asyncio.Redis` awaited."""

    @overload
    def __init__(
        self: Observer[Blocking], client: SyncClientProtocol | str | None = None, *, topics: Sequence[str] = ("*",), most: int = 100
    ) -> None: ...
    @overload
    def __init__(self: Observer[Asyncio], client: AsyncClientProtocol, *, topics: Sequence[str] = ("*",), most: int = 100) -> None: ...
    def __init__(self, client: Any = None, *, topics: Sequence[str] = ("*",), most: int = 100) -> None:
        raise NotImplementedError

    @operation
    def find(self) -> Exchange[list[str]]:
        """The names of the streams."""
        raise NotImplementedError
        yield

    @operation
    def look(self, names: Sequence[str] | None = None) -> Exchange[Sample]:
        """What there is to see now."""
        raise NotImplementedError
        yield

    @operation
    def close(self) -> Exchange[None]:
        """Close the observer's own connections."""
        raise NotImplementedError
        yield
