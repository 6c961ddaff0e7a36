"""Releases of recipes that say `expression: shown`: the rows of earlier versions.

tests/golden/shown.json has the SHA-256 of the content of every table and manifest of three releases in their earlier
form. That of the recipe without layers was made before texts had expressions and styles, and before tables mixed
emotions, and is never renewed. Those of the others are from 2026-11-29, when occupations got gender and country.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from personagen.builder.core.records import UNSTYLED_VERSION
from tests.helpers.flow import LAYERED, PLAIN, make, recipe_for
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

VOLATILE = ("personagen", "shards", "digest", "configs", "prompts", "tables", "independent")
"""Keys of a manifest that depend on the versions of PersonaGen, its templates and tables, and pyarrow."""


def golden() -> dict[str, Any]:
    """Read the digests."""
    parsed: dict[str, Any] = json.loads(SHOWN.read_text(encoding="utf-8"))
    return parsed


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def content_of(path: Path) -> str:
    """Return the SHA-256 of the content of a table or a manifest, without what every version of PersonaGen changes."""
    if path.suffix == ".json":
        manifest = json.loads(path.read_text(encoding="utf-8"))
        content: Any = {key: value for key, value in manifest.items() if key not in VOLATILE}
    else:
        table = pq.read_table(path)
        rows = table.to_pylist()
        for row in rows:
            row.get("provenance", {}).pop("prompt_version", None)
        content = [table.schema.to_string(truncate_metadata=False), rows]
    return digest(json.dumps(content, sort_keys=True).encode())


@pytest.fixture(scope="module", params=RECIPES)
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Make one of the releases."""
    folder = tmp_path_factory.mktemp("shown") / "personagen"
    with FakeOpenAI() as server:
        make(recipe_for(server.url, RECIPES[request.param], {"expression": "shown"}), folder)
    return request.param, in_earlier_form(folder, folder.with_name("earlier"), UNSTYLED_VERSION)


def test_every_row_and_the_manifest_have_the_content_of_an_earlier_version(release: tuple[str, Path]) -> None:
    name, folder = release
    paths = [path for path in folder.rglob("*") if path.suffix in (".parquet", ".json")]
    assert {path.relative_to(folder).as_posix(): content_of(path) for path in paths} == golden()[name]


def test_the_recipes_of_the_golden_digests_ask_for_no_expression() -> None:
    """What the test of the digests says, it says of `expression: shown` alone: no recipe sets another new key."""
    assert PLAIN["expression"] == "shown"
    for changes in RECIPES.values():
        recipe = recipe_for("http://127.0.0.1:1/v1", changes)
        assert recipe.mixture() is None
        assert not {"expression", "style"} & {*recipe.identity(), *recipe.identity()["text"]}
