"""The command `fill`, as a scheduler runs it: signals, exit codes and lines."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.planning.parts import Part
from tests.helpers.command import NOWHERE, OPENAI, Run, run_here
from tests.helpers.flow import PLAIN, command, run_command, wait_until, write_recipe
from tests.helpers.parts.workers import fill_command, headers_of, repeats
from tests.helpers.processes.forked import ForkedProcess
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

run = pytest.fixture(run_here)

ANSWERED, IN_FLIGHT = 5, 4
CHANGES: dict[str, Any] = PLAIN | {"rows": 24, "backend.concurrency": IN_FLIGHT}
HELD = [Fault("hang", nth=number) for number in range(ANSWERED + 1, ANSWERED + IN_FLIGHT + 1)]


def replies(folder: Path) -> int:
    return sum(header.work.replies for header in headers_of(folder / "journals"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ships_what_has_arrived_and_the_command_continues_on_another_machine(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = write_recipe(tmp_path, CHANGES)
    with FakeOpenAI(faults=HELD) as server:
        words = fill_command(server.url, path, Part(0, 1), tmp_path / "journals", tmp_path / "work")
        with ForkedProcess(words) as running:
            wait_until(lambda: len(server.requests) == ANSWERED + IN_FLIGHT)
            running.send_signal(number)
            assert "waiting for 4 replies that are paid for" in running.stderr.readline()
            server.released.set()
            out, errors = running.communicate()
        cause = "interrupted" if number == signal.SIGINT else "interrupted by SIGTERM"
        assert (out, errors) == ("", f"personagen: {cause}; paid replies are kept: run the same command to continue\n")
        assert running.returncode == 128 + number
        assert headers_of(tmp_path / "journals")[-1].work.state == "stopped"
        assert replies(tmp_path) == ANSWERED + IN_FLIGHT == len(server.requests)
        done = run_command(fill_command(server.url, path, Part(0, 1), tmp_path / "journals", tmp_path / "other"))
        assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'journals'}\n"), done.stderr
        assert done.stderr.endswith("part 0/1: 24 texts, 24 replies\n")
        assert len(server.requests) == 24 and not repeats(server.requests)


def test_a_second_signal_ships_what_has_arrived_at_once(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, CHANGES)
    with FakeOpenAI(faults=HELD) as server:
        words = fill_command(server.url, path, Part(0, 1), tmp_path / "journals", tmp_path / "work")
        with ForkedProcess(words) as running:
            wait_until(lambda: len(server.requests) == ANSWERED + IN_FLIGHT)
            running.send_signal(signal.SIGTERM)
            running.stderr.readline()
            running.send_signal(signal.SIGTERM)
            _, errors = running.communicate()
        assert "then stopped at once; replies that arrived are kept" in errors and running.returncode == 143
        assert replies(tmp_path) == ANSWERED


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="the system has no such signal")
def test_sigusr1_ships_the_replies_so_far_and_the_worker_goes_on(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, CHANGES)
    with FakeOpenAI(faults=HELD) as server:
        words = fill_command(server.url, path, Part(0, 1), tmp_path / "journals", tmp_path / "work")
        with ForkedProcess(words) as running:
            wait_until(lambda: len(server.requests) == ANSWERED + IN_FLIGHT)
            wait_until(lambda: (tmp_path / "journals").exists() and len(headers_of(tmp_path / "journals")) == 1)
            running.send_signal(signal.SIGUSR1)
            wait_until(lambda: len(headers_of(tmp_path / "journals")) == 2)
            assert headers_of(tmp_path / "journals")[-1].work.state == "working"
            server.released.set()
            out, errors = running.communicate()
        assert (running.returncode, out) == (0, f"{tmp_path / 'journals'}\n"), errors
        assert replies(tmp_path) == len(server.requests) == 24


def test_a_store_that_fails_after_a_signal_does_not_hide_it(tmp_path: Path) -> None:
    """The exit code is that of the signal, by which a scheduler knows a preempted worker."""
    path, journals = write_recipe(tmp_path, CHANGES), tmp_path / "journals"
    with FakeOpenAI(faults=HELD) as server:
        words = fill_command(server.url, path, Part(0, 1), journals, tmp_path / "work")
        with ForkedProcess(words) as running:
            wait_until(lambda: len(server.requests) == ANSWERED + IN_FLIGHT)
            wait_until(journals.exists)
            journals.rename(tmp_path / "away")
            journals.write_text("in the way")
            running.send_signal(signal.SIGTERM)
            running.stderr.readline()
            running.send_signal(signal.SIGTERM)
            _, errors = running.communicate()
        assert running.returncode == 143
        assert "the segments are kept in" in errors and "Traceback" not in errors
        journals.unlink()
        (tmp_path / "away").rename(journals)
        assert run_command(words).returncode == 0
        assert replies(tmp_path) == 24


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--part", "4/4"], r"there is no part 4/4: parts are counted from 0; name one from 0/4 to 3/4"),
        (["--part", "x"], r"'x' is no part, wanted I/N with 0 <= I < N <= 100,000; write 0/4 for the first of four"),
        (["--part", "1/0"], r"'1/0' is no part, wanted I/N .*"),
        (["--part", "0/9", "--concurrency", "4"], r"backend\.concurrency is 4, which 9 workers cannot divide; .*"),
        (["--part", "0/1", "--journals", "nope://x"], r"cannot use 'nope://x' for segments: .*"),
        (
            ["--part", "0/1", "--journals", "sftp://a:b@c/d"],
            r"the address of the segments, sftp://\.\.\., has a password, .*",
        ),
    ],
)
def test_a_wrong_option_is_one_line_and_nothing_is_written(run: Run, options: list[str], line: str) -> None:
    done = run("fill", *OPENAI, NOWHERE, *options)
    assert done.code == 1 and done.out == ""
    assert re.fullmatch(rf"personagen: {line}\n", done.err)
    assert list(Path().iterdir()) == []


def test_a_part_is_required_and_json_states_the_result(run: Run) -> None:
    missing = run("fill")
    assert missing.code == 2 and "Missing option '--part'" in missing.err
    with FakeOpenAI() as server:
        options = ["--depth", "none", "--rows", "14", "--part", "1/2", "--work", "work", "--json"]
        done = run("fill", *OPENAI, server.url, *options)
        assert done.code == 0, done.err
        facts = json.loads(done.out)
    assert {key: facts[key] for key in ("part", "of", "journals")} == {
        "part": 1,
        "of": 2,
        "journals": "personagen.journals",
    }
    assert facts["replies"] >= facts["texts"] > 0


def test_generate_names_what_is_missing_and_ends_with_1(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, CHANGES)
    with FakeOpenAI() as server:
        words = fill_command(server.url, path, Part(0, 2), tmp_path / "journals", tmp_path / "work")
        assert run_command(words).returncode == 0
        joined = [*command(server.url, tmp_path / "out", path), "--journals", str(tmp_path / "journals")]
        sent = len(server.requests)
        done = run_command([*joined, "--no-calls"])
        assert (done.returncode, done.stdout) == (1, "")
        wanted = r"personagen: the journal lacks replies for \d+ or more of 24 texts \(anger \d+, joy \d+; by part: "
        assert re.match(wanted + r"1/2 \d+\); fill the parts with personagen fill, ", done.stderr.splitlines()[-1])
        assert len(server.requests) == sent
        assert run_command(joined).returncode == 0
        assert len(server.requests) == 24
