"""What the demo refuses, with the reason."""

from __future__ import annotations


class Refused(Exception):
    """An act that the demo does not do. `reason` is one word for programs, `status` the answer's number for a browser."""

    def __init__(self, sentence: str, reason: str, status: int = 409) -> None:
        super().__init__(sentence)
        self.reason, self.status = reason, status


def wrong(name: str, what: str, value: object) -> Refused:
    """A setting that is not what it must be."""
    return Refused(f"{name} must be {what}, not {value!r}", "bad-input", 400)


def whole(value: object, name: str, least: int, most: int) -> int:
    """The value, or a refusal where it is no whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise wrong(name, f"a whole number from {least} to {most}", value)
    return value
