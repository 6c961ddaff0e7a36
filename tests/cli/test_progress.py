"""What a run shows of itself: a bar on a terminal, a line a minute elsewhere, nothing on stdout."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from personagen.builder.cli.progress import Progress, Sending, Status, details, duration, line, short
from tests.helpers.flow import command, write_recipe
from tests.helpers.servers.fake_openai import FakeOpenAI

STATUS = Status(accepted=312, wanted=700, refused=4, in_flight=48, tokens=81_234, cost=0.01234)


def test_line_tells_everything() -> None:
    """Rows, rate, time left, rejects, requests under way, tokens and cost."""
    assert line(STATUS, 10.0) == (
        "312 of 700 texts, 10.00 a second, 0:00:39 left, 4 refused (1.3 %), 48 in flight, 81.2k tokens, cost 0.0123"
    )
    assert line(STATUS, 0.0).startswith("312 of 700 texts, 0.00 a second, no row in the last minute, 4 refused")


def test_nothing_is_divided_by_nothing() -> None:
    """At the start there is no share and no cost."""
    assert details(Status(0, 7, 0, 0, 0, None)) == "0 refused, 0 in flight, 0 tokens"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (950, "950"), (1000, "1.0k"), (12_345, "12.3k"), (4.5e6, "4.5M"), (2e13, "20000.0G")]
)
def test_counts_are_short(number: float, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05"), (90_000, "25:00:00")]
)
def test_times_are_hours_minutes_seconds(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_line_a_minute_where_there_is_no_terminal() -> None:
    """With the rate of the last minute; none for a run that is done sooner."""
    stream, now = io.StringIO(), [0.0]
    with Progress(stream, lambda: now[0]) as progress:
        for second in range(0, 150, 10):
            now[0] = float(second)
            progress(Status(second, 700, 0, 1, 0, None))
    lines = stream.getvalue().splitlines()
    assert [entry.split(",")[0] for entry in lines] == ["60 of 700 texts", "120 of 700 texts"]
    assert all(", 1.00 a second, " in entry for entry in lines)


def test_bar_on_a_terminal(tmp_path: Path) -> None:
    """The real command on a pseudo-terminal: the bar fills, and stdout stays data."""
    path = write_recipe(tmp_path, {"rows": 14, "prices": {"fake-1": {"input": 1, "output": 1}}})
    master, slave = pty.openpty()
    with FakeOpenAI(latency=0.02) as server:
        words = command(server.url, tmp_path / "out", path)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=slave, timeout=60, check=True, text=True)
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 65536):
            shown += chunk
    except OSError:  # how Linux tells that the other end is closed
        pass
    os.close(master)
    text = shown.decode()
    assert done.stdout == f"{tmp_path / 'out'}\n"
    assert "14/14" in text and "text/s" in text
    assert re.search(r"0 refused \(0\.0 %\), \d+ in flight, \S+ tokens, cost 0\.\d{4}", text)
    assert text.count("\n") == 2, "the bar is one line, what was made is the other"


def test_run_without_a_terminal_is_silent_for_a_minute(tmp_path: Path) -> None:
    """A short job leaves nothing in a log but what it made."""
    with FakeOpenAI() as server:
        words = command(server.url, tmp_path / "out", write_recipe(tmp_path))
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == f"14 texts, made: {tmp_path / 'out'}\n"


def test_a_push_tells_a_line_a_minute_where_there_is_no_terminal() -> None:
    now = [0.0]
    stream = io.StringIO()
    with Sending(stream, lambda: now[0]) as sending:
        for now[0], done in ((1.0, 10), (59.0, 500), (61.0, 1_000_000), (62.0, 2_000_000), (125.0, 4_000_000)):
            sending.advance(done, 5_000_000)
    assert stream.getvalue() == "1.0MB of 5.0MB sent\n4.0MB of 5.0MB sent\n"


def test_a_push_draws_a_bar_on_a_terminal() -> None:
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with os.fdopen(child, "w") as stream, Sending(stream) as sending:
        sending.advance(0, 2_000_000)
        sending.advance(2_000_000, 2_000_000)
    shown = b""
    while (part := _read(parent)) != b"":
        shown += part
    os.close(parent)
    assert b"100%" in shown and b"2.00M/2.00M" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 10_000)
    except OSError:  # nothing is left, and the other end is closed
        return b""
