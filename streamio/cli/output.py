"""What a command prints: data on stdout, all else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from ..errors import SetupError
from .ending import Failure
from .session import current

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Row = Mapping[str, Any]
GAP = 2  # between two columns
CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))} | {9: "\\t", 10: "\\n", 13: "\\r"}


def plain(value: Any) -> str:
    """A value as people read it; `-` where there is none. Nothing in it steers a terminal."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return visible(str(value))


def visible(text: str) -> str:
    """The text with control characters written out, so that what is in a stream cannot steer the terminal that shows it."""
    return text.translate(CONTROL)


def unstyled(value: Any) -> str:
    """No style of its own."""
    return ""


@dataclass(frozen=True)
class Column:
    """How a value of each row is shown in a table: under which `head`, by which function, `right` aligned or not, in which of rich's styles.

    spare   0: always; else it is left out where the terminal is too narrow, the highest number first
    """

    head: str
    show: Callable[[Any], str] = plain
    right: bool = False
    style: Callable[[Any], str] = unstyled
    spare: int = 0


Columns = Mapping[str, Column]


def emit(rows: Iterable[Row], columns: Columns | None = None) -> None:
    """Print the rows as the session's output says: a table of `columns`, a JSON list, JSON Lines, or values between tabs."""
    kind = current().output
    if kind == "table":
        table(list(rows), columns)
    elif kind == "json":
        line(as_json(list(rows), indent=2))
    else:
        for row in rows:
            line(as_json(row) if kind == "jsonl" else "\t".join(plain(row.get(name)) for name in columns or row))


def one(record: Row, columns: Columns | None = None) -> None:
    """Print one record: a line for each value, or a JSON object."""
    kind = current().output
    if kind in ("json", "jsonl"):
        line(as_json(record, indent=2 if kind == "json" else None))
        return
    shown = columns or {name: Column(name) for name in record}
    width = max((len(each.head) for each in shown.values()), default=0)
    for name, each in shown.items():
        value = each.show(record.get(name))
        line(f"{each.head.ljust(width)}  {value}" if kind == "table" else value)


def table(rows: Sequence[Row], columns: Columns | None = None) -> None:
    """Print a table: drawn by rich on a terminal, in plain columns elsewhere."""
    shown = columns or {name: Column(name) for name in (rows[0] if rows else ())}
    if sys.stdout.isatty():
        screen = console()
        screen.print(drawn(rows, shown, screen.width))
        return
    cells = [[each.head for each in shown.values()], *([each.show(row.get(name)) for name, each in shown.items()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for row in cells:
        line("  ".join(text.rjust(width) if each.right else text.ljust(width) for text, width, each in zip(row, widths, shown.values())).rstrip())


def fitting(rows: Sequence[Row], columns: Columns, width: int) -> Columns:
    """The columns that fit into the width, and those that stay anyway."""
    left = dict(columns)
    widths = {name: max(len(each.head), *(len(each.show(row.get(name))) for row in rows), 0) + GAP for name, each in left.items()}
    while sum(widths[name] for name in left) - GAP > width and (name := max(left, key=lambda name: left[name].spare)) and left[name].spare:
        del left[name]
    return left


def drawn(rows: Sequence[Row], columns: Columns, width: int) -> Table:
    """The table as rich draws it, for a terminal so wide."""
    need_rich()
    from rich.table import Table
    from rich.text import Text

    columns = fitting(rows, columns, width)
    found = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for each in columns.values():
        found.add_column(each.head, justify="right" if each.right else "left", overflow="fold")
    for row in rows:
        found.add_row(*(Text(each.show(row.get(name)), each.style(row.get(name))) for name, each in columns.items()))
    return found


def line(text: str, flush: bool = False) -> None:
    """Print a line of data on stdout."""
    sys.stdout.write(text + "\n")
    if flush:
        sys.stdout.flush()


def as_json(value: Any, indent: int | None = None) -> str:
    """The value as JSON, numbers to three places. What JSON has no word for is told as text."""
    return json.dumps(rounded(value), ensure_ascii=False, indent=indent, default=str)


def rounded(value: Any) -> Any:
    """The value with its floats, however deep, to three places: a thousandth of a second is all that anybody asked for."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Mapping):
        return {name: rounded(each) for name, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, (list, tuple)) else value


def note(text: str, verbose: bool = False) -> None:
    """Say something on stderr; with `verbose` only under -v. -q silences it."""
    session = current()
    if not session.quiet and (session.verbose or not verbose):
        click.echo(text, err=True)


@contextmanager
def progress(text: str, total: float | None = None) -> Generator[Callable[[float], None], None, None]:
    """A function to call with how many more are done; a bar on stderr where a person watches it. `total`: None where nobody knows."""
    if current().quiet or not sys.stderr.isatty():
        yield lambda more: None
        return
    need_rich()
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(visible(text), total=total)
        yield lambda more: bar.advance(task, more)


def confirm(text: str, yes: bool) -> None:
    """Return where it may be done: with --yes, or when the person at the terminal says so. `text` is a question that names what goes."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Failure(f"{text} Nobody is here to ask: --yes says so.")
    if not click.confirm(text, err=True):
        raise Failure("nothing was changed")


def console(stderr: bool = False) -> Console:
    """Rich's console on stdout, or stderr."""
    need_rich()
    from rich.console import Console

    return Console(stderr=stderr, no_color=current().color is False, highlight=False, soft_wrap=False)


def need_rich() -> None:
    """Refuse to go on without rich."""
    if find_spec("rich") is None:
        raise SetupError("tables and bars on a terminal need rich: pip install 'streamio[cli]'")
