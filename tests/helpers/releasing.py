"""Small releases for tests, written by the fake model server."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from personagen.builder.core.records import LAYERS, SPLITS
from personagen.builder.generate import generate
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.release.cards.card import render_card
from personagen.builder.release.cards.croissant import with_croissant
from personagen.builder.release.folder import configurations, sealed
from personagen.builder.release.tables.columns import TableForm, columns_of
from personagen.builder.release.tables.shards import ShardFile, Shards, file_digest
from tests.helpers.command import python

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
EMOTIONS = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")
RECIPE = (
    "rows: 70\nintensities: [low, high]\nablations: [none, demographic]\nshard_rows: 5\nelaborate: {demographic: llm}\n"
    "text: {max_words: 45}"  # the fake server writes texts of up to 40 words
)
CONFIGS = (*EMOTIONS, "all", "depth_none", "depth_demographic", *LAYERS)
"""Configurations of a release of `RECIPE` that have files."""
NAMES = (*CONFIGS, "plain")
"""Configurations of a release of `RECIPE`: `plain` reads the files of `all`."""


def make_release(out: Path, url: str, recipe: str = "", *, fresh: bool = False, **keys: Any) -> Path:
    """Make the release of a YAML recipe, changed by `keys`, with the fake server at `url`."""
    own = {"backend.kind": "openai", "backend.model": "fake-1", "backend.base_url": url}
    generate(parse_recipe(recipe, "test", own | keys), out, fresh=fresh)
    return out


def manifest_of(release: Path) -> dict[str, Any]:
    """Read the manifest."""
    manifest: dict[str, Any] = json.loads((release / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def features_of(release: Path, config: str) -> Any:
    """Return the features that `personagen_dataset` declares for a configuration of a release."""
    from personagen_dataset import features

    manifest = manifest_of(release)
    emotions = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    absent, further = manifest.get("left_out", ()), manifest.get("attributes", {})
    return features(config, emotions, manifest["version"], manifest["recipe"]["depth"], absent, further)


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
    prefix: str | tuple[str, ...],
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
    manifest, croissant = with_croissant(manifest)
    (out / "croissant.json").write_text(croissant, encoding="utf-8")
    write_manifest(out, manifest)
    (out / "README.md").write_text(render_card(manifest), encoding="utf-8")
    return out


def with_predictions(schema: pa.Schema) -> pa.Schema:
    """Return the schema of a text table with the columns of the emotion classifier."""
    place = schema.get_field_index("provenance")
    new = {"checker_label": "string", "checker_confidence": "float32"}
    parts = {part.name: part.type for part in schema.field(place).type}
    names = [*parts]
    names[names.index("leaked") + 1 : names.index("leaked") + 1] = [*new]
    parts |= {name: pa.type_for_alias(dtype) for name, dtype in new.items()}
    metadata = json.loads(schema.metadata[b"huggingface"])
    features = metadata["info"]["features"]
    columns = features["provenance"] | {name: {"dtype": dtype, "_type": "Value"} for name, dtype in new.items()}
    features["provenance"] = {name: columns[name] for name in names}
    struct = pa.struct([pa.field(name, parts[name]) for name in names])
    changed = schema.set(place, pa.field("provenance", struct))
    return changed.with_metadata({"huggingface": json.dumps(metadata)})


def left_out_beside_predictions(release: Path) -> list[str]:
    """Return the key `left_out` of a release once it has predictions."""
    return [name for name in manifest_of(release)["left_out"] if "checker" not in name]


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


def in_earlier_form(release: Path, out: Path, version: str, *, shard_rows: int = 10_000, **keys: Any) -> Path:
    """Copy a release of this version to one with columns of an earlier version, and set keys of its manifest."""
    manifest = manifest_of(release)
    emotions = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    form = TableForm(emotions, manifest["recipe"]["depth"], version)
    configs = [name for name in manifest["configs"] if name != "all"]
    tables = {
        (config, split): in_plan_order(release, config, split)
        for config in configs
        for split in SPLITS
        if records(release, config, split)
    }
    sizes = {key: len(rows) for key, rows in tables.items()}
    with Shards(out, sizes, shard_rows, lambda config: columns_of(config, form)) as shards:
        for (config, split), rows in tables.items():
            for row in rows:
                shards.add(config, split, shaped(row, columns_of(config, form)))
    written = shards.written()
    manifest |= {"version": version, "shards": [asdict(shard) for shard in written]}
    manifest |= {"configs": configurations(written), **keys}
    for newer in ("views", "left_out", "citation", "croissant", "samples", "screening"):
        del manifest[newer]
    write_manifest(out, manifest)
    (out / "README.md").write_text(render_card(manifest), encoding="utf-8")
    return out


def in_plan_order(release: Path, config: str, split: str) -> list[dict[str, Any]]:
    """Return the rows of a table one emotion after another, in the order of their ids."""
    rows = records(release, config, split)
    if config.startswith("depth_"):
        return sorted(rows, key=lambda row: (row["label"], row["id"]))
    if config == "situational":
        texts = [row for path in release.iterdir() if path.is_dir() for row in records(release, path.name, split)]
        ids = {row["situation_id"]: (row["label"], row["id"]) for row in texts if "situation_id" in row and "id" in row}
        return sorted(rows, key=lambda row: ids[row["situation_id"]])
    return rows


def shaped(row: dict[str, Any], columns: Any) -> dict[str, Any]:
    """Return a row with these columns: None where it has no value."""
    shape: dict[str, Any] = {}
    for name, column in columns.items():
        value = row.get(name)
        if name == "appraisal" and value is not None and value["pleasantness"] == "not given":
            value = None
        if "_type" not in column and value is not None:
            shape[name] = shaped(value, column)
        else:
            shape[name] = None if (name, value) in {("isco08", "none"), ("stakes", "not given")} else value
    return shape
