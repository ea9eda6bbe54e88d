"""A foreign client of the server, for tests of what stands on the wire: word for word, in bytes."""

from __future__ import annotations

from typing import Any

import redis

from streamio import from_url

from ..world import World


def add(w: World, topic: Any, *words: bytes | str) -> str:
    """The id of an entry of a foreign producer, written word for word to the topic (or to the stream of this name)."""
    entry_id: str = w.raw.execute_command("XADD", getattr(topic, "name", topic), "*", *words)
    return entry_id


def standing(w: World, key: str) -> list[list[bytes]]:
    """The words of all entries of the stream, as they stand there: no pair is lost where two have one name."""
    client: redis.Redis = from_url(w.url)
    client.set_response_callback("XRANGE", lambda reply, **_: reply)
    try:
        found: Any = client.execute_command("XRANGE", key, "-", "+")
        return [words for _, words in found]
    finally:
        client.close()
