"""The commands that measure: a release against real texts, and arms of the experiment against each other."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from personagen.builder.cli.options import (
    Command,
    key_option,
    read_key,
    read_options,
    recipe_options,
    recorded_command,
)
from personagen.builder.core.progress import RunStatus
from personagen.builder.core.terminal import printable

_embeddings_option: Callable[[Command], Command] = click.option(
    "--embeddings", metavar="MODEL", help="Model of sentence-transformers, instead of all-MiniLM-L6-v2."
)


class Lines:
    """Progress on stderr: one line per step and warning; counts of a generation run go to `counts`."""

    def __init__(self, counts: Callable[[RunStatus], None] | None = None) -> None:
        """Display counts by a function; None: do not display them."""
        self._counts = counts

    def update(self, status: RunStatus) -> None:
        """Display the counts of a generation run."""
        if self._counts is not None:
            self._counts(status)

    def step(self, name: str) -> None:
        """Write the name of a step."""
        click.echo(printable(name), err=True)

    def advance(self, done: int, total: int) -> None:
        """Display nothing."""

    def warn(self, message: str) -> None:
        """Write a warning."""
        click.echo(printable(f"  {message}"), err=True)


def _measure_options(command: Command) -> Command:
    """Add the options that say against what texts are measured, and who judges them."""
    options: list[Callable[[Command], Command]] = [
        click.option(
            "--reference",
            metavar="NAME|PATH|HUB_ID",
            default="goemotions",
            show_default=True,
            help="Real texts: goemotions, a file, a release, or a dataset on the Hub.",
        ),
        _embeddings_option,
        click.option(
            "--judge",
            "judges",
            metavar="SPEC",
            multiple=True,
            help="Model that rates human-likeness: embedded, openai:MODEL or transformers:MODEL; may be repeated. "
            "Without it human-likeness is not measured.",
        ),
        click.option("--no-judge", is_flag=True, help="Leave human-likeness out, which is the default."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("release", type=click.Path(path_type=Path), default=Path("personagen"))
@_measure_options
@click.option("--base-url", metavar="URL", help="OpenAI-compatible endpoint of the judge.")
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Bound on the tokens of the judge's replies.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Fixes every draw.")
@click.option("--sample-size", type=click.IntRange(2), metavar="N", help="Texts a side where a sample is taken.")
@key_option
@click.option("--json", "as_json", is_flag=True, help="Print scores.json.")
def evaluate(release: Path, judges: tuple[str, ...], no_judge: bool, as_json: bool, **options: Any) -> None:
    """Measure a release against real texts: diversity, realism, human-likeness, utility.

    The figures go to scores.json in the release and into its card. Vectors and replies of the judge are kept, so that
    the same command asks for nothing twice.
    """
    from personagen.builder.evaluation.evaluate import EvaluationSettings
    from personagen.builder.evaluation.evaluate import evaluate as run
    from personagen.builder.evaluation.scores import score_lines
    from personagen.builder.release.folder import read_manifest

    key, judges = read_key(options.pop("api_key_file")), _judges(judges, no_judge=no_judge)
    command = recorded_command(release=read_manifest(release)["name"])
    scores = run(release, EvaluationSettings(**options, judges=judges, command=command), progress=Lines(), api_key=key)
    click.echo(json.dumps(scores.content) if as_json else "\n".join(score_lines(scores)))


@click.command()
@recipe_options
@_measure_options
@key_option
@click.option(
    "--rows",
    type=click.IntRange(1),
    default=210,
    show_default=True,
    metavar="N",
    help="Texts of every arm, all seeds together.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    metavar="K",
    help="Parts of an arm that are written apart, with personas and draws of their own.",
)
@click.option(
    "--arms",
    metavar="A,B",
    help="Arms to compare, with those that they use; all where nothing is said. An arm with :verbalized after its name "
    "asks for several texts at once with their probabilities.",
)
@click.option("--judge-url", metavar="URL", help="OpenAI-compatible endpoint of the judge.")
@click.option("--max-cost", type=float, metavar="X", help="Stop before the run has cost more (needs prices).")
@click.option("--max-tokens", type=int, metavar="N", help="Stop before the run has taken more tokens.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("comparison"), show_default=True, help="Folder of results."
)
@click.option("--json", "as_json", is_flag=True, help="Print results.json.")
def compare(recipe: Path | None, judges: tuple[str, ...], no_judge: bool, as_json: bool, **options: Any) -> None:
    """Find out whether personas help: write every arm of the experiment, measure it, and judge the claims.

    RECIPE gives model, emotions, checks and budget; its rows, depth and splits are not used. The same command goes on
    with a comparison that was cut off, and asks for nothing twice.
    """
    if options["depth"] is not None:
        raise click.UsageError("--depth is what arms differ in; name them with --arms")
    from personagen.builder.cli.progress import Progress
    from personagen.builder.evaluation.compare import ComparisonSettings
    from personagen.builder.evaluation.compare import compare as run
    from personagen.builder.evaluation.comparison_tables import verdict_lines
    from personagen.builder.release.measuring import require_metrics_extra
    from personagen.builder.report import write_report

    require_metrics_extra("plotly")  # before anything is paid for
    own = {name: options.pop(name) for name in ("reference", "embeddings", "rows", "seeds")}
    key, out, url, arms = (options.pop(name) for name in ("api_key_file", "out", "judge_url", "arms"))
    settings = ComparisonSettings(
        **own,
        arms=tuple(name.strip() for name in arms.split(",")) if arms else None,
        judges=_judges(judges, no_judge=no_judge),
        base_url=url,
        command=recorded_command(),
    )
    parsed, secret = read_options(recipe, options), read_key(key)
    with Progress() as progress:
        comparison = run(parsed, settings, out, progress=Lines(progress), api_key=secret)
    write_report(out, progress=Lines())
    verdicts = "\n".join(map(printable, verdict_lines(comparison.claims)))
    click.echo(json.dumps(comparison.to_json()) if as_json else verdicts)
    if not as_json:
        click.echo(out)


def _judges(judges: tuple[str, ...], *, no_judge: bool) -> tuple[str, ...]:
    if judges and no_judge:
        raise click.UsageError("--judge and --no-judge exclude each other")
    return judges


@click.command()
@click.argument("release", type=click.Path(path_type=Path), default=Path("personagen"))
@click.option(
    "--reference",
    metavar="NAME|PATH|HUB_ID",
    default="goemotions",
    show_default=True,
    help="Real texts that a classifier is trained on, where the release was not checked.",
)
@_embeddings_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Fixes every draw.")
@click.option("--json", "as_json", is_flag=True, help="Print audit.json.")
def audit(release: Path, as_json: bool, **options: Any) -> None:
    """Look for bias: what of the texts goes with the persona's attributes, although nobody planned it.

    Emotion, intensity, what a classifier reads, sentiment, length, words and content are held against gender, age,
    country, religion, means and the rest. What was found goes to audit.json in the release and into its card.
    """
    from personagen.builder.evaluation.audit import AuditSettings
    from personagen.builder.evaluation.audit import audit as run
    from personagen.builder.evaluation.audit_results import audit_lines
    from personagen.builder.release.folder import read_manifest

    command = recorded_command(release=read_manifest(release)["name"])
    result = run(release, AuditSettings(**options, command=command), progress=Lines())
    click.echo(json.dumps(result.to_json()) if as_json else "\n".join(map(printable, audit_lines(result))))


@click.command()
@click.argument("folder", metavar="RELEASE|COMPARISON", type=click.Path(path_type=Path), default=Path("personagen"))
@click.option(
    "--reference",
    metavar="NAME|PATH|HUB_ID",
    default="goemotions",
    show_default=True,
    help="Real texts that a release is held against; a comparison has its own.",
)
@_embeddings_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Fixes the sample and the map.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File of the page [default: see above].")
def report(folder: Path, out: Path | None, **options: Any) -> None:
    """Show a release or a comparison on one page that needs no network.

    Map, predictions, lengths, words, personas, arms, refused replies, and a table to search, with the persona of each
    text. The page goes to report.html in a comparison, and beside a release, to RELEASE.report.html.
    """
    from personagen.builder.report import write_report

    click.echo(write_report(folder, out=out, progress=Lines(), **options))
