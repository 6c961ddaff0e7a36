"""What is installed: the packages, their files, their names, and the built distributions."""

import ast
import configparser
import importlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.version import __version__
from tests.helpers.releasing import ROOT

PROJECT: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS: Mapping[str, Any] = PROJECT["tool"]["setuptools"]
SRC = ROOT / "src"
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info", "build", "dist", "personagen.*")
PACKAGES = sorted(
    str(Path(folder).relative_to(SRC)).replace(os.sep, ".")
    for folder, _, files in os.walk(SRC, followlinks=True)
    if "__init__.py" in files
)
"""Packages by name, as setuptools finds them through the links of src/."""


def folder_of(package: str) -> Path:
    """Return the folder of a package."""
    return SRC / package.replace(".", "/")


def shipped() -> set[str]:
    """List the files that an installation has, by their path in it."""
    paths = [
        Path(folder) / name for folder, _, names in os.walk(SRC / "personagen", followlinks=True) for name in names
    ]
    kept = {path.relative_to(SRC).as_posix() for path in paths if "__pycache__" not in path.parts}
    return kept | {"personagen_dataset.py"}


def python(code: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run code in a process of its own."""
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, encoding="utf-8", check=False)


def test_the_package_is_found_through_links() -> None:
    assert {
        "personagen",
        "personagen.builder.planning",
        "personagen.builder.llm.backends",
        "personagen.metrics.texts",
    } <= {*PACKAGES}
    for name in ("builder", "metrics"):
        assert (SRC / "personagen" / name).resolve() == (ROOT / name).resolve()
    assert (SRC / "personagen_dataset.py").resolve() == ROOT / "personagen_dataset.py"


def test_a_new_file_is_importable_without_installing_again() -> None:
    if not Path(str(importlib.util.find_spec("personagen").origin)).is_relative_to(SRC):
        pytest.skip("personagen is installed from a wheel")
    module = ROOT / "builder" / "core" / f"new_{os.getpid()}.py"
    module.write_text("VALUE = 7\n", encoding="utf-8")
    try:
        done = python(f"from personagen.builder.core import {module.stem}; print({module.stem}.VALUE)", ROOT / "docs")
    finally:
        module.unlink()
    assert done.stdout == "7\n", done.stderr


def test_the_data_patterns_catch_every_file_that_is_no_module() -> None:
    patterns: Mapping[str, list[str]] = SETUPTOOLS["package-data"]
    caught = {
        path.relative_to(SRC).as_posix()
        for package, globs in patterns.items()
        for pattern in globs
        for path in folder_of(package).glob(pattern)
    }
    assert {name for name in shipped() if not name.endswith(".py")} - caught == set()
    for package, globs in patterns.items():
        assert [pattern for pattern in globs if not list(folder_of(package).glob(pattern))] == [], package


@pytest.mark.parametrize(
    "link", ["src/personagen/builder", "src/personagen_dataset.py", "builder/templates/dataset_card.md"]
)
def test_a_checkout_without_links_is_refused_in_one_line(link: str, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=NOT_SHIPPED)
    target = str((checkout / link).readlink())
    (checkout / link).unlink()
    (checkout / link).write_text(target, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=checkout, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("personagen: src/") and "git config core.symlinks true" in line


def test_the_card_template_of_the_package_is_the_one_at_the_top() -> None:
    link = ROOT / "builder" / "templates" / "dataset_card.md"
    assert link.read_bytes() == (ROOT / "dataset_card.md").read_bytes()


def test_what_the_project_file_and_the_manifest_name_is_there() -> None:
    named = [PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]]
    for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines():
        verb, *names = line.split()
        if verb in ("graft", "include"):
            named += names
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_no_package_at_the_top_takes_the_name_of_the_namespace() -> None:
    assert not (ROOT / "personagen" / "__init__.py").exists()
    assert not (ROOT / "personagen.py").exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_listed(package: str) -> None:
    module = importlib.import_module(package)
    tree = ast.parse((folder_of(package) / "__init__.py").read_text(encoding="utf-8"))
    bound = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("personagen")
        for alias in node.names
    }
    bound |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    public = {name for name in bound if not name.startswith("_") or name == "__version__"}
    listed = list(getattr(module, "__all__", []))
    assert listed == sorted(set(listed))
    assert set(listed) >= public
    assert [name for name in listed if not hasattr(module, name)] == []


def test_the_builder_offers_its_version() -> None:
    builder = importlib.import_module("personagen.builder")
    assert "__version__" in builder.__all__
    assert builder.__version__ == __version__


def test_the_version_of_the_distribution_is_that_of_the_code() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert SETUPTOOLS["dynamic"]["version"] == {"attr": "personagen.builder.version.__version__"}
    tree = ast.parse((ROOT / "builder" / "version.py").read_text(encoding="utf-8"))
    literals = [ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)]
    assert literals == [__version__]
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_command_is_the_function_that_the_project_names() -> None:
    module, function = PROJECT["project"]["scripts"]["personagen"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_package_says_that_it_is_typed() -> None:
    """The marker of the outermost package holds for those within (PEP 561)."""
    assert (SRC / "personagen" / "py.typed").read_bytes() == b""


def distribution(requirement: str) -> str:
    """Reduce a requirement to the name of its distribution."""
    return re.split(r"[\s<>=!~;\[]", requirement)[0].lower().replace("_", "-")


@cache
def installed() -> Mapping[str, list[str]]:
    """List the distributions of every top-level module of this environment; it takes a while."""
    return importlib.metadata.packages_distributions()


def distributions(module: str) -> set[str]:
    """Name the distributions that bring a top-level module."""
    return {name.lower().replace("_", "-") for name in installed().get(module, [module])}


def third_party(folder: Path) -> set[str]:
    """List what a folder and the dataset module import at top level that is neither ours nor of Python."""
    paths = [*folder.rglob("*.py"), ROOT / "personagen_dataset.py"]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    names: set[str] = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"personagen", "personagen_dataset"}


def test_everything_that_the_builder_imports_is_declared() -> None:
    core = {distribution(entry) for entry in PROJECT["project"]["dependencies"]}
    extras = PROJECT["project"]["optional-dependencies"]
    optional = {distribution(entry) for extra in ("embedded", "transformers", "metrics") for entry in extras[extra]}
    undeclared = {name for name in third_party(ROOT / "builder") if not distributions(name) & (core | optional)}
    assert undeclared == set()


def test_everything_that_is_declared_is_imported() -> None:
    modules = third_party(ROOT / "builder") | third_party(ROOT / "metrics")
    used = {name for module in modules for name in distributions(module)}
    core = {distribution(entry) for entry in PROJECT["project"]["dependencies"]}
    assert core - used == set()


def test_the_extras_that_combine_others_name_them_all() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    users = ",".join(sorted(set(extras) - {"all", "dev", "test"}))
    assert extras["all"] == [f"personagen[{users}]"]
    developers = ",".join(sorted(set(extras) - {"all", "dev"}))
    assert extras["dev"][0] == f"personagen[{developers}]"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build both distributions from a copy of the checkout: the wheel comes from the sdist."""
    source, out = tmp_path_factory.mktemp("source") / "checkout", tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT, source, symlinks=True, ignore=NOT_SHIPPED)
    # A build environment of its own needs the network; without setuptools at hand there is no other way.
    isolation = ["--no-isolation"] if importlib.util.find_spec("setuptools") else []
    done = subprocess.run(
        [sys.executable, "-m", "build", *isolation, "--outdir", str(out), str(source)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == shipped()
    assert {"personagen/builder/templates/expression.md", "personagen/py.typed"} <= names
    assert {"personagen/builder/data/demographic.yaml", "personagen/builder/data/situations/joy.yaml"} <= names


@pytest.mark.slow
def test_the_wheel_holds_the_card_template_itself_and_no_link(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        entry = wheel.getinfo("personagen/builder/templates/dataset_card.md")
        assert (entry.external_attr >> 16) & 0o170000 in (0, 0o100000)
        assert wheel.read(entry) == (ROOT / "dataset_card.md").read_bytes()


@pytest.mark.slow
def test_the_wheel_says_who_it_is(built: tuple[Path, Path]) -> None:
    assert built[1].name == f"personagen-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(built[1]) as wheel:
        info = f"personagen-{__version__}.dist-info"
        metadata = wheel.read(f"{info}/METADATA").decode()
        entry_points = configparser.ConfigParser(delimiters=("=",))
        entry_points.read_string(wheel.read(f"{info}/entry_points.txt").decode())
        assert dict(entry_points["console_scripts"]) == PROJECT["project"]["scripts"]
        assert dict(entry_points["personagen.judges"]) == PROJECT["project"]["entry-points"]["personagen.judges"]
        top = {name.split("/")[0] for name in wheel.namelist()}
    assert top == {"personagen", "personagen_dataset.py", info}
    assert f"Version: {__version__}\n" in metadata and "License-Expression: Apache-2.0\n" in metadata
    assert (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[0] in metadata


@pytest.mark.slow
def test_the_sdist_holds_what_the_tests_need(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        links = [member.name for member in archive.getmembers() if member.issym() or member.islnk()]
    assert links == []
    for name in ("tests/golden/card.md", "tests/project/test_packaging.py", "dataset_card.md", "recipes/default.yaml"):
        assert name in names
    assert {"docs/recipe.schema.json", "LICENSE", "builder/data/SOURCES.md", "setup.py"} <= names
    assert {f"src/{name}" for name in shipped()} <= names
    assert [name for name in names if "__pycache__" in name] == []


@pytest.mark.slow
def test_the_wheel_works_where_it_is_installed(built: tuple[Path, Path], tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, str(built[1])], check=True)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import personagen.builder, personagen_dataset\n"
        "from personagen.builder.writing.prompts import versions\n"
        "from personagen.builder.core.package_data import digests\n"
        "print(personagen.builder.__file__, len(versions()) > 4, len(digests(styles=True)) > 30)"
    )
    done = python(code, tmp_path)
    assert done.stdout == f"{site / 'personagen' / 'builder' / '__init__.py'} True True\n", done.stderr
