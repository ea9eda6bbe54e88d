"""The floors of the house: a module imports from lower floors or its own, and what does no I/O cannot."""

from __future__ import annotations

import pytest

from .source import Import, Module, modules

FLOORS: list[set[str]] = [
    {"errors", "effects", "ids", "keys", "retry", "retention", "reports"},
    {*"scripts acts trimming delays guards envelopes outputs commands codec emitter shapes typed typed_entries watching logbook".split()},
    {"protocol", "protocol.*"},
    {"drivers", "drivers.*"},
    {"colour", "forking"},
    {
        *"message enveloped cloudevents streamerson options emitting entries dead_letters signals loop items flow sinks pipes".split(),
        *"guarding requests line_feed line_readers line_writers readable writable topic group membership grouping member parts".split(),
        *"composing turns several operating".split(),
    },
    {"observing", "observing.*", "json_lines", "positions"},
    {"telemetry", "telemetry.*", "health", "testing", "testing.*"},
    {"dashboard", "dashboard.*"},
    {"demo", "demo.*"},
    {"cli", "cli.*", "__main__"},
    {""},
]
PROTOCOL, DRIVERS = 2, 3
OUTSIDE = {"redis", "socket", "ssl", "select", "selectors", "time", "random", "secrets", "os", "threading", "asyncio", "fakeredis"}
ALLOWED = {("protocol", "redis.exceptions"), ("emitter", "threading")}  # error replies are told apart by class; listeners come from any thread

MODULES = modules()
each_module = pytest.mark.parametrize("module", MODULES, ids=[module.name or "streamio" for module in MODULES])


def floor(name: str) -> int | None:
    """The floor on which the module is; None where it has none."""
    room = name.split(".")[0] + ".*" if "." in name else name
    return next((number for number, rooms in enumerate(FLOORS) if name in rooms or room in rooms), None)


def upward(module: Module) -> list[Import]:
    """What the module imports from above."""
    here = floor(module.name)
    assert here is not None
    return [each for each in module.imports if each.ours and not each.typing and (floor(each.name) is None or (floor(each.name) or 0) > here)]


def outside(module: Module) -> list[Import]:
    """What the module imports to reach a clock, a socket, a thread or a client."""
    room = module.name.split(".")[0]
    foreign = [each for each in module.imports if not each.ours and not each.typing]
    return [each for each in foreign if each.name.split(".")[0] in OUTSIDE and (room, each.name) not in ALLOWED]


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a ring; none where there is no ring."""
    left = {name: set(needs) & graph.keys() for name, needs in graph.items()}
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


@each_module
def test_a_module_has_a_floor(module: Module) -> None:
    assert floor(module.name) is not None, f"{module.name} is on no floor: give it one in this test"


@each_module
def test_a_module_imports_from_lower_floors_or_its_own(module: Module) -> None:
    assert upward(module) == []


@each_module
def test_nothing_below_the_drivers_reaches_outside(module: Module) -> None:
    if (floor(module.name) or 0) < DRIVERS and module.name:
        assert outside(module) == []


def test_no_modules_import_each_other_in_a_ring() -> None:
    ring = cycle({each.name: {need.name for need in each.imports if need.ours and not need.late and not need.typing} for each in MODULES})
    assert ring == []


def test_every_room_that_has_a_floor_is_there() -> None:
    names = {each.name for each in MODULES}
    assert {room for rooms in FLOORS for room in rooms if not room.endswith(".*")} <= names


@pytest.mark.parametrize(
    "text",
    [
        "from .member import ConsumerGroupMember",
        "from .drivers import blocking",
        "def f():\n    from .topic import Topic",
        "from . import topic",
        "from .nowhere import anything",
    ],
)
def test_an_import_from_above_is_found(text: str) -> None:
    assert len(upward(Module("codec", text))) == 1


def test_a_name_from_above_may_stand_in_types() -> None:
    assert upward(Module("codec", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .topic import Topic")) == []


@pytest.mark.parametrize(
    "text", ["import time", "import redis", "from redis.asyncio import Redis", "def f():\n    import os.path", "from random import random"]
)
def test_what_reaches_outside_is_found(text: str) -> None:
    assert len(outside(Module("protocol.reading", text))) == 1


def test_a_ring_is_found() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]
