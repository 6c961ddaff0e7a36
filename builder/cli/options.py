"""Arguments and options that several commands share, and their conversion to a recipe, a key or a recorded command."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from personagen.builder.core.errors import BackendError
from personagen.builder.core.file_names import JOURNALS
from personagen.builder.core.files import redact_path

if TYPE_CHECKING:  # imported on use: `--help` does not need it
    from personagen.builder.planning.recipe import Recipe

Command = Callable[..., None]
Decorator = Callable[[Command], Command]

PATH = click.Path(path_type=Path)


def _option(*arguments: str, **attributes: Any) -> Decorator:
    return click.option(*arguments, **attributes)


RECIPE: Mapping[str, Decorator] = {
    "RECIPE": click.argument("recipe", required=False, type=PATH),
    "--emotions": _option("--emotions", metavar="A,B", help="Emotions to write, separated by commas."),
    "--taxonomy": _option("--taxonomy", metavar="NAME", help="Emotion taxonomy: ekman, plutchik or goemotions."),
    "--depth": _option(
        "--depth", metavar="DEPTH", help="Persona depth: none, demographic, sociocultural or situational."
    ),
    "--backend": _option("--backend", metavar="KIND", help="Backend: embedded, openai, batch or transformers."),
    "--model": _option("--model", metavar="NAME", help="Model of the backend; the embedded backend has its own."),
    "--base-url": _option(
        "--base-url",
        metavar="URL",
        help="OpenAI-compatible endpoint; OPENAI_BASE_URL by default. The key is read from OPENAI_API_KEY.",
    ),
    "--reasoning-effort": _option(
        "--reasoning-effort", metavar="WORD", help="How much a reasoning model thinks: low, medium, high, ..."
    ),
    "--concurrency": _option("--concurrency", type=int, metavar="N", help="Maximum number of requests in flight."),
    "--rpm": _option("--rpm", type=int, metavar="N", help="Maximum number of requests per minute."),
    "--tpm": _option("--tpm", type=int, metavar="N", help="Maximum number of tokens per minute."),
    "--seed": _option("--seed", type=int, metavar="N", help="Seed of personas, situations and requests."),
}
"""The recipe, and the options that override it."""

WRITING: Mapping[str, Decorator] = {
    "--expression": _option(
        "--expression", metavar="NAME", help="How all texts express their emotion: named, voiced or shown."
    ),
    "--style": _option(
        "--style", metavar="NAME|FILE", help="Genre of all texts, such as comments or dialogue, or a profile (*.tsv)."
    ),
}
"""How the texts of a release are written; without them the recipe decides."""

BUDGET: Mapping[str, Decorator] = {
    "--max-cost": _option("--max-cost", type=float, metavar="X", help="Stop before the run costs more (needs prices)."),
    "--max-tokens": _option("--max-tokens", type=int, metavar="N", help="Stop before the run uses more tokens."),
}
"""Budget of a run."""

JUDGE: Mapping[str, Decorator] = {
    "--judge": _option(
        "--judge",
        "judges",
        metavar="SPEC",
        multiple=True,
        help="Model that rates human-likeness: embedded, openai:MODEL or transformers:MODEL; may be repeated. "
        "Without it human-likeness is not measured.",
    ),
    "--no-judge": _option("--no-judge", is_flag=True, hidden=True),  # the default; commands of older versions name it
    "--judge-url": _option("--judge-url", metavar="URL", help="OpenAI-compatible endpoint of the judges."),
    "--judge-max-tokens": _option(
        "--judge-max-tokens", type=click.IntRange(1), metavar="N", help="Budget of tokens of each judge's replies."
    ),
}
"""Judges of human-likeness, and their endpoint."""

PART_HELP = "Part I of N, counted from 0: 0/4 is the first of four."
"""Help of `--part`."""

ENCODED_HELP = "Folder or address (s3://, gs://, hf://) of the vectors that `encode` writes."
"""Help of `--encoded`."""

JOURNALS_HELP = "Folder or address (s3://, gs://, hf://) of the replies that workers of `fill` ship."
"""Help of `--journals`."""

SHARED: Mapping[str, Decorator] = {
    "RELEASE": click.argument("release", type=PATH, default=Path("personagen")),
    "--rows": _option("--rows", type=int, metavar="N", help="Number of accepted texts over all emotions."),
    "--reference": _option(
        "--reference",
        metavar="NAME|PATH|HUB_ID",
        default="goemotions",
        show_default=True,
        help="Real texts: goemotions, xed, brighter, a file, a release, or a Hub dataset.",
    ),
    "--embeddings": _option(
        "--embeddings", metavar="MODEL", help="sentence-transformers model; default: all-MiniLM-L6-v2."
    ),
    "--per-worker": _option(
        "--per-worker", is_flag=True, help="Limits and budget are those of each worker, not of the whole run."
    ),
    "--ship-every": _option(
        "--ship-every",
        type=click.FloatRange(1.0),
        metavar="SECONDS",
        help="Time after which replies are shipped. Default: a minute.",
    ),
    "--encoded": _option("--encoded", "vectors", metavar="FOLDER|URL", help=ENCODED_HELP),
    "--encoded=": _option("--encoded", "vectors", metavar="FOLDER|URL", required=True, help=ENCODED_HELP),
    "--seed=0": _option(
        "--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Seed of every draw."
    ),
    "--api-key-file": _option("--api-key-file", type=PATH, help="File with the API key, instead of OPENAI_API_KEY."),
    "--token": _option("--token", metavar="TOKEN", help="Hub token, instead of HF_TOKEN or that of `hf auth login`."),
    "--tag": _option("--tag", metavar="TAG", help="Tag of the version, such as v1.0.0; set after the upload."),
    "--accept-lost-replies": _option(
        "--accept-lost-replies", is_flag=True, help="Pay again for replies that a damaged journal has lost."
    ),
    "--part": _option("--part", metavar="I/N", required=True, help=PART_HELP),
    "--journals": _option("--journals", metavar="FOLDER|URL", help=JOURNALS_HELP),
    "--journals=": _option("--journals", metavar="FOLDER|URL", default=JOURNALS, show_default=True, help=JOURNALS_HELP),
    "--recipe": _option(
        "--recipe", type=PATH, metavar="FILE", help="Recipe of the release, if the replay asks for it."
    ),
    "--json": _option("--json", "as_json", is_flag=True, help="Print one JSON object."),
}
"""Options of several commands."""

_ALL: Mapping[str, Decorator] = {**RECIPE, **WRITING, **BUDGET, **JUDGE, **SHARED}


def options(*names: str) -> Decorator:
    """Return a decorator that adds arguments and options to a command, in the order of its help."""

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            command = _ALL[name](command)
        return command

    return decorate


def renamed_option(old: str, new: str) -> Decorator:
    """Return a decorator that refuses an old name of an option with a line that names the new one."""

    def refuse(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            raise click.UsageError(f"{old} of `{context.info_name}` has a new name: {new}", context)

    return _option(old, hidden=True, expose_value=False, callback=refuse)


def read_key(path: Path | None) -> str | None:
    """Return the API key in a file; None: no file."""
    if path is None:
        return None
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise BackendError(f"cannot read --api-key-file {path}: {reason.lower()}; name a file with the key") from None
    if not key:
        raise BackendError(f"--api-key-file {path} is empty; name a file with the key")
    return key


def read_options(path: Path | None, values: Mapping[str, Any]) -> "Recipe":
    """Return the recipe in a file with the options of the command line in place of its own values."""
    from personagen.builder.planning.recipe.parsing import read_recipe

    keys = {"backend": "backend.kind", "model": "backend.model", "base_url": "backend.base_url"}
    keys |= {"style": "text.style"}
    keys |= {name: f"backend.{name}" for name in ("reasoning_effort", "concurrency", "rpm", "tpm")}
    keys |= {name: f"budget.{name}" for name in ("max_cost", "max_tokens")}
    overrides = {keys.get(name, name): value for name, value in values.items() if value is not None}
    if "emotions" in overrides:
        overrides["emotions"] = split_names(overrides["emotions"])
    return read_recipe(path, overrides)


def split_names(value: str) -> list[str]:
    """Split a comma-separated list of names."""
    return [name.strip() for name in value.split(",")]


def chosen_judges(judges: tuple[str, ...], *, no_judge: bool) -> tuple[str, ...]:
    """Return the judges; raise UsageError if both options are given."""
    if judges and no_judge:
        raise click.UsageError("--judge and --no-judge exclude each other")
    return judges


NOT_RECORDED = frozenset(
    {
        "accept_lost_replies",
        "api_key_file", "as_json", "base_url", "budget", "concurrency", "judge_max_tokens", "judge_url", "max_cost",
        "max_tokens", "no_judge", "out", "rpm", "token", "tpm", "vectors",
    }
)  # fmt: skip
"""Parameters that are left out of a recorded command: they are private, or they do not change a result."""


def recorded_command(**replacements: str) -> str:
    """Return the command line of the current call as results record it, without folders of this machine.

    Defaults that the help shows are written out, because a later version may change them.

    Args:
        replacements: values to record in place of those of the call, by parameter.

    """
    context = click.get_current_context()
    words = ["personagen", context.info_name or ""]
    for parameter in context.command.params:
        name = parameter.name or ""
        value = replacements.get(name, context.params.get(name))
        chosen = name in replacements or context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if name in NOT_RECORDED or value is None or not (chosen or getattr(parameter, "show_default", None)):
            continue
        if isinstance(value, bool):
            words.append((parameter.opts if value else parameter.secondary_opts)[0])
            continue
        for part in value if isinstance(value, tuple) else (value,):
            word = redact_path(str(part))
            words += [word] if isinstance(parameter, click.Argument) else [parameter.opts[0], word]
    return shlex.join(words)
