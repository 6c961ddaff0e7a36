"""Releases of any number of rows: `generate` writes 20,000 of them from simulated replies, which are then repeated.

Each repetition has ids, personas and situations of its own, and texts in which words have changed their places within
their lists: no text repeats another one.
"""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.pipeline.measure import QUIET, Server
from personagen.builder.core.records import SPLITS
from personagen.builder.release.cards.card import render_card
from personagen.builder.release.cards.croissant import with_croissant
from personagen.builder.release.folder import configurations, read_manifest, sealed
from personagen.builder.release.tables.columns import columns_of, form_of
from personagen.builder.release.tables.shards import Shards
from tests.helpers.servers.fake_openai import ADJECTIVES, NAMES, NOUNS, VERBS

BASE_ROWS = 20_000
"""Rows that `generate` writes; a larger release repeats them."""

SHARD_ROWS = 10_000

RECIPE: Mapping[str, Any] = {
    "name": "scale",
    "seed": 0,
    "taxonomy": "ekman",
    "intensities": ["low", "high"],
    "situations_per_persona": 4,
    "shard_rows": SHARD_ROWS,
    "elaborate": {"sociocultural": "sampled", "situational": "sampled"},
    "counterfactual": {"attributes": {"gender": ["woman", "man"]}},
    "text": {"min_words": 8, "max_words": 120, "language": "en"},
    "backend": {"kind": "openai", "model": "fake-1"},
}
"""All layers, a persona per four texts, and a counterfactual per hundred texts."""

WORD = re.compile(r"[A-Za-z-]{3,}|\d+")

ID = r"^([a-z_]+-?)(\d+)"
"""Matches the number in an id of a text, a persona or a situation."""


def make_release(rows: int, out: Path) -> Path:
    """Write a release of `rows` rows, or of the next multiple of `BASE_ROWS`; one that is there is returned.

    Args:
        rows: number of rows.
        out: folder of the release and of what it is made from.

    """
    times = max(-(-rows // BASE_ROWS), 1)
    base = generated(min(rows, BASE_ROWS), out)
    if times == 1:
        return base
    target = out / f"rows-{times * BASE_ROWS}"
    return target if (target / "manifest.json").exists() else repeated(base, target, times)


def generated(rows: int, out: Path) -> Path:
    """Write a release by `personagen generate` with the server of simulated replies; one that is there is returned."""
    target = out / f"rows-{rows}"
    if (target / "manifest.json").exists():
        return target
    out.mkdir(parents=True, exist_ok=True)
    pairs = {"counterfactual": {**RECIPE["counterfactual"], "pairs": max(rows // 100, 1)}}
    recipe = out / f"rows-{rows}.yaml"
    recipe.write_text(json.dumps({**RECIPE, **pairs, "rows": rows}), encoding="utf-8")
    with Server() as server:
        server.reset(latency=0.002)
        words = [sys.executable, "-m", "personagen.builder", "generate", str(recipe), "--base-url", server.url]
        subprocess.run([*words, "--concurrency", "64", "--out", str(target)], check=True, env=environment())
    return target


def environment() -> dict[str, str]:
    """Return the environment of the commands: that of this process, without network."""
    return {**os.environ, **QUIET}


def repeated(base: Path, out: Path, times: int) -> Path:
    """Write a release with the rows of another one `times` times, each time with other ids, personas and texts."""
    manifest = read_manifest(base)
    form = form_of(manifest)
    sizes = {
        (config, split): rows * times
        for config, entry in manifest["configs"].items()
        for split, rows in entry["rows"].items()
    }
    changes = [_changed_words(number) for number in range(times)]
    with Shards(out, sizes, SHARD_ROWS, lambda config: columns_of(config, form)) as shards:
        for config, split in sizes:
            for number in range(times):
                for path in sorted((base / config).glob(f"{split}-*.parquet")):
                    shards.add_table(config, split, _changed(pq.read_table(path), number, changes[number]))
    written = shards.written()
    recipe = {**manifest["recipe"], "rows": manifest["recipe"]["rows"] * times}
    files = [{"path": part.path, "rows": part.rows, "bytes": part.bytes, "sha256": part.sha256} for part in written]
    personas = {**manifest["personas"], **{split: manifest["personas"][split] * times for split in SPLITS}}
    manifest |= {"recipe": recipe, "personas": personas, "shards": files, "configs": configurations(written)}
    manifest, croissant = with_croissant(manifest)
    (out / "croissant.json").write_text(croissant, encoding="utf-8")
    (out / "README.md").write_text(render_card(manifest), encoding="utf-8")
    (out / "manifest.json").write_text(json.dumps(sealed(manifest)), encoding="utf-8")
    return out


def _changed(table: pa.Table, number: int, change: Callable[[str], str]) -> pa.Table:
    """Return the rows of a repetition."""
    for name in ("id", "persona_id", "situation_id", "counterfactual_of"):
        if name in table.column_names:
            values = pc.replace_substring_regex(table[name], ID, f"\\1{number:04}\\2", max_replacements=1)
            table = table.set_column(table.column_names.index(name), table.schema.field(name), values)
    if "text" in table.column_names:
        texts = pa.array([change(text) for text in table["text"].to_pylist()], table.schema.field("text").type)
        table = table.set_column(table.column_names.index("text"), table.schema.field("text"), texts)
    return table


def _changed_words(number: int) -> Callable[[str], str]:
    """Return the change of the texts of a repetition; the first one keeps them."""
    generator = random.Random(number)
    places: dict[str, str] = {}
    for bank in (VERBS, ADJECTIVES, NOUNS, NAMES):
        words = [word for word in bank if WORD.fullmatch(word)]
        places |= dict(zip(words, words if number == 0 else generator.sample(words, len(words)), strict=True))

    def word(match: re.Match[str]) -> str:
        found = match[0]
        return str(int(found) + number) if found.isdigit() else places.get(found, found)

    return lambda text: WORD.sub(word, text)
