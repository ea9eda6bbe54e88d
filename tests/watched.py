"""A member under observation: what it handled, what its lifecycle told, and how busy it keeps the server."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .world import World

WATCHED = ("disconnected", "reconnected", "group_created", "lease_lost", "missing", "error")


class Watched:
    """A member whose reads block for 1 s, the ids it handled, and what its lifecycle told. `client`: what the member alone goes through."""

    def __init__(self, w: World, client: Any = None, handler: Any = None, member: Any = None, **options: Any) -> None:
        self.w, self.seen, self.deliveries, self.told, self.errors = w, [], [], [], []
        self.topic = w.topic(client=client)
        self.group = w.group(w.topic(), **options)
        self.member = w.member(w.group(self.topic, **options), "me", **{"block": 1, **(member or {})})
        self.member.on("*", handler or self.handle)
        for name in WATCHED:
            self.member.lifecycle.on(name, self.tell)

    def tell(self, event: Any) -> None:
        """The member's lifecycle listener."""
        self.told.append((event.name, event.reason) if event.reason else event.name)
        self.errors.append(str(event.error))

    def handle(self, message: Any) -> None:
        """The member's handler."""
        self.deliveries.append(message.deliveries)
        self.seen.append(message.id)

    @property
    def runs(self) -> Counter[str]:
        """How often each entry was handled."""
        return Counter(self.seen)

    async def blocked(self) -> None:
        """Wait until the member waits in its read."""
        await self.w.until(lambda: self.w.raw.info("clients")["blocked_clients"])

    async def publish(self, type: str = "x", **fields: Any) -> str:
        """The id of a new entry, over connections that nobody cuts."""
        return str(await self.w.do(self.group.topic.publish(type, **fields)))

    async def handles(self, timeout: float = 10) -> None:
        """Publish, and wait until the member has handled it as the newest."""
        entry_id = await self.publish()
        await self.w.until(lambda: self.seen[-1:] == [entry_id], timeout)

    async def settled(self) -> None:
        """Wait until nothing is pending."""
        await self.w.until(lambda: not self.w.pending(self.group))

    def commands(self) -> int:
        """How many commands the server has processed."""
        return int(self.w.raw.info("stats")["total_commands_processed"])
