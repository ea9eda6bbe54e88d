"""What comes in pages, as an iterable in its object's colour: `for` on a blocking one, `async for` on an asyncio one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, TypeVar

from .colour import Asyncio, Blocking, C, Coloured, wrong
from .effects import Exchange

T = TypeVar("T", covariant=True)
Page = Callable[[], Exchange[list[T] | None]]


class Entries(Coloured[C], Generic[C, T]):
    """Lazily paged: nothing is read before the first item is asked for, and every loop starts from the beginning."""

    def __init__(self, driver: Any, pages: Callable[[], Page[T]], what: str) -> None:
        self._driver, self._pages, self._what = driver, pages, what

    def __repr__(self) -> str:
        return f"<{self._what}>"

    def __iter__(self: Entries[Blocking, T]) -> Iterator[T]:
        if self._driver.asyncio:
            wrong(self, "for", "async for")
        return self._blocking()

    def __aiter__(self: Entries[Asyncio, T]) -> AsyncIterator[T]:
        if not self._driver.asyncio:
            wrong(self, "async for", "for")
        return self._asyncio()

    def _blocking(self) -> Iterator[T]:
        page = self._pages()
        while (found := self._driver.run(page())) is not None:
            yield from found

    async def _asyncio(self) -> AsyncIterator[T]:
        page = self._pages()
        while (found := await self._driver.run(page())) is not None:
            for each in found:
                yield each
