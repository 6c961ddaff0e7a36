"""Publishing a release: requests, commits and bytes beside `Dataset.push_to_hub`, and the memory of a large one.

personagen generate && python -m benchmarks.push personagen [--gigabytes 5]

Both sides talk to the small Hub of the tests on loopback, by git LFS. The large release is the small one with texts of
random letters in 50 files of joy; the Hub is a process of its own then, and the peak is that of the command (Linux,
25 GB of disk).
"""

import argparse
import base64
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from personagen.builder.core.records import shard_path
from personagen.builder.release.cards.card import render_card
from personagen.builder.release.folder import configurations, read_manifest, sealed
from personagen.builder.release.tables.shards import LAYOUT, ShardFile, file_digest
from tests.helpers.servers.hub.server import Hub

FILES = 50
ROWS = 1_000

DATASETS = """
import sys
from datasets import load_dataset, get_dataset_config_names
for name in get_dataset_config_names(sys.argv[1]):
    load_dataset(sys.argv[1], name).push_to_hub("user/peer", name)
"""


def beside_datasets(release: Path) -> Iterator[str]:
    """Push the same configurations with both, twice; return table rows."""
    with tempfile.TemporaryDirectory() as home, Hub() as hub:
        env = os.environ | hub.env() | {"HF_HOME": home, "HF_TOKEN": "hf_any", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        ours = [sys.executable, "-m", "personagen.builder", "push", str(release), "user/ours"]
        peer = [sys.executable, "-c", DATASETS, str(release)]
        for name, command in (("`personagen push`", ours), ("`push_to_hub` of each configuration", peer)):
            for turn in ("first", "again, nothing changed"):
                hub.requests.clear()
                hub.log.clear()
                done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(done.stderr)
                commits = sum(line.startswith("POST ") and "/commit/" in line for line in hub.requests)
                sent = sum(record.received for record in hub.log)
                yield f"| {name}, {turn} | {len(hub.requests)} | {commits} | {sent / 1e3:,.0f} kB |"


def enlarged(release: Path, gigabytes: float, out: Path) -> Path:
    """Write a release with the given amount of random text, in 50 files."""
    shutil.copytree(release, out)
    manifest = read_manifest(release)
    draw = random.Random(0)
    small = pq.read_table(next((release / "joy").glob("train-*")))
    kept = [shard for shard in manifest["shards"] if not shard["path"].startswith("joy/train-")]
    for path in (out / "joy").glob("train-*"):
        path.unlink()
    size = int(gigabytes * 1e9 / FILES / ROWS * 3 / 4)
    for index in range(FILES):
        table = small.take([number % small.num_rows for number in range(ROWS)])
        texts = pa.array([base64.b64encode(draw.randbytes(size)).decode() for _ in range(ROWS)])
        path = out / shard_path("joy", "train", index, FILES)
        with pq.ParquetWriter(path, table.schema, **{**LAYOUT, "compression": "none"}) as writer:
            writer.write_table(table.set_column(1, table.schema.field(1), texts), row_group_size=100)
        kept.append(
            {"path": path.relative_to(out).as_posix(), "rows": ROWS, "bytes": path.stat().st_size, "sha256": ""}
        )
        kept[-1]["sha256"] = file_digest(path)
    manifest |= {"shards": kept, "configs": configurations(ShardFile(**shard) for shard in kept)}
    (out / "manifest.json").write_text(json.dumps(sealed(manifest)), encoding="utf-8")
    (out / "README.md").write_text(render_card(manifest), encoding="utf-8")
    return out


def memory(release: Path, gigabytes: float, *, xet: bool) -> str:
    """Push a large release; return a line with time and peak memory."""
    with tempfile.TemporaryDirectory() as home:
        big = enlarged(release, gigabytes, Path(home) / "big")
        size = sum(path.stat().st_size for path in big.rglob("*.parquet"))
        words = [
            sys.executable,
            "-m",
            "tests.helpers.servers.hub",
            "--folder",
            str(Path(home) / "hub"),
            *(["--xet"] if xet else []),
        ]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as hub:
            assert hub.stdout is not None
            url = hub.stdout.readline().strip()
            env = os.environ | {"HF_ENDPOINT": url, "HF_HOME": home, "HF_TOKEN": "hf_any"}
            env |= {"HF_HUB_DISABLE_XET": "0" if xet else "1"}
            command = ["/usr/bin/time", "-v", sys.executable, "-m", "personagen.builder", "push", str(big), "user/big"]
            start = time.perf_counter()
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            seconds = time.perf_counter() - start
            hub.terminate()
        if done.returncode:
            raise SystemExit(done.stderr)
    peak = re.search(r"Maximum resident set size \(kbytes\): (\d+)", done.stderr)
    assert peak is not None, "GNU time"
    way = "Xet" if xet else "git LFS"
    return f"{size / 1e9:.1f} GB in {FILES} files by {way}: {seconds:.0f} s, peak {int(peak[1]) * 1024 / 1e6:.0f} MB"


def main() -> None:
    """Print the table and the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("release", type=Path)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    options = parser.parse_args()
    print("| push | requests | commits | received by the Hub |\n| --- | ---: | ---: | ---: |")
    for line in beside_datasets(options.release):
        print(line, flush=True)
    for xet in (False, True):
        print(f"\n{memory(options.release, options.gigabytes, xet=xet)}", flush=True)


if __name__ == "__main__":
    main()
