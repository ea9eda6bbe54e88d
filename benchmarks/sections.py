"""What a section of the benchmark comes to: tables for people, figures by name for the goals, and all of it as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Cell = str | float | int


@dataclass(frozen=True)
class Effort:
    """How much is measured. `scale` shrinks the numbers of entries, for a quick look; without `peers` other libraries are left out."""

    rounds: int = 5
    scale: float = 1.0
    peers: bool = True

    def entries(self, full: int) -> int:
        """So many entries at full scale."""
        return max(100, int(full * self.scale))


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns. A note says how it was measured."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def text(self) -> str:
        """The table for a terminal, and for Markdown."""
        shown = [list(self.columns), *([spelled(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[i]) for row in shown) for i in range(len(self.columns))]
        lines = ["| " + " | ".join(pad(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths, strict=True))) + " |" for row in shown]
        lines.insert(1, "|" + "|".join("-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths)) + "|")
        return "\n".join([f"### {self.title}", "", *lines, *(["", self.note] if self.note else [])])


@dataclass(frozen=True)
class Section:
    """What was measured."""

    tables: Sequence[Table]
    figures: dict[str, float] = field(default_factory=dict)


def spelled(cell: Cell) -> str:
    """A cell in at most three digits after the point; large numbers in whole thousands apart."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 1000:
        return f"{cell:,.0f}"
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}" if abs(cell) >= 0.1 else f"{cell:.3g}"


def pad(text: str, width: int, column: int) -> str:
    """Names to the left, numbers to the right."""
    return text.ljust(width) if column == 0 else text.rjust(width)
