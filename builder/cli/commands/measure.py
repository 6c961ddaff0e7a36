"""Commands that measure: `evaluate`, `audit`, `compare` and `report`."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from personagen.builder.cli.options import (
    BUDGET,
    JUDGE,
    PART_HELP,
    RECIPE,
    chosen_judges,
    options,
    read_key,
    read_options,
    recorded_command,
    renamed_option,
    split_names,
)
from personagen.builder.cli.output import show, show_json
from personagen.builder.core.errors import BackendError
from personagen.builder.core.file_names import BEST_RECIPE
from personagen.builder.core.foreign_text import printable


@click.command()
@options("RELEASE", "--reference", "--embeddings", "--encoded", *JUDGE)
@renamed_option("--base-url", "--judge-url")
@renamed_option("--max-tokens", "--judge-max-tokens")
@options("--seed=0")
@click.option(
    "--sample-size", type=click.IntRange(2), metavar="N", help="Texts per side of measures that take a sample."
)
@options("--accept-lost-replies", "--api-key-file", "--json")
def evaluate(release: Path, judges: tuple[str, ...], no_judge: bool, as_json: bool, **settings: Any) -> None:
    """Measure a release against real texts.

    RELEASE defaults to the folder personagen. The metrics are diversity, realism, utility and, if a judge is named,
    human-likeness. As each of them ends, it is written to scores.json in the release and to its dataset card; an
    interrupt keeps those that have ended. Embeddings and replies of judges are cached: a repeated command requests none
    of them again.
    """
    from personagen.builder.cli.progress import TerminalProgress
    from personagen.builder.evaluation.evaluate import EvaluationSettings
    from personagen.builder.evaluation.evaluate import evaluate as run
    from personagen.builder.evaluation.scores import score_lines
    from personagen.builder.release.folder import read_manifest

    key = read_key(settings.pop("api_key_file"))
    chosen = EvaluationSettings(
        judges=chosen_judges(judges, no_judge=no_judge),
        command=recorded_command(release=read_manifest(release)["name"]),
        **settings,
    )
    with TerminalProgress() as progress:
        scores = run(release, chosen, progress=progress, api_key=key)
    show_json(scores.content) if as_json else show("\n".join(score_lines(scores)))


@click.command()
@options(*(name for name in RECIPE if name != "--depth"))
@click.option("--depth", hidden=True)  # refused with the reason
@options("--reference", "--embeddings", *JUDGE, "--api-key-file")
@click.option(
    "--rows",
    type=click.IntRange(1),
    default=210,
    show_default=True,
    metavar="N",
    help="Number of texts per arm, all seeds together.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    metavar="K",
    help="Number of repetitions of every arm, each with its own personas and draws.",
)
@click.option(
    "--arms",
    metavar="A,B",
    help="Arms to compare, separated by commas; arms that they depend on are added. Default: all. "
    "NAME:verbalized samples several texts per request with their probabilities.",
)
@options(*BUDGET)
@click.option("--out", type=click.Path(path_type=Path), default=Path("comparison"), show_default=True, help="Folder.")
@options("--accept-lost-replies", "--json")
def compare(recipe: Path | None, judges: tuple[str, ...], no_judge: bool, as_json: bool, **values: Any) -> None:
    """Test whether personas help: generate and measure texts of several arms.

    Nearly every claim about personas is judged by a paired difference between two arms. RECIPE gives model, emotions,
    personas, situations, prompts, checks and budget; its rows, depth, splits and grounding are not used. The same
    command continues an interrupted comparison, and requests no reply of its journal again.
    """
    if values["depth"] is not None:
        raise click.UsageError("--depth is what arms differ in; name arms with --arms")
    from personagen.builder.cli.progress import TerminalProgress
    from personagen.builder.evaluation.compare import ComparisonSettings
    from personagen.builder.evaluation.compare import compare as run
    from personagen.builder.evaluation.comparison_tables import verdict_lines
    from personagen.builder.release.measuring import require_metrics_extra
    from personagen.builder.report import write_report

    require_metrics_extra("plotly")  # before anything is paid for
    own = {name: values.pop(name) for name in ("reference", "embeddings", "rows", "seeds")}
    key, out, arms = (values.pop(name) for name in ("api_key_file", "out", "arms"))
    settings = ComparisonSettings(
        arms=tuple(split_names(arms)) if arms else None,
        judges=chosen_judges(judges, no_judge=no_judge),
        judge_url=values.pop("judge_url"),
        judge_max_tokens=values.pop("judge_max_tokens"),
        accept_lost_replies=values.pop("accept_lost_replies"),
        command=recorded_command(),
        **own,
    )
    parsed, secret = read_options(recipe, values), read_key(key)
    with TerminalProgress() as progress:
        comparison = run(parsed, settings, out, progress=progress, api_key=secret)
        write_report(out, progress=progress)
    verdicts = "\n".join(map(printable, verdict_lines(comparison.claims)))
    show_json(comparison.to_json()) if as_json else show(verdicts)
    best = out / BEST_RECIPE
    if not as_json and comparison.best is not None:
        show(f"best arm: {comparison.best}; to write its texts: {shlex.join(['personagen', 'generate', str(best)])}")
    if not as_json:
        show(out)


@click.command()
@options("RELEASE", "--reference", "--embeddings", "--encoded", "--seed=0", "--json")
def audit(release: Path, as_json: bool, **settings: Any) -> None:
    """Audit a release for bias in its texts.

    RELEASE defaults to the folder personagen. The audit looks for associations with persona attributes that the recipe
    did not plan. Emotion, intensity, predicted emotion, sentiment, length, words and content are compared between the
    values of gender, age, country, religion, means and the other attributes. The results are written to audit.json in
    the release and to its dataset card. The reference trains an emotion classifier if the release has no predictions.
    """
    from personagen.builder.cli.progress import TerminalProgress
    from personagen.builder.evaluation.audit import AuditSettings
    from personagen.builder.evaluation.audit import audit as run
    from personagen.builder.evaluation.audit_results import audit_lines
    from personagen.builder.release.folder import read_manifest

    command = recorded_command(release=read_manifest(release)["name"])
    with TerminalProgress() as progress:
        result = run(release, AuditSettings(**settings, command=command), progress=progress)
    show_json(result.to_json()) if as_json else show("\n".join(map(printable, audit_lines(result))))


@click.command()
@options("RELEASE", "--encoded=")
@click.option("--part", default="0/1", show_default=True, metavar="I/N", help=PART_HELP)
@options("--embeddings", "--seed=0", "--json")
def encode(release: Path, part: str, as_json: bool, **settings: Any) -> None:
    """Encode a part of the texts of a release, for measuring it elsewhere.

    RELEASE defaults to the folder personagen. The texts are those that `evaluate`, `audit` and `report` use with the
    same seed and model. Parts may be encoded on any machines, in any order. Each writes sealed files of at most 5,000
    vectors, and a repeated command writes those that are missing.
    """
    from personagen.builder.cli.progress import TerminalProgress
    from personagen.builder.evaluation.samples.encoding import EncodingSettings
    from personagen.builder.evaluation.samples.encoding import encode as run
    from personagen.builder.planning.parts import parse_part

    chosen = EncodingSettings(part=parse_part(part), **settings)
    with TerminalProgress() as progress:
        done = run(release, chosen, progress=progress)
    if as_json:
        show_json(asdict(done))
        return
    show(f"part {part}: {done.texts:,} of {done.of:,} texts in {done.files} files, {done.written} new")


@click.command()
@click.argument(
    "folder", metavar="RELEASE|COMPARISON|MATCH", type=click.Path(path_type=Path), default=Path("personagen")
)
@options("--reference", "--embeddings", "--encoded", "--seed=0")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File of the page.")
@click.option("--open", "is_opened", is_flag=True, help="Open the page in the browser.")
def report(folder: Path, out: Path | None, *, is_opened: bool, **settings: Any) -> None:
    """Write an HTML page about a release, a comparison or a match; it needs no network.

    The folder defaults to personagen. The page opens with verdicts in sentences and reasons for caution. It shows a map
    of the texts, predicted emotions, lengths, words, personas, arms and rejected replies, each chart with the table of
    its data, and a searchable table of texts with their personas. The page of a match shows its conclusions, arms and
    yardsticks. Nothing on it sends anything. It is written to report.html in a comparison or a match, and to
    RELEASE.report.html beside a release. --reference and --embeddings are for a release: the others have their own.
    """
    from personagen.builder.cli.progress import TerminalProgress
    from personagen.builder.report import write_report

    with TerminalProgress() as progress:
        page = write_report(folder, out=out, progress=progress, **settings)
    show(page)
    if is_opened:
        open_in_browser(page)


def open_in_browser(page: Path) -> None:
    """Open a page in the browser that BROWSER names, or in the default one.

    Raises:
        BackendError: there is no browser, or it cannot be started.

    """
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        raise BackendError(f"cannot open {page}: no browser could be started; open the file, or set BROWSER")
