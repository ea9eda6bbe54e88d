"""Entries as they are printed: readable lines, JSON Lines, raw values, or by a format of the user's own."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from ..codec import TYPE, Pairs, is_reserved, text
from ..json_lines import envelope_of, json_line, plain_fields
from ..message import Message
from .output import visible
from .session import Session

Part = Callable[[Message[Any]], bytes]
LONG = 200  # characters of a value that a readable line shows
PLACE = re.compile(r"%(?P<sign>[^fh%])|%(?P<percent>%)|%(?P<of>[fh])\{(?P<name>[^}]*)\}|\\(?P<escape>[ntr0\\])|(?P<wrong>%)")
ESCAPES = {"n": b"\n", "t": b"\t", "r": b"\r", "0": b"\0", "\\": b"\\"}
FORMAT_HELP = r"%i id, %t time, %T type, %n topic, %d data as JSON, %f{name} a field, %h{name} a header, %% a %; \n \t \r \0 \\."
BARE = re.compile(r"[^\s\"'=]+")


class Printer:
    """Prints entries on stdout; a context manager. `each`: every entry is flushed, for whoever follows.

    shape   what makes the bytes of one entry
    listed  whether they are the items of one JSON list
    """

    def __init__(self, shape: Callable[[Message[Any], str | None], bytes], listed: bool = False, each: bool = False) -> None:
        self.shape, self.listed, self.each = shape, listed, each
        self.printed = 0

    def __enter__(self) -> Printer:
        sys.stdout.flush()
        return self

    def write(self, message: Message[Any], consumer: str | None = None) -> None:
        """Print one entry."""
        before = (b"[\n  " if not self.printed else b",\n  ") if self.listed else b""
        self.printed += 1
        sys.stdout.buffer.write(before + self.shape(message, consumer))
        if self.each:
            sys.stdout.buffer.flush()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Close the list, and flush."""
        if self.listed and error is None:
            sys.stdout.buffer.write(b"\n]\n" if self.printed else b"[]\n")
        if not isinstance(error, BrokenPipeError):
            sys.stdout.buffer.flush()


def printer(session: Session, *, format: str | None = None, as_envelope: bool = False, meta_only: bool = False, each: bool = False) -> Printer:
    """What prints entries as the options say: a format, `-J`, else the session's output."""
    if format is not None:
        parts = parsed_format(format, harmless if sys.stdout.isatty() else bytes)
        return Printer(lambda message, _: b"".join(part(message) for part in parts), each=each)
    kind = "jsonl" if as_envelope else session.entry_output
    if kind == "raw":
        return Printer(meta_raw if meta_only else raw, each=each)
    if kind == "table":
        styled = sys.stdout.isatty() and session.color is not False
        return Printer(lambda message, _: readable(message, styled, meta_only).encode(errors="backslashreplace") + b"\n", each=each)
    end = b"" if kind == "json" else b"\n"
    return Printer(lambda message, consumer: as_line(message, consumer, meta_only).encode() + end, listed=kind == "json", each=each)


def as_line(message: Message[Any], consumer: str | None, meta_only: bool) -> str:
    """The entry's envelope as JSON; without fields and headers, but with their size, where only facts are asked for."""
    if not meta_only:
        return json_line(envelope_of(message, consumer))
    found = {name: value for name, value in envelope_of(message, consumer).items() if name not in ("fields", "headers")}
    return json_line({**found, "bytes": size(message.fields)})


def size(fields: Pairs) -> int:
    """How many bytes the fields' names and values have."""
    return sum(len(name) + len(value) for name, value in fields)


def raw(message: Message[Any], consumer: str | None) -> bytes:
    """The values of the entry's data as they are, between tabs."""
    return b"\t".join(value for name, value in message.fields if not is_reserved(name)) + b"\n"


def meta_raw(message: Message[Any], consumer: str | None) -> bytes:
    """The entry's id, type and size, between tabs."""
    return f"{message.id}\t{message.type}\t{size(message.fields)}\n".encode()


# -- readable lines -----------------------------------------------------------------------------------------------------------------


def readable(message: Message[Any], styled: bool, meta_only: bool = False) -> str:
    """The entry on one line: id, local time, type, and its fields; long values are cut."""
    at = message.published_at.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] if message.published_at.year < 9999 else "-"
    kind = visible(message.type) or "-"
    rest = f"{size(message.fields)} bytes" if meta_only else " ".join(field(*pair) for pair in message.fields if pair[0] != TYPE)
    head = (click.style(message.id, fg="cyan"), click.style(at, dim=True), click.style(kind, bold=True)) if styled else (message.id, at, kind)
    return "  ".join((*head, rest)).rstrip()


def field(name: bytes, value: bytes) -> str:
    """`name=value`, quoted where the value has spaces, quotes or nothing."""
    return f"{word(name)}={word(value)}"


def word(value: bytes) -> str:
    """The value as people read it; nothing in it steers the terminal. Bytes that are not UTF-8 are hexadecimal."""
    found = text(value)
    rest = f"…({len(value)} bytes)" if len(found) > LONG else ""
    if isinstance(found, bytes):
        return f"0x{found[: LONG // 2].hex()}{rest}"
    found = found[:LONG]
    return visible(found if BARE.fullmatch(found) else json.dumps(found, ensure_ascii=False)) + rest


# -- formats ------------------------------------------------------------------------------------------------------------------------


def parsed_format(format: str, shown: Callable[[bytes], bytes]) -> Sequence[Part]:
    """What makes the pieces of an entry's bytes, its values as they are `shown`. A UsageError where the format has a place that means nothing."""
    parts: list[Part] = []
    done = 0
    for found in PLACE.finditer(format):
        parts += [fixed(format[done : found.start()].encode(errors="surrogateescape")), part(found, shown)]
        done = found.end()
    return [*parts, fixed(format[done:].encode(errors="surrogateescape"))]


def part(found: re.Match[str], shown: Callable[[bytes], bytes]) -> Part:
    """What makes the bytes of one place."""
    if found["escape"]:
        return fixed(ESCAPES[found["escape"]])
    if found["percent"]:
        return fixed(b"%")
    if found["of"]:
        name = found["name"].encode(errors="surrogateescape")
        of = value_of if found["of"] == "f" else header_of
        return lambda message: shown(of(message, name))
    known = SIGNS.get(found["sign"] or "")
    if known is None:
        raise click.UsageError(f"--format: {found[0]!r} means nothing; there are {FORMAT_HELP}")
    return lambda message: shown(known(message))


def harmless(value: bytes) -> bytes:
    """The value for a terminal, which nothing in it steers."""
    return visible(value.decode(errors="backslashreplace")).encode()


def fixed(value: bytes) -> Part:
    """What makes always the same."""
    return lambda message: value


def value_of(message: Message[Any], name: bytes) -> bytes:
    """The first field of this name; nothing where there is none."""
    return next((value for each, value in message.fields if each == name), b"")


def header_of(message: Message[Any], name: bytes) -> bytes:
    """The header of this name; nothing where there is none."""
    value = message.headers.get(name.decode(errors="surrogateescape"), b"")
    return value if isinstance(value, bytes) else value.encode()


def data_of(message: Message[Any]) -> bytes:
    """The data as JSON: all fields but the type and the headers."""
    return json_line(plain_fields([pair for pair in message.fields if not is_reserved(pair[0])])).encode()


def time_of(message: Message[Any]) -> bytes:
    """When the entry was added, in UTC."""
    return message.published_at.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


SIGNS: dict[str, Part] = {
    "i": lambda message: message.id.encode(),
    "T": lambda message: value_of(message, TYPE),
    "t": time_of,
    "n": lambda message: message.topic.encode(),
    "d": data_of,
}
