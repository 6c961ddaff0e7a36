"""Structure of the code, read from its syntax trees: import directions, heavy imports, sizes, names."""

import ast
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.releasing import ROOT
from tests.project.files import in_each, name_of

HEAVY = {
    "datasets", "torch", "transformers", "xllamacpp", "evaluate", "accelerate", "pandas", "openai", "pyarrow", "scipy",
    "sklearn", "sentence_transformers", "rapidfuzz", "gradio", "plotly", "IPython",
}  # fmt: skip
"""Packages that cost half a second or more to import, or memory that a run may not need."""

HEAVY_AT_MODULE_LEVEL = {
    "personagen_dataset.py": {"datasets", "pyarrow"},
    "builder/llm/backends/batch_api.py": {"openai"},
    "builder/llm/backends/openai_batch.py": {"openai"},
}
"""Modules that may import a heavy package at module level; so may x.py and app.py of metrics/x."""

CHANGES_DISK = {
    "builder/core/files.py": {"write_text": 1, "open": 1, "mkdir": 4, "copyfile": 2, "replace": 2},
    "builder/release/writer.py": {"open": 1},  # the log of rejected replies, flushed at its end
}
"""Calls by which modules of the builder change a disk."""

METRICS = ("diversity", "realism", "human_likeness", "utility")
PRODUCT = [
    *sorted((ROOT / "builder").rglob("*.py")),
    *sorted((ROOT / "metrics").rglob("*.py")),
    ROOT / "src" / "personagen" / "__init__.py",
    ROOT / "personagen_dataset.py",
]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))
FOLDERS = sorted({path.parent for path in (*PRODUCT, *TESTS, *BENCHMARKS)} - {ROOT})
MAX_MODULES = 12
MAX_LINES = 400
LONGER = {"personagen_dataset.py": 470}
"""Modules that may be longer: `datasets` before version 4 runs a loading script as one file."""

MAX_FUNCTION_LINES = 50


@cache
def tree(path: Path) -> ast.Module:
    """Parse a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the dotted names of the modules that one node imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield "." * node.level + (node.module or "")
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("import_module", "__import__"):
            yield str(node.args[0].value)


def every_import(path: Path) -> set[str]:
    """List the modules that a module imports anywhere, in functions and for types too."""
    return {name for node in ast.walk(tree(path)) for name in imported(node)}


def at_module_level(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when the module is imported: no bodies of functions, nothing for types only."""
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if not for_types and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from at_module_level(child)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield all functions and methods of a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lint_imports(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Check the contracts of pyproject.toml on the package in a folder; import-linter does not follow links."""
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture
def package_copy(tmp_path: Path) -> Path:
    """Copy the package to a folder in which its links are folders."""
    pytest.importorskip("importlinter")
    shutil.copytree(ROOT / "src" / "personagen", tmp_path / "personagen", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_import_contracts_are_kept(package_copy: Path) -> None:
    done = lint_imports(package_copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 broken" in done.stdout


def test_an_import_against_the_direction_breaks_the_contract(package_copy: Path) -> None:
    recipe = package_copy / "personagen" / "builder" / "planning" / "plan.py"
    recipe.write_text(recipe.read_text(encoding="utf-8") + "\nimport personagen.builder.cli.main\n", encoding="utf-8")
    done = lint_imports(package_copy)
    assert done.returncode != 0
    assert "personagen.builder.planning is not allowed to import personagen.builder.cli" in done.stdout


def test_no_import_is_exempt_from_the_contracts() -> None:
    assert "ignore_imports" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_dataset_module_stands_alone() -> None:
    names = every_import(ROOT / "personagen_dataset.py")
    assert [name for name in names if name.startswith(("personagen", "builder", "metrics"))] == []


@in_each(PRODUCT)
def test_imports_are_absolute_and_by_the_installed_name(path: Path) -> None:
    assert [name for name in every_import(path) if name.startswith((".", "builder", "metrics"))] == []


@in_each(PRODUCT)
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    names = {name.split(".")[0] for node in at_module_level(tree(path)) for name in imported(node)}
    allowed = HEAVY_AT_MODULE_LEVEL.get(name_of(path), set())
    if path.parent.name in METRICS and path.stem in (path.parent.name, "app"):
        allowed = {"datasets", "evaluate"} | ({"gradio"} if path.stem == "app" else set())
    assert names & HEAVY <= allowed


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_no_folder_has_more_than_12_modules(folder: Path) -> None:
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MAX_MODULES, sorted(modules)


@in_each([*PRODUCT, *TESTS, *BENCHMARKS])
def test_no_module_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGER.get(name_of(path), MAX_LINES)


@in_each(PRODUCT)
def test_no_function_has_50_lines(path: Path) -> None:
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(path)}
    assert {name: length for name, length in lengths.items() if length >= MAX_FUNCTION_LINES} == {}


@in_each([path for path in PRODUCT if path.is_relative_to(ROOT / "builder")])
def test_the_disk_is_changed_by_one_module(path: Path) -> None:
    """`core/files.py` flushes what it writes; every other module writes by its functions."""
    calls = Counter(name for node in ast.walk(tree(path)) if isinstance(node, ast.Call) for name in changes_disk(node))
    assert dict(calls) == CHANGES_DISK.get(name_of(path), {})


def changes_disk(call: ast.Call) -> Iterator[str]:
    """Yield the name of a call that creates, writes or renames a file or folder."""
    is_method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    modes = [mode.value for mode in call.args if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    if any(
        (
            name in ("makedirs", "copyfile", "copytree", "copy2"),
            is_method and name in ("mkdir", "rename", "renames", "touch", "write_bytes", "write_text"),
            is_method and name == "replace" and len(call.args) == 1 and not call.keywords,  # of a path
            name == "open" and any(set(mode) & set("wax+") and len(mode) <= 3 for mode in modes),
        )
    ):
        yield name


def test_class_names_are_unique_in_the_product() -> None:
    names = Counter(
        node.name
        for path in PRODUCT
        for node in tree(path).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name: count for name, count in names.items() if count > 1} == {}


@in_each(TESTS)
def test_no_test_measures_time(path: Path) -> None:
    """Times depend on the machine and its load; goals of speed stand in benchmarks/."""
    named = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    named |= {alias.name for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named & {"perf_counter", "process_time", "perf_counter_ns", "process_time_ns"} == set()


@in_each(TESTS)
def test_no_test_names_a_module_by_a_string(path: Path) -> None:
    """A patched module attribute is found by no tool that renames; values go in as arguments instead."""
    patched = [
        ast.unparse(node)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("setattr", "delattr", "patch")
        and node.args
        and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
        and "personagen" in ast.unparse(node.args[0])
    ]
    assert patched == []
