"""Commands about a finished release: `inspect`, `push` and `verify`; and `push-metric`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from personagen.builder.cli.options import options, read_options
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
@click.option(
    "--journal", is_flag=True, help="Publish the model's replies too, from which anyone can replay the release."
)
@options("--recipe", "--token")
@click.option("--dry-run", is_flag=True, help="Show the files to send and the dataset card; send nothing.")
@options("--json")
def push(release: Path, repo: str, recipe: Path | None, token: str | None, as_json: bool, **values: Any) -> None:
    """Push a release to the Hub in one commit: all of it or nothing.

    The same command continues an interrupted push; files that are on the Hub already are not sent again. With --journal
    the release is built again from the journal of its run first, and nothing is sent if it differs.
    """
    if recipe and not values["journal"]:
        raise click.UsageError("--recipe is for the journal; add --journal")
    from personagen.builder.cli.display import push_facts, push_lines
    from personagen.builder.cli.progress import TerminalProgress
    from personagen.builder.hub.push import PushSettings
    from personagen.builder.hub.push import push as run

    with TerminalProgress(unit="B") as progress:
        settings = PushSettings(**values, recipe=read_options(recipe, {}) if recipe else None)
        done = run(release, repo, settings, client=_client(token, progress))
    if as_json:
        show_json(push_facts(done))
        return
    show("\n".join(push_lines(done)), err=not values["dry_run"])
    if done.url is not None:
        show(done.url)


@click.command()
@click.argument("source", metavar="RELEASE|USER/NAME[@REVISION]")
@click.option("--replay", is_flag=True, help="Build the release again from its replies, without a call, and compare.")
@options("--journals")
@options("--recipe", "--token", "--json")
def verify(
    source: str, replay: bool, journals: str | None, recipe: Path | None, token: str | None, as_json: bool
) -> None:
    """Verify a release against its manifest, in a folder or as the Hub serves it.

    With --replay all of it is built again from the recipe and the replies of the model: those of --journals, else the
    published journal of the repository, or that of the run beside the folder.
    """
    if (journals or recipe) and not replay:
        raise click.UsageError("--journals and --recipe are for the replay; add --replay")
    from dataclasses import asdict

    from personagen.builder.cli.display import replay_line
    from personagen.builder.cli.progress import TerminalProgress
    from personagen.builder.hub.verify import verify_folder, verify_hub
    from personagen.builder.replay import ReplaySettings

    replaying = ReplaySettings(journals, read_options(recipe, {}) if recipe else None) if replay else None
    with TerminalProgress() as progress:
        if Path(source).is_dir():
            result = verify_folder(Path(source), replaying, progress=progress)
        else:
            result = verify_hub(source, replaying, token=token, progress=progress)
    if as_json:
        show_json(asdict(result))
    elif not result.problems:
        revision = f" at {result.commit}" if result.commit else ""
        form = f" ({result.earlier_form})" if result.earlier_form else ""
        show(f"{result.source}{revision}: {result.files} files, {result.rows} rows, all match the manifest{form}")
        if result.replay:
            show(replay_line(result.replay))
    if result.problems:
        from personagen.builder.hub.verify import FOREIGN
        from personagen.builder.release.folder import MEND

        if result.replay is not None:
            raise ReleaseError(
                f"{result.source} is not what its replies make: {'; '.join(result.problems)}; it was altered, or these "
                "are not its replies"
            )
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
