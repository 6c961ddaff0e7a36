"""Progress on stderr: bars on a terminal, one line per minute elsewhere, nothing on stdout."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from personagen.builder.cli.progress import TerminalProgress, details, duration, short_number, status_line
from personagen.builder.core.progress import RunStatus
from tests.helpers.flow import command, write_recipe
from tests.helpers.servers.fake_openai import FakeOpenAI

STATUS = RunStatus(accepted=312, wanted=700, rejected=4, in_flight=48, tokens=81_234, cost=0.01234)


def test_the_line_of_a_run_has_all_counts() -> None:
    assert status_line(STATUS, 10.0) == (
        "312 of 700 texts, 10.00 per second, 0:00:39 left, 4 rejected (1.3%), 48 in flight, 81.2k tokens, cost 0.0123"
    )
    assert status_line(STATUS, 0.0).startswith(
        "312 of 700 texts, 0.00 per second, no text in the last minute, 4 rejected"
    )


def test_a_run_without_replies_and_prices_has_no_fraction_and_no_cost() -> None:
    assert details(RunStatus(0, 7, 0, 0, 0, None)) == "0 rejected, 0 in flight, 0 tokens"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (950, "950"), (1000, "1.0k"), (12_345, "12.3k"), (4.5e6, "4.5M"), (2e13, "20000.0G")]
)
def test_counts_are_short(number: float, text: str) -> None:
    assert short_number(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05"), (90_000, "25:00:00")]
)
def test_times_are_hours_minutes_seconds(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_one_line_per_minute_without_a_terminal() -> None:
    """The rate is that of the last minute; a run of less than a minute writes nothing."""
    stream, now = io.StringIO(), [0.0]
    with TerminalProgress(stream, lambda: now[0]) as progress:
        for second in range(0, 150, 10):
            now[0] = float(second)
            progress.update(RunStatus(second, 700, 0, 1, 0, None))
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == ["60 of 700 texts", "120 of 700 texts"]
    assert all(", 1.00 per second, " in line for line in lines)


def test_steps_and_warnings_are_lines_without_control_characters() -> None:
    stream, now = io.StringIO(), [0.0]
    with TerminalProgress(stream, lambda: now[0]) as progress:
        progress.step("computing realism")
        progress.advance(1, 90)
        now[0] = 61.0
        progress.advance(2, 90)
        progress.advance(3, 90)
        progress.warn("no \x1b[2Jlabels")
    assert stream.getvalue() == "computing realism\n2 of 90\nwarning: no \\x1b[2Jlabels\n"


def test_bytes_are_logged_once_per_minute_without_a_terminal() -> None:
    now = [0.0]
    stream = io.StringIO()
    with TerminalProgress(stream, lambda: now[0], unit="B") as progress:
        for now[0], done in ((1.0, 10), (59.0, 500), (61.0, 1_000_000), (62.0, 2_000_000), (125.0, 4_000_000)):
            progress.advance(done, 5_000_000)
    assert stream.getvalue() == "1.0MB of 5.0MB\n4.0MB of 5.0MB\n"


def on_terminal(report: Callable[[TerminalProgress], None], *, unit: str = "") -> str:
    """Report to a terminal of 100 columns, and return everything that it received."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with os.fdopen(child, "w") as stream, TerminalProgress(stream, unit=unit) as progress:
        report(progress)
    return received(parent)


def received(terminal: int) -> str:
    """Read everything that a terminal received, and close it."""
    shown = b""
    try:
        while part := os.read(terminal, 65_536):
            shown += part
    except OSError:  # Linux reports so that the other end is closed
        pass
    os.close(terminal)
    return shown.decode()


def test_bytes_have_a_bar_on_a_terminal() -> None:
    def report(progress: TerminalProgress) -> None:
        progress.advance(0, 2_000_000)
        progress.advance(2_000_000, 2_000_000)

    shown = on_terminal(report, unit="B")
    assert "100%" in shown and "2.00M/2.00M" in shown


def test_a_step_has_a_bar_under_its_name_and_a_run_has_one_of_its_own() -> None:
    def report(progress: TerminalProgress) -> None:
        progress.update(STATUS)
        progress.step("rating texts")
        progress.advance(3, 9)
        progress.warn("one rating is missing")
        progress.step("rendering the page")

    shown = on_terminal(report)
    assert "312/700" in shown and "rating texts\r\n" in shown and "3/9" in shown
    assert "warning: one rating is missing" in shown
    assert shown.index("3/9") < shown.index("rendering the page")


def test_bar_of_a_command_on_a_terminal(tmp_path: Path) -> None:
    """The bar fills, and stdout receives the result only."""
    path = write_recipe(tmp_path, {"rows": 14, "prices": {"fake-1": {"input": 1, "output": 1}}})
    parent, child = pty.openpty()
    with FakeOpenAI(latency=0.02) as server:
        words = command(server.url, tmp_path / "out", path)
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=child, timeout=60, check=True, text=True)
    os.close(child)
    shown = received(parent)
    assert done.stdout == f"{tmp_path / 'out'}\n"
    assert "14/14" in shown and "text/s" in shown
    assert re.search(r"0 rejected \(0\.0%\), \d+ in flight, \S+ tokens, cost 0\.\d{4}", shown)
    assert shown.count("\n") == 2, "one line of the bar, and one of the result"


def test_a_short_command_without_a_terminal_writes_one_line(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        words = command(server.url, tmp_path / "out", write_recipe(tmp_path))
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == f"14 texts, generated: {tmp_path / 'out'}\n"
