"""Signals of a command: which work they end, and what a further one does."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread

import pytest

from personagen.builder.cli.signals import CommandSignals, handled
from personagen.builder.core.event_loop import INTERRUPTS, run_blocking

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Restore the handlers of this process: a command that a signal ended leaves its own."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: signal.Signals) -> None:
    signal.raise_signal(number)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_ends_synchronous_work_with_its_exit_code(number: signal.Signals) -> None:
    signals = CommandSignals()
    with pytest.raises(SystemExit) as ended, handled(signals):
        send(number)
    assert ended.value.code == signals.exit_code == 128 + number


def test_the_first_signal_cancels_a_coroutine_and_awaits_its_clean_up() -> None:
    cleaned_up = []

    async def wait_for_ever() -> None:
        try:
            send(signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up.append(True)

    with pytest.raises(SystemExit), handled(CommandSignals()):
        run_blocking(wait_for_ever())
    assert cleaned_up == [True]


def test_a_coroutine_that_ends_in_spite_of_the_signal_ends_the_command() -> None:
    signals = CommandSignals()

    async def deaf() -> int:
        signals.on_signal(signal.SIGTERM)
        return 3

    with pytest.raises(SystemExit):
        signals.run(deaf())


def test_after_a_signal_no_coroutine_begins() -> None:
    signals = CommandSignals()
    begun = []

    async def begin() -> None:
        begun.append(True)

    with pytest.raises(SystemExit):
        signals.on_signal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        signals.run(begin())
    assert begun == []


def test_a_cancellation_by_the_work_itself_is_no_signal() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        CommandSignals().run(cancelled())


def test_signals_close_together_count_as_one() -> None:
    now = [10.0]
    signals = CommandSignals(lambda: now[0], same_event_s=0.5)
    with pytest.raises(SystemExit):
        signals.on_signal(signal.SIGHUP)
    now[0] = 10.4
    signals.on_signal(signal.SIGHUP)
    signals.on_signal(signal.SIGTERM)
    assert signals.received == [signal.SIGHUP] and signals.exit_code == 129


def test_the_grace_period_of_paid_requests_ends_with_the_second_signal(capsys: pytest.CaptureFixture[str]) -> None:
    signals = CommandSignals(same_event_s=0.0)
    assert signals.grace_s(3, 1.0) == 1.0
    with pytest.raises(SystemExit):
        signals.on_signal(signal.SIGINT)
    assert signals.grace_s(0, 1.0) is None
    assert capsys.readouterr().err == "", "nothing is in flight"
    assert signals.grace_s(1, 1.0) is None
    line = "personagen: interrupted: waiting for 1 reply that is paid for; interrupt again to stop at once\n"
    assert capsys.readouterr().err == line
    signals.received.append(signal.SIGINT)
    assert signals.grace_s(1, 1.0) == 0.0


def test_a_signal_that_the_parent_process_has_had_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals = CommandSignals()
    with handled(signals):
        send(signal.SIGHUP)
    assert signals.received == []


def test_handlers_and_context_are_there_for_the_command_only() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []
    signals = CommandSignals()
    with handled(signals):
        seen.append((signal.getsignal(signal.SIGTERM), INTERRUPTS.get()))
    assert seen == [(signals.on_signal, signals)]
    assert (signal.getsignal(signal.SIGTERM), INTERRUPTS.get()) == (before, None)


def test_a_command_in_another_thread_handles_no_signal() -> None:
    seen = []

    def command() -> None:
        with handled(CommandSignals()):
            seen.append(INTERRUPTS.get())

    thread = Thread(target=command)
    thread.start()
    thread.join()
    assert seen == [None]


def test_a_second_signal_ends_a_clean_up_that_hangs() -> None:
    """By the exit code of that signal; the clean-up is given a bounded time."""
    code = """
import asyncio, signal
from personagen.builder.cli.signals import CommandSignals, handled

async def hang():
    signal.raise_signal(signal.SIGTERM)
    try:
        await asyncio.sleep(600)
    finally:
        signal.raise_signal(signal.SIGHUP)
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass

signals = CommandSignals(same_event_s=0.0, clean_up_s=0.01)
with handled(signals):
    signals.run(hang())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (129, "", "")


def test_a_second_signal_ends_synchronous_work_without_its_clean_up() -> None:
    code = """
import signal
from personagen.builder.cli.signals import CommandSignals, handled

with handled(CommandSignals(same_event_s=0.0)):
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.raise_signal(signal.SIGINT)
        print("never")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
