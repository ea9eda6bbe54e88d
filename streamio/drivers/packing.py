"""Commands to bytes, as one piece, so that one write carries them all. Words are str or bytes already, so hiredis can take them as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hiredis

from ..effects import Words

pack_command: Any = hiredis.pack_command  # its own types know tuples of one word only


def packed(commands: Sequence[Words]) -> list[bytes]:
    """What goes on the wire, as redis-py's connections want it: a list, here of one piece."""
    if len(commands) == 1:
        return [pack_command(tuple(commands[0]))]
    return [b"".join([pack_command(tuple(words)) for words in commands])]
