"""What happened on a stage, in words: for understanding, not for assertions."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from .. import delays, guards, outputs, scripts, trimming
from ..effects import Words
from ..reports import Event

LAST = 30  # lines that an error shows
WIDE = 110
ROOMS: tuple[ModuleType, ...] = (delays, guards, outputs, scripts, trimming)
SCRIPTS = {script.sha: name for room in ROOMS for name, script in vars(room).items() if isinstance(script, scripts.Script)}
BODIES = {script.body: name for room in ROOMS for name, script in vars(room).items() if isinstance(script, scripts.Script)}


class Trace(list[str]):
    """The lines, in order."""

    def __str__(self) -> str:
        return "\n".join(self)

    def end(self) -> str:
        """The last of them."""
        left_out = [f"... {len(self) - LAST} lines before"] if len(self) > LAST else []
        return "\n".join(["what happened on the stage:", *left_out, *self[-LAST:]])


def spoken(commands: Sequence[Words]) -> list[str]:
    """A write in short, line by line. What a member asks when it joins, to learn what it may do, is one line."""
    names = [words[0] for words in commands]
    if "MULTI" not in names or "DISCARD" not in names:
        return [*map(written, commands)]
    first, last = names.index("MULTI"), names.index("DISCARD") + 1
    return [*map(written, commands[:first]), "MULTI ... DISCARD (learns what it may do here)", *map(written, commands[last:])]


def name_of(words: Any) -> str:
    """The command's name, and that of the script that it runs."""
    command = str(words[0]).upper()
    script = {"EVALSHA": SCRIPTS, "EVAL": BODIES}.get(command, {}).get(words[1] if len(words) > 1 else "")
    return f"{command} {script}" if script else command


def written(words: Words) -> str:
    """A command in short."""
    name = name_of(words)
    _, _, script = name.partition(" ")
    rest = [word if isinstance(word, str) else word.decode(errors="backslashreplace") for word in words[3 if script else 1 :]]
    text = " ".join([script or name, *rest])
    return text if len(text) <= WIDE else f"{text[: WIDE - 3]}..."


def told(event: Event) -> str:
    """A lifecycle event in short."""
    about = f" {event.message.type} {event.message.id}" if event.message is not None else " ".join(["", *event.ids][:4])
    facts: dict[str, Any] = {"because of": event.reason, "after": event.error, "again in": event.delay}
    extra = "".join(f", {name} {shown(fact)}" for name, fact in facts.items() if fact is not None)
    return f"{event.name}{about}{extra}"


def shown(fact: Any) -> str:
    """A fact in short."""
    return f"{fact:g} s" if isinstance(fact, float) else f"{type(fact).__name__}: {fact}" if isinstance(fact, BaseException) else str(fact)
