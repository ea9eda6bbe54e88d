"""After a fork the child holds the parent's sockets. What was made before it is closed in the child, without a word on them."""

from __future__ import annotations

import os
from typing import Any
from weakref import WeakSet

_made: WeakSet[Any] = WeakSet()


def closed_in_children(thing: Any) -> None:
    """Call the thing's `_after_fork` in every child process that is forked from now on."""
    _made.add(thing)


def kept(connections: Any) -> None:
    """Never close these connections of the parent's event loop: that would end its watch over them, because both processes have one selector."""
    _inherited.append(connections)


_inherited: list[Any] = []


def _in_child() -> None:
    for thing in list(_made):
        thing._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
