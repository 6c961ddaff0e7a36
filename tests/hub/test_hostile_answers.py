"""2,000 mutations of the answers of the Hub to pushes and verifications: one line, or the right result."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.hostile.hub_replay import TOKEN
from tests.helpers.releasing import ROOT, make_release, rewrite
from tests.helpers.servers.hub.server import Hub


@pytest.fixture(scope="module")
def releases(model: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A release, and the next one of the same name."""
    folder = tmp_path_factory.mktemp("replayed")
    first = make_release(folder / "first", model.url, "rows: 4\nemotions: [joy, fear]\ndepth: none\nexpression: shown")
    return first, rewrite(first, folder / "second", "joy/train-", lambda table: table.slice(1))


@pytest.mark.parametrize("number", [150, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_mutated_answers_end_in_one_line_or_the_right_result(
    number: int, releases: tuple[Path, Path], tmp_path: Path
) -> None:
    """No request goes to another host with the token, and none is repeated without end."""
    with Hub() as hub:
        env = {**os.environ, **hub.env(), "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "tests.helpers.hostile.hub_replay", *map(str, releases), str(number), f"s{number}"],
            cwd=ROOT, env={**env, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["faults"] == [], "\n\n".join(result["faults"][:5])
    assert set(result["ends"]) == {"done", "refused"} and min(result["ends"].values()) > number / 20, result
    assert result["targets"] > 30
