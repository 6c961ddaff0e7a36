"""What a job installs: nothing of this machine, and nothing whose owner is not known."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import LaunchError
from personagen.builder.launch.job_requirements import own_requirement, requirements_of
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.version import __version__

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RECIPE = "backend: {kind: openai, model: m}"


def installed(folder: Path, source: Mapping[str, Any] | None, *, name: str = "personagen-1.dist-info") -> list[str]:
    """Write the metadata of an installation as `pip` does; return the folder of packages."""
    metadata = folder / name
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: personagen\nVersion: 1\n")
    (metadata / "RECORD").write_text("personagen/__init__.py,,\n")
    if source is not None:
        (metadata / "direct_url.json").write_text(json.dumps(source))
    return [str(folder)]


def git(url: str, **more: Any) -> dict[str, Any]:
    """Return the record of an installation from a repository."""
    return {"url": url, "vcs_info": {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"}, **more}


@pytest.mark.parametrize(
    ("recipe", "extras"),
    [
        (RECIPE, ""),
        (f"{RECIPE}\nchecks: {{label: flag}}", "[metrics]"),
        ("backend: {kind: transformers, model: m}\nchecks: {label: flag}", "[metrics,transformers]"),
        ("backend: [{kind: openai, model: m}, {kind: transformers, model: n}]", "[transformers]"),
        ("rows: 7", "[embedded]"),
    ],
)
def test_the_extras_are_those_of_the_recipe(recipe: str, extras: str, tmp_path: Path) -> None:
    own = own_requirement(parse_recipe(recipe, "test"), installed(tmp_path, None))
    assert own == f"personagen{extras}=={__version__}"


@pytest.mark.parametrize(
    ("source", "requirement"),
    [
        (git("https://git.example/team/p.git"), f"git+https://git.example/team/p.git@{COMMIT}"),
        (
            git("https://git.example/p", subdirectory="code"),
            f"git+https://git.example/p@{COMMIT}#subdirectory=code",
        ),
        (
            {"url": "https://files.example/p.whl", "archive_info": {"hashes": {"sha256": "ab" * 32}}},
            f"https://files.example/p.whl#sha256={'ab' * 32}",
        ),
        ({"url": "https://files.example/p.whl", "archive_info": {}}, "https://files.example/p.whl"),
    ],
)
def test_an_installation_from_a_url_is_repeated(source: dict[str, Any], requirement: str, tmp_path: Path) -> None:
    own = own_requirement(parse_recipe(RECIPE, "test"), installed(tmp_path, source))
    assert own == f"personagen @ {requirement}"


@pytest.mark.parametrize(
    "source",
    [
        {"url": "file:///src/personagen", "dir_info": {"editable": True}},
        {"url": "file:///src/personagen", "dir_info": {}},
        {"url": "file:///src/personagen-1-py3-none-any.whl", "archive_info": {"hashes": {"sha256": "ab" * 32}}},
        git("file:///src/personagen"),
        git("ssh://git@git.example/p.git"),
        git("https://${TOKEN}@git.example/p.git"),
        git("https://localhost/p.git"),
        git("http://git.example/p.git"),
        {"url": "https://git.example/p", "vcs_info": {"vcs": "git", "commit_id": "main"}},
        {"url": "https://hg.example/p", "vcs_info": {"vcs": "hg", "commit_id": COMMIT}},
        {"url": "https://files.example/p.whl?signature=1", "archive_info": {}},
    ],
    ids=json.dumps,
)
def test_an_installation_that_a_job_cannot_repeat_needs_a_requirement(source: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(
        LaunchError,
        match=r"^this PersonaGen is installed from a place that a job cannot read; give --requirement 'personagen @ "
        r"git\+URL@COMMIT', or the URL of a wheel in place of that of git$",
    ):
        own_requirement(parse_recipe(RECIPE, "test"), installed(tmp_path, source))


def test_metadata_of_a_checkout_do_not_hide_an_installation(tmp_path: Path) -> None:
    """Python looks into the working directory first, where `setuptools` has written metadata without a source."""
    recipe = parse_recipe(RECIPE, "test")
    checkout = installed(tmp_path / "checkout", None, name="personagen.egg-info")
    (tmp_path / "checkout" / "personagen.egg-info" / "RECORD").unlink()
    editable = installed(tmp_path / "editable", {"url": "file:///src", "dir_info": {"editable": True}})
    index = installed(tmp_path / "index", None)
    for path in ([], checkout, checkout + editable, checkout + index, index + editable):
        with pytest.raises(LaunchError, match="this PersonaGen is installed from a place that a job cannot read"):
            own_requirement(recipe, path)


@pytest.mark.parametrize(
    "requirement",
    [
        *("", " ", ".", "./x", "../x", "/x", "~/x", "$HOME/x", "dist/x.whl", "x.whl", "x.tar.gz", "C:\\x", "C:x"),
        *("file:///x", "FILE:///x", "file:x", "git+file:///x", "x @ .", "x[a,b] @ ./x", "x@/x", "x @ file:///x"),
        *("s3fs,.", "s3fs>=1,./x", ".[metrics]", "-e", "--editable", "git@git.example:p.git"),
        *("http://localhost/x.whl", "git+http://127.0.0.1:8000/x", "x @ https://[::1]/x.whl", "http://[x/y"),
    ],
)
def test_requirements_of_this_machine_are_refused(requirement: str) -> None:
    with pytest.raises(
        LaunchError,
        match=r"^--requirement: got '.*', which a job cannot read; wanted a package of an index, a git URL with a "
        r"commit, or the URL of a wheel$",
    ):
        requirements_of(parse_recipe(RECIPE, "test"), ("s3fs", requirement))


@pytest.mark.parametrize(
    "requirement",
    [
        *("s3fs", "s3fs>=1,<2", "personagen[metrics,transformers]==0.1.0", 's3fs; python_version >= "3.11"'),
        *(f"git+https://git.example/p@{COMMIT}", f"personagen[a,b] @ git+https://git.example/p@{COMMIT}"),
        *("https://files.example/p-1-py3-none-any.whl", "git+ssh://git@git.example/p.git", "personagen"),
    ],
)
def test_other_requirements_are_passed_on(requirement: str) -> None:
    assert requirements_of(parse_recipe("rows: 7", "test"), (requirement,)) == (requirement,)


def test_the_model_of_the_embedded_backend_is_not_among_the_extras() -> None:
    with pytest.raises(
        LaunchError,
        match=r"^backend embedded: its model is a package that is installed without its dependencies, which a job "
        r"cannot do; choose another --backend, or give all packages of the jobs with --requirement$",
    ):
        requirements_of(parse_recipe("rows: 7", "test"), ())
