"""Progress on stderr: bars on a terminal, log lines elsewhere, nothing on stdout."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from personagen.builder.cli.progress import TerminalProgress, status_line
from personagen.builder.core.progress import RunRate, RunStatus
from tests.helpers.flow import command, write_recipe
from tests.helpers.servers.fake_openai import FakeOpenAI

STATUS = RunStatus(accepted=312, wanted=700, rejected=4, in_flight=48, tokens=81_234, cost=0.01234, replies=316)


def test_the_line_of_a_run_has_all_counts() -> None:
    assert status_line(STATUS, RunRate(512.3, 39.0)) == (
        "312 of 700 texts, 0:00:39 left, 48 in flight, 316 replies, 81.2k tokens (512/s), 4 rejected, cost 0.0123"
    )
    assert status_line(STATUS, RunRate(None, None)).startswith("312 of 700 texts, time left unknown, 48 in flight, ")


def logged(statuses: dict[float, RunStatus]) -> list[str]:
    """Return the lines of a log, for the statuses at these seconds."""
    stream, now = io.StringIO(), [0.0]
    with TerminalProgress(stream, lambda: now[0]) as progress:
        for second, status in statuses.items():
            now[0] = second
            progress.update(status)
    return stream.getvalue().splitlines()


def test_a_log_has_a_line_after_ten_seconds_and_then_one_per_minute() -> None:
    """A run of less than ten seconds writes nothing."""
    lines = logged({float(second): RunStatus(second, 700, 0, 1, second, None) for second in range(0, 140, 2)})
    assert [line.split(",")[0] for line in lines] == ["10 of 700 texts", "70 of 700 texts", "130 of 700 texts"]
    assert all(", 0:1" in line or ", 0:09" in line for line in lines), "690, 630 and 570 s left"
    assert logged({0.0: STATUS, 9.9: replace(STATUS, first_text="Text.")}) == []


def test_a_log_has_the_first_text_once_after_its_first_line() -> None:
    status = replace(STATUS, first_text="A text.\nIts end.")
    lines = logged({0.0: STATUS, 5.0: status, 10.0: status, 11.0: status, 70.0: status})
    assert [line.partition(" ")[0] for line in lines] == ["312", "first", "312"]
    assert lines[1] == "first text: A text. Its end."
    assert logged({0.0: STATUS, 10.0: STATUS, 12.0: status})[1:] == lines[1:2]


def test_a_slow_server_is_seen_to_work_in_a_log() -> None:
    """No text is accepted, and the line shows what is."""
    slow = RunStatus(0, 14, 0, 4, 900, None, replies=9, waiting=9, limit=4, maximum=4)
    (line,) = logged({0.0: RunStatus(0, 14, 0, 4, 0, None), 10.0: slow})
    assert line == "0 of 14 texts (+9 written), 0:00:06 left, 4 in flight, 9 replies, 900 tokens (90/s), 0 rejected"


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
    assert "312/700 texts [" in shown and "rating texts\r\n" in shown and "3/9" in shown
    assert "warning: one rating is missing" in shown
    assert shown.index("3/9") < shown.index("rendering the page")


def test_the_first_text_is_a_line_above_the_bar_and_cut_to_the_width_of_the_terminal() -> None:
    status = replace(STATUS, first_text="word \x1b[2J " * 50)

    def report(progress: TerminalProgress) -> None:
        progress.update(STATUS)
        progress.update(status)
        progress.update(status)

    shown = on_terminal(report)
    (line,) = re.findall(r"first text: [^\r\n]*", shown)
    assert len(line) == 99 and line.startswith("first text: word \\x1b[2J word")
    assert shown.index(line) < shown.rindex("312/700")


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
    assert "14/14 texts [" in shown and shown.count("first text: ") == 1
    assert re.search(r"0 in flight, 14 replies, \S+ tokens( \(\S+/s\))?, 0 rejected, cost 0\.\d{4}", shown)
    assert shown.count("\n") == 3, "the first text, one line of the bar, and one of the result"


def test_a_short_command_without_a_terminal_writes_one_line(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        words = command(server.url, tmp_path / "out", write_recipe(tmp_path))
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == f"14 texts, generated: {tmp_path / 'out'}\n"


def test_a_line_says_that_tokens_are_estimated() -> None:
    status = RunStatus(1, 4, 0, 3, 1200, None, estimated=True)
    assert "1.2k tokens, estimated" in status_line(status, RunRate(None, None))
    assert "estimated" not in status_line(replace(status, estimated=False), RunRate(None, None))
