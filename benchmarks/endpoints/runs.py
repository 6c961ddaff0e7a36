"""One run of one system against one behaviour, in a process of its own."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pipeline.measure import QUIET
from benchmarks.pipeline.systems import ROOT, System, last_line
from tests.helpers.servers.behaviours.records import Behaviour
from tests.helpers.servers.odd_runs import OddRun, defects
from tests.helpers.servers.odd_server import OddServer

OURS = ("openai", "batch", "judge")
"""What PersonaGen does: texts by calls, texts by batches, ratings."""

PEERS = ("data_designer", "curator", "distilabel")
"""Other systems, by the names of their drivers."""

PEER_ROWS = 7
"""Prompts of a peer."""

SYSTEM_PROMPT = "You write short plain texts. You reply with the text alone."
"""System prompt of a peer: a job like that of PersonaGen has one."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Result of one run.

    Attributes:
        behaviour: name of the behaviour.
        system: one of OURS or PEERS.
        wanted: rows that were asked for.
        usable: rows in the result that the server wrote as such.
        dirty: rows in the result that it did not: thoughts, halves, refusals, errors.
        calls: calls that the server received.
        wasted: calls that were refused, failed, or paid for without a usable text.
        message: last line of the error; "": none.
        careful: whether it did what a careful client does: all rows, or a stop that says why, within the bounds of the
            behaviour. None: a peer, which is compared by its rows alone.

    """

    behaviour: str
    system: str
    wanted: int
    usable: int
    dirty: int
    calls: int
    wasted: int
    message: str
    careful: bool | None


def is_tried(system: str, behaviour: Behaviour) -> bool:
    """Return whether a system is run against a behaviour.

    A peer has no recipe, so behaviours that need one are left out, but for the language of the texts.
    """
    if system == "judge":
        return behaviour.judge
    if system == "batch":
        return behaviour.texts and behaviour.batch and behaviour.address == "/v1"
    return behaviour.texts and (system == "openai" or not behaviour.recipe or behaviour.group == "languages")


def run_ours(behaviour: Behaviour, kind: str, *, timeout_s: float) -> Cell:
    """Run PersonaGen: kind "openai", "batch" or "judge"."""
    words = [sys.executable, "-m", "tests.helpers.servers.odd_runs", behaviour.name, kind]
    wanted = PEER_ROWS if kind == "judge" else behaviour.rows
    output, message = run_command(words, timeout_s=timeout_s)
    if not output:
        return Cell(behaviour.name, kind, wanted, 0, 0, 0, 0, portable(message), careful=False)
    result = json.loads(output.splitlines()[-1])
    run = OddRun(
        **{name: value for name, value in result.items() if name != "defects"} | {"unusable": tuple(result["unusable"])}
    )
    careful = not defects(behaviour, run, rows=wanted, batch=kind == "batch")
    dirty = min(len(run.unusable), run.rows)
    return Cell(
        behaviour.name, kind, wanted, run.rows - dirty, dirty, run.calls, run.wasted, portable(run.message), careful
    )


def portable(message: str) -> str:
    """Leave out what differs between two machines and runs: ports of the server, and folders."""
    message = re.sub(r"127\.0\.0\.1:\d+", "server", message)
    return re.sub(r"(?<![\w:/])/(?:[\w.+-]+/)+", "", message)


def run_peer(behaviour: Behaviour, system: System, *, timeout_s: float) -> Cell:
    """Run a peer: seven texts for plain prompts, at its own defaults."""
    with OddServer(behaviour) as server, tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        options = ["--system", SYSTEM_PROMPT, "--limit", "0"]
        words = system.command(server.base_url.strip(), PEER_ROWS, PEER_ROWS, out, *options)
        _, message = run_command(words, timeout_s=timeout_s, environment=QUIET)
        path = out / "texts.json"
        texts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        dirty = len(server.tally.unusable(texts))
        calls, wasted = len(server.tally.calls), server.tally.wasted
    return Cell(
        behaviour.name,
        system.name,
        PEER_ROWS,
        len(texts) - dirty,
        dirty,
        calls,
        wasted,
        portable(message),
        careful=None,
    )


def run_command(
    words: Sequence[str], *, timeout_s: float, environment: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """Run a command to its end or its timeout; return its output, and the last line of its error ("": it succeeded)."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        env = os.environ | {"HF_HUB_OFFLINE": "1"} | dict(environment or {})
        process = subprocess.Popen(words, cwd=ROOT, env=env, stdout=out, stderr=err, start_new_session=True)
        message = ""
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            message = f"no end after {timeout_s:g} s"
        finally:
            _end(process)
        out.seek(0)
        err.seek(0)
        if not message and process.returncode:
            message = last_line(err.read())
        return out.read(), message


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
