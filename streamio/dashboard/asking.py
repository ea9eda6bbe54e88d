"""What a request asks for: its query or its body, read and checked. Errors name the setting."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request

from .positions import seconds_of


class Asked:
    """The settings of a request."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def only(self, known: Iterable[str]) -> None:
        """Refuse what is not known: a word spelt wrong must not mean "all"."""
        for name in self.values:
            if name not in known:
                raise ValueError(f"{name!r} is no setting here: there are {', '.join(known)}")

    def has(self, name: str) -> bool:
        """Whether the setting was given."""
        return self.values.get(name) not in (None, "")

    def text(self, name: str, default: str | None = None) -> str:
        """A word; an error where it is missing and there is no default."""
        value = self.values.get(name)
        if value in (None, "") and default is not None:
            return default
        if not isinstance(value, str) or not value:
            raise ValueError(f"{name} must be given, as text" if value in (None, "") else f"{name} must be text, not {value!r}")
        return value

    def number(self, name: str, default: int | None, least: int, most: int) -> int:
        """A whole number between two."""
        value = self.values.get(name)
        if value in (None, "") and default is not None:
            return default
        if isinstance(value, str) and value.isdecimal() and len(value) < 19:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{name} must be a whole number from {least} to {most}, not {value!r}")
        return value

    def seconds(self, name: str, default: float) -> float:
        """A duration."""
        return seconds_of(self.values[name], name) if self.has(name) else default

    def flag(self, name: str) -> bool:
        """Whether it is on."""
        value = self.values.get(name, False)
        if value not in (True, False, None, "true", "false", "1", "0", ""):
            raise ValueError(f"{name} must be true or false, not {value!r}")
        return value in (True, "true", "1")

    def ids(self, name: str = "ids") -> list[str]:
        """Ids of entries, one at least."""
        value = self.values.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            raise ValueError(f"{name} must be a list of ids, with one at least")
        return list(dict.fromkeys(value))


def query(request: Request) -> Asked:
    """What stands behind the question mark."""
    return Asked(dict(request.query_params))


async def body(request: Request) -> Asked:
    """What the JSON body says."""
    try:
        said = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    if not isinstance(said, dict):
        raise ValueError("the body must be a JSON object")
    return Asked(said)
