"""Run the command line, in this process or in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from personagen.builder.cli.main import main

NOWHERE = "http://127.0.0.1:9/v1"
"""An endpoint at which no server listens."""

OPENAI = ("--backend", "openai", "--model", "fake-1", "--base-url")
"""Options of the fake server's model; its address follows."""


class Outcome(NamedTuple):
    """Result of a command: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]
"""Function that runs the command with these arguments."""


def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """Change to an empty directory, and return a function that runs `personagen ...` in this process."""
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


def run_captured(*arguments: str | Path) -> Outcome:
    """Run `personagen ...` in this process, for fixtures of a whole module."""
    out, err, code = StringIO(), StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["personagen", *map(str, arguments)])
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
    return Outcome(code, out.getvalue(), err.getvalue())


def python(code: str, cwd: Path, **environment: str) -> Outcome:
    """Run Python code in a process of its own."""
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
    """Return code that runs the command in a process in which the modules `without` cannot be imported."""
    blocked = f"sys.modules.update(dict.fromkeys({without!r}))"
    run = "from personagen.builder.cli.main import main; main()"
    return f"import sys; {blocked}; sys.argv = {['personagen', *arguments]!r}; {run}"


def names(folder: Path) -> list[str]:
    """List the names of the entries of a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())
