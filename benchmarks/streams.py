"""Filled streams in little time, and what the server says of its own work."""

from __future__ import annotations

from typing import Any

from .job import GROUP, KEY, fields_of

CHUNK = 10_000  # entries that one script adds

ADD = """
local words, last = {unpack(ARGV, 3)}, ''
for n = ARGV[1], ARGV[2] do
  words[4] = 'o-' .. n
  last = redis.call('XADD', KEYS[1], '*', unpack(words))
end
return last
"""

READ = """
return #redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>')[1][2]
"""


def add(raw: Any, entries: int, key: str = KEY) -> list[str]:
    """Add entries of four short fields, thousands in one script; the last id of each ten thousand."""
    words = [word for pair in fields_of("fields", 0).items() for word in pair]
    return [raw.eval(ADD, 1, key, first, min(first + CHUNK, entries) - 1, *words) for first in range(0, entries, CHUNK)]


def last_id(raw: Any, key: str = KEY) -> str:
    """The id that was given last."""
    found: str = raw.xinfo_stream(key)["last-generated-id"]
    return found


def fresh(raw: Any, entries: int, key: str = KEY) -> None:
    """A new stream of so many entries, and a group that has read none of them."""
    raw.delete(key)
    raw.xgroup_create(key, GROUP, id="0", mkstream=True)
    add(raw, entries, key)


def left_pending(raw: Any, name: str, entries: int, key: str = KEY) -> None:
    """Read so many entries under a name that says nothing any more."""
    found = raw.eval(READ, 1, key, GROUP, name, entries)
    if found != entries:
        raise RuntimeError(f"{found} of {entries} entries became pending under {name!r}")


def is_done(raw: Any, key: str = KEY) -> bool:
    """Whether the group has read all that there is, and acknowledged it."""
    (group,) = raw.xinfo_groups(key)
    return not group["pending"] and group["last-delivered-id"] == last_id(raw, key)


def commands(raw: Any) -> dict[str, dict[str, float]]:
    """Calls and microseconds by command, since the last reset. What a script calls is beside it, too, and in its time."""
    found = {name.removeprefix("cmdstat_"): facts for name, facts in raw.info("commandstats").items()}
    return {name: facts for name, facts in found.items() if name not in {"info", "config|resetstat"}}


def spent(raw: Any, *names: str) -> float:
    """Microseconds that these commands took since the last reset."""
    found = commands(raw)
    return sum(found[name]["usec"] for name in names if name in found)
