"""What is done in a soak: how many messages in which time, how long a handler takes, and which faults come how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

TOPIC, GROUP, OUT = "soak:jobs", "soak", "soak:results"

# Six kinds of member: (colour and way, concurrency, prefetch; None is "auto").
STYLES: dict[str, tuple[int, int | None]] = {
    "on": (1, 8),
    "for-asyncio": (1, 0),
    "threads": (3, 5),
    "on-asyncio": (1, 8),
    "for": (1, None),
    "tasks-asyncio": (4, 8),
}
# Members that are pipes into another stream: run, or (flow) iterated.
PIPES: dict[str, tuple[int, int | None]] = {
    "pipe": (1, 8),
    "flow-asyncio": (1, 0),
    "pipe-threads": (3, 5),
    "pipe-asyncio": (1, 8),
    "flow": (1, None),
    "pipe-tasks-asyncio": (4, 8),
}
KINDS = STYLES | PIPES
KILLS = {"kill": 22, "term": 30, "stop": 12, "server": 9, "cut": 9}
ALL = {"kill": 3, "term": 3, "stop": 3, "server": 2, "cut": 2, "pause": 2, "sleep": 1}


@dataclass(frozen=True)
class Profile:
    """One way to soak.

    messages, seconds  how many are published, and for how long faults come meanwhile
    work               a handler takes from 0 to so many seconds
    gap                seconds from one fault to the next, from and to
    faults             kinds of faults by weight: see `controller.py`
    same_name          the share of killed or stopped members whose successor has the same name
    slow               each entry whose n is a multiple of this one takes `slow_work` seconds (0: none does)
    drain              seconds that may pass at the end until nothing is pending
    """

    name: str
    messages: int
    seconds: float
    faults: Mapping[str, int] = field(default_factory=dict)
    gap: tuple[float, float] = (0.6, 1.6)
    work: float = 0.004
    members: int = 4
    styles: tuple[str, ...] = tuple(STYLES)
    same_name: float = 0.5
    lease: float = 2.0
    claim_interval: float = 1.0
    slow: int = 0
    slow_work: float = 0.0
    poison: bool = False
    drain: float = 30.0
    max_deliveries: int = 5


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("all", 12_000, 40, ALL),
        Profile("kill", 8_000, 30, {"kill": 22, "term": 30, "stop": 12, "server": 9}, gap=(0.2, 0.5), work=0.016),
        Profile("term", 4_000, 15, {"term": 1}, gap=(0.2, 0.6), work=0.008),
        Profile("poison", 3_000, 15, {"kill": 1, "term": 1}, gap=(1.5, 3.0), poison=True, max_deliveries=3),
        Profile("recovery", 4_000, 15, {"kill": 1}, gap=(0.8, 1.2), work=0.016, same_name=0.0),
        Profile("slow", 600, 12, work=0.01, slow=40, slow_work=2.5, lease=1.0, claim_interval=0.5),
        Profile("freeze", 1_500, 10, {"stop": 1}, gap=(0.4, 0.8), work=0.04, styles=("on", "threads", "on-asyncio", "tasks-asyncio")),
        Profile("pipe", 8_000, 30, KILLS, gap=(0.2, 0.5), work=0.016, styles=tuple(PIPES)),
        Profile("pipe-poison", 3_000, 15, {"kill": 1, "term": 1}, gap=(1.5, 3.0), styles=tuple(PIPES), poison=True, max_deliveries=3),
        Profile("short", 4_000, 12, ALL, gap=(0.5, 1.0), drain=20),
    )
}
SHORT_TERM = replace(PROFILES["term"], name="short-term", messages=1_000, seconds=4, gap=(0.2, 0.4), work=0.03)
SHORT_KILL = replace(PROFILES["kill"], name="short-kill", messages=1_000, seconds=4, work=0.03, drain=8)
# One fault, then quiet: what is left under a name that lives on is seen by nobody else, however long one waits.
SAME_NAME = replace(PROFILES["kill"], name="same-name", messages=1_500, seconds=5, faults={"kill": 1}, same_name=1.0, lease=60.0, drain=8)
SHORT_SLOW = replace(PROFILES["slow"], name="short-slow", messages=100, seconds=2.5)
SHORT_PIPE = replace(
    PROFILES["pipe"], name="short-pipe", messages=500, seconds=1.8, gap=(0.1, 0.25), work=0.01, lease=1.0, claim_interval=0.3, drain=8
)
PROFILES |= {profile.name: profile for profile in (SHORT_TERM, SHORT_KILL, SAME_NAME, SHORT_SLOW, SHORT_PIPE)}


# Which entries are poison, by their number.


def raises(n: int, deliveries: int) -> bool:
    """Whether the handler of entry n raises at this delivery: one in a hundred does, the first time; three do each time."""
    return n in ALWAYS_RAISE or (n % 100 == 7 and deliveries == 1)


EXIT = (150, 151, 900)  # their handler ends the process
ALWAYS_RAISE = (300, 700, 1100)
UNDECODABLE = 10
EXIT_CODE = 66
