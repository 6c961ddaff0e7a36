"""Parts as tasks of Ray, in a cluster on this machine: exit codes, killed workers, signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from personagen.builder.core.errors import LaunchError
from personagen.builder.launch.ray_tasks import RaySettings, fill_part, run_ray
from tests.helpers.command import command_line, python
from tests.helpers.flow import journalled_texts
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

LAUNCHER = """import sys
from personagen.builder.cli.signals import CommandSignals, handled
from personagen.builder.launch.ray_tasks import RaySettings, run_ray
signals = CommandSignals(same_event_s=0)
with handled(signals):
    try:
        settings = RaySettings(cpus_per_part=0.25, retries={retries})
        report = lambda line: print(line, file=sys.__stdout__, flush=True)
        print("codes", run_ray({arguments!r}, settings, report))
    except SystemExit:
        sys.exit(signals.exit_code)
"""


@pytest.fixture(autouse=True)
def _ray() -> None:
    pytest.importorskip("ray")


@contextmanager
def launched(arguments: Sequence[tuple[str, ...]], retries: int = 2) -> Iterator["subprocess.Popen[str]"]:
    """Run the parts by a process of its own, which is killed at the end."""
    code = LAUNCHER.format(arguments=[*arguments], retries=retries)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def generate(url: str, folder: Path, part: int) -> tuple[str, ...]:
    """Return the arguments of a run with a release of its own, which calls a server and can be continued."""
    return ("generate", "--backend=openai", "--model=m", f"--base-url={url}", "--rows=14", f"--out={folder}/{part}")


def workers(name: str) -> list[int]:
    """Return the ids of Ray's processes that run a task of this name."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text().split("\0")
        except OSError:  # it has ended
            continue
        if words[0] == f"ray::{name}":
            found.append(int(path.parent.name))
    return found


def test_a_part_has_the_exit_code_of_its_process() -> None:
    assert fill_part(("--version",), {}) == 0
    assert fill_part(("nonsense",), {}) == 2


def test_a_part_sends_its_requests_to_the_server_of_the_launcher(tmp_path: Path) -> None:
    """A worker on another machine has another environment: a key must not go to another server."""
    with FakeOpenAI() as server:
        words = ("generate", "--backend=openai", "--model=m", "--rows=7", f"--out={tmp_path}/out")
        assert fill_part(words, {"OPENAI_BASE_URL": server.url}) == 0
        assert len(server.requests) >= 7


def test_a_missing_extra_is_one_line(tmp_path: Path) -> None:
    done = python(command_line("launch", "ray", "-n2", without=("ray",)), tmp_path)
    assert done.code == 1 and done.err.endswith(
        "install it with pip install 'personagen[ray]' on every machine of the cluster\n"
    )
    assert done.err.startswith("personagen: launch ray: ") and done.err.count("\n") == 1


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9"])
def test_a_cluster_out_of_reach_is_one_line(address: str) -> None:
    with pytest.raises(
        LaunchError, match=r"no cluster at .*127\.0\.0\.1:9: .*refused; check the address and the network"
    ):
        run_ray([("--version",)], RaySettings(address=address), print)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_killed_worker_is_retried_by_ray(tmp_path: Path) -> None:
    with FakeOpenAI(faults=[Fault("delay", seconds=0.5)]) as server:
        arguments = [generate(server.url, tmp_path, part) for part in range(2)]
        with launched([*arguments, ("nonsense",)]) as process:
            while len(server.requests) < 4:
                assert process.poll() is None
                time.sleep(0.02)
            (worker,) = workers("part 0/3")
            os.kill(worker, signal.SIGKILL)
            out, _ = process.communicate()
    assert (process.returncode, out) == (0, "codes [0, 0, 2]\n")
    assert sorted(path.name for path in tmp_path.glob("?")) == ["0", "1"]


@pytest.mark.slow
def test_a_signal_lets_the_parts_ship(tmp_path: Path) -> None:
    with (
        FakeOpenAI(faults=[Fault("delay", seconds=1)]) as server,
        launched([generate(server.url, tmp_path, part) for part in range(2)]) as process,
    ):
        while len(server.requests) < 4:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == 130
    assert out.splitlines() == [
        "stopping: 2 parts ship their replies; interrupt again to end them",
        "stopped: 0 of 2 parts are complete; run the same command to continue",
    ]
    (scratch := tmp_path / "scratch").mkdir()
    texts = [journalled_texts(tmp_path / str(part), scratch) for part in range(2)]
    assert sum(map(len, texts)) >= 4, "the requests that had arrived were answered, and their replies kept"
