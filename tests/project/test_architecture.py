"""The shape of the code, read from its syntax trees: who imports whom, what is heavy and where, how long things are."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.releasing import ROOT

LAYERS: tuple[tuple[str, ...], ...] = (
    ("schema", "errors", "version", "data_files", "terminal", "progress", "pace", "names", "claims"),
    ("__init__", "llm", "files", "columns", "batch_folder", "notes", "licences", "scores"),
    ("taxonomy", "tables", "checks", "prompts", "journal", "prices", "openai_wire", "shards", "results", "verbalized"),
    ("openai_client", "gate", "transformers_batch", "composition", "recipe_sections"),
    ("batch_calls", "transformers_queue", "hub_calls"),
    ("hub_files",),
    ("commits",),
    ("openai_chat", "openai_batch", "transformers_local", "embedded"),
    ("recipe", "personas", "duplicates", "dispatch", "release"),
    ("connect", "plan", "situations", "run_folder", "labelling"),
    ("stages", "manifest", "events"),
    ("expression", "card", "counterfactuals"),
    ("pipeline", "arms", "measured"),
    ("generate", "estimate", "real_texts"),
    ("preview", "push", "push_metric", "verify", "judging", "write_arms", "measure_arms"),
    ("evaluate",),
    ("counterfactual",),
    ("audit",),
    ("material",),
    ("figures",),
    ("text_figures", "persona_figures"),
    ("report",),
    ("compare",),
    ("show", "cli_options"),
    ("cli_measure",),
    ("cli",),
    ("__main__",),
)
"""Modules of builder/ in order: each imports modules of earlier lines only. A new module gets a place here."""

LEAVES = ("schema", "errors", "version", "data_files")
BACKENDS = ("openai_chat", "openai_batch", "transformers_local", "embedded")
STAGES = ("personas", "situations", "expression", "stages", "checks", "duplicates", "prompts", "plan")
ABOVE_STAGES = {
    "pipeline", "generate", "preview", "release", "shards", "run_folder", "manifest", "card", "cli", "dispatch", "gate",
    "journal", "estimate", "composition", "notes",
}  # fmt: skip

HEAVY = {
    "datasets", "torch", "transformers", "xllamacpp", "evaluate", "accelerate", "pandas", "openai", "pyarrow", "scipy",
    "sklearn", "sentence_transformers", "rapidfuzz", "gradio", "plotly",
}  # fmt: skip
"""Each costs half a second or more to import, and memory that a run may not need."""

OWNERS = {
    "personagen_dataset.py": {"datasets", "pyarrow"},
    "builder/llm/backends/batch_api.py": {"openai"},
    "builder/llm/backends/openai_batch.py": {"openai"},
}
"""Who imports what is heavy at module level; in metrics/x, x.py and app.py import datasets and evaluate."""

BUILDER = sorted((ROOT / "builder").glob("*.py"))
SOURCES = [*sorted((ROOT / "builder").rglob("*.py")), *sorted((ROOT / "metrics").rglob("*.py"))]
SOURCES.append(ROOT / "personagen_dataset.py")


def name_of(path: Path) -> str:
    """Path within the project."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """Parse a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(node: ast.AST) -> Iterator[str]:
    """Name the modules that one node imports, dotted; what it takes from them counts as a module too."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield from (f"{module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("import_module", "__import__"):
            yield str(node.args[0].value)


def every_import(path: Path) -> set[str]:
    """List what a module imports anywhere, in functions and for types too."""
    return {name for node in ast.walk(tree(path)) for name in imported(node)}


def at_module_level(node: ast.AST) -> Iterator[ast.AST]:
    """Go through what runs when the module is imported: not bodies of functions, not what is for types only."""
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if not for_types and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from at_module_level(child)


def neighbours(path: Path) -> set[str]:
    """List the modules of builder/ that one of them imports."""
    parts = [name.split(".") for name in every_import(path) if name.startswith("personagen.builder")]
    return {part[2] if len(part) > 2 else "__init__" for part in parts}


@cache
def reach(module: str) -> frozenset[str]:
    """List the modules of builder/ that one of them imports, directly or not."""
    direct = neighbours(ROOT / "builder" / f"{module}.py") - {"__init__"}
    return frozenset(direct | {far for near in direct for far in reach(near)})


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Go through all functions and methods of a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_every_module_has_one_place_in_the_order() -> None:
    placed = [module for layer in LAYERS for module in layer]
    assert sorted(placed) == sorted(path.stem for path in BUILDER)


@pytest.mark.parametrize("path", BUILDER, ids=lambda path: path.stem)
def test_a_module_imports_only_what_stands_before_it(path: Path) -> None:
    place = {module: number for number, layer in enumerate(LAYERS) for module in layer}
    wrong = {other for other in neighbours(path) if place[other] >= place[path.stem]}
    assert wrong == set()


def test_the_scan_sees_imports_of_every_kind() -> None:
    assert neighbours(ROOT / "builder" / "generate.py") >= {"pipeline", "shards", "schema"}
    assert "generate" in neighbours(ROOT / "builder" / "cli.py"), "an import in a function"
    assert "llm" in neighbours(ROOT / "builder" / "compare.py"), "an import for types"
    assert "transformers" in every_import(ROOT / "builder" / "transformers_local.py"), "an import by name"
    assert "shards" in reach("generate") and "journal" in reach("preview")


@pytest.mark.parametrize("module", LEAVES)
def test_a_leaf_imports_nothing_of_the_package(module: str) -> None:
    assert neighbours(ROOT / "builder" / f"{module}.py") == set()


def test_nobody_imports_the_command_line() -> None:
    importers = {name_of(path) for path in SOURCES if any("builder.cli" in name for name in every_import(path))}
    assert importers == {"builder/__main__.py", "builder/cli/main.py", "builder/cli/measure.py"}


@pytest.mark.parametrize("module", STAGES)
def test_a_stage_knows_neither_scheduling_nor_folders(module: str) -> None:
    assert reach(module) & ABOVE_STAGES == set()


def test_backends_are_known_to_the_connector_alone() -> None:
    for path in BUILDER:
        if path.stem != "connect":
            assert neighbours(path) & set(BACKENDS) == set(), name_of(path)


def test_metrics_import_nothing_of_the_builder_but_the_way_to_a_judge() -> None:
    found = {
        (name_of(path), name)
        for path in (ROOT / "metrics").rglob("*.py")
        for name in every_import(path)
        if name.startswith(("personagen.builder", "builder"))
    }
    asked = "metrics/human_likeness/human_likeness.py"
    assert found == {(asked, "personagen.builder.evaluation.judges.connect_judge")}
    at_once = {name for node in at_module_level(tree(ROOT / asked)) for name in imported(node)}
    assert not [name for name in at_once if name.startswith("personagen.builder")]


def test_the_dataset_module_stands_alone() -> None:
    names = every_import(ROOT / "personagen_dataset.py")
    assert [name for name in names if name.startswith(("personagen", "builder", "metrics"))] == []


def test_imports_are_absolute_and_by_the_installed_name() -> None:
    for path in BUILDER:
        assert [name for name in every_import(path) if name.startswith((".", "builder.", "metrics."))] == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_what_is_heavy_is_imported_where_it_is_used(path: Path) -> None:
    names = {name.split(".")[0] for node in at_module_level(tree(path)) for name in imported(node)}
    own = OWNERS.get(name_of(path), set())
    if path.parent.parent == ROOT / "metrics" and path.stem in (path.parent.name, "app"):
        own = {"datasets", "evaluate"} | ({"gradio"} if path.stem == "app" else set())
    assert names & HEAVY <= own


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_module_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_function_has_50_lines(path: Path) -> None:
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(path)}
    assert {name: length for name, length in lengths.items() if length >= 50} == {}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_what_is_public_says_what_it_does(path: Path) -> None:
    module = tree(path)
    public: list[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef] = [module]
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            public.append(node)
            if isinstance(node, ast.ClassDef):
                methods = [part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
                public += [method for method in methods if not method.name.startswith("_")]
    silent = [getattr(node, "name", "module") for node in public if not ast.get_docstring(node)]
    assert silent == []
