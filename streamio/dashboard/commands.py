"""The Redis commands that an action amounts to, as one would type them: they teach, and they stand in the journal. Nothing sends them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from ..keys import WAITING, side_key

SHOWN = 20  # words of a list of ids


def typed(*words: object) -> str:
    """The words as a command line of redis-cli takes them."""
    return " ".join(quoted(str(word)) for word in words)


def quoted(word: str) -> str:
    """The word, in quotes where it needs them."""
    if word and word.isprintable() and not any(sign in " \"'\\;" for sign in word):
        return word
    inside = "".join(f"\\{sign}" if sign in '"\\' else sign if sign.isprintable() else escaped(sign) for sign in word)
    return f'"{inside}"'


def escaped(sign: str) -> str:
    """A letter that cannot be seen, as its bytes."""
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(sign) or "".join(f"\\x{byte:02x}" for byte in sign.encode("utf-8", "surrogatepass"))


def some(ids: Iterable[str]) -> list[str]:
    """The first of the ids; how many more there are."""
    known = list(ids)
    return [*known[:SHOWN], *([f"…({len(known) - SHOWN} more)"] if len(known) > SHOWN else [])]


def claiming(topic: str, group: str, to: str, ids: list[str], idle: float, count: int | None) -> str:
    """XCLAIM of these ids, or XAUTOCLAIM of what is idle."""
    if ids:
        return typed("XCLAIM", topic, group, to, round(idle * 1000), *some(ids))
    return typed("XAUTOCLAIM", topic, group, to, round(idle * 1000), "0-0", *(("COUNT", count) if count else ()))


def giving_back(topic: str, group: str, ids: list[str], delay: float) -> str:
    """XCLAIM to where entries wait."""
    told = f"   # for {delay:g} s" if delay else ""
    return typed("XCLAIM", topic, group, WAITING, 0, *some(ids), "JUSTID") + told


def burying(topic: str, group: str, ids: list[str], reason: str) -> str:
    """XADD of the dead letter, XACK of the entry."""
    key = side_key(topic, "dead", group)
    return f"{typed('XADD', key, '*', 'dead:id', ids[0], 'dead:reason', reason)} …; {typed('XACK', topic, group, *some(ids))}"


def redriving(topic: str, group: str, ids: list[str]) -> str:
    """XCLAIM of what the letters stand for, XDEL of the letters."""
    return f"XCLAIM {typed(topic, group, WAITING)} 0 … FORCE JUSTID; {typed('XDEL', side_key(topic, 'dead', group), *(some(ids) or ['…']))}"


def removing(topic: str, group: str, name: str, heir: str | None) -> str:
    """XCLAIM of what is pending, XGROUP DELCONSUMER."""
    gone = typed("XGROUP", "DELCONSUMER", topic, group, name)
    return gone if heir is None else f"{typed('XCLAIM', topic, group, heir, 0)} …; {gone}"


def trimming(topic: str, limit: Mapping[str, Any], exact: bool, acked: bool) -> str:
    """XTRIM; an age is told as the id that it means now."""
    how = "MAXLEN" if "maxlen" in limit else "MINID"
    threshold = round((time.time() - limit["max_age"]) * 1000) if "max_age" in limit else next(iter(limit.values()), "…")
    words = typed("XTRIM", topic, how, "=" if exact else "~", threshold)
    return f"{words}   # down to what every group has acknowledged" if acked else words
