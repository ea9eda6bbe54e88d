"""The types of arguments that are durations and places in a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ..positions import duration, place, span

if TYPE_CHECKING:
    Parameter = click.ParamType[Any]
else:
    Parameter = click.ParamType  # (not generic before click 8.4)


class Written(Parameter):
    """A parameter type of click that reads with one of these functions; its ValueError is click's own complaint, which names the option."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name, self.read = name, read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What the text says. What is no text is a default, and was read before."""
        if not isinstance(value, str):
            return value
        try:
            return self.read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = Written("duration", duration)
POSITION = Written("position", place)
RANGE = Written("range", span)
