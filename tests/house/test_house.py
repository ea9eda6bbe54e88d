"""What holds for every file: names, docstrings, sizes, exceptions, dependencies."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from itertools import chain
from types import ModuleType

import pytest

import streamio
from streamio import ConsumerGroupMember, ConsumerGroupTopic, testing
from streamio.options import GroupOptions, MemberOptions

from .source import ROOT, Function, Module, modules
from .test_floors import MODULES, each_module

MOST_LINES = 330  # of a file
MOST_IN_FUNCTION = 45
FEW_IN_FUNCTION = 25  # for 95 % of them

# Exceptions that are dropped, and why that loses nothing.
DROPPED = {
    ("drivers.asyncio", "asyncio.TimeoutError"): "a rest that nobody ended is over",
    ("items", "StopAsyncIteration"): "the iterable is through",
}
# What pyee, io, click and pytest call.
CALLED_ELSEWHERE = {"_emit_run", "_emit_handle_potential_error", "read1", "list_commands", "get_command", "format_commands"} | {
    "async_stage",
    "log_message",
    "instrument",
    "Collector",
    "pytest_runtest_makereport",
}
THIRD = {"redis", "hiredis", "pyee", "fakeredis", "msgspec", "pydantic", "pydantic_core"}  # hiredis comes as redis[hiredis]
EDGES = {  # what the rooms with an extra of their own may import beside that
    "cli": {"click", "rich"},
    "dashboard": {"jinja2", "markupsafe", "sse_starlette", "starlette", "uvicorn"},
    "demo": {"starlette", "uvicorn"},
    "telemetry": {"opentelemetry", "prometheus_client"},
    "testing": {"pytest"},
}


def size(function: Function) -> int:
    """How many lines the function has without its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    return lines - ((first.end_lineno or 0) - first.lineno + 1) if ast.get_docstring(function) is not None else lines


def is_overload(node: ast.AST) -> bool:
    """Whether this is one of several signatures of a function."""
    return isinstance(node, Function) and any(ast.unparse(each) == "overload" for each in node.decorator_list)


def undocumented(body: list[ast.stmt], inside: str = "") -> Iterator[str]:
    """The public functions, methods and classes without a docstring."""
    for node in body:
        if isinstance(node, (*Function.__args__, ast.ClassDef)) and not node.name.startswith("_"):
            if ast.get_docstring(node) is None and not is_overload(node):
                yield f"{inside}{node.name}"
            if isinstance(node, ast.ClassDef):
                yield from undocumented(node.body, f"{node.name}.")


def dropped(module: Module) -> Iterator[tuple[str, str]]:
    """The exceptions that the module catches and does nothing with."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and all(isinstance(each, (ast.Pass, ast.Continue)) for each in node.body):
            yield module.name, ast.unparse(node.type) if node.type else "everything"


def unheard(module: Module) -> Iterator[int]:
    """The lines where any exception is caught and neither raised nor looked at."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")):
            does = list(ast.walk(ast.Module(node.body, [])))
            looks = any(isinstance(each, ast.Name) and each.id == node.name for each in does) or ".exception(" in ast.unparse(
                ast.Module(node.body, [])
            )
            if not looks and not any(isinstance(each, ast.Raise) for each in does):
                yield node.lineno


def defined(module: Module) -> Iterator[str]:
    """The names that the module defines for itself and for others: functions, classes, methods, constants."""
    for node in ast.walk(module.tree):
        if isinstance(node, (*Function.__args__, ast.ClassDef)):
            yield node.name
    for node in module.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def public() -> set[str]:
    """The names that users may use: those of the package and of its test kit, and the members of their classes."""
    found = [*streamio.__all__, *testing.__all__]
    classes = [each for name in found if isinstance(each := getattr(streamio, name, getattr(testing, name, None)), type)]
    return {*found, *(member for each in classes for member in dir(each) if not member.startswith("_"))}


def words(text: str) -> Iterator[str]:
    """The names that stand in the code, those in strings that are one word (attributes by name) too."""
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type == tokenize.NAME:
            yield token.string
        elif token.type == tokenize.STRING:
            yield from re.findall(r"^[\"'](\w+)[\"']$", token.string)
            yield from (name for part in re.findall(r"\{([^{}]*)\}", token.string) for name in re.findall(r"\w+", part))


def run(code: str) -> str:
    """What the code prints, in a process where a warning is an error."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_is_exactly_the_public_names() -> None:
    names = {name for name, value in vars(streamio).items() if not name.startswith("_") and not isinstance(value, ModuleType)}
    assert set(streamio.__all__) == names


def test_all_is_sorted() -> None:
    assert streamio.__all__ == sorted(streamio.__all__)


@each_module
def test_a_file_says_what_it_is_for(module: Module) -> None:
    assert ast.get_docstring(module.tree)


@each_module
def test_what_is_public_has_a_docstring(module: Module) -> None:
    assert list(undocumented(module.tree.body)) == []


@each_module
def test_a_file_is_short(module: Module) -> None:
    lines = len(module.text.splitlines())
    assert lines <= MOST_LINES


@each_module
def test_no_function_is_long(module: Module) -> None:
    assert {each.name: size(each) for each in module.functions if size(each) > MOST_IN_FUNCTION} == {}


def test_nearly_all_functions_are_short() -> None:
    sizes = [size(each) for module in MODULES for each in module.functions]
    assert sum(each < FEW_IN_FUNCTION for each in sizes) >= 0.95 * len(sizes)


@each_module
def test_no_exception_is_swallowed(module: Module) -> None:
    assert set(dropped(module)) <= DROPPED.keys()
    assert list(unheard(module)) == []


def test_every_dropped_exception_that_is_listed_is_there() -> None:
    assert {found for module in MODULES for found in dropped(module)} == DROPPED.keys()


def test_nothing_is_left_over() -> None:
    count = Counter(word for module in modules() for word in words(module.text))
    known = public() | CALLED_ELSEWHERE
    names = [(module.name, name) for module in MODULES for name in defined(module) if not name.startswith("__")]
    left = [f"{module}: {name}" for module, name in names if name not in known and count[name] < 2]
    assert left == []


def test_the_library_needs_two_others() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {re.split(r"[\[><=~ ]", each)[0] for each in project["dependencies"]} == {"redis", "pyee"}


@each_module
def test_nothing_else_is_imported(module: Module) -> None:
    foreign = {each.name.split(".")[0] for each in module.imports if not each.ours and not each.typing}
    assert foreign - set(sys.stdlib_module_names) <= THIRD | EDGES.get(module.name.split(".")[0], set())


def test_the_import_gives_no_warning_and_loads_nothing_of_the_extras() -> None:
    loaded = run("import redis, sys; before = {*sys.modules}; import streamio; print(*{*sys.modules} - before)").split()  # redis loads what it finds
    assert "streamio" in loaded
    assert not {"fakeredis", "lupa", "msgspec", "pydantic", *chain.from_iterable(EDGES.values())} & set(loaded)
    assert not [name for name in loaded if name.startswith(tuple(f"streamio.{room}" for room in EDGES))]


def test_importing_everything_gives_no_warning() -> None:
    names = ", ".join(f"streamio.{module.name}" if module.name else "streamio" for module in MODULES)
    run(f"import {names}")


@pytest.mark.parametrize(("options", "owner"), [(GroupOptions, ConsumerGroupTopic), (MemberOptions, ConsumerGroupMember)])
def test_the_typed_options_are_the_keywords(options: type, owner: type) -> None:
    keywords = [name for name, each in inspect.signature(owner).parameters.items() if each.kind is each.KEYWORD_ONLY]
    assert sorted(options.__annotations__) == sorted(keywords)


@pytest.mark.parametrize("text", ["try: f()\nexcept OSError: pass", "for _ in f():\n    try: f()\n    except: continue"])
def test_a_swallowed_exception_is_found(text: str) -> None:
    assert len(list(dropped(Module("codec", text)))) == 1


def test_an_exception_that_nobody_looks_at_is_found() -> None:
    assert list(unheard(Module("codec", "try: f()\nexcept Exception as error: g()"))) == [2]
    assert list(unheard(Module("codec", "try: f()\nexcept Exception as error: g(error)\nexcept BaseException: raise"))) == []
