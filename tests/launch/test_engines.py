"""Each engine fills a run whose release has the bytes of that of one process, although one of its workers is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from personagen.builder.launch.job_bundle import VARIABLE, pack
from personagen.builder.planning.recipe.parsing import read_recipe
from tests.helpers.flow import LAYERED, bytes_of
from tests.helpers.processes.slurm import install, near_the_limit
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads /proc")]

ROWS: dict[str, Any] = LAYERED | {"rows": 42, "shard_rows": 8, "situations_per_persona": 2, "ablations": ["none"]}
COMMAND = (sys.executable, "-m", "personagen")


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    """A server so slow that a worker can be killed while it waits."""
    with FakeOpenAI(faults=[Fault("delay", seconds=0.2)]) as running:
        yield running


@pytest.fixture(scope="module")
def recipe(server: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data: dict[str, Any] = {"backend": {"kind": "openai", "model": "fake-1", "base_url": server.url, "concurrency": 6}}
    for key, value in ROWS.items():
        section, _, name = key.rpartition(".")
        (data.setdefault(section, {}) if section else data)[name] = value
    path = tmp_path_factory.mktemp("recipe") / "my recipe.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


class Once(NamedTuple):
    """The files of the release that one process makes, and the number of its requests."""

    files: dict[str, bytes]
    calls: int


@pytest.fixture(scope="module")
def once(recipe: Path, server: FakeOpenAI) -> Once:
    before = len(server.requests)
    run("generate", recipe, "--out", recipe.parent / "once")
    return Once(bytes_of(recipe.parent / "once"), len(server.requests) - before)


def run(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done


def start(*words: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([*COMMAND, *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def process_of(is_meant: Callable[[Sequence[str]], bool]) -> int:
    """Wait for a process whose words are meant, and return its id."""
    while True:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_text().split("\0")
            except OSError:  # it has ended
                continue
            if is_meant(words):
                return int(path.parent.name)
        time.sleep(0.02)


def wait_for_requests(server: FakeOpenAI, number: int) -> None:
    wanted = len(server.requests) + number
    while len(server.requests) < wanted:
        time.sleep(0.02)


def require_same(recipe: Path, journals: Path, once: Once, server: FakeOpenAI) -> None:
    """Join the journals, and compare the release; only near-duplicates of other parts may need a call."""
    before = len(server.requests)
    run("generate", recipe, "--journals", journals, "--out", journals.parent / "out")
    assert len(server.requests) - before <= 6
    assert bytes_of(journals.parent / "out") == once.files


def test_processes_of_this_machine(recipe: Path, once: Once, server: FakeOpenAI, tmp_path: Path) -> None:
    journals = tmp_path / "journals"
    options = ("-n3", "--journals", journals, "--work", tmp_path / "work")
    with start("launch", "local", recipe, *options) as launcher:
        worker = process_of(lambda words: f"--work={tmp_path}/work/part-1-of-3" in words)
        wait_for_requests(server, 9)
        os.kill(worker, signal.SIGKILL)
        out, err = launcher.communicate()
    assert (launcher.returncode, out) == (0, f"{journals}\n"), err
    assert "part 1/3: killed by signal 9; started again" in err
    require_same(recipe, journals, once, server)


def test_interrupted_processes_are_continued_by_the_same_command(
    recipe: Path, once: Once, server: FakeOpenAI, tmp_path: Path
) -> None:
    words = ("launch", "local", recipe, "-n2", "--journals", tmp_path / "journals", "--work", tmp_path / "work")
    before = len(server.requests)
    with start(*words) as launcher:
        wait_for_requests(server, 9)
        launcher.send_signal(signal.SIGINT)
        err = launcher.communicate()[1]
    assert launcher.returncode == 130 and err.splitlines()[-1] == "personagen: interrupted"
    assert "run the same command to continue" in err
    run(*words)
    assert len(server.requests) - before <= once.calls, "the replies in flight were shipped"
    require_same(recipe, tmp_path / "journals", once, server)


def test_an_array_of_slurm(recipe: Path, once: Once, server: FakeOpenAI, tmp_path: Path) -> None:
    """One task is near its time limit and requeued, one is killed with its worker, and the join writes the release."""
    slurm = install(tmp_path / "bin")
    script = tmp_path / "personagen.sbatch"
    options = ("--journals", tmp_path / "journals", "--out", script, "--work", tmp_path / "work")
    done = subprocess.run(
        [*COMMAND, "launch", "slurm", recipe, "-n3", *options, "--submit", "--join", tmp_path / "out"],
        env=slurm.env(),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == "1000\n" and [call[-1] for call in slurm.submitted] == [str(script), "join"]
    with slurm.start(script, 0) as batch:
        wait_for_requests(server, 9)
        near_the_limit(batch)
        assert batch.wait() == 143, batch.stderr and batch.stderr.read()
    assert slurm.requeued == ["requeue 1000_0"]
    with slurm.start(script, 1) as batch:
        wait_for_requests(server, 9)
        os.killpg(batch.pid, signal.SIGKILL)
    for task, arguments in ((2, ()), (0, ()), (1, ()), (0, ("join",))):
        with slurm.start(script, task, *arguments) as batch:
            _, err = batch.communicate()
        assert batch.returncode == 0, err
    assert bytes_of(tmp_path / "out") == once.files


def test_tasks_of_ray(recipe: Path, once: Once, server: FakeOpenAI, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    journals = tmp_path / "journals"
    options = ("-n3", "--journals", journals, "--work", tmp_path / "work", "--cpus-per-part=0.5")
    with start("launch", "ray", recipe, *options) as launcher:
        worker = process_of(lambda words: words[0] == "ray::part 1/3")
        part = process_of(lambda words: f"--work={tmp_path}/work/part-1-of-3" in words)
        wait_for_requests(server, 9)
        os.kill(worker, signal.SIGKILL)
        out, err = launcher.communicate()
    assert (launcher.returncode, out) == (0, f"{journals}\n"), err
    assert not Path(f"/proc/{part}").exists()
    require_same(recipe, journals, once, server)


def test_jobs_of_hugging_face(recipe: Path, once: Once, server: FakeOpenAI, tmp_path: Path) -> None:
    """What each job runs, without `uv`; the journals are a folder in place of a bucket."""
    journals = tmp_path / "journals"
    bundle = pack(read_recipe(recipe), (f"--journals={journals}",))
    for part in range(2):
        folder = tmp_path / f"job-{part}"
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-m", "personagen.builder.launch.job_bundle", f"--part={part}/2"],
            cwd=folder,
            env=os.environ | {VARIABLE: bundle, "TMPDIR": str(folder)},
            check=True,
        )
    require_same(recipe, journals, once, server)
