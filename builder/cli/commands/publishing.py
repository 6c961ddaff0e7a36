"""Commands about a finished release: `inspect`, `push` and `verify`; and `push-metric`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from personagen.builder.cli.options import options
from personagen.builder.cli.output import show, show_json
from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.progress import SILENT, Progress

if TYPE_CHECKING:  # imported on use: `--help` does not need it
    from personagen.builder.hub.client import HubClient


def checked_client(repo: str, tag: str | None) -> "HubClient":
    """Return a client of the Hub after a check that a release can be pushed: names, token, reachable Hub."""
    from personagen.builder.hub.push import PushSettings, repo_state, validate_target
    from personagen.builder.hub.repo_files import RepoBranch

    validate_target(repo, PushSettings(tag=tag))
    client = _client(None)
    repo_state(client, RepoBranch(repo))
    return client


def _client(token: str | None, progress: Progress = SILENT) -> "HubClient":
    """Return a client of the Hub; our bar replaces those of `huggingface_hub`, which draws one per file."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from personagen.builder.hub.client import connect

    return connect(token, progress)


@click.command()
@options("RELEASE")
@click.option(
    "--samples", type=click.IntRange(0, 1000), default=1, show_default=True, help="Sample texts shown per emotion."
)
@options("--json")
def inspect(release: Path, samples: int, as_json: bool) -> None:
    """Show the counts, splits, rejected replies and sample texts of a release.

    RELEASE defaults to the folder personagen.
    """
    from personagen.builder.cli.display import summary, summary_lines
    from personagen.builder.release.folder import check_manifest, read_manifest

    manifest = read_manifest(release)
    check_manifest(manifest, str(release))
    facts = summary(release, manifest, samples)
    show_json(facts) if as_json else show("\n".join(summary_lines(facts)))


@click.command()
@click.argument("release", type=click.Path(path_type=Path))
@click.argument("repo", metavar="USER/NAME")
@options("--tag")
@click.option("--revision", metavar="BRANCH", default="main", show_default=True, help="Branch to push to.")
@click.option("--private/--public", default=None, help="Visibility of a repository that is created.")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead of changing the branch.")
@options("--token")
@click.option("--dry-run", is_flag=True, help="Show the files to send and the dataset card; send nothing.")
@options("--json")
def push(release: Path, repo: str, token: str | None, as_json: bool, **values: Any) -> None:
    """Push a release to the Hub in one commit: all of it or nothing.

    The same command continues an interrupted push; files that are on the Hub already are not sent again.
    """
    from personagen.builder.cli.display import push_facts, push_lines
    from personagen.builder.cli.progress import TerminalProgress
    from personagen.builder.hub.push import PushSettings
    from personagen.builder.hub.push import push as run

    with TerminalProgress(unit="B") as progress:
        done = run(release, repo, PushSettings(**values), client=_client(token, progress))
    if as_json:
        show_json(push_facts(done))
        return
    show("\n".join(push_lines(done)), err=not values["dry_run"])
    if done.url is not None:
        show(done.url)


@click.command()
@click.argument("source", metavar="RELEASE|USER/NAME[@REVISION]")
@options("--token", "--json")
def verify(source: str, token: str | None, as_json: bool) -> None:
    """Verify a release against its manifest, in a folder or as the Hub serves it."""
    from dataclasses import asdict

    from personagen.builder.hub.verify import verify_folder, verify_hub

    result = verify_folder(Path(source)) if Path(source).is_dir() else verify_hub(source, token=token)
    if as_json:
        show_json(asdict(result))
    elif not result.problems:
        revision = f" at {result.commit}" if result.commit else ""
        form = f" ({result.earlier_form})" if result.earlier_form else ""
        show(f"{result.source}{revision}: {result.files} files, {result.rows} rows, all match the manifest{form}")
    if result.problems:
        from personagen.builder.hub.verify import FOREIGN
        from personagen.builder.release.folder import MEND

        are_foreign = all(problem.endswith(FOREIGN) for problem in result.problems)
        advice = "remove or rename what is not of it" if are_foreign else MEND
        raise ReleaseError(f"{result.source} differs from its manifest: {'; '.join(result.problems)}; {advice}")


@click.command("push-metric")
@click.argument("metric", metavar="NAME|FOLDER")
@click.argument("repo", metavar="USER/NAME")
@options("--tag", "--token")
def push_metric(metric: str, repo: str, tag: str | None, token: str | None) -> None:
    """Push a metric to the Hub as a Space, for evaluate.load("USER/NAME")."""
    from importlib.resources import files

    from personagen.builder.hub.push_metric import push_metric as run

    folder = Path(metric) if Path(metric).is_dir() else Path(str(files("personagen.metrics") / metric))
    done = run(folder.resolve(), repo, tag=tag, client=_client(token))
    show(f"{repo}: {len(done.changes.send)} files sent, {len(done.changes.keep)} already there", err=True)
    show(done.url)
