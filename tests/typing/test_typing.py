"""What the type checkers say of `gives.py` (nothing) and of `misuse.py` (an error at each line that ends in `# error`, and at no other)."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FILES = [str(HERE / "gives.py"), str(HERE / "misuse.py")]
MYPY_ERROR = re.compile(r"(.+?\.py):(\d+): error: (.*)")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def need(checker: str) -> None:
    """Without the checker the test is skipped at home and fails in CI."""
    if importlib.util.find_spec(checker) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {checker}: pip install 'streamio[test]'")


def output(*words: str) -> str:
    """What a checker prints. (It ends with 1 where it finds errors, with more where it could not check.)"""
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy_errors(paths: list[str]) -> dict[tuple[str, int], str]:
    """mypy's errors by file name and line."""
    need("mypy")
    text = output("mypy", "--strict", "--no-pretty", "--show-absolute-path", *paths)
    return {(Path(path).name, int(line)): said for path, line, said in MYPY_ERROR.findall(text)}


def pyright_errors(paths: list[str]) -> dict[tuple[str, int], str]:
    """pyright's errors by file name and line."""
    need("pyright")
    found = json.loads(output("pyright", "--outputjson", "--pythonpath", sys.executable, *paths))["generalDiagnostics"]
    return {(Path(each["file"]).name, each["range"]["start"]["line"] + 1): each["message"] for each in found if each["severity"] == "error"}


CHECKERS = {"mypy": mypy_errors, "pyright": pyright_errors}


def expected() -> set[tuple[str, int]]:
    """The lines of `misuse.py` that are marked."""
    lines = (HERE / "misuse.py").read_text().splitlines()
    return {("misuse.py", number) for number, line in enumerate(lines, 1) if line.endswith("# error")}


@pytest.mark.parametrize("checker", CHECKERS)
def test_every_call_has_its_type_and_every_misuse_is_an_error(checker: str) -> None:
    errors = CHECKERS[checker](FILES)
    wanted = expected()
    assert wanted
    assert {place: said for place, said in errors.items() if place not in wanted} == {}, "errors where none is wanted"
    assert wanted - errors.keys() == set(), "misuse that the checker lets pass"


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_library_has_no_type_errors(checker: str) -> None:
    assert CHECKERS[checker]([str(ROOT / "streamio")]) == {}
