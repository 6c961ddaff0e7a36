"""Choose personas from a large source: seconds, peak memory, and whether the choice is the same twice.

    python -m benchmarks.persona_sources --rows 1000000 --personas 10000

The table has the columns of Nemotron-Personas-USA with invented values. Each choice runs in a process of its own.
"""

import argparse
import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

WORDS = ("market", "river", "early", "shift", "choir", "ledger", "garden", "bus", "night", "kitchen", "school", "coast")
"""Words of the texts."""

OCCUPATIONS = [f"occupation_{number}" for number in range(500)] + ["registered_nurse", "retired", "not_in_workforce"]
"""Occupations, as many as in the dataset."""

GROUP_ROWS = 50_000
"""Rows per row group."""


def make_rows(count: int, seed: int) -> Iterator[dict[str, list[Any]]]:
    """Yield the columns of a table like Nemotron-Personas-USA, a row group at a time."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=300)) for _ in range(512)]

    def prose(chars: int) -> list[str]:
        return [f"{rng.randrange(10**9)} {rng.choice(texts)}"[:chars] for _ in range(size)]

    for start in range(0, count, GROUP_ROWS):
        size = min(GROUP_ROWS, count - start)
        narratives = {name: prose(400) for name in ("professional_persona", "sports_persona", "skills_and_expertise")}
        yield {
            "uuid": [f"{rng.getrandbits(128):032x}" for _ in range(size)],
            "persona": prose(160),
            "cultural_background": prose(900),
            **narratives,
            "sex": rng.choices(["Male", "Female"], k=size),
            "age": [rng.randrange(18, 95) for _ in range(size)],
            "marital_status": rng.choices(["never_married", "married_present", "widowed", "divorced"], k=size),
            "education_level": rng.choices(["less_than_9th", "high_school", "bachelors", "graduate"], k=size),
            "occupation": rng.choices(OCCUPATIONS, k=size),
            "city": [f"City {rng.randrange(15_000)}" for _ in range(size)],
            "state": rng.choices([f"S{number:02d}" for number in range(50)], k=size),
            "zipcode": [f"{rng.randrange(100_000):05d}" for _ in range(size)],
            "country": ["USA"] * size,
        }


def write_table(path: Path, count: int) -> None:
    """Write the table as parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    for columns in make_rows(count, 0):
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def choose(path: str, count: int, store: str) -> None:
    """Choose personas and print seconds, peak memory and the digest of the chosen rows."""
    from personagen.builder.planning.personas.sources.choice import SourceRequest, choose_personas
    from personagen.builder.planning.personas.tables import persona_tables

    start = time.perf_counter()
    request = SourceRequest(path, Path(path).name, 0, count, where={"age": {"min": 20}}, balance=["gender"])
    people = choose_personas(request, persona_tables(), Path(store))
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text(encoding="ascii")  # `ru_maxrss` includes the parent before exec
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    digest = hashlib.sha256(Path(store).read_bytes()).hexdigest()
    facts = {"seconds": round(seconds, 1), "peak_mb": round(peak), "sha256": digest[:16], "pairs": people.pairs_met}
    print(json.dumps(facts))


def main() -> None:
    """Write the table, and choose twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--personas", type=int, default=10_000)
    parser.add_argument("--choose", nargs=2, metavar=("TABLE", "STORE"))
    options = parser.parse_args()
    if options.choose:
        choose(options.choose[0], options.personas, options.choose[1])
        return
    with TemporaryDirectory() as folder:
        table = Path(folder) / "nemotron.parquet"
        write_table(table, options.rows)
        print(f"{options.rows:,} rows, {table.stat().st_size / 2**20:,.0f} MB")
        for number in (1, 2):
            command = [sys.executable, "-m", "benchmarks.persona_sources", "--personas", str(options.personas)]
            store = str(Path(folder) / f"{number}.personas.jsonl")
            subprocess.run([*command, "--choose", str(table), store], check=True)


if __name__ == "__main__":
    main()
