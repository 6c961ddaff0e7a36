"""What tests of the whole flow share: recipes and commands for a server on loopback, and eyes for what they leave."""

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
from personagen.builder.planning.parsing import parse_recipe
from personagen.builder.planning.plan import request_seed
from personagen.builder.planning.recipe import Recipe
from tests.helpers.servers.fake_openai import Fault

SAME = "The postman carried a green ladder to the harbour on Monday, and the clerk counted eleven boxes in the cellar."
CUT = "The postman carried a green ladder to the harbour and the"
PLAIN: dict[str, Any] = {"rows": 14, "emotions": ["joy", "anger"], "depth": "none", "text.language": None}
LAYERED: dict[str, Any] = PLAIN | {"depth": "situational"}


def recipe_for(url: str, *changes: Mapping[str, Any]) -> Recipe:
    """Make a small recipe for the model of a server: 14 texts without layers, unless changed."""
    backend = {"backend.kind": "openai", "backend.model": "fake-1", "backend.base_url": url}
    merged: dict[str, Any] = dict(PLAIN) | backend
    for change in changes:
        merged |= change
    return parse_recipe("", "test", merged)


def make(recipe: Recipe, out: Path, *, fresh: bool = False, reuse: bool = False) -> GenerationResult:
    """Make a release and show no progress."""
    return generate(recipe, out, fresh=fresh, reuse=reuse)


class Recorder:
    """Progress receiver that records the counts of a run, and calls a function with each."""

    def __init__(self, on_update: Callable[[RunStatus], None] = lambda status: None) -> None:
        self.statuses: list[RunStatus] = []
        self._on_update = on_update

    def update(self, status: RunStatus) -> None:
        self.statuses.append(status)
        self._on_update(status)

    def step(self, name: str) -> None: ...

    def advance(self, done: int, total: int) -> None: ...

    def warn(self, message: str) -> None: ...


def rows_of(out: Path, config: str) -> list[dict[str, Any]]:
    """Read all rows of a folder of shards, with the split of each added."""
    return [
        row | {"split": file.name.split("-")[0]}
        for file in sorted((out / config).glob("*.parquet"))
        for row in pq.read_table(file).to_pylist()
    ]


def texts_of(out: Path) -> list[dict[str, Any]]:
    """Read the texts of both emotions."""
    return rows_of(out, "anger") + rows_of(out, "joy")


def rejects_of(out: Path) -> list[dict[str, Any]]:
    """Read the refused replies of a run."""
    lines = out.with_name(out.name + ".run").joinpath("rejects.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def without_address(rejects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave the server's port out of what it said: it differs between runs and belongs to no release."""
    return [each | {"detail": re.sub(r"127\.0\.0\.1:\d+", "server", each["detail"] or "")} for each in rejects]


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def seed_of(id_: str, number: int, *, stage: str = "expression") -> int:
    """Give the seed of one attempt under the recipe's seed 0."""
    return request_seed(0, id_, stage, number)


def says(content: str, seed: int, *, finish: str = "stop") -> Fault:
    """Make the server answer the request with this seed in these words."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return Fault("status", seed=seed, status=200, body={"choices": [choice], "usage": {"prompt_tokens": 9}})


def command(url: str, out: Path, recipe: Path) -> list[str]:
    """Spell the command that makes a release; Ctrl-C works even where a shell has switched it off for its children."""
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    start += "from personagen.builder.cli.main import main; main()"
    return [sys.executable, "-c", start, "generate", str(recipe), "--base-url", url, "--out", str(out)]


def write_recipe(folder: Path, *changes: Mapping[str, Any]) -> Path:
    """Write the recipe of `recipe_for` to a file, without the server's address."""
    recipe = recipe_for("http://127.0.0.1:1/v1", *changes).model_dump(mode="json", exclude_unset=True)
    del recipe["backend"]["base_url"]
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def run_command(words: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    env = os.environ | environment
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env=env)


def said_last(done: subprocess.CompletedProcess[str]) -> str:
    """Return the only line of stderr: no traceback, and progress once a minute only where there is no terminal."""
    (line,) = [line for line in done.stderr.splitlines() if line]  # Ctrl-C may leave an empty one
    return line


def journalled_texts(out: Path, scratch: Path) -> set[str]:
    """Read the replies that are on disk, from a copy, so that what the next run finds is what the last one left."""
    copy = scratch / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in out.with_name(out.name + ".run").glob("journal.sqlite*"):
        shutil.copy(file, copy)
    if not (copy / "journal.sqlite").exists():
        return set()
    database = sqlite3.connect(copy / "journal.sqlite")
    try:
        found = database.execute("SELECT reply FROM replies").fetchall()
    except sqlite3.OperationalError:  # killed before the table was made
        found = []
    finally:
        database.close()
    return {candidate["text"] for (reply,) in found for candidate in json.loads(reply)["candidates"]}


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def refusals() -> list[Fault]:
    """List one fault of each kind, each at the attempt of one row or persona, whatever the order of arrival."""
    return [
        Fault("refusal", seed=seed_of("joy-000001", 0)),
        says(" \n ", seed_of("joy-000002", 0)),
        Fault("empty_content", seed=seed_of("joy-000003", 0)),
        says(CUT, seed_of("anger-000001", 0), finish="length"),
        says("Too short.", seed_of("anger-000001", 1)),
        Fault("content_filter", seed=seed_of("anger-000002", 0)),
        says(SAME, seed_of("anger-000000", 0)),
        says(SAME.upper(), seed_of("joy-000004", 0)),
        Fault("not_json", seed=seed_of("p000000", 0, stage="sociocultural")),
        Fault("not_json", seed=seed_of("p000001-s0", 0, stage="situational")),
        Fault("refusal", seed=seed_of("p000001-s0", 1, stage="situational")),
    ]
