"""Releases of recipes that say `expression: shown`: the texts of earlier versions, byte for byte.

tests/golden/shown.json has the SHA-256 of every file of three releases, made before texts had expressions and styles,
and before tables mixed emotions. It is never renewed: releases are compared with it in their earlier form.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personagen.builder.core.records import UNSTYLED_VERSION
from tests.helpers.flow import LAYERED, PLAIN, bytes_of, make, recipe_for
from tests.helpers.releasing import GOLDEN, in_earlier_form
from tests.helpers.servers.fake_openai import FakeOpenAI

SHOWN = GOLDEN / "shown.json"
PAIRS = {"attributes": {"gender": ["woman", "man"]}, "pairs": 4}
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "all layers": LAYERED | {"text.language": "en", "intensities": ["low", "high"], "ablations": ["none"]},
    "seven emotions": {"rows": 21, "emotions": None, "depth": "situational", "text.language": "en"}
    | {"counterfactual": PAIRS},
    "no layer": {},
}
"""Recipes of the releases, as changes of `PLAIN`."""

VOLATILE = ("personagen", "shards", "digest")
"""Keys of a manifest that depend on the versions of PersonaGen and pyarrow."""


def golden() -> dict[str, Any]:
    """Read the digests."""
    parsed: dict[str, Any] = json.loads(SHOWN.read_text(encoding="utf-8"))
    return parsed


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def content_of(path: Path) -> str:
    """Return the SHA-256 of the content of a table or a manifest, which no version of pyarrow changes."""
    if path.suffix == ".json":
        manifest = json.loads(path.read_text(encoding="utf-8"))
        content: Any = {key: value for key, value in manifest.items() if key not in VOLATILE}
    else:
        table = pq.read_table(path)
        content = [table.schema.to_string(truncate_metadata=False), table.to_pylist()]
    return digest(json.dumps(content, sort_keys=True).encode())


@pytest.fixture(scope="module", params=RECIPES)
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Make one of the releases."""
    folder = tmp_path_factory.mktemp("shown") / "personagen"
    with FakeOpenAI() as server:
        make(recipe_for(server.url, RECIPES[request.param], {"expression": "shown"}), folder)
    return request.param, in_earlier_form(folder, folder.with_name("earlier"), UNSTYLED_VERSION)


def test_every_table_is_that_of_an_earlier_version(release: tuple[str, Path]) -> None:
    """A figure stands in the files that is none of their content: the version of pyarrow."""
    name, folder = release
    expected = golden()
    if pa.__version__ != expected["pyarrow"]:
        pytest.skip(f"the files were written by pyarrow {expected['pyarrow']}")
    files = {Path(path).as_posix(): digest(content) for path, content in bytes_of(folder).items()}
    tables = {path: file for path, file in expected["files"][name].items() if path.endswith(".parquet")}
    assert tables and {path: file for path, file in files.items() if path.endswith(".parquet")} == tables


def test_every_row_and_the_manifest_have_the_content_of_an_earlier_version(release: tuple[str, Path]) -> None:
    name, folder = release
    paths = [path for path in folder.rglob("*") if path.suffix in (".parquet", ".json")]
    assert {path.relative_to(folder).as_posix(): content_of(path) for path in paths} == golden()["content"][name]


def test_the_recipes_of_the_golden_digests_ask_for_no_expression() -> None:
    """What the test of the digests says, it says of `expression: shown` alone: no recipe sets another new key."""
    assert PLAIN["expression"] == "shown"
    for changes in RECIPES.values():
        recipe = recipe_for("http://127.0.0.1:1/v1", changes)
        assert recipe.mixture() is None
        assert not {"expression", "style"} & {*recipe.identity(), *recipe.identity()["text"]}
