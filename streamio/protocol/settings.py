"""A member's settings, as the protocol knows them."""

from __future__ import annotations

from dataclasses import dataclass

from ..codec import AnyCodec
from ..keys import side_key
from ..retry import RetryPolicy


@dataclass(frozen=True)
class Settings:
    """A member's settings, checked, in seconds."""

    topic: str
    group: str
    me: str
    codec: AnyCodec
    start: str
    lease: float
    claim_interval: float
    retry: RetryPolicy
    unhandled: str
    on_group_lost: str
    max: int | None
    block: float
    ack: str
    concurrency: int
    connect_timeout: float
    grace: float
    standby: bool = False
    handler_timeout: float | None = None

    @property
    def dead_letters(self) -> str:
        """The key of the group's dead letters."""
        return side_key(self.topic, "dead", self.group)

    @property
    def dead_keys(self) -> tuple[str, str]:
        """The stream and the dead letters, for the scripts that need both."""
        return self.topic, self.dead_letters

    @property
    def delayed_keys(self) -> tuple[str, str]:
        """The stream and what keeps its delayed entries."""
        return self.topic, side_key(self.topic, "delayed")

    @property
    def places(self) -> str:
        """The key of the group's member places."""
        return side_key(self.topic, "slots", self.group)
