"""Loading a large release: through `personagen_dataset`, by its YAML alone, and with the packaged builder for parquet.

personagen generate && python -m benchmarks.load personagen

The release is enlarged to a million rows (the same rows with their words shuffled, and confidences drawn at random).
"emotion after emotion" reads the files of the emotions, as `all` did before version 1.3.0 of the columns.
Every measurement is a process of its own with an empty cache of `datasets`; times do not include imports, and the files
were read before. All ways take turns; the median of nine rounds counts: six minutes. Bytes read are reported by Linux.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from personagen.builder.core.records import SPLITS, shard_path
from personagen.builder.release.cards.card import render_card
from personagen.builder.release.folder import configurations, read_manifest
from personagen.builder.release.tables.columns import arrow_schema, columns_of, form_of
from personagen.builder.release.tables.missing import CHECKED_BY_CLASSIFIER
from personagen.builder.release.tables.mixing import RowRange, mixed
from personagen.builder.release.tables.shards import LAYOUT, ROW_GROUP, ShardFile, file_digest

SHARD_ROWS = 10_000
SURE = 0.9
"""Minimum confidence: one row in ten has it."""

WAYS: Mapping[str, Mapping[str, str]] = {
    "first row of joy, streaming": {
        "parquet builder": "next(iter(load('parquet', data_files=joy, split='train', streaming=True)))",
        "by its YAML": "next(iter(load('personagen', 'joy', split='train', streaming=True)))",
        "personagen_dataset": "hook(); next(iter(load('personagen', 'joy', split='train', streaming=True)))",
    },
    "first row of all, streaming": {
        "emotion after emotion": "next(iter(load('parquet', data_files=emotions, split='train', streaming=True)))",
        "mixed": "next(iter(load('parquet', data_files=every, split='train', streaming=True)))",
        "by its YAML": "next(iter(load('personagen', split='train', streaming=True)))",
    },
    "all rows": {
        "emotion after emotion": "load('parquet', data_files=emotions)",
        "mixed": "load('parquet', data_files=every)",
        "by its YAML": "load('personagen')",
        "personagen_dataset": "hook(); load('personagen')",
    },
    "rows of joy": {
        "load, then filter": "load('parquet', data_files=every).filter(lambda it: it == number, input_columns='label')",
        "emotions=": "hook(); load('personagen', emotions=['joy'])",
    },
    "rows that the classifier was sure of": {
        "load, then filter": "load('parquet', data_files=every)"
        f".filter(lambda checked: checked['checker_confidence'] >= {SURE}, input_columns='provenance')",
        "min_confidence=": f"hook(); load('personagen', min_confidence={SURE})",
    },
}
"""Tasks and the ways to do them; the first way of each is the baseline."""

CHILD = """
import contextlib, json, os, sys, time
import datasets
import personagen_dataset
from datasets import load_dataset as load
hook = personagen_dataset.resolve_names
datasets.load.dataset_module_factory = datasets.load.dataset_module_factory.__wrapped__
datasets.disable_progress_bars()
with contextlib.suppress(ImportError):
    import torch  # as the first streaming does
given = json.load(sys.stdin)
joy, every, emotions, number = given["joy"], given["every"], given["emotions"], given["number"]
def read():
    return int(open("/proc/self/io").read().split()[1])
start, before = time.perf_counter(), read()
exec(given["code"])
print(json.dumps([time.perf_counter() - start, read() - before]), flush=True)
os._exit(0)  # an iterator that is left in mid-file makes the shutdown of Arrow's threads fail now and then
"""


def enlarged(release: Path, rows: int, out: Path) -> Path:
    """Write a release with `rows` rows by repeating those of a small one."""
    manifest = read_manifest(release)
    emotions = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    manifest["left_out"] = [name for name in manifest["left_out"] if name not in CHECKED_BY_CLASSIFIER]
    schema = arrow_schema(columns_of("all", form_of(manifest)))
    written: list[ShardFile] = []
    for emotion in emotions:
        for split in SPLITS:
            table = pa.concat_tables(pq.read_table(path) for path in sorted((release / emotion).glob(f"{split}-*")))
            share = rows // len(emotions) * manifest["configs"]["all"]["rows"][split]
            count = share // sum(manifest["configs"]["all"]["rows"].values())
            written += _shards(table, count, (emotion, split), out, schema)
    for split in SPLITS:
        written += _mixed({name: sorted((out / name).glob(f"{split}-*")) for name in emotions}, split, out)
    manifest |= {"configs": configurations(written), "classifier": {"name": "drawn at random"}}
    manifest["shards"] = [
        {"path": each.path, "rows": each.rows, "bytes": each.bytes, "sha256": each.sha256} for each in written
    ]
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (out / "README.md").write_text(render_card(manifest), encoding="utf-8")
    return out


def _shards(table: pa.Table, rows: int, key: tuple[str, str], out: Path, schema: pa.Schema) -> Iterator[ShardFile]:
    draw, count = random.Random(f"{key}"), -(-rows // SHARD_ROWS)
    texts = [text.split() for text in table["text"].to_pylist()]
    for index in range(count):
        size = min(SHARD_ROWS, rows - index * SHARD_ROWS)
        taken = [(index * SHARD_ROWS + number) % table.num_rows for number in range(size)]
        part = table.take(taken)
        words = [" ".join(draw.sample(texts[number], len(texts[number]))) for number in taken]
        ids = [f"{key[0]}-{key[1]}-{index * SHARD_ROWS + number}" for number in range(size)]
        part = part.set_column(1, part.schema.field(1), pa.array(words)).set_column(
            0, part.schema.field(0), pa.array(ids)
        )
        yield _file(_checked(part, draw, schema), shard_path(*key, index, count), out)


def _mixed(paths: Mapping[str, Sequence[Path]], split: str, out: Path) -> Iterator[ShardFile]:
    """Write the rows of all emotions in mixed order, a block per file."""
    ranges = [RowRange(files, 0, sum(map(_rows, files))) for files in paths.values()]
    total = sum(part.count for part in ranges)
    count = -(-total // SHARD_ROWS)
    for index, table in enumerate(mixed(ranges, "id", seed=0, block_rows=SHARD_ROWS)):
        yield _file(table, shard_path("all", split, index, count), out)


def _rows(path: Path) -> int:
    rows: int = pq.read_metadata(path).num_rows
    return rows


def _file(table: pa.Table, name: str, out: Path) -> ShardFile:
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, table.schema, **LAYOUT) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP)
    return ShardFile(name, table.num_rows, path.stat().st_size, file_digest(path))


def _checked(table: pa.Table, draw: random.Random, schema: pa.Schema) -> pa.Table:
    """Add predictions of a classifier with random confidences; `schema` has them."""
    sure = pa.array([draw.random() for _ in range(table.num_rows)], pa.float32())
    struct = table["provenance"].combine_chunks()
    columns = {field.name: struct.field(field.name) for field in struct.type}
    columns |= {"checker_label": table["emotion"].combine_chunks(), "checker_confidence": sure}
    names = [field.name for field in schema.field("provenance").type]
    place = schema.get_field_index("provenance")
    checked = pa.StructArray.from_arrays([columns[name] for name in names], names)
    return table.set_column(place, "provenance", checked).cast(schema)


def measure(code: str, release: Path) -> tuple[float, int]:
    """Run code in a separate process with an empty cache; return seconds and bytes read."""
    emotions = [emotion["name"] for emotion in read_manifest(release)["taxonomy"]["emotions"]]

    def files(*folders: str) -> dict[str, list[str]]:
        return {s: [str(path) for f in folders for path in sorted((release / f).glob(f"{s}-*"))] for s in SPLITS}

    facts = {"joy": files("joy"), "every": files("all"), "emotions": files(*emotions), "number": emotions.index("joy")}
    given = json.dumps({"code": code, **facts})
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {"HF_HOME": home, "HF_HUB_OFFLINE": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0"}
        done = subprocess.run(
            [sys.executable, "-c", CHILD],
            cwd=release.parent,
            env=env,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds, read = json.loads(done.stdout)
    return seconds, read


def rounds(release: Path, count: int) -> Iterator[list[str]]:
    """Measure all ways in turn and return one table row for each."""
    for what, ways in WAYS.items():
        found: dict[str, list[tuple[float, int]]] = {name: [] for name in ways}
        for _ in range(count):
            for name, code in ways.items():
                found[name].append(measure(code, release))
        times = {name: statistics.median(seconds for seconds, _ in runs) for name, runs in found.items()}
        first = next(iter(times.values()))
        for name, seconds in times.items():
            yield [what, name, f"{seconds:.3f} s", f"{first / seconds:.2f}", f"{found[name][0][1] / 1e6:,.0f} MB"]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("release", type=Path, help="a small release, of the ekman taxonomy")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        release = enlarged(options.release, options.rows, Path(folder) / "personagen")
        size = sum(path.stat().st_size for path in release.rglob("*.parquet"))
        mixed_size = sum(path.stat().st_size for path in (release / "all").glob("*.parquet"))
        print(f"{options.rows:,} rows, {size / 1e6:,.0f} MB of parquet, {mixed_size / 1e6:,.0f} MB of it `all`\n")
        print("| what | how | median | speed, over the first | read |\n| --- | --- | ---: | ---: | ---: |")
        for cells in rounds(release, options.rounds):
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
