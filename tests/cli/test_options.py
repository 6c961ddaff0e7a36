"""Options that commands share, and the command lines that results record."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from personagen.builder.cli.main import cli
from personagen.builder.cli.options import NOT_RECORDED, options, recorded_command


def recorded(command: str, arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch, **replacements: str) -> str:
    """Return the command line that a call of a command records; the command itself does not run."""
    monkeypatch.setattr(
        cli.commands[command], "callback", lambda **values: click.echo(recorded_command(**replacements))
    )
    result = CliRunner().invoke(cli, [command, *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_files_are_recorded_without_their_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my real.csv").write_text("")
    (tmp_path / "recipe.yaml").write_text("")
    arguments = [str(tmp_path / "recipe.yaml"), "--reference", str(tmp_path / "my real.csv"), "--arms", "none,real"]
    assert recorded("compare", [*arguments, "--judge", "openai:m", "--judge", "openai:n"], monkeypatch) == (
        "personagen compare recipe.yaml --reference 'my real.csv' --judge openai:m --judge openai:n "
        "--rows 210 --seeds 3 --arms none,real"
    )


def test_a_recorded_release_has_its_name_and_the_defaults_of_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    line = recorded("evaluate", ["/home/me/out", "--sample-size", "9"], monkeypatch, release="personagen")
    assert line == "personagen evaluate personagen --reference goemotions --seed 0 --sample-size 9"
    assert recorded("audit", [], monkeypatch, release="mine") == "personagen audit mine --reference goemotions --seed 0"


def test_an_option_that_changes_texts_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--reasoning-effort low" in recorded("compare", ["--reasoning-effort", "low"], monkeypatch)


def test_private_and_runtime_options_are_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    private = ["--base-url", "http://h/v1", "--judge-url", "http://j/v1", "--api-key-file", "key.txt", "--rpm", "9"]
    private += ["--tpm", "9", "--concurrency", "2", "--max-cost", "1", "--max-tokens", "9", "--judge-max-tokens", "9"]
    assert recorded("compare", [*private, "--json", "--no-judge", "--out", "x"], monkeypatch) == (
        recorded("compare", [], monkeypatch)
    )


def test_every_parameter_that_is_not_recorded_exists() -> None:
    names = {parameter.name for command in cli.commands.values() for parameter in command.params}
    assert names >= NOT_RECORDED


def test_options_stand_in_the_help_in_their_order() -> None:
    @click.command()
    @options("RECIPE", "--rows", "--json")
    def command(**values: Any) -> None:
        """Do nothing."""

    assert [parameter.name for parameter in command.params] == ["recipe", "rows", "as_json"]


def test_options_of_one_name_mean_the_same_in_all_commands() -> None:
    """`--seed` of a recipe has no default, as the recipe has one; `--rows` and `--recipe` may be of an arm."""
    helps: dict[str, set[str | None]] = {}
    for command in cli.commands.values():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                helps.setdefault(parameter.opts[0], set()).add(parameter.help)
    several = {name for name, texts in helps.items() if len(texts) > 1}
    assert several <= {"--force", "--json", "--out", "--recipe", "--rows", "--seed"}
