"""Publish a metric as a Space, from which `evaluate.load("USER/NAME")` loads it."""

import ast
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from personagen.builder.core.errors import ReleaseError
from personagen.builder.hub.client import HubClient, connect
from personagen.builder.hub.commits import commit, head_of, is_tagged, set_tag
from personagen.builder.hub.names import require_ref_name, require_repo_name
from personagen.builder.hub.repo_files import (
    FileChanges,
    FilesByPath,
    RepoBranch,
    diff_files,
    remote_files,
    small_file,
)
from personagen.builder.planning.plain_yaml import load_plain_yaml
from personagen.builder.release.cards.metadata import split_card

SPACE_FILES = ("README.md", "app.py", "requirements.txt", "tests.py")
"""Files of the Space of a metric, besides the module with the name of the metric."""


@dataclass(frozen=True, slots=True)
class MetricPushResult:
    """Result of the push of a metric: its Space, the commit, the page, and the files that were sent and kept."""

    repo: str
    commit: str
    url: str
    changes: FileChanges


def push_metric(
    folder: Path, repo: str, *, tag: str | None = None, token: str | None = None, client: HubClient | None = None
) -> MetricPushResult:
    """Publish the metric in a folder in one commit.

    Args:
        folder: the metric: its module, with the name of the folder, and `SPACE_FILES`.
        repo: "USER/NAME", where NAME is the name of the folder.
        tag: name of the version. None: no tag.
        token: token of the Hub. None: the token of this machine.
        client: client of the Hub. None: a new one with the token.

    Raises:
        ReleaseError: the folder is no metric, or `evaluate` would not find the Space.
        HubError: the Hub refuses, cannot be reached, or the Space was changed by another client meanwhile.

    """
    local = metric_files(folder)
    if repo.rsplit("/", maxsplit=1)[-1] != folder.name:
        raise ReleaseError(
            f"{repo} is no Space for {folder.name}: evaluate.load looks for NAME.py in USER/NAME; push to "
            f"{repo.split('/', maxsplit=1)[0]}/{folder.name}"
        )
    require_repo_name(repo)
    if tag is not None:
        require_ref_name("--tag", tag)
    client = client or connect(token)
    branch = RepoBranch(repo, kind="space")
    api = client.api
    client.with_retries(
        f"create the Space {repo}",
        lambda: api.create_repo(repo, repo_type="space", space_sdk="gradio", exist_ok=True),
    )
    head = head_of(client, branch)
    remote = remote_files(client, branch, head)
    changes = diff_files(local, remote)
    tagged = tag is not None and is_tagged(client, branch, tag, local)
    if changes.send:
        head = commit(client, branch, head, remote, changes, f"{folder.name} of personagen")
    if tag is not None and not tagged:
        set_tag(client, branch, tag, head)
    return MetricPushResult(repo, head, f"{api.endpoint}/spaces/{repo}", changes)


def metric_files(folder: Path) -> FilesByPath:
    """Return the files of a metric's Space: its own, and the modules of `personagen.metrics` that it imports.

    A Space installs its requirements and starts `app.py` in its own folder, so its imports of `personagen.metrics`
    find `personagen/metrics/` there.

    Raises:
        ReleaseError: a file is missing or no Python, or the card lacks metadata of a Space.

    """
    names = (f"{folder.name}.py", *SPACE_FILES)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ReleaseError(f"{folder} is no metric: it lacks {', '.join(missing)}; see metrics/diversity for one")
    _validate_card(folder / "README.md")
    own = {name: folder / name for name in names}
    imported = _imported_modules([path for path in own.values() if path.suffix == ".py"])
    return {name: small_file(path.read_bytes()) for name, path in sorted({**own, **imported}.items())}


def _imported_modules(modules: list[Path]) -> dict[str, Path]:
    """Return the modules of `personagen.metrics` that modules import, directly or not, by their path in a Space."""
    package = Path(str(files("personagen.metrics")))
    imported: dict[str, Path] = {}
    while modules:
        for name in _imports(modules.pop()):
            parts = name.split(".")[2:]
            for depth in range(len(parts) + 1):  # every package on the way; a name in a module is no file
                module = package.joinpath(*parts[:depth])
                path = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
                key = f"personagen/metrics/{path.relative_to(package).as_posix()}"
                if path.is_file() and key not in imported:
                    imported[key] = path
                    modules.append(path)
    return imported


def _imports(path: Path) -> set[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise ReleaseError(f"{path} is no Python ({error}); correct it") from None
    from_imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level)
    names = {f"{node.module}.{alias.name}" for node in from_imports for alias in node.names}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return {name for name in names if name.startswith("personagen.metrics")}


def _validate_card(path: Path) -> None:
    import yaml

    try:
        metadata = load_plain_yaml(split_card(path.read_text(encoding="utf-8"))[0])
    except (yaml.YAMLError, ValueError) as error:
        raise ReleaseError(
            f"{path} has YAML that cannot be read ({' '.join(str(error).split())}); correct it"
        ) from None
    metadata = metadata if isinstance(metadata, dict) else {}
    missing = [key for key in ("title", "sdk", "sdk_version", "app_file", "tags") if not metadata.get(key)]
    if missing:
        raise ReleaseError(f"{path} lacks {', '.join(missing)} in the YAML on top, which a Space needs; add it")
    if metadata["app_file"] != "app.py" or "evaluate" not in metadata["tags"]:
        raise ReleaseError(
            f"{path} has app_file {metadata['app_file']!r} and tags {metadata['tags']!r}; wanted app.py, evaluate"
        )
