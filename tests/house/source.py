"""The library's source as the house tests see it: parsed, never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGE = "streamio"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(text: str) -> ast.Module:
    """The text's syntax tree. CPython 3.11 counts the depth of all threads' parsing together, and says so where one formats a traceback meanwhile."""
    for _ in range(20):
        try:
            return ast.parse(text)
        except SystemError as error:
            assert "recursion depth" in str(error)
    return ast.parse(text)


@dataclass(frozen=True)
class Import:
    """One import. `name` is dotted, relative to the package for our own modules (`protocol.hand`); `ours` tells which it is."""

    name: str
    ours: bool
    line: int
    late: bool = False  # inside a function
    typing: bool = False  # under `if TYPE_CHECKING`


@dataclass(frozen=True)
class Module:
    """One file. `name` is dotted and relative to the package; the package itself is ``."""

    name: str
    text: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return parsed(self.text)

    @property
    def imports(self) -> list[Import]:
        """All imports, wherever they stand."""
        return list(self._imports(self.tree.body, late=False, typing=False))

    def _imports(self, body: Iterable[ast.AST], late: bool, typing: bool) -> Iterator[Import]:
        for node in body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, False, node.lineno, late, typing)
            elif isinstance(node, ast.ImportFrom):
                yield from self._from(node, late, typing)
            else:
                under_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
                yield from self._imports(ast.iter_child_nodes(node), late or isinstance(node, Function), typing or under_typing)

    def _from(self, node: ast.ImportFrom, late: bool, typing: bool) -> Iterator[Import]:
        if not node.level:
            yield Import(node.module or "", False, node.lineno, late, typing)
            return
        here = self.name.split(".") if self.name else []
        base = here[: len(here) - node.level + self.is_package] + (node.module.split(".") if node.module else [])
        for alias in node.names:  # `from .drivers import tasks` is the module drivers.tasks
            inner = ".".join([*base, alias.name])
            name = inner if (ROOT / PACKAGE / Path(*inner.split("."))).with_suffix(".py").exists() else ".".join(base)
            yield Import(name, True, node.lineno, late, typing)

    @property
    def functions(self) -> list[Function]:
        """All functions and methods, nested ones too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]


def modules() -> list[Module]:
    """All modules of the package."""
    found = []
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = list(path.relative_to(ROOT / PACKAGE).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        found.append(Module(".".join(parts[:-1] if is_package else parts), path.read_text(), is_package))
    return found
