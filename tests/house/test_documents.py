"""The code in README.md (and in docs/, where there is any) runs, and every example ends well.

A ```python block runs in a process of its own, with $REDIS_URL a server inside that process. `redis.Redis()` in it, of either colour, is given
a real server. `await` may stand at the top level. An HTML comment on the line before a block says otherwise:

    <!-- not run -->      it is only compiled
    <!-- continued -->    it goes on where the block before it ended, in the same process

An example runs as the last command in its docstring says (`python examples/worker.py --seconds 1`), else without arguments.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from .source import ROOT, parsed

BLOCK = re.compile(r"^(?:<!-- *(not run|continued) *-->\n+)?```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CLIENT = re.compile(r"\b((?:redis|asyncio)\.Redis)\(\)")
SECONDS = 30
RUNNER = """
import ast, asyncio, inspect, sys
came = eval(compile(sys.stdin.read(), "<block>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), {"__name__": "__main__"})
if inspect.iscoroutine(came):
    asyncio.run(came)
"""


@dataclass
class Block:
    """A piece of code in a document."""

    place: str
    text: str
    runs: bool


def blocks(path: Path) -> list[Block]:
    """The code in a document, continued blocks joined to those before them."""
    found: list[Block] = []
    text = path.read_text()
    for match in BLOCK.finditer(text):
        mark, code = match.groups()
        if mark == "continued":
            found[-1].text += code
        else:
            line = text.count("\n", 0, match.start(2)) + 1
            found.append(Block(f"{path.name}:{line}", code, mark != "not run"))
    return found


def run(words: list[str], code: str = "", **environment: str) -> None:
    """The process ends well, and says why where it does not."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "REDIS_URL": "memory://", **environment}
    done = subprocess.run(
        [sys.executable, "-W", "error", *words], input=code, env=variables, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def command(example: Path) -> list[str]:
    """How the example is run."""
    says = ast.get_docstring(parsed(example.read_text())) or ""
    commands = re.findall(rf"python (examples/{re.escape(example.name)}[^`\n]*)", says)
    return shlex.split(commands[-1]) if commands else [str(example)]


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
BLOCKS = [block for path in DOCUMENTS for block in blocks(path)]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("block", BLOCKS, ids=[block.place for block in BLOCKS])
def test_code_in_a_document_compiles(block: Block) -> None:
    compile(block.text, block.place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.slow
@pytest.mark.parametrize("block", [block for block in BLOCKS if block.runs], ids=[block.place for block in BLOCKS if block.runs])
def test_code_in_a_document_runs(block: Block, request: pytest.FixtureRequest) -> None:
    code = block.text
    if CLIENT.search(code):
        port = request.getfixturevalue("real_server").port
        code = CLIENT.sub(rf"\1(port={port})", code)
    run(["-c", RUNNER], code)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_an_example_ends_well(example: Path) -> None:
    run(command(example))


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("example", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_an_example_ends_well_on_a_real_server(example: Path, request: pytest.FixtureRequest) -> None:
    run(command(example), REDIS_URL=request.getfixturevalue("real_server").url)


def test_there_are_documents_to_run() -> None:
    assert EXAMPLES
    assert [block for block in BLOCKS if block.runs]


def test_blocks_are_found_and_joined(tmp_path: Path) -> None:
    path = tmp_path / "text.md"
    path.write_text("a\n```python\nx = 1\n```\n<!-- not run -->\n```python\ny\n```\n<!-- continued -->\n```python\nz\n```\n```sh\nls\n```\n")
    assert blocks(path) == [Block("text.md:3", "x = 1\n", True), Block("text.md:7", "y\nz\n", False)]
