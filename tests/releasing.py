"""Make small releases for tests, with the fake server as the model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from personagen.builder.generate import generate
from personagen.builder.recipe import parse_recipe

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"


def make_release(out: Path, url: str, recipe: str = "", *, fresh: bool = False, **keys: Any) -> Path:
    """Make the release of a recipe in YAML, with `keys` in place of its own, by the fake server at `url`."""
    own = {"backend.kind": "openai", "backend.model": "fake-1", "backend.base_url": url}
    generate(parse_recipe(recipe, "test", own | keys), out, fresh=fresh, progress=lambda status: None)
    return out


def manifest_of(release: Path) -> dict[str, Any]:
    """Read the manifest."""
    manifest: dict[str, Any] = json.loads((release / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def records(release: Path, config: str, split: str = "*") -> list[dict[str, Any]]:
    """Read the rows of a folder of the release with pyarrow alone."""
    paths = sorted((release / config).glob(f"{split}-*.parquet"))
    return [record for path in paths for record in pq.read_table(path).to_pylist()]


def strings(value: Any) -> Iterator[str]:
    """Go through every string of a nested value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
