"""Interrupted runs, as a command and inside a running event loop, as in a notebook: they end, and lose no paid reply.

The server answers the first requests and holds the others until it releases them or the client disconnects, so a
verb that waited for them would never return.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.estimate import aestimate, estimate
from personagen.builder.generate import agenerate, generate
from personagen.builder.planning.recipe import Recipe
from personagen.builder.preview import apreview, preview
from tests.helpers.flow import (
    Recorder,
    bytes_of,
    command,
    journalled_texts,
    make,
    recipe_for,
    run_command,
    wait_until,
    write_recipe,
)
from tests.helpers.processes.forked import ForkedProcess
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault, contents

ANSWERED = 5
IN_FLIGHT = 4
CHANGES = {"rows": 30, "backend.concurrency": IN_FLIGHT}
HELD = [Fault("hang", nth=number) for number in range(ANSWERED + 1, ANSWERED + IN_FLIGHT + 1)]


def in_a_cell(call: Callable[[], Any]) -> Any:
    """Call a function in a coroutine of a running loop, as a cell of a notebook does."""

    async def cell() -> Any:
        return call()

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(cell())
    finally:
        loop.close()


@contextmanager
def interrupted_when(is_due: Callable[[], bool]) -> Iterator[None]:
    """Send SIGINT to this process as soon as a condition holds; it raises KeyboardInterrupt, as in Jupyter."""

    def interrupt() -> None:
        wait_until(is_due)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)


def all_slots_are_held(server: FakeOpenAI) -> Callable[[], bool]:
    """Whether as many requests are held as may be in flight, so that all answered ones were received."""
    return lambda: len(server.requests) == ANSWERED + IN_FLIGHT


def assert_resumed(recipe_of: Callable[[str], Recipe], held: FakeOpenAI, out: Path, scratch: Path) -> None:
    """Assert that every answered request is in the journal, and that resuming requests only the others."""
    answered = {contents(body)[0] for body in held.requests[:ANSWERED]}
    assert journalled_texts(out, scratch) == answered and not out.exists()
    with FakeOpenAI() as server:
        make(recipe_of(server.url), out)
        assert len(server.requests) == CHANGES["rows"] - ANSWERED
        make(recipe_of(server.url), scratch / "calm")
    assert bytes_of(out) == bytes_of(scratch / "calm")


def small(url: str) -> Recipe:
    return recipe_for(url, CHANGES)


def test_generate_and_preview_run_inside_a_running_loop(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        result = in_a_cell(lambda: generate(recipe_for(server.url), tmp_path / "cell"))
        make(recipe_for(server.url), tmp_path / "script")
        rows = in_a_cell(lambda: preview(recipe_for(server.url), 2))
    assert result.created and bytes_of(tmp_path / "cell") == bytes_of(tmp_path / "script")
    assert len(rows) == 2


def test_estimate_runs_inside_a_running_loop() -> None:
    recipe = recipe_for("http://127.0.0.1:9/v1")
    assert in_a_cell(lambda: estimate(recipe)) == estimate(recipe) == asyncio.run(aestimate(recipe))


def test_the_folder_of_a_release_may_be_a_string(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        assert generate(recipe_for(server.url), str(tmp_path / "out")).folder == tmp_path / "out"


def test_an_interrupted_generate_returns_while_the_server_holds_its_requests(tmp_path: Path) -> None:
    with FakeOpenAI(faults=HELD) as server:
        with interrupted_when(all_slots_are_held(server)):
            in_a_cell(lambda: generate(small(server.url), tmp_path / "out"))
        assert len(server.requests) == ANSWERED + IN_FLIGHT, "nothing is requested after the interrupt"
    assert_resumed(small, server, tmp_path / "out", tmp_path)


def test_an_interrupted_preview_returns_while_the_server_holds_its_requests() -> None:
    with FakeOpenAI(faults=HELD) as server:
        with interrupted_when(all_slots_are_held(server)):
            in_a_cell(lambda: preview(small(server.url), 30))
        assert len(server.requests) == ANSWERED + IN_FLIGHT


@pytest.mark.parametrize("is_preview", [False, True])
def test_a_cancelled_call_returns_while_the_server_holds_its_requests(tmp_path: Path, is_preview: bool) -> None:
    """In an event loop of the caller."""

    async def cancel() -> None:
        recipe = small(server.url)
        call = apreview(recipe, 30) if is_preview else agenerate(recipe, tmp_path / "out")
        task = asyncio.ensure_future(call)
        await asyncio.to_thread(wait_until, all_slots_are_held(server))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with FakeOpenAI(faults=HELD) as server:
        asyncio.run(cancel())
        assert len(server.requests) == ANSWERED + IN_FLIGHT
    if not is_preview:
        assert_resumed(small, server, tmp_path / "out", tmp_path)


SIGNALS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "interrupted by SIGTERM",
    signal.SIGHUP: "interrupted by SIGHUP",
}
"""Signals that end a command, and how its messages name them."""

CONTINUES = "run the same command to continue"


def waiting_line(cause: str) -> str:
    return f"personagen: {cause}: waiting for 4 replies that are paid for; interrupt again to stop at once\n"


def wrapped(words: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def sent(server: FakeOpenAI) -> Counter[str]:
    """Count how often each request was sent."""
    return Counter(json.dumps(body, sort_keys=True) for body in server.requests)


def first_line(running: "ForkedProcess | subprocess.Popen[str]") -> str:
    assert running.stderr is not None
    return running.stderr.readline()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_command_once_the_requests_in_flight_are_answered(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Nothing is sent after the signal, and the next run pays for nothing twice."""
    cause, path, out = SIGNALS[number], write_recipe(tmp_path, CHANGES), tmp_path / "out"
    with FakeOpenAI(faults=HELD) as server:
        words = command(server.url, out, path)
        with ForkedProcess(words) as running:
            wait_until(all_slots_are_held(server))
            running.send_signal(number)
            assert first_line(running) == waiting_line(cause)
            server.released.set()
            ended = running.communicate(timeout=60)
        assert ended == ("", f"personagen: {cause}; paid replies are kept: {CONTINUES}\n")
        assert (running.returncode, out.exists()) == (128 + number, False)
        assert len(server.requests) == ANSWERED + IN_FLIGHT
        assert journalled_texts(out, tmp_path) == {contents(body)[0] for body in server.requests}
        assert run_command(words).returncode == 0
        assert len(server.requests) == CHANGES["rows"] and set(sent(server).values()) == {1}


@pytest.mark.parametrize("second", SIGNALS)
@pytest.mark.parametrize("first", SIGNALS)
def test_a_second_signal_ends_a_command_at_once(tmp_path: Path, first: signal.Signals, second: signal.Signals) -> None:
    """Although the server holds its replies; the next run sends again only what was not answered."""
    cause, path, out = SIGNALS[first], write_recipe(tmp_path, CHANGES), tmp_path / "out"
    with FakeOpenAI(faults=HELD) as server:
        words = command(server.url, out, path)
        with ForkedProcess(words) as running:
            wait_until(all_slots_are_held(server))
            running.send_signal(first)
            assert first_line(running) == waiting_line(cause)
            running.send_signal(second)
            ended = running.communicate(timeout=60)
        assert ended == ("", f"personagen: {cause}, then stopped at once; replies that arrived are kept: {CONTINUES}\n")
        assert (running.returncode, out.exists()) == (128 + second, False)
        unanswered = server.requests[ANSWERED:]
        assert len(unanswered) == IN_FLIGHT
        assert run_command(words).returncode == 0
        twice = {request for request, times in sent(server).items() if times > 1}
        assert twice == {json.dumps(body, sort_keys=True) for body in unanswered}
        assert len(server.requests) == CHANGES["rows"] + IN_FLIGHT


@pytest.mark.skipif(shutil.which("timeout") is None, reason="needs GNU coreutils")
def test_a_signal_that_timeout_sends_twice_counts_once(tmp_path: Path) -> None:
    """`timeout` passes a signal to its command and then to its process group."""
    path, out = write_recipe(tmp_path, CHANGES), tmp_path / "out"
    with FakeOpenAI(faults=HELD) as server:
        words = [word.replace("same_event_s=0.0", "") for word in command(server.url, out, path)]
        with wrapped(["timeout", "600", *words]) as running:
            wait_until(all_slots_are_held(server))
            running.send_signal(signal.SIGTERM)
            assert first_line(running) == waiting_line("interrupted by SIGTERM")
            server.released.set()
            ended = running.communicate(timeout=60)
        assert (running.returncode, ended[1].count("\n")) == (143, 1)
        assert run_command(words).returncode == 0
        assert set(sent(server).values()) == {1}


def test_a_command_under_nohup_goes_on_after_a_hangup(tmp_path: Path) -> None:
    with FakeOpenAI(faults=HELD) as server:
        words = command(server.url, tmp_path / "out", write_recipe(tmp_path, CHANGES))
        with wrapped(["nohup", *words]) as running:
            wait_until(all_slots_are_held(server))
            running.send_signal(signal.SIGHUP)
            server.released.set()
            running.communicate(timeout=60)
        assert (running.returncode, len(server.requests)) == (0, CHANGES["rows"])


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_preview_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """It keeps no reply, so it waits for none."""
    path = write_recipe(tmp_path, CHANGES)
    with FakeOpenAI(faults=HELD) as server:
        start = command(server.url, tmp_path / "out", path)[:3]
        with ForkedProcess([*start, "preview", str(path), "--base-url", server.url, "-n", "30"]) as running:
            wait_until(all_slots_are_held(server))
            running.send_signal(number)
            ended = running.communicate(timeout=60)
        assert ended == ("", f"personagen: {SIGNALS[number]}\n")
        assert (running.returncode, len(server.requests)) == (128 + number, ANSWERED + IN_FLIGHT)


def test_calls_of_the_python_api_install_no_handler_of_other_signals_than_ctrl_c(tmp_path: Path) -> None:
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    during = []
    with FakeOpenAI() as server:
        recorder = Recorder(lambda status: during.append([signal.getsignal(number) for number in numbers]))
        generate(recipe_for(server.url), tmp_path / "out", progress=recorder)
    assert during and all(handlers == before for handlers in during)
    assert [signal.getsignal(number) for number in numbers] == before
