"""Publish a metric as a Space, where `evaluate.load("USER/NAME")` finds it."""

import ast
from dataclasses import dataclass
from pathlib import Path

from personagen.builder.card import split_card
from personagen.builder.commits import commit, head_of, is_tagged, set_tag
from personagen.builder.errors import ReleaseError
from personagen.builder.hub_calls import Caller, connect
from personagen.builder.hub_files import Change, Files, Place, compare, remote_files, small_file

NEEDED = ("README.md", "app.py", "requirements.txt", "tests.py")
"""What a Space of a metric holds, beside the module of its own name."""

KINDS = (".py", ".md", ".txt")


@dataclass(frozen=True, slots=True)
class PushedMetric:
    """Where a metric lies now: Space, commit, and the files that were sent and that were there already."""

    repo: str
    commit: str
    url: str
    change: Change


def push_metric(
    folder: Path, repo: str, *, tag: str | None = None, token: str | None = None, caller: Caller | None = None
) -> PushedMetric:
    """Publish the metric in a folder, in one commit.

    Args:
        folder: the metric: its module, named as the folder, and what a Space needs.
        repo: "USER/NAME", where NAME is that of the folder.
        tag: name of the version; None sets none.
        token: for the Hub; None takes that of this machine.
        caller: who asks the Hub; None makes one with the token.

    Raises:
        ReleaseError: the folder is no metric, or the Space would not be found by `evaluate`.
        HubError: the Hub refuses, cannot be reached, or was changed by somebody else meanwhile.

    """
    files = metric_files(folder)
    if repo.rsplit("/", maxsplit=1)[-1] != folder.name:
        raise ReleaseError(
            f"{repo} is no place for {folder.name}: evaluate.load looks for NAME.py in USER/NAME; push to "
            f"{repo.split('/', maxsplit=1)[0]}/{folder.name}"
        )
    caller = caller or connect(token)
    place = Place(repo, kind="space")
    caller.patiently(
        f"create the Space {repo}",
        lambda: caller.api.create_repo(repo, repo_type="space", space_sdk="gradio", exist_ok=True),
    )
    head = head_of(caller, place)
    there = remote_files(caller, place, head)
    change = compare(files, there)
    tagged = tag is not None and is_tagged(caller, place, tag, files)
    done = commit(caller, place, head, there, change, f"{folder.name} of personagen") if change.send else head
    if tag is not None and not tagged:
        set_tag(caller, place, tag, done)
    return PushedMetric(repo, done, f"{caller.api.endpoint}/spaces/{repo}", change)


def metric_files(folder: Path) -> Files:
    """Read the files of a metric's Space.

    Raises:
        ReleaseError: one is missing, is no Python, or the card lacks what a Space needs.

    """
    missing = [name for name in (f"{folder.name}.py", *NEEDED) if not (folder / name).is_file()]
    if missing:
        raise ReleaseError(f"{folder} is no metric: it lacks {', '.join(missing)}; see metrics/diversity for one")
    found = sorted(path for path in folder.iterdir() if path.suffix in KINDS and path.name != "__init__.py")
    for path in found:
        if path.suffix == ".py":
            try:
                ast.parse(path.read_text(encoding="utf-8"))
            except (SyntaxError, ValueError) as error:
                raise ReleaseError(f"{path} is no Python ({error}); correct it") from None
    _check_card(folder / "README.md")
    return {path.name: small_file(path.read_bytes()) for path in found}


def _check_card(path: Path) -> None:
    import yaml

    try:
        told = yaml.safe_load(split_card(path.read_text(encoding="utf-8"))[0])
    except (yaml.YAMLError, ValueError) as error:
        raise ReleaseError(
            f"{path} has YAML that cannot be read ({' '.join(str(error).split())}); correct it"
        ) from None
    told = told if isinstance(told, dict) else {}
    lacking = [key for key in ("title", "sdk", "sdk_version", "app_file", "tags") if not told.get(key)]
    if lacking:
        raise ReleaseError(f"{path} lacks {', '.join(lacking)} in the YAML on top, which a Space needs; add it")
    if told["app_file"] != "app.py" or "evaluate" not in told["tags"]:
        raise ReleaseError(
            f"{path} has app_file {told['app_file']!r} and tags {told['tags']!r}; wanted app.py, evaluate"
        )
