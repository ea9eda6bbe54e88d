"""How a group does, in one word, and in a sentence that says why and what to do. Rules, the first that holds counts; no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from ..keys import WAITING
from .views import ConsumerView, PendingView

LONG = 3600.0  # seconds of silence after which a consumer without anything pending is stale, too
MOMENT = 1.0  # seconds that an entry may wait to be read, and nobody speaks of lag
WORST = ("stuck", "behind", "ok", "idle")
Verdict = tuple[str, str]


@dataclass(frozen=True)
class Signs:
    """What a diagnosis goes by. `before` is the lag of the last look; `lease` and `limit` (how late a group may be) are seconds."""

    lag: int | None = 0
    lag_seconds: float | None = 0.0
    before: int | None = None
    pending: int = 0
    waiting: int = 0
    dead: int = 0
    consumers: tuple[ConsumerView, ...] = ()
    oldest: PendingView | None = None
    rate_in: float | None = None
    rate_out: float | None = None
    lease: float = 30.0
    limit: float = 10.0

    @property
    def alive(self) -> bool:
        """Whether a consumer spoke within the lease."""
        return any(each.idle < self.lease for each in self.consumers)

    @property
    def is_late(self) -> bool:
        """Whether entries wait to be read for longer than a moment."""
        return self.lag != 0 and (self.lag_seconds is None or self.lag_seconds >= MOMENT) and bool(self.lag or self.lag_seconds)


def is_stale(pending: int, idle: float, lease: float) -> bool:
    """Whether a consumer is silent for longer than the lease with something pending, or for an hour."""
    return idle > (lease if pending else LONG)


def diagnosed(signs: Signs) -> Verdict:
    """The state and the sentence."""
    for rule in RULES:
        found = rule(signs)
        if found is not None:
            state, sentence = found
            return state, f"{sentence}; {counted(signs.dead, 'dead letter')} to look at" if signs.dead else sentence
    return "ok", "keeps up"


def unread(signs: Signs) -> Verdict | None:
    """Entries wait, and nobody reads."""
    if signs.alive or not (signs.is_late or (signs.lag and not signs.consumers)):
        return None
    if not signs.consumers:
        return "stuck", "no member reads this group: start one"
    return "stuck", f"no member has read this group for {told(min(each.idle for each in signs.consumers))}: start one"


def unacknowledged(signs: Signs) -> Verdict | None:
    """Entries were received, and are neither acknowledged nor renewed."""
    oldest = signs.oldest
    silent = [each.idle for each in signs.consumers if each.pending and each.idle > signs.lease]
    if oldest is not None and oldest.consumer != WAITING and oldest.idle > signs.lease:
        silent.append(oldest.idle)
    if not silent or signs.pending <= signs.waiting:
        return None
    held = counted(signs.pending - signs.waiting, "entry", "entries")
    return "stuck", f"received but not acknowledged for {told(max(silent))} ({held} pending): crashes or a missing ack, claim what is left behind"


def abandoned(signs: Signs) -> Verdict | None:
    """Entries wait for another try, and no member is there."""
    if not signs.waiting or signs.alive:
        return None
    return "stuck", f"{retries(signs.waiting)}, and no member is there: start one"


def outpaced(signs: Signs) -> Verdict | None:
    """More comes than goes."""
    if not signs.is_late or signs.before is None or signs.lag is None or signs.lag <= signs.before:
        return None
    rates = "" if signs.rate_in is None or signs.rate_out is None else f" ({signs.rate_in:.3g}/s in, {signs.rate_out:.3g}/s out)"
    return "behind", f"producers outpace consumers{rates}: add consumers"


def late(signs: Signs) -> Verdict | None:
    """The next entry is old."""
    if not signs.is_late or signs.lag_seconds is None or signs.lag_seconds <= signs.limit:
        return None
    if signs.before is not None and signs.lag is not None and signs.lag < signs.before:
        return "behind", f"{told(signs.lag_seconds)} behind, and catching up"
    if signs.rate_out == 0:
        return "behind", f"{told(signs.lag_seconds)} behind, and members take nothing: handlers are slow, full or paused"
    return "behind", f"{told(signs.lag_seconds)} behind: add consumers, or make handlers faster"


def at_rest(signs: Signs) -> Verdict | None:
    """Nothing comes, and nothing is left to do."""
    return ("idle", "nothing to do") if not (signs.lag or signs.pending or signs.rate_in) else None


def at_work(signs: Signs) -> Verdict | None:
    """Entries are in hand, or wait for another try."""
    held = signs.pending - signs.waiting
    parts = [f"{held} in hand"] * (held > 0) + [retries(signs.waiting)] * (signs.waiting > 0)
    return ("ok", f"keeps up: {', '.join(parts)}") if parts else None


RULES = (unread, unacknowledged, abandoned, outpaced, late, at_rest, at_work)


def counted(number: int, one: str, many: str = "") -> str:
    """The number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def retries(number: int) -> str:
    """How many entries wait, as a clause."""
    return "1 entry waits for another try" if number == 1 else f"{number} entries wait for another try"


def told(seconds: float) -> str:
    """A time as people say it: two digits are enough."""
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def worst(states: list[str]) -> str:
    """The worst of these states; `idle` where there is none."""
    return min(states, key=WORST.index, default="idle")
