"""`personagen init`: a recipe that can be used as it is, with every key, and its schema for editors."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml
from jsonschema import Draft202012Validator

from personagen.builder.cli.commands.starting import KINDS
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import read_recipe
from personagen.builder.planning.recipe.sections import BackendChoice
from personagen.builder.planning.recipe.starter import starter_recipe
from tests.helpers.command import Run

pty = pytest.importorskip("pty", reason="there is no terminal of this kind here")


def test_without_a_terminal_nothing_is_asked_and_the_recipe_is_every_default(run: Run) -> None:
    assert run("init") == (0, "recipe.yaml\n", "")
    assert read_recipe(Path("recipe.yaml")) == Recipe()


def test_every_key_stands_in_a_comment_with_its_default_and_can_be_uncommented(run: Run) -> None:
    run("init", "deep/my.yaml")
    text = Path("deep/my.yaml").read_text("utf-8")
    Path("all.yaml").write_text(re.sub(r"(?m)^# (?= *\w+:)", "", text), "utf-8")
    assert read_recipe(Path("all.yaml")) == Recipe()
    data = yaml.safe_load(Path("all.yaml").read_text("utf-8"))
    assert {*data} == {*Recipe.model_fields}
    assert {*data["backend"]} == {*BackendChoice.model_fields}
    assert text.splitlines()[0] == "# yaml-language-server: $schema=my.schema.json"
    assert "personagen generate my.yaml" in text


def test_the_schema_beside_the_recipe_accepts_it_and_refuses_a_wrong_one(run: Run) -> None:
    run("init", "--rows", "140")
    schema = json.loads(Path("recipe.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid(yaml.safe_load(Path("recipe.yaml").read_text("utf-8")))
    assert not validator.is_valid({"rows": "many"})
    assert schema["$id"].startswith("urn:")


def test_options_are_settings_of_the_recipe(run: Run) -> None:
    done = run("init", "--backend", "openai", "--model", "gpt: a # b", "--rows", "140")
    assert done.code == 0
    recipe = read_recipe(Path("recipe.yaml"))
    assert recipe == Recipe(rows=140, backend=BackendChoice(kind="openai", model="gpt: a # b"))


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/..", "a\nseed: 5"])
def test_a_name_of_no_file_is_refused(name: str, run: Run) -> None:
    done = run("init", name)
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith(" is no name of a file, wanted one such as recipe.yaml; name another file\n")
    assert not [*Path().iterdir()]


@pytest.mark.parametrize("value", ["yes", "null", "1e3", "a: b", "é ü", "", "~", "2026-01-01", "'", "\\"])
def test_any_word_is_written_so_that_it_is_read_again(value: str) -> None:
    text = starter_recipe({"name": value}, name="r.yaml", schema="s.json")
    assert yaml.safe_load(text) == {"name": value}


def test_an_existing_file_is_replaced_only_by_force(run: Run) -> None:
    Path("recipe.yaml").write_text("mine", "utf-8")
    done = run("init")
    assert done == (1, "", "personagen: recipe.yaml exists; name another file, or replace it with --force\n")
    assert Path("recipe.yaml").read_text("utf-8") == "mine"
    assert run("init", "--force").code == 0
    assert read_recipe(Path("recipe.yaml")) == Recipe()


def test_a_schema_of_another_version_is_replaced_and_a_foreign_file_is_not(run: Run) -> None:
    Path("recipe.schema.json").write_text('{"$id": "urn:personagen:recipe"}', "utf-8")
    assert run("init").code == 0
    Path("other.schema.json").write_text("[]", "utf-8")
    done = run("init", "other.yaml")
    assert (done.code, done.err) == (
        1,
        "personagen: other.schema.json exists; name another file, or replace it with --force\n",
    )
    assert not Path("other.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rows", "0"), "command line: rows: got 0, wanted greater than or equal to 1"),
        (("--backend", "opnai"), "command line: backend.kind: got \"opnai\", wanted 'embedded', 'openai', 'batch' or"),
        (("--backend", "openai"), "command line: backend: backend openai needs a model; name one with --model"),
    ],
)
def test_what_no_recipe_can_have_is_refused_before_a_file_is_written(
    arguments: tuple[str, ...], message: str, run: Run
) -> None:
    done = run("init", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"personagen: {message}")
    assert [*Path().iterdir()] == []


def test_a_file_that_cannot_be_written_is_one_line(run: Run) -> None:
    Path("file").write_text("", "utf-8")
    done = run("init", "file/recipe.yaml")
    assert done.code == 1
    assert re.fullmatch(r"personagen: cannot write file/recipe\.yaml: .*; name another file\n", done.err)


def test_the_kinds_are_those_of_a_recipe() -> None:
    assert get_args(BackendChoice.model_fields["kind"].annotation) == KINDS


def test_a_terminal_is_asked_for_what_is_not_given(tmp_path: Path) -> None:
    """Backend, model and rows are asked for; the answers are validated where they are typed."""
    primary, secondary = pty.openpty()
    command = [sys.executable, "-m", "personagen.builder", "init", "--rows", "21"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=secondary, stderr=secondary, stdout=subprocess.PIPE) as process:
        os.close(secondary)
        os.write(primary, b"wrong\nopenai\nmy-model\n")
        out, _ = process.communicate()
    shown = os.read(primary, 10_000).decode()
    os.close(primary)
    assert (process.returncode, out) == (0, b"recipe.yaml\n"), shown
    assert "'wrong' is not one of" in shown and "Model" in shown and "Number of texts" not in shown
    assert read_recipe(tmp_path / "recipe.yaml") == Recipe(
        rows=21, backend=BackendChoice(kind="openai", model="my-model")
    )
