"""Recipes and commands for a server on loopback, and readers of the files that a run leaves."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from personagen.builder.core.progress import RunStatus
from personagen.builder.generate import GenerationResult, generate
from personagen.builder.planning.plan import request_seed
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from tests.helpers.processes.forked import run_forked
from tests.helpers.servers.fake_openai import Fault

SAME = "The postman carried a green ladder to the harbour on Monday, and the clerk counted eleven boxes in the cellar."
"""A valid text, for replies that repeat each other."""

CUT = "The postman carried a green ladder to the harbour and the"
"""A text that a token limit cut off."""

PLAIN: dict[str, Any] = {"rows": 14, "emotions": ["joy", "anger"], "depth": "none", "text.language": None}
PLAIN |= {"expression": "shown"}  # the texts of the fake server have no other style and length
"""A recipe of 14 texts without personas, by dotted keys."""

LAYERED: dict[str, Any] = PLAIN | {"depth": "situational"}
"""The same with all persona layers."""


def recipe_for(url: str, *changes: Mapping[str, Any]) -> Recipe:
    """Build a small recipe for the model of a server: 14 texts without layers, with changes of dotted keys."""
    backend = {"backend.kind": "openai", "backend.model": "fake-1", "backend.base_url": url}
    merged: dict[str, Any] = dict(PLAIN) | backend
    for change in changes:
        merged |= change
    return parse_recipe("", "test", merged)


def make(recipe: Recipe, out: Path, *, fresh: bool = False, reuse: bool = False) -> GenerationResult:
    """Generate a release without progress."""
    return generate(recipe, out, fresh=fresh, reuse=reuse)


class Recorder:
    """Progress receiver that records the counts of a run, and calls a function with each."""

    def __init__(self, on_update: Callable[[RunStatus], None] = lambda status: None) -> None:
        self.statuses: list[RunStatus] = []
        self.warnings: list[str] = []
        self._on_update = on_update

    def update(self, status: RunStatus) -> None:
        self.statuses.append(status)
        self._on_update(status)

    def step(self, name: str) -> None: ...

    def advance(self, done: int, total: int) -> None: ...

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def rows_of(out: Path, config: str) -> list[dict[str, Any]]:
    """Read all rows of a configuration; the key "split" is added."""
    return [
        row | {"split": file.name.split("-")[0]}
        for file in sorted((out / config).glob("*.parquet"))
        for row in pq.read_table(file).to_pylist()
    ]


def texts_of(out: Path) -> list[dict[str, Any]]:
    """Read the texts of both emotions."""
    return rows_of(out, "anger") + rows_of(out, "joy")


def rejects_of(out: Path) -> list[dict[str, Any]]:
    """Read the rejected replies of a run."""
    lines = out.with_name(out.name + ".run").joinpath("rejects.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def without_port(rejects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace the server's port in the details of rejects: it differs between runs."""
    return [reject | {"detail": re.sub(r"127\.0\.0\.1:\d+", "server", reject["detail"] or "")} for reject in rejects]


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def seed_of(id_: str, number: int, *, stage: str = "expression") -> int:
    """Return the seed of one attempt if the recipe's seed is 0."""
    return request_seed(0, id_, stage, number)


def answer_fault(content: str, seed: int, *, finish: str = "stop") -> Fault:
    """Return a fault by which the server answers the request with this seed with this text."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return Fault("status", seed=seed, status=200, body={"choices": [choice], "usage": {"prompt_tokens": 9}})


def command(url: str, out: Path, recipe: Path) -> list[str]:
    """Return the command that generates a release.

    It obeys Ctrl-C even if its parent ignores SIGINT, and two signals count as two however close they are.
    """
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    start += "from personagen.builder.cli.main import main; from personagen.builder.cli.signals import CommandSignals\n"
    start += "main(CommandSignals(same_event_s=0.0))"
    return [sys.executable, "-c", start, "generate", str(recipe), "--base-url", url, "--out", str(out)]


def write_recipe(folder: Path, *changes: Mapping[str, Any]) -> Path:
    """Write the recipe of `recipe_for` to a file, without the server's address."""
    recipe = recipe_for("http://127.0.0.1:1/v1", *changes).model_dump(mode="json", exclude_unset=True)
    del recipe["backend"]["base_url"]
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def run_command(words: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command until it exits; in a fork, unless it has an environment of its own or is not of Python."""
    if words[0] == sys.executable and not environment:
        return run_forked(words)
    env = os.environ | environment
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env=env)


def only_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the only line of stderr beside that on the wait for replies: no traceback."""
    (line,) = [line for line in done.stderr.splitlines() if ": waiting for " not in line]
    return line


def journalled_texts(out: Path, scratch: Path) -> set[str]:
    """Read the replies of a journal from a copy, so that the next run finds it unchanged."""
    copy = scratch / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in out.with_name(out.name + ".run").glob("journal.sqlite*"):
        shutil.copy(file, copy)
    if not (copy / "journal.sqlite").exists():
        return set()
    database = sqlite3.connect(copy / "journal.sqlite")
    try:
        replies = database.execute("SELECT reply FROM replies").fetchall()
    except sqlite3.OperationalError:  # killed before the table was created
        replies = []
    finally:
        database.close()
    return {candidate["text"] for (reply,) in replies for candidate in json.loads(reply)["candidates"]}


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds; fail after so many seconds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the condition does not hold"
        time.sleep(0.002)


def refusals() -> list[Fault]:
    """Return one fault of each kind, bound to an attempt of a row or persona, in any order of arrival."""
    return [
        Fault("refusal", seed=seed_of("joy-000001", 0)),
        answer_fault(" \n ", seed_of("joy-000002", 0)),
        Fault("empty_content", seed=seed_of("joy-000003", 0)),
        answer_fault(CUT, seed_of("anger-000001", 0), finish="length"),
        answer_fault("Too short.", seed_of("anger-000001", 1)),
        Fault("content_filter", seed=seed_of("anger-000002", 0)),
        answer_fault(SAME, seed_of("anger-000000", 0)),
        answer_fault(SAME.upper(), seed_of("joy-000004", 0)),
        Fault("not_json", seed=seed_of("p000000", 0, stage="sociocultural")),
        Fault("not_json", seed=seed_of("p000001-s0", 0, stage="situational")),
        Fault("refusal", seed=seed_of("p000001-s0", 1, stage="situational")),
    ]
