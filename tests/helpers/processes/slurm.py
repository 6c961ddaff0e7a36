"""Stand-ins for Slurm: `sbatch` and `scontrol` on PATH that record their arguments, and a run of one array task."""

import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

SBATCH = """#!/usr/bin/env python3
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
calls = folder / "sbatch.jsonl"
number = 1000 + len(calls.read_text().splitlines()) if calls.exists() else 1000
with calls.open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if (folder / "refuse").exists():
    sys.exit("sbatch: error: Batch job submission failed: Invalid account")
print(f"{number};cluster")
"""

SCONTROL = """#!/usr/bin/env python3
import pathlib, sys
folder = pathlib.Path(__file__).parent
if (folder / "refuse").exists():
    sys.exit("slurm_requeue error: Requested operation is presently disabled")
with (folder / "scontrol.txt").open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
"""


@dataclass(frozen=True)
class FakeSlurm:
    """The folder of the stand-ins."""

    folder: Path

    @property
    def submitted(self) -> list[list[str]]:
        """Arguments of each call of sbatch."""
        path = self.folder / "sbatch.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def requeued(self) -> list[str]:
        """Arguments of each call of scontrol."""
        path = self.folder / "scontrol.txt"
        return path.read_text().splitlines() if path.exists() else []

    def refuse(self) -> None:
        """Make both commands fail."""
        (self.folder / "refuse").touch()

    def env(self) -> dict[str, str]:
        """Return the environment in which these commands are found first."""
        return os.environ | {"PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}"}

    def start(self, script: Path, task: int = 0, *arguments: str, job: int = 1000) -> "subprocess.Popen[str]":
        """Start one task of an array job, as a batch shell in a session of its own."""
        numbers = {
            "SLURM_ARRAY_JOB_ID": str(job),
            "SLURM_ARRAY_TASK_ID": str(task),
            "SLURM_JOB_ID": str(job + 1 + task),
        }
        return subprocess.Popen(
            ["bash", str(script), *arguments],
            cwd=script.parent,
            env=self.env() | numbers | {"SLURM_JOB_NAME": "personagen"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )


def install(folder: Path) -> FakeSlurm:
    """Write the two commands to a folder."""
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("scontrol", SCONTROL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return FakeSlurm(folder)


def directives(script: str) -> list[str]:
    """Return the options of the lines that sbatch reads: those before the first command."""
    lines = re.split(r"^(?!#|\s*$)", script, maxsplit=1, flags=re.MULTILINE)[0].splitlines()
    return [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")]


def near_the_limit(task: "subprocess.Popen[str]") -> None:
    """Send what `--signal=B:USR1@...` sends: to the batch shell alone."""
    task.send_signal(signal.SIGUSR1)
