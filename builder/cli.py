"""The command line: parse, call, print. Data goes to stdout, talk to stderr, and an expected failure is one line."""

import io
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from personagen.builder.errors import BackendError, PersonaGenError, ReleaseError
from personagen.builder.terminal import printable
from personagen.builder.version import __version__

if TYPE_CHECKING:  # imported where they are used: `--help` has no need of them
    from personagen.builder.hub_calls import Caller
    from personagen.builder.recipe import Recipe

Command = Callable[..., None]


def _recipe_options(command: Command) -> Command:
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


def _budget_options(command: Command) -> Command:
    """Add the options that say how much: those of `generate` and `plan`."""
    options = [
        click.option("--rows", type=int, metavar="N", help="Accepted texts over all emotions."),
        click.option("--max-cost", type=float, metavar="X", help="Stop before the run has cost more (needs prices)."),
        click.option("--max-tokens", type=int, metavar="N", help="Stop before the run has taken more tokens."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _key_option(command: Command) -> Command:
    return click.option(
        "--api-key-file", type=click.Path(path_type=Path), help="File that holds the key, instead of OPENAI_API_KEY."
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="personagen")
def cli() -> None:
    """Make labelled emotional text by virtual personas, as a Hugging Face dataset."""


@cli.command()
@_recipe_options
@_key_option
@_budget_options
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("personagen"), show_default=True, help="Release folder."
)
@click.option("--fresh", is_flag=True, help="Set an earlier run in this folder aside and begin anew.")
@click.option("--reuse", is_flag=True, help="Go on from another recipe's run: no reply is paid for again.")
@click.option("--push", "repo", metavar="USER/NAME", help="Publish the release on the Hub when it is made.")
@click.option("--tag", metavar="TAG", help="With --push: name of the version.")
@click.option("--json", "as_json", is_flag=True, help="Print the result for a program.")
def generate(recipe: Path | None, api_key_file: Path | None, as_json: bool, **options: Any) -> None:
    """Make a release; the same command goes on with one that was cut off.

    RECIPE is a YAML file; without one every part has its default: 70 texts of 7 emotions by the embedded model. Options
    override the recipe.
    """
    out, repo, tag = (options.pop(name) for name in ("out", "repo", "tag"))
    fresh, reuse = options.pop("fresh"), options.pop("reuse")
    if fresh and reuse:
        raise click.UsageError("--fresh and --reuse exclude each other")
    if tag and not repo:
        raise click.UsageError("--tag names a version on the Hub, and nothing is pushed; add --push USER/NAME")
    parsed = _read(recipe, options)
    from personagen.builder.generate import generate as run
    from personagen.builder.progress import Progress

    caller = _place(repo) if repo else None  # before anything is paid for
    with Progress() as progress:
        key = _key(api_key_file)
        result = run(parsed, out, fresh=fresh, reuse=reuse, api_key=key, progress=progress)
    rows = result.manifest["configs"]["all"]["rows"]
    done = "made" if result.made else "complete already"
    if not as_json:
        click.echo(f"{sum(rows.values())} texts, {done}: {result.folder}", err=True)
    url = None
    if repo:
        from personagen.builder.push import Options, push

        url = push(result.folder, repo, Options(tag=tag), caller=caller).url
    facts = {"folder": str(result.folder), "made": result.made, "rows": rows, **({"url": url} if repo else {})}
    click.echo(json.dumps(facts) if as_json else url or out)


def _place(repo: str) -> "Caller":
    """See that a release can be published there: a token, a name that will do, a Hub that answers."""
    from personagen.builder.hub_files import Place
    from personagen.builder.push import look

    caller = _connected(None)
    look(caller, Place(repo))
    return caller


def _connected(token: str | None, progress: Callable[[int, int], None] | None = None) -> "Caller":
    """Make a caller of the Hub, whose own bars, one a file, give way to ours."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from dataclasses import replace

    from personagen.builder.hub_calls import connect

    return replace(connect(token), progress=progress) if progress else connect(token)


@cli.command()
@_recipe_options
@_budget_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan(recipe: Path | None, as_json: bool, **options: Any) -> None:
    """Tell what a recipe takes before any call: requests, tokens, cost and time; nothing is sent or written."""
    parsed = _read(recipe, options)
    from dataclasses import asdict

    from personagen.builder.estimate import estimate
    from personagen.builder.show import estimate_lines

    expected = estimate(parsed)
    click.echo(json.dumps(asdict(expected)) if as_json else "\n".join(estimate_lines(parsed, expected)))


@cli.command()
@_recipe_options
@_key_option
@click.option("-n", "--number", type=click.IntRange(1, 1000), default=3, show_default=True, help="Texts to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a text.")
def preview(recipe: Path | None, api_key_file: Path | None, number: int, as_json: bool, **options: Any) -> None:
    """Show a few personas layer by layer with their texts; nothing is written."""
    parsed = _read(recipe, options)
    from dataclasses import asdict

    from personagen.builder.preview import preview as rows
    from personagen.builder.show import row_lines

    for row in rows(parsed, number, api_key=_key(api_key_file)):
        click.echo(json.dumps(asdict(row)) if as_json else "\n".join(row_lines(row)) + "\n")


@cli.command()
@click.argument("release", type=click.Path(path_type=Path), default=Path("personagen"))
@click.option("--samples", type=click.IntRange(0, 1000), default=1, show_default=True, help="Texts to show an emotion.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(release: Path, samples: int, as_json: bool) -> None:
    """Show what a release holds: counts, splits, refused replies, samples."""
    from personagen.builder.release import read_manifest
    from personagen.builder.show import summary, summary_lines

    facts = summary(release, read_manifest(release), samples)
    click.echo(json.dumps(facts) if as_json else "\n".join(summary_lines(facts)))


@cli.command()
@click.argument("release", type=click.Path(path_type=Path), default=Path("personagen"))
@click.option(
    "--reference",
    metavar="NAME|PATH|HUB_ID",
    default="goemotions",
    show_default=True,
    help="Real texts: goemotions, a file, a release, or a dataset on the Hub.",
)
@click.option("--embeddings", metavar="MODEL", help="Model of sentence-transformers, instead of all-MiniLM-L6-v2.")
@click.option(
    "--judge",
    "judges",
    metavar="SPEC",
    multiple=True,
    help="Model that judges human-likeness: embedded (if it is installed, where nothing is said), openai:MODEL or "
    "transformers:MODEL; more than one may be given.",
)
@click.option("--base-url", metavar="URL", help="OpenAI-compatible endpoint of the judge.")
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Bound on the tokens of the judge's replies.")
@click.option("--no-judge", is_flag=True, help="Leave human-likeness out.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Fixes every draw.")
@click.option("--sample-size", type=click.IntRange(2), metavar="N", help="Texts a side where a sample is taken.")
@_key_option
@click.option("--json", "as_json", is_flag=True, help="Print scores.json.")
def evaluate(release: Path, judges: tuple[str, ...], no_judge: bool, as_json: bool, **options: Any) -> None:
    """Measure a release against real texts: diversity, realism, human-likeness, utility.

    The figures go to scores.json in the release and into its card. Vectors and replies of the judge are kept, so that
    the same command asks for nothing twice.
    """
    if judges and no_judge:
        raise click.UsageError("--judge and --no-judge exclude each other")
    from personagen.builder.evaluate import Options
    from personagen.builder.evaluate import evaluate as run
    from personagen.builder.scores import table

    key = _key(options.pop("api_key_file"))
    chosen = Options(**options, judges=() if no_judge else judges or None)
    scores = run(release, chosen, lambda line: click.echo(printable(line), err=True), api_key=key)
    click.echo(json.dumps(scores) if as_json else "\n".join(table(scores)))


def _push_options(command: Command) -> Command:
    """Add the options that say how to publish."""
    options: list[Callable[[Command], Command]] = [
        click.option("--tag", metavar="TAG", help="Name of the version, set when all is there: v1.0.0, say."),
        click.option("--revision", metavar="BRANCH", default="main", show_default=True, help="Branch to change."),
        click.option("--private/--public", default=None, help="What a repository that is made here is."),
        click.option("--create-pr", is_flag=True, help="Leave a pull request open instead of changing the branch."),
        _token_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _token_option(command: Command) -> Command:
    return click.option(
        "--token", metavar="TOKEN", help="Token of the Hub, instead of HF_TOKEN and that of `hf auth login`."
    )(command)


@cli.command()
@click.argument("release", type=click.Path(path_type=Path))
@click.argument("repo", metavar="USER/NAME")
@_push_options
@click.option("--dry-run", is_flag=True, help="Show what would be sent and the card, and send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def push(release: Path, repo: str, token: str | None, as_json: bool, **options: Any) -> None:
    """Publish a release on the Hub: all of it or nothing, in one commit.

    The same command goes on after whatever stopped it; what the Hub has already is not sent again.
    """
    from personagen.builder.progress import Sending
    from personagen.builder.push import Options
    from personagen.builder.push import push as run
    from personagen.builder.show import push_facts, push_lines

    with Sending() as sending:
        done = run(release, repo, Options(**options), caller=_connected(token, sending))
    if as_json:
        click.echo(json.dumps(push_facts(done)))
        return
    click.echo("\n".join(push_lines(done)), err=not options["dry_run"])
    if done.url is not None:
        click.echo(done.url)


@cli.command()
@click.argument("source", metavar="RELEASE|USER/NAME[@REVISION]")
@_token_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(source: str, token: str | None, as_json: bool) -> None:
    """Hold a release against its manifest: in a folder, or as the Hub serves it."""
    from dataclasses import asdict

    from personagen.builder.verify import verify_folder, verify_hub

    found = verify_folder(Path(source)) if Path(source).is_dir() else verify_hub(source, token=token)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    elif not found.problems:
        at = f" at {found.commit}" if found.commit else ""
        click.echo(f"{found.source}{at}: {found.files} files, {found.rows} rows, all as the manifest says")
    if found.problems:
        raise ReleaseError(f"{found.source} is not what its manifest says: {'; '.join(found.problems)}")


@cli.command("push-metric")
@click.argument("metric", metavar="NAME|FOLDER")
@click.argument("repo", metavar="USER/NAME")
@click.option("--tag", metavar="TAG", help="Name of the version.")
@_token_option
def push_metric(metric: str, repo: str, tag: str | None, token: str | None) -> None:
    """Publish a metric as a Space, for evaluate.load("USER/NAME")."""
    from importlib.resources import files

    from personagen.builder.push_metric import push_metric as run

    folder = Path(metric) if Path(metric).is_dir() else Path(str(files("personagen.metrics") / metric))
    done = run(folder.resolve(), repo, tag=tag, caller=_connected(token))
    click.echo(f"{repo}: {len(done.change.send)} files sent, {len(done.change.keep)} there already", err=True)
    click.echo(done.url)


def _key(path: Path | None) -> str | None:
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


def _read(path: Path | None, options: dict[str, Any]) -> "Recipe":
    """Read the recipe with the options that were given in its place."""
    from personagen.builder.recipe import read_recipe

    keys = {"backend": "backend.kind", "model": "backend.model", "base_url": "backend.base_url"}
    keys |= {name: f"backend.{name}" for name in ("concurrency", "rpm", "tpm")}
    keys |= {name: f"budget.{name}" for name in ("max_cost", "max_tokens")}
    given = {keys.get(name, name): value for name, value in options.items() if value is not None}
    if "emotions" in given:
        given["emotions"] = [name.strip() for name in given["emotions"].split(",")]
    return read_recipe(path, given)


def main() -> None:
    """Run the command; expected failures are one line on stderr and exit code 1, an interruption is 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not where a test has put its own
            stream.reconfigure(errors="backslashreplace")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    # Arrow's own allocator keeps what it has freed: 15 MB of a run. Read when it is imported, which is later.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    try:
        cli.main(standalone_mode=False)
        sys.stdout.flush()
    except PersonaGenError as error:
        _fail(str(error), 1)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "personagen"
        _fail(f"{error.format_message()} (see `{command} --help`)", error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except OSError as error:
        # What is left in the buffer goes nowhere, else the interpreter complains again on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _fail(f"cannot write the output: {(error.strerror or str(error)).lower()}", 1)
    except (KeyboardInterrupt, click.Abort):
        _fail("stopped; what was paid for is kept: run the same command to go on", 130)


def _fail(message: str, code: int) -> None:
    click.echo(f"personagen: {printable(message)}", err=True)
    sys.exit(code)
