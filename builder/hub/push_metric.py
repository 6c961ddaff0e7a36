"""Publish a metric as a Space, where `evaluate.load("USER/NAME")` finds it."""

import ast
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from personagen.builder.core.errors import ReleaseError
from personagen.builder.hub.client import Caller, connect
from personagen.builder.hub.commits import commit, head_of, is_tagged, set_tag
from personagen.builder.hub.repo_files import Change, Files, Place, compare, remote_files, small_file
from personagen.builder.release.card import split_card

NEEDED = ("README.md", "app.py", "requirements.txt", "tests.py")
"""What a Space of a metric holds, beside the module of its own name."""


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
    wanted = metric_files(folder)
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
    change = compare(wanted, there)
    tagged = tag is not None and is_tagged(caller, place, tag, wanted)
    done = commit(caller, place, head, there, change, f"{folder.name} of personagen") if change.send else head
    if tag is not None and not tagged:
        set_tag(caller, place, tag, done)
    return PushedMetric(repo, done, f"{caller.api.endpoint}/spaces/{repo}", change)


def metric_files(folder: Path) -> Files:
    """Read the files of a metric's Space: its own, and beside them what it uses of `personagen.metrics`.

    A Space installs what its requirements name and starts `app.py` in its own folder: `personagen/metrics/` in it is
    what the metric imports there.

    Raises:
        ReleaseError: one is missing, is no Python, or the card lacks what a Space needs.

    """
    names = (f"{folder.name}.py", *NEEDED)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ReleaseError(f"{folder} is no metric: it lacks {', '.join(missing)}; see metrics/diversity for one")
    _check_card(folder / "README.md")
    own = {name: folder / name for name in names}
    used = _used([path for path in own.values() if path.suffix == ".py"])
    return {name: small_file(path.read_bytes()) for name, path in sorted({**own, **used}.items())}


def _used(modules: list[Path]) -> dict[str, Path]:
    """Find the modules of `personagen.metrics` that some modules import, directly or not, as they lie in a Space."""
    package = Path(str(files("personagen.metrics")))
    found: dict[str, Path] = {}
    while modules:
        for name in _imports(modules.pop()):
            parts = name.split(".")[2:]
            for depth in range(len(parts) + 1):  # a package and what is in it; a name in a module is no file
                place = package.joinpath(*parts[:depth])
                path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
                key = f"personagen/metrics/{path.relative_to(package).as_posix()}"
                if path.is_file() and key not in found:
                    found[key] = path
                    modules.append(path)
    return found


def _imports(path: Path) -> set[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise ReleaseError(f"{path} is no Python ({error}); correct it") from None
    froms = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level)
    names = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return {name for name in names if name.startswith("personagen.metrics")}


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
