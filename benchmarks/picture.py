"""The throughput of a run as a picture: `python -m benchmarks.picture figures.json picture.svg`."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .machine import platform_line
from .participants import BY_NAME

INK = "#737b85"  # read on white and on black alike, as the colours are
COLOURS = {"ours": "#e5484d", "by hand": "#3b82d6", "other": "#9299a3"}
SAID = {"ours": "streamio, with its defaults", "by hand": "loops by hand on redis-py", "other": "other libraries"}
GROUPS = ("blocking", "asyncio")
WIDTH, ROW, HEAD, GAP, FOOT, NAMES, NUMBERS = 600, 15.5, 40, 26, 20, 236, 52  # points
STYLE = {"svg.hashsalt": "streamio", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 8.6, "text.color": INK}


class Bar(NamedTuple):
    """One participant."""

    name: str
    kind: str
    speed: float


def bars(figures: dict[str, float], colour: str) -> list[Bar]:
    """Those of one colour, the fastest first."""
    found = [(re.fullmatch("fields: (.+): entries/s", key), speed) for key, speed in figures.items()]
    named = [(BY_NAME[match[1]], speed) for match, speed in found if match and match[1] in BY_NAME]
    chosen = [Bar(who.name.replace(" in asyncio", ""), who.kind, speed) for who, speed in named if who.colour == colour]
    return sorted(chosen, key=lambda bar: -bar.speed)


def draw(report: dict[str, Any], path: Path) -> None:
    """Write the picture of a report: bars from zero, so that their lengths compare."""
    groups = {colour: found for colour in GROUPS if (found := bars(report["figures"]["throughput"], colour))}
    if not groups:
        raise ValueError("these figures hold no throughput with four short fields")
    height = HEAD + FOOT + sum(GAP + ROW * len(found) for found in groups.values())
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        headed(figure, height, report["machine"])
        top, widest = HEAD + GAP, max(bar.speed for found in groups.values() for bar in found)
        for colour, found in groups.items():
            below = height - top - ROW * len(found)
            axes = figure.add_axes((NAMES / WIDTH, below / height, (WIDTH - NAMES - NUMBERS) / WIDTH, ROW * len(found) / height))
            drawn(axes, colour, found, widest)
            top += ROW * len(found) + GAP
        figure.savefig(path, transparent=True, metadata=None if path.suffix == ".png" else {"Date": None, "Creator": None})


def headed(figure: Figure, height: float, machine: dict[str, Any]) -> None:
    """What is shown, whose colours these are, and where it was measured."""
    figure.text(8 / WIDTH, 1 - 15 / height, "Entries per second: one consumer, each entry handled and acknowledged", fontsize=11.5, weight="bold")
    figure.text(8 / WIDTH, 8 / height, platform_line(machine), fontsize=7.4)
    handles = [Patch(color=COLOURS[kind], label=label) for kind, label in SAID.items()]
    place = {"loc": "upper left", "bbox_to_anchor": (3 / WIDTH, 1 - 20 / height), "borderaxespad": 0.0}
    figure.legend(handles=handles, ncols=3, frameon=False, handlelength=0.9, handleheight=0.9, columnspacing=1.6, **place)


def drawn(axes: Axes, colour: str, found: Sequence[Bar], widest: float) -> None:
    """The bars of one colour, a name before and the number behind each."""
    axes.set_axis_off()
    axes.set_xlim(0, widest)
    axes.set_ylim(len(found) - 0.5, -0.5)
    point = widest / (WIDTH - NAMES - NUMBERS)
    axes.text((8 - NAMES) * point, -0.95, colour, weight="bold", fontsize=9.6)
    for row, bar in enumerate(found):
        weight = "bold" if bar.kind == "ours" else "normal"
        axes.barh(row, bar.speed, 0.7, color=COLOURS[bar.kind])
        axes.text(-4 * point, row, bar.name, ha="right", va="center", weight=weight)
        axes.text(bar.speed + 4 * point, row, f"{bar.speed:,.0f}", ha="left", va="center", weight=weight)


def main() -> None:
    """As the head of this file says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.picture", description=__doc__)
    parser.add_argument("figures", type=Path, help="what `python -m benchmarks --json` wrote")
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    draw(json.loads(options.figures.read_text()), options.picture)


if __name__ == "__main__":
    main()
