"""First rows of a release in several versions of `datasets`: each label's fraction beside that in all rows.

personagen generate --rows 1000 && python -m benchmarks.clients personagen PYTHON [PYTHON ...]

Each PYTHON is that of an environment with one version of `datasets`; an empty cache and no network are given to it.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

FIRST_ROWS = 100
"""Rows of the sample."""

WAYS: Mapping[str, str] = {
    "streamed": "list(load_dataset(release, split='train', streaming=True).take(count))",
    "sliced": "list(load_dataset(release, split=f'train[:{count}]'))",
    "selected": "list(load_dataset(release, split='train').select(range(count)))",
}
"""Expressions for the first rows of the default configuration."""

CODE = """
import json, sys
import datasets
from datasets import load_dataset
release, count = sys.argv[1], int(sys.argv[2])
datasets.disable_progress_bars()
rows = {rows}
names = load_dataset(release, split='train').features['label'].names
assert [names[row['label']] for row in rows] == [row['emotion'] for row in rows]
print(json.dumps([datasets.__version__, [row['emotion'] for row in rows]]))
"""


def first_labels(python: str, release: Path, way: str) -> tuple[str, list[str]]:
    """Return the version of `datasets` and the labels of the first rows, loaded in a process of its own."""
    code = CODE.replace("{rows}", WAYS[way])
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [python, "-c", code, str(release.resolve()), str(FIRST_ROWS)],
            env=os.environ | {"HF_HOME": cache, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{python}, {way}: {done.stderr[-2000:]}")
    version, labels = json.loads(done.stdout.strip().split("\n")[-1])
    return version, labels


def fractions(labels: Sequence[str]) -> dict[str, float]:
    """Return the fraction of each label."""
    return {label: count / len(labels) for label, count in Counter(labels).items()}


def largest_distance(sample: Sequence[str], whole: Mapping[str, float]) -> float:
    """Return the largest distance of a label's fraction in a sample from its fraction in all rows, in points."""
    first = fractions(sample)
    return 100 * max(abs(first.get(label, 0.0) - fraction) for label, fraction in whole.items())


def labels_of(release: Path) -> list[str]:
    """Return the labels of the training split of the default configuration."""
    paths = sorted((release / "all").glob("train-*.parquet"))
    return [label for path in paths for label in pq.read_table(path, columns=["emotion"])["emotion"].to_pylist()]


def table_lines(release: Path, pythons: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the table: versions by ways of reading."""
    whole = fractions(labels_of(release))
    yield f"| `datasets` | {' | '.join(WAYS)} |"
    yield f"| --- |{' ---: |' * len(WAYS)}"
    for python in pythons:
        cells, version = [], ""
        for way in WAYS:
            version, labels = first_labels(python, release, way)
            cells.append(f"{len(set(labels))} of {len(whole)}, {largest_distance(labels, whole):.1f}")
        yield f"| {version} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path)
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    arguments = parser.parse_args()
    for line in table_lines(arguments.release, arguments.pythons):
        print(line, flush=True)


if __name__ == "__main__":
    main()
