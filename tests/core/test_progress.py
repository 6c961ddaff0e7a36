"""Rate and texts of a run, as all displays show them."""

from dataclasses import replace

import pytest

from personagen.builder.core.progress import (
    ModelLoad,
    RateMeter,
    RunRate,
    RunStatus,
    count_texts,
    duration,
    first_text_line,
    load_texts,
    run_bar_format,
    short_duration,
    short_number,
)

STATUS = RunStatus(accepted=312, wanted=700, rejected=4, in_flight=48, tokens=81_234, cost=0.01234, replies=330)
UNKNOWN = RunRate(None, None)


def run(accepted: int, waiting: int, tokens: int) -> RunStatus:
    return RunStatus(accepted, 100, 0, 8, tokens, None, waiting=waiting)


def test_the_rate_counts_texts_that_wait_for_a_slow_row() -> None:
    meter = RateMeter()
    for second in range(11):
        meter.add(run(0, 4 * second, 100 * second), float(second))
    assert meter.rate(100) == RunRate(tokens_per_s=100.0, left_s=15.0)


def test_the_rate_is_unknown_before_the_first_reply_and_the_time_before_a_few_texts() -> None:
    meter = RateMeter(min_texts=3)
    assert meter.rate(100) == UNKNOWN
    meter.add(run(0, 0, 0), 0.0)
    meter.add(run(0, 0, 0), 30.0)
    assert meter.rate(100) == UNKNOWN
    meter.add(run(0, 2, 200), 40.0)
    assert meter.rate(100) == RunRate(5.0, None)
    meter.add(run(3, 0, 300), 60.0)
    assert meter.rate(100) == RunRate(5.0, 97 * 20.0)


def test_texts_from_the_journal_do_not_count() -> None:
    """They are written within seconds, and the others take longer."""
    meter = RateMeter()
    for step in range(51):
        meter.add(run(step, 0, 9000), step / 100)
    assert meter.rate(100) == UNKNOWN
    for second in range(1, 11):
        meter.add(run(50 + second, 0, 9000 + second), 0.5 + second)
    assert meter.rate(100).left_s == pytest.approx(40.0)


def test_the_rate_is_that_of_the_window() -> None:
    meter = RateMeter(window_s=100.0)
    for second in range(0, 50):
        meter.add(run(second, 0, second), float(second))
    for second in range(50, 1050, 100):
        meter.add(run(49 + second // 100, 0, second), float(second))
    assert meter.rate(100).left_s == pytest.approx((100 - 58) * 100.0), "one text per 100 s, and at least three texts"


def test_replies_in_bursts_have_the_rate_of_the_bursts() -> None:
    """Eight replies of a server that takes 20 s arrive together; between them, the time left runs on."""
    meter = RateMeter()
    for step in range(201):
        meter.add(run(8 * (step // 20), 0, step // 20), float(step))
    assert meter.rate(100).left_s == pytest.approx(20 / 8 * 20)


def test_the_time_left_is_at_least_the_time_since_the_last_text() -> None:
    """One text is missing, and its reply takes longer than all others."""
    meter = RateMeter()
    for second in range(10):
        meter.add(run(0, 11 * second, second), float(second))
    assert meter.rate(100).left_s == pytest.approx(9 / 99)
    meter.add(run(0, 99, 9), 69.0)
    assert meter.rate(100).left_s == 60.0


def test_the_load_of_each_of_several_models_is_named() -> None:
    models = (ModelLoad("a", 12, 0.0, 0.0), ModelLoad("b", 3, 0.2, 0.0), ModelLoad("c", 1, None, 30.0))
    assert load_texts(replace(STATUS, in_flight=16, retrying=2, models=models)) == [
        "a: 12 in flight",
        "b: endpoint refuses 20%: 3 in flight",
        "c: endpoint asks to wait 30 s",
        "c: 1 in flight",
        "2 retries pending",
    ]


def test_load_and_refusals_are_described_in_words() -> None:
    status = replace(STATUS, refused=0.12, in_flight=24)
    assert load_texts(STATUS) == ["48 in flight"]
    assert load_texts(replace(STATUS, refused=0.004)) == ["48 in flight"]
    assert load_texts(status) == ["endpoint refuses 12%: 24 in flight"]
    ended = replace(status, in_flight=0, accepted=status.wanted)
    assert load_texts(ended) == ["0 in flight"]
    assert load_texts(replace(status, in_flight=0)) == ["endpoint refuses 12%: 0 in flight"]
    assert load_texts(replace(STATUS, paused_s=40.2, retrying=1)) == [
        "endpoint asks to wait 40 s",
        "48 in flight",
        "1 retry pending",
    ]
    assert load_texts(replace(STATUS, paused_s=86_400.0, retrying=3)) == [
        "endpoint asks to wait 24:00:00",
        "48 in flight",
        "3 retries pending",
    ]


def test_counts_are_named() -> None:
    assert count_texts(STATUS, RunRate(512.3, 1.0)) == [
        "48 in flight",
        "330 replies",
        "81.2k tokens (512/s)",
        "4 rejected",
        "cost 0.0123",
    ]
    assert count_texts(RunStatus(0, 7, 0, 0, 0, None, replies=1), UNKNOWN) == [
        "0 in flight",
        "1 reply",
        "0 tokens",
        "0 rejected",
    ]


def test_a_bar_has_its_time_left_and_the_texts_that_wait() -> None:
    assert run_bar_format(replace(STATUS, waiting=25), RunRate(512.3, 83.0)) == (
        "{l_bar}{bar}| 312/700 texts (+25 written) [{elapsed}<01:23] 48 in flight, 330 replies, 81.2k tokens (512/s), "
        "4 rejected, cost 0.0123"
    )
    assert "| 312/700 texts [{elapsed}<?] " in run_bar_format(STATUS, UNKNOWN)
    assert "[{elapsed}<1:02:05] " in run_bar_format(STATUS, RunRate(1.0, 3725.0))


def test_the_first_text_is_one_line_that_fits_and_cannot_control_a_terminal() -> None:
    assert first_text_line("One\n two.", None) == "first text: One two."
    assert first_text_line("a\x1b[2Jb", None) == "first text: a\\x1b[2Jb"
    line = first_text_line("word " * 100, 40)
    assert len(line) == 40 and line.endswith("…")
    assert len(first_text_line("word " * 100, None)) == 100


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


def test_short_times_are_in_seconds() -> None:
    assert (short_duration(39.6), short_duration(120.0)) == ("40 s", "0:02:00")
