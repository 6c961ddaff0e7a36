"""Write and submit an array job of Slurm, one task per part.

The script is complete in itself: `sbatch FILE` fills the parts, and `sbatch --array=0 FILE join` writes the release.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from personagen.builder.core.errors import LaunchError
from personagen.builder.core.files import write_text
from personagen.builder.core.foreign_text import environment_secrets, holds_secret, quote
from personagen.builder.launch.commands import PartCommands, process_words
from personagen.builder.launch.slurm_script import BODY, TITLE

RESERVED = ("--array", "--signal", "--open-mode", "--requeue", "--no-requeue", "--wrap")
"""Options of sbatch that the script depends on."""

SBATCH_S = 120.0
"""Seconds after which a silent sbatch counts as failed."""


@dataclass(frozen=True, slots=True)
class SlurmSettings:
    """What the tasks of an array need, and how they end.

    Attributes:
        name: name of the job.
        at_most: number of tasks that run at once. None: as many as the cluster has room for.
        time: time limit of a task, in a form of sbatch. None: that of the partition.
        mem: memory of a task, such as 16G. None: that of the partition.
        partition: partition. None: that of the cluster.
        cpus_per_part: processors of a task.
        gpus_per_part: GPUs of a task; 0: none are requested.
        sbatch: further long options of sbatch, such as `--account=x`.
        grace_s: seconds before the time limit at which a worker is stopped and its task requeued.
        setup: lines of shell that run before anything else, such as `module load cuda`.
        server: command of an engine server, with `{port}`, that each task starts for itself. None: none is started.
        server_wait_s: seconds that a server has until it answers.
        join: folder of the release that `join` writes.
        python: Python of the tasks, in whose environment PersonaGen is installed.

    """

    name: str = "personagen"
    at_most: int | None = None
    time: str | None = None
    mem: str | None = None
    partition: str | None = None
    cpus_per_part: int = 1
    gpus_per_part: int = 0
    sbatch: tuple[str, ...] = ()
    grace_s: int = 120
    setup: tuple[str, ...] = ()
    server: str | None = None
    server_wait_s: int = 1800
    join: str = "personagen"
    python: str = sys.executable


def render_script(commands: PartCommands, settings: SlurmSettings) -> str:
    """Return the text of the array script.

    Raises:
        LaunchError: a line of `#SBATCH` cannot hold an option, the script would hold a secret, which other users of the
            cluster could read, or a path is not valid in UTF-8.

    """
    _validate(settings)
    fill = process_words(commands.fill_without_part(), settings.python)  # Slurm knows which part a task fills
    values = {
        "tasks": str(commands.parts),
        "server_command": shlex.quote(settings.server or ""),
        "server_wait_s": str(settings.server_wait_s),
        "fill": f"({shlex.join(fill)})",
        "work": shlex.quote(commands.work or ""),
        "join": f"({shlex.join(process_words(commands.join(settings.join), settings.python))})",
    }
    lines = [TITLE, *_header(commands, settings), "", *settings.setup]
    text = "\n".join([*lines, *(f"{name}={value}" for name, value in values.items()), BODY])
    if holds_secret(text, environment_secrets()):
        raise LaunchError(
            "the script would hold the value of a secret environment variable, which others could read; name the "
            "variable in single quotes ('$OPENAI_API_KEY'), so that each task reads it from its own environment"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LaunchError(
            f"{quote(text[max(0, error.start - 20) : error.end + 20])} is not valid UTF-8; rename the file"
        ) from None
    return text


def write_script(path: Path, text: str) -> None:
    """Write the script; an earlier one is replaced. Raises LaunchError if another file has its name."""
    try:
        is_other = path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(TITLE)
    except OSError as error:
        raise LaunchError(f"cannot read {path}: {(error.strerror or 'no file').lower()}; give another name") from None
    if is_other:
        raise LaunchError(f"{path} is no script of this command, and is not replaced; give another name")
    write_text(path, text)


def submit(path: Path, options: Sequence[str] = (), arguments: Sequence[str] = ()) -> str:
    """Submit the script and return the id of the job. Raises LaunchError if sbatch is missing or refuses."""
    words = ["sbatch", "--parsable", *options, str(path.absolute()), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - words of this command; no shell
            words, capture_output=True, encoding="utf-8", errors="replace", timeout=SBATCH_S, check=False
        )
    except FileNotFoundError:
        raise LaunchError(
            f"sbatch is not installed here; run it on a machine of the cluster: sbatch {shlex.quote(str(path))}"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LaunchError(f"sbatch cannot be run ({type(error).__name__}); run it by hand on {path}") from None
    number = done.stdout.strip().partition(";")[0]  # with the name of the cluster behind it where there are several
    if done.returncode or not re.fullmatch(r"\d+", number):
        reason = " ".join((done.stderr or done.stdout).split())
        raise LaunchError(f"sbatch refuses {path} (exit code {done.returncode}): {quote(reason, limit=300)}")
    return number


def submit_join(path: Path, job: str) -> str:
    """Submit the job that writes the release once every task of the array `job` has succeeded; return its id."""
    return submit(path, (f"--dependency=afterok:{job}", "--kill-on-invalid-dep=yes", "--array=0"), ("join",))


def _header(commands: PartCommands, settings: SlurmSettings) -> list[str]:
    array = f"0-{commands.parts - 1}" + ("" if settings.at_most is None else f"%{settings.at_most}")
    options = {
        "job-name": settings.name,
        "array": array,
        "nodes": "1",
        "ntasks": "1",
        "cpus-per-task": str(settings.cpus_per_part),
        "gres": f"gpu:{settings.gpus_per_part}" if settings.gpus_per_part else None,
        "mem": settings.mem,
        "time": settings.time,
        "partition": settings.partition,
        "output": f"{settings.name}-%A_%a.log",
        "open-mode": "append",
        "signal": f"B:USR1@{settings.grace_s}",
    }
    lines = [f"#SBATCH --{name}={value}" for name, value in options.items() if value is not None]
    return [*lines, "#SBATCH --requeue", *(f"#SBATCH {option}" for option in settings.sbatch)]


def _validate(settings: SlurmSettings) -> None:
    """Raise LaunchError for a value that would end a line of `#SBATCH`, or that sbatch would take apart."""
    for name in ("name", "time", "mem", "partition"):
        value = getattr(settings, name)
        if value is not None and not re.fullmatch(r"[\w.:,+-]{1,100}", value, re.ASCII):
            raise LaunchError(f"--{name}: got {quote(value)}, wanted letters, digits and . : , + - _ alone")
    for option in settings.sbatch:
        if not re.fullmatch(r"--[a-z][a-z-]*(=\S+)?", option) or not option.isprintable():
            raise LaunchError(
                f"--sbatch: got {quote(option)}, wanted one long option of sbatch, such as --account=NAME"
            )
        if any(reserved.startswith(option.partition("=")[0]) for reserved in RESERVED):  # sbatch takes abbreviations
            raise LaunchError(f"--sbatch: {quote(option)} is set by the script, which depends on it; leave it out")
    if settings.server is not None and "{port}" not in settings.server:
        raise LaunchError(
            f"--server: got {quote(settings.server)}, wanted a command with {{port}}, such as "
            "'vllm serve MODEL --port {port}': two tasks on one node need different ports"
        )
