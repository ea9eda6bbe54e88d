"""Which server this is, whether it is new enough, and which of its commands do what.

One path for all servers from 6.2 on: what runs everywhere is proven everywhere. What newer ones offer was judged by the rules of counting and
parking (`taking`, `settling`), and left out:

* `XNACK` (8.8) gives an entry back at once and to nobody. A retry waits, which it cannot say; and what has no owner is found only by a look at all
  that is pending in the group, where the parking consumer's part is found at once.
* `XACKDEL` (8.2) deletes the entry, too, also for groups that have not read it; or, with ACKED, when all have. Acknowledging deletes nothing here:
  that is `trim(acked=True)`.
* `XREADGROUP ... CLAIM` (8.4) counts a delivery as it takes an entry, so what is not started afterwards would be a delivery nearer to its burial;
  and it does not tell whose the entry was, by which an orphan is known.
* `XADD ... IDMP` (8.6) remembers 100 keys of a producer for 100 s, if nobody set the stream otherwise: no window that could be promised.
"""

from __future__ import annotations

import re
from typing import Any

from ..effects import Words
from ..errors import SetupError
from .hand import Hand

OLDEST = (6, 2)
ASK: Words = ("INFO", "server")
CHOSEN = {
    "read": "XREADGROUP",
    "acknowledge": "XACK",
    "wait": "XCLAIM",
    "renew": "XCLAIM",
    "claim": "XPENDING+XCLAIM",
    "publish once": "EVALSHA",
}


def probe(hand: Hand) -> Words:
    """A command that came with 6.2, for a server that does not tell its version."""
    s = hand.settings
    return ("XAUTOCLAIM", s.topic, s.group, s.me, "1", "0-0", "COUNT", "1", "JUSTID")


def told(reply: Any, known: str) -> str | None:
    """The version that the server tells, or that is `known` of the embedded one; None where neither is so.

    Valkey, Dragonfly and KeyDB tell which Redis they are like (`redis_version`), and that is what counts; their own follows, with their name.
    """
    facts = dict(line.split(":", 1) for line in reply.splitlines() if ":" in line) if isinstance(reply, str) else {}
    version = facts.get("redis_version") or known
    others = [f"{name.removesuffix('_version')} {facts[name]}" for name in ("valkey_version", "dragonfly_version") if name in facts]
    return " ".join([version, *(f"({other})" for other in others)]) if re.match(r"\d", version) else None


def refuse_old(version: str | None) -> None:
    """A SetupError where the server is older than 6.2."""
    if version is not None and tuple(map(int, re.findall(r"\d+", version.split()[0])))[:2] < OLDEST:
        raise SetupError(f"the server is Redis {version}: streamio needs 6.2 or later")
