"""The two set-up commands of the README, and what runs the tests elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .source import ROOT

README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)


def path_with(tmp_path: Path, *programs: str) -> str:
    """A PATH that holds these programs and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in programs:
        (folder / name).symlink_to(next(Path(each, name) for each in ("/usr/bin", "/bin") if Path(each, name).exists()))
    return str(folder)


def checkout(tmp_path: Path, with_venv: bool) -> Path:
    """The script in a folder of its own, with an environment that is there already, whose pip does nothing, or with none."""
    folder = tmp_path / "checkout"
    (folder / ".ci").mkdir(parents=True)
    (folder / ".ci" / "setup").write_text((ROOT / ".ci" / "setup").read_text())
    if with_venv:
        (folder / ".venv" / "bin").mkdir(parents=True)
        program(folder / ".venv" / "bin" / "python", "exit 0")
    return folder


def program(path: Path, text: str) -> Path:
    """A small shell program."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def setup(folder: Path, extra: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the script came to."""
    words = ["/bin/sh", str(folder / ".ci" / "setup"), extra]
    return subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)


def test_the_readme_has_two_commands_that_set_up_and_run() -> None:
    assert [command.split(" && ")[0] for command in COMMANDS] == ["sh .ci/setup embedded", "sh .ci/setup test"]
    assert all(command.count(" && ") == 1 and "\n" not in command for command in COMMANDS)


def test_elsewhere_the_tests_run_by_the_very_command_of_the_readme() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == COMMANDS[1]
    assert "export CI=true" in lines
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("script", ["setup", "run"])
def test_the_scripts_are_free_of_syntax_errors(script: str) -> None:
    subprocess.run(["bash" if script == "run" else "sh", "-n", str(ROOT / ".ci" / script)], check=True)


def test_a_python_that_is_too_old_is_said_at_once(tmp_path: Path) -> None:
    folder = checkout(tmp_path, with_venv=False)
    done = setup(folder, "embedded", PYTHON=str(program(tmp_path / "old-python", "exit 1")))
    assert done.returncode == 1
    assert "Python 3.11" in done.stderr and not (folder / ".venv").exists()


def test_without_apt_get_the_missing_package_is_named(tmp_path: Path) -> None:
    path = path_with(tmp_path, "dirname", "id")
    done = setup(checkout(tmp_path, with_venv=True), "test", PATH=path)
    assert done.returncode == 1
    assert "no redis-server on PATH" in done.stderr and "package redis-server" in done.stderr


def test_without_root_and_sudo_an_administrator_is_asked_for(tmp_path: Path) -> None:
    path = path_with(tmp_path, "dirname")
    program(Path(path, "apt-get"), "exit 9")
    program(Path(path, "id"), "echo 1000")
    done = setup(checkout(tmp_path, with_venv=True), "test", PATH=path)
    assert done.returncode == 1
    assert "not root, and there is no sudo" in done.stderr and "apt-get install redis-server" in done.stderr


def test_a_missing_redis_server_is_installed_and_its_service_is_not_left_running(tmp_path: Path) -> None:
    path = path_with(tmp_path, "dirname", "env")
    for name in ("apt-get", "systemctl", "service"):
        program(Path(path, name), f"echo {name} $* >> {tmp_path}/calls")
    program(Path(path, "id"), "echo 0")
    done = setup(checkout(tmp_path, with_venv=True), "test", PATH=path)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert calls[0] == "apt-get update -qq"
    assert calls[1].startswith("apt-get install -y") and calls[1].endswith("redis-server")
    assert calls[2] in ("systemctl disable --quiet --now redis-server", "service redis-server stop")
    assert calls[-1].startswith("apt-get install -y") and calls[-1].endswith("chromium")


def test_a_missing_venv_module_is_installed_first(tmp_path: Path) -> None:
    path = path_with(tmp_path, "dirname", "env", "mkdir", "cp", "touch")
    calls, pip = tmp_path / "calls", program(tmp_path / "pip", "exit 0")
    program(Path(path, "id"), "echo 0")
    program(Path(path, "apt-get"), f"echo $* >> {calls}; [ $1 = update ] || touch {tmp_path}/venv")
    makes = f"[ -e {tmp_path}/venv ] && mkdir -p .venv/bin && cp {pip} .venv/bin/python"
    python = program(tmp_path / "python", f'[ "$1" = -c ] && exec {sys.executable} "$@"\n{makes}')
    done = setup(checkout(tmp_path, with_venv=False), "embedded", PATH=path, PYTHON=str(python))
    assert (done.returncode, done.stderr) == (0, "")
    assert calls.read_text().splitlines()[1].endswith(f" python{sys.version_info[0]}.{sys.version_info[1]}-venv")
