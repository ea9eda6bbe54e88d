"""A demo that shows what consumer groups do when something goes wrong: a shop's orders, workers that crash, and nothing is lost."""

from __future__ import annotations

from .acts import Act
from .engine import Demo
from .errors import Refused

__all__ = ["Act", "Demo", "Refused"]
