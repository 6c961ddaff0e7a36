"""Memory and time of the commands that measure a release of N rows: `python -m benchmarks.scale N --out FOLDER`.

The release is written first, unless it is there. The commands run one after the other, each in a process of its own:
`evaluate`, `audit`, `report`. Vectors are cached in the folder: the first run encodes at most some 50,000 texts, which
takes minutes on a few cores.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.releases import environment, make_release

COMMANDS = ("evaluate", "audit", "report")


@dataclass(frozen=True, slots=True)
class Measured:
    """One command.

    Attributes:
        command: its name.
        wall: seconds from its start to its end.
        cpu: seconds of processor time.
        peak_mb: peak of its resident memory, in MB of 10^6 bytes.
        code: its exit code.

    """

    command: str
    wall: float
    cpu: float
    peak_mb: float
    code: int


def measure(command: str, release: Path, cache: Path) -> Measured:
    """Run a command on a release, and ask the system for its peak memory."""
    started = time.perf_counter()
    words = [sys.executable, "-m", "personagen.builder", command, str(release)]
    environ = {**environment(), "PERSONAGEN_CACHE": str(cache)}
    with (release.parent / f"{command}.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, env=environ)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    return Measured(command, wall, cpu, usage.ru_maxrss * 1024 / 1e6, process.returncode)


def samples_of(release: Path) -> dict[str, str]:
    """Return what each command has taken of the texts, in the words of the release."""
    manifest = json.loads((release / "manifest.json").read_text(encoding="utf-8"))
    page = release.with_name(f"{release.name}.report.html")
    size = page.stat().st_size / 1e6 if page.exists() else 0.0
    return {
        "evaluate": manifest.get("scored_texts", "all texts"),
        "audit": manifest.get("audited_texts", "all texts"),
        "report": f"page of {size:.1f} MB",
    }


def main() -> None:
    """Print a table of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int)
    parser.add_argument("--out", type=Path, required=True, help="folder of releases and cached vectors")
    parser.add_argument("--release", type=Path, help="a release to measure a copy of, instead of a new one")
    parser.add_argument("--only", choices=COMMANDS, action="append", help="command to run; default: all")
    chosen = parser.parse_args()
    release = chosen.release or make_release(chosen.rows, chosen.out)
    copy = chosen.out / "measured" / release.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(release, copy)
    measured = [measure(command, copy, chosen.out / "cache") for command in chosen.only or COMMANDS]
    samples = samples_of(copy)
    print("| command | rows | wall s | CPU s | peak MB | measured |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for part in measured:
        note = samples[part.command] if part.code == 0 else f"failed, see {part.command}.log"
        cells = f"{chosen.rows:,} | {part.wall:.0f} | {part.cpu:.0f} | {part.peak_mb:.0f} | {note}"
        print(f"| {part.command} | {cells} |")
    sys.exit(any(part.code for part in measured))


if __name__ == "__main__":
    main()
