"""Seconds and memory to join the segments of many workers: `python -m benchmarks.machines.joining`, five minutes.

Replies of the size of real ones (600 bytes, one in 100 in two segments) are written into segments and joined into a new
journal by a process of its own. `--replies` and `--segments` change the numbers.
"""

import argparse
import hashlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from personagen.builder.llm.journal_only import ModelIdentity
from personagen.builder.llm.requests import Candidate, Reply
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.llm.storage.stored_replies import StoredReply, stored
from personagen.builder.planning.parts import Part
from personagen.builder.segments.joining import JoinRules, join
from personagen.builder.segments.segment import Header, Origin, Work, write_segment
from personagen.builder.segments.store import open_store

ORIGIN = Origin("0" * 16, {}, "", "0.0.0", (ModelIdentity("openai", "fake"),))
WORDS = [f"word{number}" for number in range(5_000)]
DOUBLED = 100
"""One in so many replies is in two segments."""


def replies(numbers: range) -> Iterator[StoredReply]:
    """Yield replies with keys and sizes like real ones."""
    for number in numbers:
        rng = random.Random(number)
        text = " ".join(rng.choices(WORDS, k=60))
        yield stored(hashlib.sha256(str(number).encode()).hexdigest(), Reply((Candidate(text, "stop"),), 400, 80))


def write(folder: Path, total: int, segments: int) -> None:
    """Write segments that together have `total` distinct replies."""
    size = -(-total // segments)
    for number in range(segments):
        own = range(number * size, min(total, (number + 1) * size))
        rows = [*replies(own), *replies(range(max(0, own.start - size // DOUBLED), own.start))]
        work = Work("complete", "host", 0.0, float(number), replies=len(rows))
        header = Header(Part(number, segments), f"{number:012x}", 0, ORIGIN, work)
        write_segment(folder, header, rows)


def measure(folder: Path, journal: Path) -> None:
    """Join the segments, and print seconds, peak memory and counts as JSON."""
    start = time.perf_counter()
    joined = join(open_store(str(folder)), JournalFile(journal), JoinRules(ORIGIN))
    facts = {
        "seconds": round(time.perf_counter() - start, 1),
        "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "replies": joined.merged.replies,
        "distinct": joined.merged.total,
        "journal MB": round(journal.stat().st_size / 1e6),
    }
    print(json.dumps(facts))


def main() -> None:
    """Write the segments and join them in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--replies", type=int, default=1_000_000)
    parser.add_argument("--segments", type=int, default=64)
    parser.add_argument("--join", nargs=2, metavar=("SEGMENTS", "JOURNAL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.join:
        measure(*map(Path, options.join))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "segments"
        folder.mkdir()
        write(folder, options.replies, options.segments)
        shipped = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{options.replies:,} replies in {options.segments} segments of {shipped / 1e6:,.0f} MB together")
        words = [
            sys.executable,
            "-m",
            "benchmarks.machines.joining",
            "--join",
            str(folder),
            str(Path(scratch) / "journal.sqlite"),
        ]
        print(subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip())


if __name__ == "__main__":
    main()
