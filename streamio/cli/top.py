"""`streamio top`: all groups, full screen."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from .ending import Failure, sentence
from .keyboard import keys
from .looking import COLUMNS, Trends, remarks, rows
from .names import TOPIC
from .output import console, drawn, need_rich
from .positions import DURATION
from .session import Session, is_terminal
from .shown import memory, rate

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from ..observing import Observer, Sample

MOST = 200
SHORTEST = 0.1  # seconds between two looks
REMARKS = 5
WORST = {"stuck": 0, "unknown": 0, "behind": 1, "ok": 2, "idle": 3}


class Screen:
    """What is on the screen. Where the server does not answer, the last look stays, and since when is said."""

    def __init__(self, observer: Observer[Any], address: str) -> None:
        self.observer, self.address, self.trends = observer, address, Trends()
        self.sample: Sample | None = None
        self.found: list[dict[str, Any]] = []
        self.fault = ""
        self.looked = 0.0

    def look(self) -> None:
        """Look once more. An error on the first look is the command's."""
        from redis import ConnectionError, TimeoutError

        try:
            self.sample = self.observer.look()
        except (ConnectionError, TimeoutError) as error:
            if self.sample is None:
                raise
            self.fault = f"no answer for {time.monotonic() - self.looked:.0f} s: {sentence(error)}"
            return
        self.fault, self.looked = "", time.monotonic()
        self.found = sorted(rows(self.sample, self.trends), key=lambda row: (WORST.get(row["state"], 2), -(row["lag"] or 0) - (row["pending"] or 0)))

    def shown(self, width: int, height: int) -> Group:
        """The screen, so large: a headline, the groups that fit, the worst first, and what is the matter with them."""
        from rich.console import Group
        from rich.text import Text

        told = remarks(self.found)[:REMARKS]
        room = max(1, height - len(told) - 5)
        hidden = len(self.found) - room
        more = [Text(f"{hidden} more groups: give topics, or a larger window", "dim")] if hidden > 0 else []
        parts: list[RenderableType] = [self.headline(), Text(), drawn(self.found[:room], COLUMNS, width), *more]
        return Group(*parts, Text(), *(Text(each, "yellow", no_wrap=True, overflow="ellipsis") for each in told))

    def headline(self) -> RenderableType:
        """Which server it is, how it does, and how to leave."""
        from rich.text import Text

        if self.fault:
            return Text(self.fault, "bold red", no_wrap=True, overflow="ellipsis")
        sample = self.sample
        assert sample is not None
        rates = rate(sum(each.rate_in or 0.0 for each in sample.topics))
        parts = (self.address, f"Redis {sample.server}", memory(sample.memory), f"{len(sample.topics)} streams", f"{rates} in")
        left_out = [f"{sample.left_out} streams left out"] if sample.left_out else []
        clock = time.strftime("%H:%M:%S", time.localtime(sample.at))
        return Text("  ".join([*parts, *left_out, clock, "q: quit"]), "bold", no_wrap=True, overflow="ellipsis")


@click.command()
@click.argument("topics", nargs=-1, type=TOPIC)
@click.option("-i", "--interval", type=DURATION, default="1s", show_default=True, metavar="DURATION", help="How often to look.")
@click.pass_obj
def top(session: Session, topics: Sequence[str], interval: float) -> None:
    """Watch the groups of TOPICS (names or patterns; default: all), the worst first. q or Ctrl-C ends it."""
    if not (is_terminal() and sys.stdin.isatty()):
        raise Failure("top needs a terminal: `streamio report -i 1s` tells the same line by line")
    need_rich()
    from rich.live import Live

    screen = Screen(session.observer(topics=topics or ("*",), most=MOST), session.shown_url)
    screen.look()
    window = console()
    with keys() as pressed, Live(console=window, screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen.shown(*window.size), refresh=True)
            if pressed(max(interval, SHORTEST)) in ("q", "Q"):
                return
            screen.look()
