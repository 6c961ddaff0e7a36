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

from personagen.builder.cli.measure import audit, compare, evaluate, report
from personagen.builder.cli.options import Command, budget_options, key_option, read_key, read_options, recipe_options
from personagen.builder.core.errors import PersonaGenError, ReleaseError
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.core.terminal import printable
from personagen.builder.version import __version__

if TYPE_CHECKING:  # imported where they are used: `--help` has no need of them
    from personagen.builder.hub.client import HubClient


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="personagen")
def cli() -> None:
    """Make labelled emotional text by virtual personas, as a Hugging Face dataset."""


@cli.command()
@recipe_options
@key_option
@budget_options
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
    parsed = read_options(recipe, options)
    from personagen.builder.cli.progress import Progress as ProgressBar
    from personagen.builder.generate import generate as run

    client = _checked_client(repo) if repo else None  # before anything is paid for
    with ProgressBar() as progress:
        key = read_key(api_key_file)
        result = run(parsed, out, fresh=fresh, reuse=reuse, api_key=key, progress=progress)
    rows = result.manifest["configs"]["all"]["rows"]
    done = "made" if result.made else "complete already"
    if not as_json:
        click.echo(f"{sum(rows.values())} texts, {done}: {result.folder}", err=True)
    url = None
    if repo:
        from personagen.builder.hub.push import PushSettings, push

        url = push(result.folder, repo, PushSettings(tag=tag), client=client).url
    facts = {"folder": str(result.folder), "made": result.made, "rows": rows, **({"url": url} if repo else {})}
    click.echo(json.dumps(facts) if as_json else url or out)


def _checked_client(repo: str) -> "HubClient":
    """Return a client after a check that a release can be published: a token, a valid name, a Hub that answers."""
    from personagen.builder.hub.push import repo_state
    from personagen.builder.hub.repo_files import RepoBranch

    client = _client(None)
    repo_state(client, RepoBranch(repo))
    return client


def _client(token: str | None, progress: Progress = SILENT) -> "HubClient":
    """Return a client of the Hub; our bar replaces those of `huggingface_hub`, one per file."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from personagen.builder.hub.client import connect

    return connect(token, progress)


@cli.command()
@recipe_options
@budget_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan(recipe: Path | None, as_json: bool, **options: Any) -> None:
    """Tell what a recipe takes before any call: requests, tokens, cost and time; nothing is sent or written."""
    parsed = read_options(recipe, options)
    from dataclasses import asdict

    from personagen.builder.cli.display import estimate_lines
    from personagen.builder.estimate import estimate

    expected = estimate(parsed)
    click.echo(json.dumps(asdict(expected)) if as_json else "\n".join(estimate_lines(parsed, expected)))


@cli.command()
@recipe_options
@key_option
@click.option("-n", "--number", type=click.IntRange(1, 1000), default=3, show_default=True, help="Texts to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a text.")
def preview(recipe: Path | None, api_key_file: Path | None, number: int, as_json: bool, **options: Any) -> None:
    """Show a few personas layer by layer with their texts; nothing is written."""
    parsed = read_options(recipe, options)
    from dataclasses import asdict

    from personagen.builder.cli.display import row_lines
    from personagen.builder.preview import preview as rows

    for row in rows(parsed, number, api_key=read_key(api_key_file)):
        click.echo(json.dumps(asdict(row)) if as_json else "\n".join(row_lines(row)) + "\n")


@cli.command()
@click.argument("release", type=click.Path(path_type=Path), default=Path("personagen"))
@click.option("--samples", type=click.IntRange(0, 1000), default=1, show_default=True, help="Texts to show an emotion.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(release: Path, samples: int, as_json: bool) -> None:
    """Show what a release holds: counts, splits, refused replies, samples."""
    from personagen.builder.cli.display import summary, summary_lines
    from personagen.builder.release.folder import read_manifest

    facts = summary(release, read_manifest(release), samples)
    click.echo(json.dumps(facts) if as_json else "\n".join(summary_lines(facts)))


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
    from personagen.builder.cli.display import push_facts, push_lines
    from personagen.builder.cli.progress import Sending
    from personagen.builder.hub.push import PushSettings
    from personagen.builder.hub.push import push as run

    with Sending() as sending:
        done = run(release, repo, PushSettings(**options), client=_client(token, sending))
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

    from personagen.builder.hub.verify import verify_folder, verify_hub

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

    from personagen.builder.hub.push_metric import push_metric as run

    folder = Path(metric) if Path(metric).is_dir() else Path(str(files("personagen.metrics") / metric))
    done = run(folder.resolve(), repo, tag=tag, client=_client(token))
    click.echo(f"{repo}: {len(done.changes.send)} files sent, {len(done.changes.keep)} there already", err=True)
    click.echo(done.url)


cli.add_command(evaluate)
cli.add_command(compare)
cli.add_command(audit)
cli.add_command(report)


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
