"""Bars of the public verbs."""

import io
import re
import sys

import pytest

from personagen.builder.api.progress import ProgressBars, shown_progress
from personagen.builder.core.progress import SILENT, RunStatus


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def report_a_run() -> None:
    with shown_progress(True) as bars:
        bars.update(RunStatus(1, 4, 0, 3, 10, None))
        bars.update(RunStatus(1, 4, 0, 3, 10, None, first_text="A text."))
        bars.update(RunStatus(4, 4, 2, 0, 1234, 0.5, replies=6, first_text="A text."))
        bars.step("measuring \x1b[31mtexts")
        bars.advance(1, 3)
        bars.advance(3, 3)
        bars.step("computing realism")
        bars.warn("judge \x1b[0m not validated")


def test_a_terminal_sees_counts_steps_and_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    report_a_run()
    drawn = stream.getvalue()
    assert "4/4" in drawn
    assert "4/4 texts [" in drawn
    assert re.search(r"0 in flight, 6 replies, 1\.2k tokens( \(\S+/s\))?, 2 rejected, cost 0\.5000", drawn)
    assert drawn.count("first text: A text.\n") == 1
    assert "computing realism [" in drawn
    assert "personagen: judge \\x1b[0m not validated\n" in drawn
    assert "\x1b[31m" not in drawn, "control characters of a message never reach the terminal"


def test_a_log_gets_the_first_and_the_last_state(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with shown_progress(True) as bars:
        for accepted in range(1, 1001):
            bars.update(RunStatus(accepted, 1000, 0, 0, 0, None))
    assert len(stream.getvalue().split("\r")) < 6
    assert "1000/1000" in stream.getvalue()


def test_a_log_gets_a_line_after_ten_seconds_and_then_one_per_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, now = io.StringIO(), [0.0]
    monkeypatch.setattr(sys, "stderr", stream)
    bars = ProgressBars(lambda: now[0])
    for second in range(0, 80, 2):
        now[0] = float(second)
        bars.update(RunStatus(0, 14, 0, 4, second, None, waiting=second // 10))
    drawn = stream.getvalue()
    assert re.findall(r"0/14 texts( \(\+\d+ written\))?", drawn) == ["", " (+1 written)", " (+7 written)"]
    bars.close()


def test_without_progress_nothing_is_drawn() -> None:
    with shown_progress(False) as receiver:
        assert receiver is SILENT


def test_a_receiver_of_the_caller_is_used_as_it_is() -> None:
    bars = ProgressBars()
    with shown_progress(bars) as receiver:
        assert receiver is bars


def test_a_receiver_without_the_methods_is_refused() -> None:
    message = r"progress: got 3, wanted True, False or a receiver; it lacks update, step, advance, warn$"
    with pytest.raises(TypeError, match=message), shown_progress(3):  # type: ignore[arg-type]  # what is tested
        pass


def test_bars_are_closed_when_a_verb_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)

    def fail() -> None:
        with shown_progress(True) as bars:
            bars.update(RunStatus(1, 4, 0, 3, 10, None))
            raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        fail()
    assert stream.getvalue().endswith("\n")
