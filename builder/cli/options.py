"""Options that several commands share, and how what they say is read."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from personagen.builder.core.errors import BackendError
from personagen.builder.core.files import redact_path

if TYPE_CHECKING:  # imported where it is used: `--help` has no need of it
    from personagen.builder.planning.recipe import Recipe

Command = Callable[..., None]


def recipe_options(command: Command) -> Command:
    """Add the options that override a recipe: those of `generate`, `plan` and `preview`."""
    options = [
        click.argument("recipe", required=False, type=click.Path(path_type=Path)),
        click.option("--emotions", metavar="A,B", help="Emotions to write, separated by commas."),
        click.option("--taxonomy", metavar="NAME", help="ekman, plutchik or goemotions."),
        click.option("--depth", metavar="DEPTH", help="none, demographic, sociocultural or situational."),
        click.option("--backend", metavar="KIND", help="embedded, openai, batch or transformers."),
        click.option("--model", metavar="NAME", help="Model of every backend but the embedded one."),
        click.option(
            "--base-url", metavar="URL", help="OpenAI-compatible endpoint; the key is read from OPENAI_API_KEY."
        ),
        click.option("--concurrency", type=int, metavar="N", help="Requests in flight at most."),
        click.option("--rpm", type=int, metavar="N", help="Requests a minute at most."),
        click.option("--tpm", type=int, metavar="N", help="Tokens a minute at most."),
        click.option("--seed", type=int, metavar="N", help="Fixes personas, situations and draws."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def budget_options(command: Command) -> Command:
    """Add the options that say how much: those of `generate` and `plan`."""
    options = [
        click.option("--rows", type=int, metavar="N", help="Accepted texts over all emotions."),
        click.option("--max-cost", type=float, metavar="X", help="Stop before the run has cost more (needs prices)."),
        click.option("--max-tokens", type=int, metavar="N", help="Stop before the run has taken more tokens."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def key_option(command: Command) -> Command:
    """Add the option that names the file of the key."""
    return click.option(
        "--api-key-file", type=click.Path(path_type=Path), help="File that holds the key, instead of OPENAI_API_KEY."
    )(command)


def read_key(path: Path | None) -> str | None:
    """Read the file of the key; it goes to the backend and nowhere else."""
    if path is None:
        return None
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BackendError(f"cannot read --api-key-file {path}: {reason.lower()}; name a file with the key") from None
    if not key:
        raise BackendError(f"--api-key-file {path} is empty; name a file with the key")
    return key


def read_options(path: Path | None, options: dict[str, Any]) -> "Recipe":
    """Read the recipe with the options that were given in its place."""
    from personagen.builder.planning.parsing import read_recipe

    keys = {"backend": "backend.kind", "model": "backend.model", "base_url": "backend.base_url"}
    keys |= {name: f"backend.{name}" for name in ("concurrency", "rpm", "tpm")}
    keys |= {name: f"budget.{name}" for name in ("max_cost", "max_tokens")}
    given = {keys.get(name, name): value for name, value in options.items() if value is not None}
    if "emotions" in given:
        given["emotions"] = [name.strip() for name in given["emotions"].split(",")]
    return read_recipe(path, given)


NOT_RECORDED = frozenset(
    {"api_key_file", "as_json", "base_url", "judge_url", "max_cost", "max_tokens", "no_judge", "out", "token"}
)
"""Options that do not change a result, or that are private: they are left out of a recorded command."""


def recorded_command(**arguments: str) -> str:
    """Return the command line of the current call as results record it, without folders of this machine.

    Options that the user left at a default which the help shows are written out, since a later version may change it.

    Args:
        arguments: values to record in place of those of the call, by parameter.

    """
    context = click.get_current_context()
    words = ["personagen", context.info_name or ""]
    for parameter in context.command.params:
        name = parameter.name or ""
        value = arguments.get(name, context.params.get(name))
        chosen = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if name in NOT_RECORDED or value is None or not (chosen or getattr(parameter, "show_default", None)):
            continue
        values = value if isinstance(value, tuple) else (value,)
        for part in (redact_path(str(part)) for part in values):
            words += [part] if isinstance(parameter, click.Argument) else [parameter.opts[0], part]
    return shlex.join(words)
