"""The command `match`."""

from pathlib import Path
from typing import Any

import click

from personagen.builder.cli.options import BUDGET, RECIPE, options, read_key, read_options, recorded_command
from personagen.builder.cli.output import show, show_json
from personagen.builder.core.foreign_text import printable


@click.command("match")
@click.argument("reference")
@click.option("--recipe", type=click.Path(path_type=Path), metavar="FILE", help="Recipe of model, checks and budget.")
@options(
    *(name for name in RECIPE if name not in ("RECIPE", "--depth", "--expression", "--style")),
    "--embeddings",
    "--api-key-file",
)
@click.option(
    "--rows", type=click.IntRange(1), default=140, show_default=True, metavar="N", help="Number of texts per arm."
)
@click.option(
    "--examples/--no-examples",
    default=None,
    help="Whether prompts of some arms show real texts. Default: only if REFERENCE is a file or folder of yours.",
)
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    help="--max-cost if the recipe has a price of the model, else --max-tokens.",
)
@options(*BUDGET)
@click.option("--out", type=click.Path(path_type=Path), default=Path("match"), show_default=True, help="Folder.")
@options("--accept-lost-replies", "--json")
def match_command(reference: str, recipe: Path | None, out: Path, as_json: bool, **values: Any) -> None:
    """Find the recipe whose texts teach a classifier most about real texts.

    REFERENCE is goemotions, a file, a release, or a dataset on the Hub: 50 or more English texts, with labels or
    without. Their style is measured, texts of several small arms are generated, and the best arm is compared with real
    training texts on a test part that nothing else has seen. The folder gets its recipe for `generate`, recipe.yaml,
    and the figures, match.md and match.json. The same command continues an interrupted match, and requests
    no reply of its journal again.
    """
    from personagen.builder.cli.progress import TerminalProgress
    from personagen.builder.evaluation.matching import MatchSettings, match, with_budget

    own = {name: values.pop(name) for name in ("rows", "examples", "embeddings", "accept_lost_replies")}
    key, budget = values.pop("api_key_file"), values.pop("budget")
    settings = MatchSettings(reference, command=recorded_command(), **own)
    parsed, secret = with_budget(read_options(recipe, values), budget), read_key(key)
    with TerminalProgress() as progress:
        result = match(parsed, settings, out, progress=progress, api_key=secret)
    if as_json:
        show_json(result.to_json())
        return
    show("\n".join(map(printable, result.conclusions)))
    show(out)
