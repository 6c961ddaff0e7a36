"""Parts as processes of this machine: their lines, their signals, and what happens when one is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from personagen.builder.launch.local import run_local

WORKER = """import os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
part = sys.argv[2]
starts = folder / f"starts-{part}"
with starts.open("a") as file:
    file.write("x")
def stop(number, frame):
    (folder / f"shipped-{part}").write_text(str(number))
    print("shipped", file=sys.stderr, flush=True)
    os._exit(128 + number)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGUSR1, lambda *_: print("sealed", file=sys.stderr, flush=True))
"""
"""Beginning of a worker: it counts its starts, and ships at SIGTERM."""

ENDLESS = "print('ready', file=sys.stderr, flush=True)\nwhile True: time.sleep(0.05)\n"

LAUNCHER = """import sys
from personagen.builder.cli.signals import CommandSignals, handled
from personagen.builder.launch.local import run_local
signals = CommandSignals(same_event_s=0)
with handled(signals):
    try:
        run_local({commands!r}, retries=2, report=lambda line: print(line, flush=True))
    except SystemExit:
        sys.exit(signals.exit_code)
"""


def worker(folder: Path, part: int, code: str) -> list[str]:
    return [sys.executable, "-c", WORKER + code, str(folder), str(part)]


def starts(folder: Path, part: int = 0) -> int:
    return len((folder / f"starts-{part}").read_text())


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Launch two endless workers from a process of its own, which is killed at the end of the test."""
    code = LAUNCHER.format(commands=[worker(tmp_path, part, ENDLESS) for part in range(2)])
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert lines_of(process, 2) == ["part 0/2: ready", "part 1/2: ready"]
        yield process
        process.kill()


def lines_of(process: "subprocess.Popen[str]", number: int) -> list[str]:
    """Read lines; those of different workers come in any order."""
    assert process.stdout is not None
    return sorted(process.stdout.readline().rstrip("\n") for _ in range(number))


def test_the_lines_and_codes_of_all_parts_are_reported(tmp_path: Path) -> None:
    lines: list[str] = []
    long = "sys.stderr.write('a' * 200_000 + '\\rb\\n\\nlast'); sys.exit(3)"
    codes = run_local(
        [worker(tmp_path, 0, "print('out'); print('one', file=sys.stderr)"), worker(tmp_path, 1, long)],
        retries=2,
        report=lines.append,
    )
    assert codes == [0, 3] and [starts(tmp_path, part) for part in range(2)] == [1, 1]
    assert [line for line in lines if line.startswith("part 0")] == ["part 0/2: one"]
    second = [line.removeprefix("part 1/2: ") for line in lines if line.startswith("part 1")]
    assert second[-2:] == ["b", "last"] or second[-1] == "last"
    assert set("".join(second[:-2])) <= {"a"} and max(map(len, second)) == 2_000


def test_a_killed_worker_is_started_again(tmp_path: Path) -> None:
    lines: list[str] = []
    once = "os.kill(os.getpid(), 9) if len(starts.read_text()) < 3 else None"
    assert run_local([worker(tmp_path, 0, once)], retries=2, report=lines.append) == [0]
    assert lines == ["part 0/1: killed by signal 9; started again"] * 2 and starts(tmp_path) == 3


def test_a_worker_that_is_killed_each_time_is_given_up(tmp_path: Path) -> None:
    lines: list[str] = []
    always = "os.kill(os.getpid(), 9)"
    assert run_local([worker(tmp_path, 0, always)], retries=1, report=lines.append) == [-9]
    assert lines[-1] == "part 0/1: killed by signal 9; not started again" and starts(tmp_path) == 2


def test_an_ended_worker_is_not_awaited_for_its_own_children(tmp_path: Path) -> None:
    """A process that it started may keep its stderr open."""
    code = "import subprocess; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    assert run_local([worker(tmp_path, 0, code)], retries=0, report=print) == [0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_workers_ship(
    number: signal.Signals, launcher: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    launcher.send_signal(number)
    assert launcher.wait() == 128 + number
    assert lines_of(launcher, 4) == [
        "part 0/2: shipped",
        "part 1/2: shipped",
        "stopped: 0 of 2 parts are complete; run the same command to continue",
        "stopping: 2 workers ship their replies; interrupt again to end them",
    ]
    assert [starts(tmp_path, part) for part in range(2)] == [1, 1]


def test_a_request_to_ship_reaches_all_workers(launcher: "subprocess.Popen[str]") -> None:
    launcher.send_signal(signal.SIGUSR1)
    assert lines_of(launcher, 2) == ["part 0/2: sealed", "part 1/2: sealed"]
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait() == 143


def test_a_request_to_ship_ends_no_worker_that_has_just_begun(tmp_path: Path) -> None:
    """It has no handler yet."""
    code = "print(signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN, file=sys.stderr)"
    lines: list[str] = []
    words = [sys.executable, "-c", "import signal, sys\n" + code]
    assert run_local([words], retries=0, report=lines.append) == [0]
    assert lines == ["part 0/1: True"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has the call")
def test_workers_ship_when_their_launcher_is_killed(launcher: "subprocess.Popen[str]", tmp_path: Path) -> None:
    launcher.kill()
    assert launcher.wait() == -signal.SIGKILL
    while not all((tmp_path / f"shipped-{part}").exists() for part in range(2)):
        time.sleep(0.01)


def test_a_second_signal_is_forwarded(tmp_path: Path) -> None:
    deaf = "signal.signal(signal.SIGTERM, lambda *_: print('heard', file=sys.stderr, flush=True))\n" + ENDLESS
    code = LAUNCHER.format(commands=[worker(tmp_path, 0, deaf)])
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert lines_of(process, 1) == ["part 0/1: ready"]
        process.send_signal(signal.SIGINT)
        assert lines_of(process, 2)[0] == "part 0/1: heard"
        process.send_signal(signal.SIGTERM)
        assert lines_of(process, 1) == ["part 0/1: heard"]
        os.kill(process.pid, signal.SIGKILL)
