"""Metrics and their peers on the same input: `python -m benchmarks.metrics`, 15 minutes.

Every case is a process of its own with one thread, ours and the peer's in turn. Peers are installed on first use, into
an environment below `~/.cache/personagen-bench` (1 GB). `--sizes 1000,5000` leaves the largest out, `--only prdc,mauve`
chooses cases, `--million` adds the core of diversity on 100,000 and 1,000,000 texts (5 minutes, 8 GB), `--write FILE`
puts the table between the marks of a file. MiB are the growth of the largest memory during the call.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.metrics.inputs import prepare
from benchmarks.metrics.ours import CASES

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BEGIN, END = "<!-- metrics: begin -->", "<!-- metrics: end -->"

PEERS = {
    "self_bleu": "fast-bleu", "self_bleu_nltk": "NLTK", "rouge_l": "rouge-score", "vendi": "vendi-score, dual",
    "vendi_primal": "vendi-score, primal", "mean_cosine": "scikit-learn", "silhouette": "scikit-learn", "prdc": "prdc",
    "frechet": "SciPy", "mmd2": "scikit-learn", "energy": "scikit-learn", "mauve": "mauve-text",
}  # fmt: skip
"""Cases and the peer of each."""

MOST = {"vendi_primal": 5_000, "energy": 5_000}
"""Largest size of a case: above it the peer needs hours, or this project samples."""

HEAD = "| measure | peer | n | ours, CPU s | peer, CPU s | ratio | ours, MiB | peer, MiB | largest difference |"


def peers_python(folder: Path) -> Path:
    """Install the peers once per requirements file; return their interpreter."""
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    wanted = sys.version + (HERE / "requirements.txt").read_text(encoding="utf-8")
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"installing peers into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def measured(words: Sequence[object]) -> dict[str, Any]:
    """Run one case in a process; return its failure in place of a result."""
    threads = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "LOKY_MAX_CPU_COUNT",
    )
    env = {**os.environ, **dict.fromkeys(threads, "1")}
    done = subprocess.run([*map(str, words)], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1][:100]}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def row(name: str, size: int, ours: dict[str, Any], peer: dict[str, Any] | None) -> str:
    """Format a table row."""
    label = name.replace("_nltk", "").replace("_primal", "")
    if "error" in ours:
        return f"| {label} | | {size:,} | failed: {ours['error']} | | | | | |"
    mine = f"{ours['seconds']:.3g}", f"{ours['mib']:.0f}"
    if peer is None:
        return f"| {label} | | {size:,} | {mine[0]} | | | {mine[1]} | | |"
    if "error" in peer:
        return f"| {label} | {PEERS[name]} | {size:,} | {mine[0]} | failed: {peer['error']} | | {mine[1]} | | |"
    estimate = " est." if peer["share"] < 1 else ""
    ratio = f"{peer['seconds'] / ours['seconds']:,.3g}"
    return (
        f"| {label} | {PEERS[name]} | {size:,} | {mine[0]} | {peer['seconds']:,.3g}{estimate} | {ratio} | {mine[1]} "
        f"| {peer['mib']:.0f} | {difference(name, ours['value'], peer['value'])} |"
    )


def difference(name: str, ours: Any, peer: Any) -> str:
    """Return the largest difference of values, relative above 1, if both measured the same texts."""
    if ours is None or peer is None or name == "rouge_l":
        return ""
    mine, theirs = np.atleast_1d(ours), np.atleast_1d(peer)
    return f"{(np.abs(mine[: len(theirs)] - theirs) / np.maximum(1, np.abs(theirs))).max():.1g}"


def table(options: argparse.Namespace) -> list[str]:
    """Measure all cases at all sizes."""
    python = peers_python(options.peers_dir / "metrics")
    chosen = options.only or list(CASES)
    lines = [HEAD, "| --- | --- |" + " ---: |" * 7]
    for name in chosen:
        for size in options.sizes:
            if size > MOST.get(name, size):
                continue
            place = prepare(options.peers_dir / "metrics-inputs", size)
            ours = measured([sys.executable, "-m", "benchmarks.metrics.ours", name, place])
            peer = measured([python, HERE / "peers.py", name, place]) if name in PEERS else None
            lines.append(row(name, size, ours, peer))
            print(lines[-1], file=sys.stderr)
    if options.million:
        for size in (100_000, 1_000_000):
            place = prepare(options.peers_dir / "metrics-inputs", size)
            lines.append(
                row(
                    "diversity core",
                    size,
                    measured([sys.executable, "-m", "benchmarks.metrics.ours", "diversity core", place]),
                    None,
                )
            )
            print(lines[-1], file=sys.stderr)
    return lines


def main() -> None:
    """Measure and print, or write into a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", type=lambda text: [int(each) for each in text.split(",")], default=[1000, 5000, 20_000]
    )
    parser.add_argument("--only", type=lambda text: text.split(","), help="cases")
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--peers-dir", type=Path, default=Path.home() / ".cache" / "personagen-bench")
    options = parser.parse_args()
    head = f"`python -m benchmarks.metrics`, {datetime.date.today()}, Python {platform.python_version()}, one thread."
    lines = [head, "", *table(options)]
    print("\n".join(lines))
    if options.write:
        before, _, rest = options.write.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        text = "\n".join([before + BEGIN, *lines, END + after])
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
