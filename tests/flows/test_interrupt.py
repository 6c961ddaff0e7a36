"""Verbs inside a running event loop, as in a notebook: they return, end at an interrupt, and lose no paid reply.

The server answers the first requests and holds the others until the client disconnects, so a verb that waited for them
would never return.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.estimate import aestimate, estimate
from personagen.builder.generate import agenerate, generate
from personagen.builder.planning.recipe import Recipe
from personagen.builder.preview import apreview, preview
from tests.helpers.flow import bytes_of, journalled_texts, make, recipe_for, wait_until
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
