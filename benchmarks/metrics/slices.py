"""Make the bundled slices of XED and BRIGHTER: few rows of each label, without repeats, slurs and masks of whole lines.

    python -m benchmarks.metrics.slices xed TABLE
    python -m benchmarks.metrics.slices brighter TABLE

TABLE is the English part of the corpus as a tab-separated table (optionally .gz), unquoted, with the columns `id`,
`split` (train, validation or test), `label` (one emotion; empty: several) and `text`. It is made from the files that
`metrics/data/SOURCES.md` names: HTML entities decoded, white space collapsed, and for XED the spaces before punctuation
removed. The slice is written to `metrics/data/NAME.tsv.gz`.
"""

import argparse
import csv
import gzip
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parents[2] / "metrics" / "data"

OMITTED = re.compile(
    r"\bn[i1]gg|\bfag|\bretard|\btrann|\bkike|\bspic\b|\bspics\b|\bchink|\bgook|\bdyke|\bcoon\b|\bgyps|\brap(?:e|ed|ing|ist)\b|"
    r"\bmolest|\bincest|\bpedo|\bporn",
    re.IGNORECASE,
)
"""Slurs and sexual violence; texts with one are left out."""

LYRICS = re.compile(r"[*♪#]")
"""Marks of sung lines, which are left out: their rights are of another kind."""

MIN_WORDS = 2

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cut:
    """Numbers of rows per label of each part of a slice, and the parts of the source that each is drawn from."""

    train: int
    test: int
    sources: Mapping[str, tuple[str, ...]]


CUTS = {
    "xed": Cut(160, 80, {"train": ("train",), "test": ("validation", "test")}),
    "brighter": Cut(150, 130, {"train": ("train", "validation"), "test": ("test",)}),
}


def rows_of(path: Path) -> Iterator[Row]:
    """Yield the rows of a table."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from csv.DictReader(io.StringIO(data.decode(), newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)


def slice_of(rows: list[Row], cut: Cut) -> list[tuple[str, str, str, str]]:
    """Draw a slice: rows in the order of the SHA-256 of their id, no text twice; test rows are drawn first."""
    ordered = sorted(rows, key=lambda row: hashlib.sha256(row["id"].encode()).hexdigest())
    known: set[str] = set()
    drawn: list[tuple[str, str, str, str]] = []
    for part, most in (("test", cut.test), ("train", cut.train)):
        counts: dict[str, int] = {}
        for row in ordered:
            label, text = row["label"], row["text"]
            folded = " ".join(re.findall(r"\w+", text.lower()))
            usable = label and row["split"] in cut.sources[part] and folded not in known
            if not usable or len(folded.split()) < MIN_WORDS or OMITTED.search(text) or LYRICS.search(text):
                continue
            if counts.get(label, 0) < most:
                counts[label] = counts.get(label, 0) + 1
                known.add(folded)
                drawn.append((row["id"], part, label, text))
    return sorted(drawn, key=lambda row: (row[1] == "test", row[0]))


def main() -> None:
    """Write one slice."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", choices=sorted(CUTS))
    parser.add_argument("table", type=Path)
    arguments = parser.parse_args()
    drawn = slice_of(list(rows_of(arguments.table)), CUTS[arguments.name])
    lines = ["\t".join(("id", "split", "label", "text")), *map("\t".join, drawn)]
    packed = gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
    path = DATA / f"{arguments.name}.tsv.gz"
    path.write_bytes(packed)
    parts = {part: sum(row[1] == part for row in drawn) for part in ("train", "test")}
    print(f"{path.name}: {parts['train']} train rows, {parts['test']} test rows, {len(packed):,} bytes")


if __name__ == "__main__":
    main()
