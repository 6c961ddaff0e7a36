"""Memory of `compare` per text: `python -m benchmarks.scale.arms 20000 60000 --out FOLDER`, three arms of so many rows.

The texts are those of a release of simulated replies (`benchmarks.scale`), once per arm. They are held as `compare`
holds them, saved, read again, and reported; a process of its own does it for each number of rows. What else is in
memory while arms are measured is a few blocks of 1,000 texts, whatever the number of rows.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scale.releases import make_release
from personagen.builder.core.records import Demographic, Situational, Sociocultural
from personagen.builder.core.result_table import ResultTable
from personagen.builder.evaluation.arms import ArmText
from personagen.builder.evaluation.arms.layers import SharedLayers
from personagen.builder.evaluation.claims import JudgedClaim
from personagen.builder.evaluation.comparison import (
    ArmCost,
    ArmFigure,
    ArmRating,
    ComparedReject,
    ComparedText,
    ComparisonFacts,
    ComparisonResults,
    read_comparison,
    save_comparison,
)
from personagen.builder.release.folder import read_manifest
from personagen.builder.release.formats.plain_json import as_records
from personagen.builder.release.texts import stream_columns

ARMS = {"none": (), "demographic": ("demographic",), "situational": ("demographic", "sociocultural", "situational")}
KINDS = {"demographic": Demographic, "sociocultural": Sociocultural, "situational": Situational}
COLUMNS = ("id", "text", "label", "persona_id", *KINDS)


def peak_mb() -> float:
    """Return the peak of the resident memory of this process so far, in MB of 10^6 bytes; Linux alone."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024 / 1e6


def written(release: Path, rows: int) -> dict[str, list[ArmText]]:
    """Build the texts of each arm as `compare` holds them."""
    shared, arms = SharedLayers(), {name: list[ArmText]() for name in ARMS}
    for part in stream_columns(release, read_manifest(release), COLUMNS):
        layers = {name: as_records(kind, part[name]) for name, kind in KINDS.items()}
        for number, id_ in enumerate(part["id"]):
            if len(arms["none"]) == rows:
                return arms
            for arm, names in ARMS.items():
                persona = shared.of({name: layers[name][number] for name in names})
                text = f"{part['text'][number]} ({arm})"
                owner = part["persona_id"][number] if names else None
                arms[arm].append(ArmText(id_, text, part["label"][number], owner, persona))
    return arms


def results_of(arms: dict[str, list[ArmText]], rows: int) -> ComparisonResults:
    """Build results with the texts and without figures."""
    fractions = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "calibration_error"), 1.0)
    classifier = {"model": "none", "reference": "none", "version": "1", "trained_on": 1, "tested_on": 1, **fractions}
    reference = {"name": "none", "digest": "0", "held": 1, "pool": 1, "test": 1}
    model = {"backend": "openai", "name": "fake-1", "revision": None}
    facts = ComparisonFacts(None, "0", model, "0", reference, None, rows, 1, ("joy",), classifier)
    texts = (
        ComparedText(arm, 0, text.id, text.text, text.label, "joy", 0.5, text.persona_id, text.persona)
        for arm, held in arms.items()
        for text in held
    )
    costs = (ArmCost(arm, rows, 0, rows, 1, 1, 1.0, None, 0.0, {}) for arm in arms)
    return ComparisonResults(
        facts,
        ResultTable(ArmCost, tuple(costs)),
        ResultTable(ArmFigure, ()),
        ResultTable(JudgedClaim, ()),
        ResultTable(ArmRating, ()),
        ResultTable(ComparedText, tuple(texts)),
        ResultTable(ComparedReject, ()),
    )


def profile(release: Path, rows: int, folder: Path) -> None:
    """Print the peaks of the memory as one line of JSON."""
    start = peak_mb()
    results = results_of(written(release, rows), rows)
    held = peak_mb()
    save_comparison(results, folder, "")
    saved = peak_mb()
    del results
    count = len(read_comparison(folder).texts)
    print(json.dumps({"texts": count, "start": start, "held": held, "saved": saved, "read": peak_mb()}))


def main() -> None:
    """Print a table, one line per number of rows, and the bytes per text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="+", help="rows per arm")
    parser.add_argument("--out", type=Path, required=True, help="folder of releases")
    parser.add_argument("--profile", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.profile:
        with TemporaryDirectory() as folder:
            profile(chosen.profile, chosen.rows[0], Path(folder))
        return
    print("| rows per arm | texts | start MB | held MB | saved MB | read again MB | bytes per text |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for rows in chosen.rows:
        words = [sys.executable, "-m", "benchmarks.scale.arms", str(rows), "--out", str(chosen.out)]
        release = make_release(rows, chosen.out)
        done = subprocess.run([*words, "--profile", str(release)], check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        cells = " | ".join(f"{found[name]:.0f}" for name in ("start", "held", "saved", "read"))
        each = (found["held"] - found["start"]) * 1e6 / found["texts"]
        print(f"| {rows:,} | {found['texts']:,} | {cells} | {each:.0f} |", flush=True)


if __name__ == "__main__":
    main()
