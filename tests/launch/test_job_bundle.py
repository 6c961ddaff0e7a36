"""The recipe of a job: it arrives with its files, and is the same recipe there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from personagen.builder.core.errors import LaunchError
from personagen.builder.launch.job_bundle import RECIPE_NAME, VARIABLE, pack, unpack
from personagen.builder.planning.recipe.parsing import parse_recipe, read_recipe
from tests.helpers.releasing import ROOT


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "recipes").glob("*.yaml")))
def test_a_recipe_is_the_same_in_a_job(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(ROOT / "recipes" / name, {"rows": 14, "backend.concurrency": 3})
    arguments = unpack(pack(recipe, ("--journals=hf://buckets/me/b",)), tmp_path / "job")
    assert arguments == ("fill", str(tmp_path / "job" / RECIPE_NAME), "--journals=hf://buckets/me/b")
    arrived = read_recipe(tmp_path / "job" / RECIPE_NAME)
    assert arrived.fingerprint() == recipe.fingerprint()
    assert arrived.model_dump(mode="json", exclude={"prompts"}) == recipe.model_dump(mode="json", exclude={"prompts"})


def test_a_recipe_with_data_of_this_machine_is_refused(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("age\n30\n")
    (tmp_path / "r.yaml").write_text("personas: {source: people.csv, source_license: cc0-1.0}\n")
    with pytest.raises(
        LaunchError, match=r"the recipe names '.*people.csv', which is on this machine, and a job is not"
    ):
        pack(read_recipe(tmp_path / "r.yaml"), ())


def test_a_recipe_with_a_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "0123456789abcdef")
    recipe = parse_recipe("license: other\nlicense_name: 0123456789abcdef", "test")
    with pytest.raises(LaunchError, match="the recipe holds the value of a secret environment variable") as refused:
        pack(recipe, ())
    assert "0123456789abcdef" not in str(refused.value)


def test_a_recipe_that_is_too_long_is_refused() -> None:
    text = os.urandom(100_000).hex()
    with pytest.raises(
        LaunchError, match=r"take 1\d\d,\d\d\d characters in a job's environment, wanted at most 120,000"
    ):
        pack(parse_recipe("", "test", {"prices": {text: {"input": 1, "output": 1}}}), ())


def test_a_job_becomes_the_command(tmp_path: Path) -> None:
    """Its exit code and its line are those of `personagen`; the variable is not passed on."""
    bundle = pack(parse_recipe("rows: 7", "test"), ("--no-such-option",))
    done = subprocess.run(
        [sys.executable, "-m", "personagen.builder.launch.job_bundle", "--part=0/2"],
        cwd=tmp_path,
        env=os.environ | {VARIABLE: bundle, "TMPDIR": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 2 and done.stderr.startswith("personagen: No such ")
    (folder,) = tmp_path.glob("personagen-*")
    assert json.loads((folder / RECIPE_NAME).read_text()) == {"rows": 7}
