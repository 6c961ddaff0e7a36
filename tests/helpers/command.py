"""Run the command as a user does: in this process, or in one of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from personagen.builder.cli.main import main

NOWHERE = "http://127.0.0.1:9/v1"
OPENAI = ("--backend", "openai", "--model", "fake-1", "--base-url")


class Outcome(NamedTuple):
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """Return what runs `personagen ...` in this process, in an empty working directory unless the test chose one."""
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))

    def command(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["personagen", *map(str, arguments)])
        code: Any = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        return Outcome(code or 0, *capsys.readouterr())

    return command


def python(code: str, cwd: Path, **environment: str) -> Outcome:
    """Run code in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def command_line(*arguments: str, without: tuple[str, ...] = ()) -> str:
    """Code that runs the command in a process where the modules `without` cannot be imported."""
    blocked = f"sys.modules.update(dict.fromkeys({without!r}))"
    run = "from personagen.builder.cli.main import main; main()"
    return f"import sys; {blocked}; sys.argv = {['personagen', *arguments]!r}; {run}"


def names(folder: Path) -> list[str]:
    """List what a folder holds."""
    return sorted(path.name for path in folder.iterdir())
