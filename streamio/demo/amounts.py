"""What analytics does with an order: it adds up amounts. One that is written with a comma is no number to it, until somebody mends that."""

from __future__ import annotations

from typing import Any

from ..message import Message


class Amounts:
    """The sum of all amounts. `mended`: whether commas are understood."""

    def __init__(self) -> None:
        self.total, self.mended = 0.0, False

    def add(self, message: Message[Any]) -> None:
        """Add the order's amount; a ValueError where it is no number."""
        amount = str(message.data.get("amount", 0))
        self.total += float(amount.replace(",", ".") if self.mended else amount)


def nothing(message: Message[Any]) -> None:
    """What notifications does with an order, as far as anybody can see here."""
