"""What `module:name` stands for: members, groups and pipes, found, made, and checked before anything runs."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from ..group import ConsumerGroupTopic
from ..member import ConsumerGroupMember
from ..membership import prefetch_of, settings_of
from ..pipes import Pipeline
from ..protocol.notes import Way
from ..several import SeveralTopics
from .ending import Failure

KINDS = (ConsumerGroupMember, ConsumerGroupTopic, Pipeline)
WANTED = "a member, a group, a pipe, a list of them, or a function that gives one"
LISTS = (list, tuple, set, frozenset)


class NotLoaded(Failure):
    """What is to run could not be loaded: trying again changes nothing until the code is changed."""


def load(target: str) -> Any:
    """What stands under `module:name`; what a function there gives, which may have to be awaited."""
    module, colon, path = target.partition(":")
    if not (module and colon and path):
        raise NotLoaded(f"write module:name, not {target!r}: the module as Python imports it, and {WANTED}")
    found = imported(module)
    for step, name in enumerate(path.split(".")):
        if not hasattr(found, name):
            raise NotLoaded(missing(found, name, ":".join([module, ".".join(path.split(".")[:step])]).rstrip(":")))
        found = getattr(found, name)
    return made(found, target)


def imported(name: str) -> Any:
    """The module of this name, also where it lies in the current folder."""
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise NotLoaded(f"module {name!r} could not be imported: {error}") from error
        raise NotLoaded(f"there is no module {error.name!r} in {here} or where Python looks for modules") from error
    except Exception as error:
        raise NotLoaded(f"module {name!r} could not be imported: {type(error).__name__}: {error}") from error


def missing(owner: Any, name: str, where: str) -> str:
    """That the name is not there, and what there is."""
    there = [each for each, value in vars(owner).items() if isinstance(value, KINDS)] if hasattr(owner, "__dict__") else []
    near = get_close_matches(name, there or dir(owner), 1) or there[:1]
    return f"{where!r} has no {name!r}" + (f": did you mean {near[0]!r}?" if near else "")


def made(found: Any, target: str) -> Any:
    """The object; where it is a function, what that gives."""
    if isinstance(found, (*KINDS, *LISTS)) or not callable(found) or inspect.isclass(found):
        return found
    try:
        return found()
    except Exception as error:
        raise NotLoaded(f"{target}() raised {type(error).__name__}: {error}") from error


async def awaited(coming: Awaitable[Any], target: str) -> Any:
    """What an async function gives."""
    try:
        return await coming
    except Exception as error:
        raise NotLoaded(f"{target}() raised {type(error).__name__}: {error}") from error


class Wish:
    """What the command line says about each member: how many handlers at once, and how many seconds they have at the end (None: as the code says)."""

    def __init__(self, concurrency: int | None = None, grace: float | None = None, place: int = 1) -> None:
        self.concurrency, self.grace, self.place = concurrency, grace, place

    @property
    def options(self) -> dict[str, Any]:
        """What is said, as options of a member."""
        return {name: value for name, value in (("concurrency", self.concurrency), ("grace", self.grace)) if value is not None}


def workers(found: Any, target: str, wish: Wish) -> list[Any]:
    """The members and pipes to run, as the command line wants them; an error says what is none, or has nothing to do."""
    members = list(flattened(found, target, wish))
    if not members:
        raise NotLoaded(f"{target} is empty: it must be {WANTED}")
    if len({each._driver.asyncio for each in members}) > 1:
        raise NotLoaded(f"{target} has blocking and asyncio members: run each kind by itself")
    if len({(each.id, each.group.name, each.group.topic.name) for each in map(member_of, members)}) < len(members):
        raise NotLoaded(f"{target} has two members of one name in one group, or one member twice")
    for each in members:
        check(each, target, wish)
    return members


def flattened(found: Any, target: str, wish: Wish) -> Iterator[Any]:
    """The members and pipes in it; of a group as many members as it wants."""
    if isinstance(found, LISTS):
        for each in found:
            yield from flattened(each, target, wish)
    elif isinstance(found, ConsumerGroupTopic):
        yield from (found.member(**wish.options) for _ in range(found.min))
    elif isinstance(found, KINDS):
        set_options(member_of(found), wish.options)
        yield found
    else:
        kind = f"the class {found.__name__!r}" if inspect.isclass(found) else f"a {type(found).__name__}"
        raise NotLoaded(f"{target} is or gives {kind}: it must be {WANTED}")


def member_of(each: Any) -> Any:
    """The member, or that of the pipe."""
    return each.member if isinstance(each, Pipeline) else each


def set_options(member: Any, options: Mapping[str, Any]) -> None:
    """Give the member, which has not begun, these options in place of its own."""
    if isinstance(member, SeveralTopics):
        if "concurrency" in options:
            raise NotLoaded(f"--concurrency: {member!r} has several topics, its concurrency is to be set in the code")
        for hand in (member._hand, *member._score.hands):
            hand.settings = replace(hand.settings, **options)
    elif options:
        member._options = {**member._options, **options}
        hand = member._hand
        hand.settings, hand.prefetch = settings_of(member.group, member.id, member._options), prefetch_of(member._options)
        hand.way = Way(hand.settings.concurrency == 1)


def check(each: Any, target: str, wish: Wish) -> None:
    """Refuse a member that would do nothing, and a name that two processes would share."""
    member = member_of(each)
    if each is member and not member.any_listener():
        raise NotLoaded(f"nothing listens on {member!r}: add a handler in {target.partition(':')[0]!r}, with on(type, function)")
    if wish.place > 1 and f"-{os.getpid()}-" not in member.id:
        raise NotLoaded(f"-w: each process would have a member {member.id!r}, and a name is one living member's: leave it out in the code")
