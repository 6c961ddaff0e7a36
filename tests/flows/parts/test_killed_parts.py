"""Workers that are killed, lost and run twice, at random moments: the release is that of one process."""

import os
import random
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.generate import generate
from personagen.builder.planning.parts import Part
from personagen.builder.planning.recipe.parsing import read_recipe
from personagen.builder.segments.store import open_store
from tests.helpers.flow import LAYERED, bytes_of, make, recipe_for, refusals, rejects_of, wait_until, without_port
from tests.helpers.flow import write_recipe as write
from tests.helpers.parts.workers import fill_command, repeats
from tests.helpers.processes.forked import ForkedProcess
from tests.helpers.servers.fake_openai import FakeOpenAI

ROWS: dict[str, Any] = LAYERED | {"rows": 160, "shard_rows": 40, "situations_per_persona": 2}
RUNS = int(os.environ.get("PERSONAGEN_KILLED_RUNS", "3"))
"""Runs with moments of their own; a third each of 1, 4 and 16 parts."""

IN_FLIGHT = 4
"""Concurrency of one worker."""


@dataclass(slots=True)
class Cluster:
    """Workers of one recipe on a server.

    Attributes:
        kills: workers that were killed.
        losses: workers whose disk was lost with them.
        lost: replies that were on these disks and in no segment.

    """

    server: FakeOpenAI
    recipe: Path
    folder: Path
    parts: int
    rng: random.Random
    kills: int = 0
    losses: int = 0
    lost: int = 0

    def run(self) -> None:
        """Fill all parts in a random order, up to four at a time, each killed once; then two of them once more."""
        order = self.rng.sample(range(self.parts), self.parts)
        again = [(number, "again") for number in self.rng.choices(order, k=2)]
        for at in range(0, len(order), 4):
            self._fill_killed(order[at : at + 4])
        for number, disk in again:
            self._end([self._start(number, disk)])

    def _fill_killed(self, numbers: list[int]) -> None:
        """Start the workers of some parts, kill each at a random moment, and have each part filled to its end."""
        workers = {number: self._start(number, "first") for number in numbers}
        sent = len(self.server.requests)
        share = int(2.2 * ROWS["rows"] / self.parts) * len(numbers)
        moments = sorted(self.rng.randrange(share) for _ in numbers)
        for number, moment in zip(self.rng.sample(numbers, len(numbers)), moments, strict=True):
            alive = [worker for worker in workers.values() if worker.returncode is None]
            wait_until(lambda: len(self.server.requests) >= sent + moment or all(w.poll() is not None for w in alive))  # noqa: B023
            with workers[number] as worker:
                if worker.poll() is None:
                    worker.kill()
                    self.kills += 1
        resumed = []
        for number in numbers:
            is_lost = self.rng.random() < 0.25
            if is_lost:
                self._lose(number)
            resumed.append(self._start(number, "second" if is_lost else "first"))
        self._end(resumed)

    def _lose(self, number: int) -> None:
        """Lose the disk of a worker: only the segments that it has shipped remain."""
        disk, store = self.folder / f"first-{number}", open_store(str(self.folder / "journals"))
        if (disk / "journal.sqlite").exists():
            with closing(sqlite3.connect(disk / "journal.sqlite")) as database:
                tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'replies'").fetchone()[0]
                kept = database.execute("SELECT count(*) FROM replies").fetchone()[0] if tables else 0
            names = [file for file in store.sizes() if file.startswith(f"part-{number:05d}-")]
            self.lost += kept - sum(store.header(file).work.replies for file in names)
        shutil.rmtree(disk, ignore_errors=True)
        self.losses += 1

    def _start(self, number: int, disk: str) -> ForkedProcess:
        work, journals = self.folder / f"{disk}-{number}", self.folder / "journals"
        part = Part(number, self.parts)
        words = fill_command(self.server.url, self.recipe, part, journals, work, "--ship-every", "1")
        return ForkedProcess(words)

    def _end(self, workers: list[ForkedProcess]) -> None:
        for worker in workers:
            with worker:
                _, errors = worker.communicate()
                assert worker.returncode == 0, errors
                assert "Traceback" not in errors


def undisturbed(folder: Path, changes: Mapping[str, Any]) -> tuple[dict[str, bytes], list[dict[str, Any]], int]:
    """Return the files and rejects of the release of one process, and the requests that it took."""
    with FakeOpenAI(faults=refusals()) as server:
        make(recipe_for(server.url, changes), folder / "calm")
        return bytes_of(folder / "calm"), without_port(rejects_of(folder / "calm")), len(server.requests)


def check_killed(folder: Path, parts: int, seed: int) -> None:
    folder.mkdir()
    files, rejects, once = undisturbed(folder, ROWS)
    path = write(folder, ROWS | {"backend.concurrency": IN_FLIGHT * parts})
    with FakeOpenAI(faults=refusals(), latency=0.01) as server:
        cluster = Cluster(server, path, folder, parts, random.Random(seed))
        cluster.run()
        filled = list(server.requests)
        generate(read_recipe(path, {"backend.base_url": server.url}), folder / "out", journals=str(folder / "journals"))
        joined = len(server.requests) - len(filled)
    costs = (
        f"{repeats(filled)} repeated for {cluster.kills} kills, {cluster.losses} lost disks ({cluster.lost} replies)"
    )
    print(f"seed {seed}, {parts} parts: {once} requests of one process, {costs}, {joined} at the join")  # noqa: T201
    assert bytes_of(folder / "out") == files, f"seed {seed}"
    assert without_port(rejects_of(folder / "out")) == rejects, f"seed {seed}"
    # A kill costs what is in flight (4), what has just arrived (4), and the two requests that failed.
    assert repeats(filled) <= 10 * cluster.kills + cluster.lost + 2 * IN_FLIGHT
    # A text of a part that repeats one of another part is requested again; the faults of the server make one of 160.
    assert joined <= 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(RUNS))
def test_killed_and_lost_workers_fill_the_release_of_one_process(tmp_path: Path, seed: int) -> None:
    """Each worker is killed once; of every fourth the disk is lost, and two parts are run again on other machines."""
    check_killed(tmp_path / "run", (1, 4, 16)[seed % 3], seed)
