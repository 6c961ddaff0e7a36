"""What a job installs: packages that it can fetch, and none that another owner of a name could have published."""

import json
import re
from collections.abc import Sequence
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from personagen.builder.core.errors import LaunchError
from personagen.builder.core.foreign_text import quote
from personagen.builder.launch.job_environment import is_loopback
from personagen.builder.version import __version__

if TYPE_CHECKING:  # imported on use: `--help` does not need it
    from personagen.builder.planning.recipe import Recipe

PACKAGE = "personagen"
"""Name of this package on an index."""

NAMED = re.compile(r"[A-Za-z0-9][\w.-]*\s*(\[[^\]]*\])?\s*@\s*(?P<target>.*)", re.DOTALL)
"""Package with the URL of its content, such as `name[extra] @ git+URL@COMMIT`."""

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
"""Name of a commit of git, by SHA-1 or SHA-256."""

COMMAS = re.compile(r",(?![^\[]*\])")
"""Commas outside brackets, at which `uv` divides requirements."""

ARCHIVES = (".whl", ".zip", ".tar", ".gz", ".bz2", ".xz", ".tgz")
"""Ends of the names of files that can be installed."""

WANTED = "a package of an index, a git URL with a commit, or the URL of a wheel"
"""Requirements that a job can install, for messages."""


def requirements_of(recipe: "Recipe", given: Sequence[str]) -> tuple[str, ...]:
    """Return what the jobs of a recipe install: what is given, else this installation with the extras of the recipe.

    Raises:
        LaunchError: a requirement is on this machine, or this installation is not one that a job can repeat.

    """
    for requirement in given:
        _require_reachable(requirement)
    if given:
        return tuple(given)
    if recipe.is_embedded:
        raise LaunchError(
            "backend embedded: its model is a package that is installed without its dependencies, which a job cannot "
            "do; choose another --backend, or give all packages of the jobs with --requirement"
        )
    return (own_requirement(recipe),)


def own_requirement(recipe: "Recipe", path: Sequence[str] | None = None) -> str:
    """Return this installation as a requirement, with the extras of a recipe.

    Args:
        recipe: the recipe.
        path: folders of installed packages. None: those of this process.

    Raises:
        LaunchError: the installation is of a folder, of a file or of a repository that a job cannot read.

    """
    kinds: set[str] = {model.kind for model in recipe.backends}
    if recipe.checks.label is not None:
        kinds.add("metrics")
    extras = [extra for extra in ("embedded", "metrics", "transformers") if extra in kinds]
    package = f"{PACKAGE}{'[' + ','.join(extras) + ']' if extras else ''}"
    origin = _origin(path)
    if origin is None:
        raise LaunchError(
            f"this PersonaGen is installed from a place that a job cannot read; give --requirement "
            f"'{package} @ git+URL@COMMIT', or the URL of a wheel in place of that of git"
        )
    return f"{package}{origin}"


def _origin(path: Sequence[str] | None) -> str | None:
    """Return what follows the package in a requirement; None: a job cannot install the same.

    A checkout has metadata without a list of files, which shadow those of the installation in its folder.
    """
    found = list(distributions(name=PACKAGE) if path is None else distributions(name=PACKAGE, path=list(path)))
    sources = [text for distribution in found if (text := distribution.read_text("direct_url.json"))]
    if sources:
        return _origin_of_url(json.loads(sources[0])) if len({*sources}) == 1 else None
    is_of_index = bool(found) and all(distribution.read_text("RECORD") for distribution in found)
    return f"=={__version__}" if is_of_index else None


def _origin_of_url(source: dict[str, Any]) -> str | None:
    """Return what follows the package for the record of an installation from a URL (PEP 610)."""
    url, git, archive = str(source.get("url", "")), source.get("vcs_info"), source.get("archive_info")
    parts = urlsplit(url)
    if parts.scheme != "https" or "@" in parts.netloc or parts.query or is_loopback(parts.hostname or ""):
        return None
    fragments = [f"subdirectory={source['subdirectory']}"] if source.get("subdirectory") else []
    if isinstance(git, dict) and git.get("vcs") == "git" and COMMIT.fullmatch(str(git.get("commit_id"))):
        target = f"git+{url}@{git['commit_id']}"
    elif isinstance(archive, dict):
        target = url.partition("#")[0]
        fragments += [f"sha256={digest}"] if (digest := archive.get("hashes", {}).get("sha256")) else []
    else:
        return None
    return f" @ {target}{'#' * bool(fragments)}{'&'.join(fragments)}"


def _require_reachable(requirement: str) -> None:
    for part in COMMAS.split(requirement):
        match = NAMED.fullmatch(part.strip())
        target = match["target"] if match else part.strip()
        if not target or _is_local(target):
            raise LaunchError(f"--requirement: got {quote(requirement)}, which a job cannot read; wanted {WANTED}")


def _is_local(target: str) -> bool:
    """Return whether a requirement, without its name, is a path or a URL of this machine, or an option."""
    scheme, sign, _ = target.partition("://")
    if sign:
        try:
            host = urlsplit(target).hostname or ""
        except ValueError:  # brackets that enclose no address
            return True
        return scheme.lower().rpartition("+")[2] == "file" or is_loopback(host)
    name = target.partition(";")[0].strip().lower()
    return name.startswith((".", "~", "-", "$")) or any(mark in name for mark in "/\\:") or name.endswith(ARCHIVES)
