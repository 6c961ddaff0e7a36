"""Small releases for tests, written by the fake model server."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from personagen.builder.core.records import LAYERS
from personagen.builder.generate import generate
from personagen.builder.planning.parsing import parse_recipe
from personagen.builder.release.card import render_card
from personagen.builder.release.folder import configurations, sealed
from personagen.builder.release.shards import ShardFile, file_digest
from tests.helpers.command import python

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
EMOTIONS = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")
RECIPE = (
    "rows: 70\nintensities: [low, high]\nablations: [none, demographic]\nshard_rows: 5\nelaborate: {demographic: llm}\n"
    "text: {max_words: 45}"  # the fake server writes texts of up to 40 words
)
CONFIGS = (*EMOTIONS, "all", "depth_none", "depth_demographic", *LAYERS)
"""Configurations of a release of `RECIPE`."""


def make_release(out: Path, url: str, recipe: str = "", *, fresh: bool = False, **keys: Any) -> Path:
    """Make the release of a YAML recipe, changed by `keys`, with the fake server at `url`."""
    own = {"backend.kind": "openai", "backend.model": "fake-1", "backend.base_url": url}
    generate(parse_recipe(recipe, "test", own | keys), out, fresh=fresh)
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
    """Yield every string of a nested value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)


def rewrite(
    release: Path,
    out: Path,
    prefix: str,
    change: Callable[[pa.Table], pa.Table],
    *,
    row_group: int = 500,
    **keys: Any,
) -> Path:
    """Copy a release with changes to some tables and to keys of its manifest; the copy is consistent."""
    shutil.copytree(release, out)
    manifest = manifest_of(release)
    for shard in manifest["shards"]:
        path = out / shard["path"]
        if shard["path"].startswith(prefix):
            pq.write_table(change(pq.read_table(path)), path, row_group_size=row_group)
            shard |= {"rows": pq.read_metadata(path).num_rows, "bytes": path.stat().st_size}
            shard["sha256"] = file_digest(path)
    manifest |= {"configs": configurations(ShardFile(**shard) for shard in manifest["shards"]), **keys}
    write_manifest(out, manifest)
    (out / "README.md").write_text(render_card(manifest), encoding="utf-8")
    return out


def write_manifest(release: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest with its digest."""
    (release / "manifest.json").write_text(json.dumps(sealed(manifest)), encoding="utf-8")


def run_python(code: str, cwd: Path, **env: str) -> str:
    """Run code in a process that shares the caches of this one, and return its stdout.

    It ends without the shutdown of the interpreter: threads of Arrow that still read ahead abort that now and then.
    """
    done = python(f"{code}\nimport os, sys\nsys.stdout.flush()\nos._exit(0)", cwd, **env)
    assert done.code == 0, done.err
    return done.out
