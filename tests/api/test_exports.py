"""What `import personagen` exports, and what it loads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import personagen as pg
from tests.helpers.command import python

NAMES = [
    "Comparison",
    "PersonaGenError",
    "Recipe",
    "Release",
    "__version__",
    "acompare",
    "aevaluate",
    "agenerate",
    "amatch",
    "apreview",
    "audit",
    "compare",
    "diff",
    "errors",
    "estimate",
    "evaluate",
    "fill",
    "generate",
    "load",
    "match",
    "preview",
    "prompts",
    "status",
]

LOADED = "import json, sys, personagen; print(json.dumps(sorted(sys.modules)))"

LIGHT = {"personagen", "personagen.builder", "personagen.builder.version"}
"""Modules of this package that `import personagen` may load."""


def test_the_exported_names_are_pinned() -> None:
    assert pg.__all__ == NAMES
    assert pg.__all__ == sorted(pg.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_every_exported_name_resolves_and_is_listed(name: str) -> None:
    assert getattr(pg, name) is getattr(pg, name)
    assert name in dir(pg)


def test_star_imports_the_exported_names(tmp_path: Path) -> None:
    done = python("from personagen import *; print(sorted(n for n in globals() if n[0] != '_'))", tmp_path)
    assert done.out.strip() == str([name for name in NAMES if name[0] != "_"])


def test_an_unknown_name_is_an_attribute_error_that_lists_the_names() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'generat'; it has .*generate"):
        pg.generat  # noqa: B018  # pyright: ignore


def test_importing_loads_no_other_package_and_no_heavy_module(tmp_path: Path) -> None:
    plain = set(json.loads(python("import json, sys; print(json.dumps(sorted(sys.modules)))", tmp_path).out))
    loaded = set(json.loads(python(LOADED, tmp_path).out)) - plain
    assert {name for name in loaded if name.split(".")[0] == "personagen"} == LIGHT
    assert {name.split(".")[0] for name in loaded} - {"personagen"} <= sys.stdlib_module_names


def test_a_recipe_loads_no_heavy_package(tmp_path: Path) -> None:
    heavy = {"datasets", "torch", "transformers", "pandas", "pyarrow", "scipy", "sklearn", "openai", "tqdm"}
    code = "import json, sys, personagen as pg; pg.Recipe(rows=14); pg.errors; print(json.dumps(sorted(sys.modules)))"
    loaded = {name.split(".")[0] for name in json.loads(python(code, tmp_path).out)}
    assert loaded & heavy == set()


@pytest.mark.parametrize("how", ["-c", "script"])
def test_a_release_folder_of_that_name_does_not_hide_the_package(how: str, tmp_path: Path, release: Path) -> None:
    """Python prefers a package to a namespace: a folder `personagen` without `__init__.py` in the working directory."""
    (tmp_path / "personagen").symlink_to(release, target_is_directory=True)
    code = "import personagen as pg; print(len(pg.Release('personagen')))"
    if how == "script":
        (tmp_path / "script.py").write_text(code, encoding="utf-8")
    words = [sys.executable, "script.py"] if how == "script" else [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.stderr) == ("70", "")
