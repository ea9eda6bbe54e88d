"""Entries and dead letters as the page shows them: some values hidden, long ones cut, all of them text.

    {"topic", "id", "ts", "type", "fields", "headers", …, "cut": {field: bytes}}

`fields` are as in every line of JSON; `cut` names the fields that are longer than what is shown, and how long they are. An export is never cut.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..codec import text
from ..dead_letters import DeadLetter
from ..json_lines import envelope

HIDDEN = "•••"
LONG = 2000  # bytes of a value that a list shows
MANY = 100  # fields of an entry that a list shows
Pairs = Sequence[tuple[bytes, bytes]]


def shown(topic: str, id: str, fields: Pairs, mask: Sequence[str], whole: bool = False) -> dict[str, Any]:
    """The entry as JSON."""
    pairs = hidden(fields, mask)
    if whole:
        return envelope(topic, id, pairs)
    short = [(shortened(name), shortened(value)) for name, value in pairs[:MANY]]
    sizes = {readable(name): len(value) for name, value in pairs[:MANY] if len(value) > LONG}
    return {**envelope(topic, id, short), "cut": sizes, "fields_left_out": max(0, len(pairs) - MANY)}


def shown_letter(letter: DeadLetter[Any], mask: Sequence[str]) -> dict[str, Any]:
    """The dead letter as JSON: its entry's fields under the letter's own id."""
    entry = shown(letter.topic, letter.id, letter.fields, mask)
    facts = {name: getattr(letter, name) for name in ("entry_id", "group", "consumer", "deliveries", "reason", "error")}
    return {**entry, **facts, "traceback": letter.traceback[-4 * LONG :]}


def readable(name: bytes) -> str:
    """A field's name as text."""
    return shortened(name).decode(errors="backslashreplace")


def shortened(value: bytes) -> bytes:
    """The beginning of the value; no letter of text is cut in half."""
    if len(value) <= LONG:
        return value
    whole = text(value)
    return whole[:LONG].encode() if isinstance(whole, str) else value[: LONG // 3 * 3]


def hidden(fields: Pairs, mask: Sequence[str]) -> Pairs:
    """The fields without the values that are not to be shown, in JSON text in them neither."""
    return [(name, hidden_value(name, value, mask)) for name, value in fields] if mask else fields


def hidden_value(name: bytes, value: bytes, mask: Sequence[str]) -> bytes:
    """The value; dots where it is not to be shown."""
    if name.decode(errors="replace").removeprefix("header:") in mask:
        return HIDDEN.encode()
    data = json_in(value)
    return value if data is None else json.dumps(hidden_in(data, mask), ensure_ascii=False).encode("utf-8", "surrogatepass")


def json_in(value: bytes) -> Any:
    """The object or list that the value is as JSON text; None where it is none."""
    if value.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def hidden_in(data: Any, mask: Sequence[str]) -> Any:
    """The data without the values that are not to be shown."""
    if isinstance(data, dict):
        return {name: HIDDEN if name in mask else hidden_in(value, mask) for name, value in data.items()}
    return [hidden_in(each, mask) for each in data] if isinstance(data, list) else data
