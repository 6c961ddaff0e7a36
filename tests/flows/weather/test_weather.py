"""Whole runs in bad weather: a server or a network that fails for a while, and a clock that jumps.

In each of them every row is written, the release equals the one that is made in fine weather, nothing is paid for
twice, and the number of calls is bounded. Times are scaled: 2 s stand for a minute or more.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import BackendError
from personagen.builder.core.progress import RunStatus
from personagen.builder.generate import write_release
from personagen.builder.llm import Backend, connect_models
from personagen.builder.llm.admission.retries import RetryTiming
from personagen.builder.planning.plan import make_plan
from personagen.builder.release.run.run_folder import open_run
from personagen.builder.release.run.run_state import run_recipe
from tests.helpers.flow import Recorder, bytes_of, make, recipe_for, wait_until
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.helpers.servers.weather_server import FINE, Call, Event, Spell, WeatherServer

ROWS = 60
IN_FLIGHT = 8
CHANGES = {"rows": ROWS, "backend.concurrency": IN_FLIGHT}
DAY_S = 86_400

SCALED = RetryTiming(first_pause_s=0.02, max_pause_s=0.5, outage_s=60.0, max_server_wait_s=30.0)
"""Pauses a sixtieth as long as the defaults; an outage is longer than any delay of a busy machine."""

BAD = {
    "connections that break": Event(is_cut=True),
    "503": Event(status=503),
    "503 with Retry-After": Event(status=503, headers={"Retry-After": "1"}),
    "429": Event(status=429),
    "500": Event(status=500),
}


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Make the release in fine weather and return its files."""
    out = tmp_path_factory.mktemp("calm") / "out"
    with FakeOpenAI() as server:
        make(recipe_for(server.url, CHANGES), out)
    return bytes_of(out)


def run(
    url: str,
    out: Path,
    *,
    timing: RetryTiming = SCALED,
    on_update: Callable[[RunStatus, Backend], None] = lambda status, backend: None,
    **changes: Any,
) -> None:
    """Make the release with these times of retries; `on_update` is called with each status and the backend."""
    recipe = recipe_for(url, CHANGES, changes)
    with open_run(out, run_recipe(recipe), fresh=False, reuse=False) as folder:
        plan, models = make_plan(recipe), connect_models(recipe.backends, [None], None)
        progress = Recorder(lambda status: on_update(status, models[0].backend))
        asyncio.run(write_release(models, plan, folder, progress, timing=timing))


def most_calls(seconds: float, timing: RetryTiming = SCALED) -> int:
    """Return an upper bound on the calls of a run in which every call fails for so many seconds.

    Each row may retry through all of them, at half of the pauses of the exponential backoff.
    """
    retries, at = 0, 0.0
    while at < seconds:
        at += 0.5 * min(timing.max_pause_s, timing.first_pause_s * 2**retries)
        retries += 1
    return ROWS * (1 + retries)


def assert_as_in_fine_weather(out: Path, calm: dict[str, bytes], *servers: WeatherServer) -> None:
    """Assert that the release is that of fine weather, and that each of its replies was paid for once."""
    assert bytes_of(out) == calm
    bodies = [body for server in servers for body in server.answered]
    assert len(bodies) == len(set(bodies)) == ROWS
    assert [server.paid_twice for server in servers] == [0] * len(servers)


@pytest.mark.parametrize("kind", BAD)
def test_an_outage_in_the_middle_is_awaited(tmp_path: Path, calm: dict[str, bytes], kind: str) -> None:
    """A minute in which every call fails, whatever the failure."""
    with WeatherServer(Spell(begin=20, seconds=1.0, event=BAD[kind])) as server:
        run(server.url, tmp_path / "out")
    assert_as_in_fine_weather(tmp_path / "out", calm, server)
    assert server.spoiled >= 1 and server.calls == ROWS + server.spoiled <= most_calls(1.0)


def test_an_outage_that_lasts_ends_the_run_and_the_same_command_resumes(tmp_path: Path, calm: dict[str, bytes]) -> None:
    message = r"nothing was answered for 2 s: run the same command to go on$"
    with (
        WeatherServer(Spell(begin=20, seconds=DAY_S, event=BAD["503"])) as server,
        pytest.raises(BackendError, match=message),
    ):
        run(server.url, tmp_path / "out", timing=replace(SCALED, outage_s=2.0))
    assert 0 < len(server.answered) < ROWS and not (tmp_path / "out").exists()
    with WeatherServer() as later:
        run(later.url, tmp_path / "out")
    assert_as_in_fine_weather(tmp_path / "out", calm, server, later)


def test_a_wait_of_a_day_ends_the_run_in_one_line_and_the_same_command_resumes(
    tmp_path: Path, calm: dict[str, bytes]
) -> None:
    with WeatherServer(Spell(begin=20, seconds=DAY_S, event=Event(429, {"Retry-After": str(DAY_S)}))) as server:
        with pytest.raises(
            BackendError, match=rf"it asks to wait {DAY_S} s: run the same command then to go on$"
        ) as info:
            run(server.url, tmp_path / "out")
        assert "\n" not in str(info.value)
    assert server.spoiled <= IN_FLIGHT, "nothing is sent after the first of them"
    with WeatherServer() as later:
        run(later.url, tmp_path / "out")
    assert later.calls == ROWS - len(server.answered)
    assert_as_in_fine_weather(tmp_path / "out", calm, server, later)


def test_a_latency_that_doubles_again_and_again_wastes_no_call(tmp_path: Path, calm: dict[str, bytes]) -> None:
    """From 10 ms to 0.6 s."""
    with WeatherServer(lambda call: Event(delay=0.01 * 2 ** min(6, call.number // 8)), latency=0) as server:
        run(server.url, tmp_path / "out")
    assert_as_in_fine_weather(tmp_path / "out", calm, server)
    assert server.calls == ROWS


def test_one_connection_in_ten_that_hangs_costs_its_timeout_and_one_call(
    tmp_path: Path, calm: dict[str, bytes]
) -> None:
    def every_tenth(call: Call) -> Event:
        return Event(hangs=True) if call.number % 10 == 0 else FINE

    with WeatherServer(every_tenth) as server:
        run(server.url, tmp_path / "out", **{"backend.timeout": 3.0})
    assert_as_in_fine_weather(tmp_path / "out", calm, server)
    assert server.calls == ROWS + server.spoiled and server.spoiled == server.calls // 10


@contextmanager
def names_resolve(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Resolve the host llm.test to 127.0.0.1, unless the event that is returned is set."""
    lookup, fails = socket.getaddrinfo, threading.Event()

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "llm.test" and fails.is_set():
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return lookup("127.0.0.1" if host == "llm.test" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield fails
    monkeypatch.undo()


def test_a_name_that_does_not_resolve_for_a_while_is_awaited(
    tmp_path: Path, calm: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call looks the name up: connections are not kept, and resolved names are dropped at the beginning."""
    timers: list[threading.Timer] = []
    with names_resolve(monkeypatch) as fails, WeatherServer(keeps_connections=False) as server:

        def begin(status: RunStatus, backend: Any) -> None:
            if status.accepted >= 10 and not timers:
                fails.set()
                backend._session.connector.clear_dns_cache()
                timers.append(threading.Timer(2.0, fails.clear))
                timers[0].start()

        run(server.url.replace("127.0.0.1", "llm.test"), tmp_path / "out", on_update=begin)
    assert timers and not fails.is_set()
    assert_as_in_fine_weather(tmp_path / "out", calm, server)
    assert server.calls == ROWS, "calls that fail to resolve reach no server"


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_jumps_by_a_day_changes_no_wait(
    tmp_path: Path, calm: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """The clock of the client jumps before a wait that ends at a date, and again in the middle of one in seconds."""
    true_time, offset = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: true_time() + offset[0])

    def waits(call: Call) -> Event:
        if call.number == 20:
            offset[0] += days * DAY_S
            now = true_time()
            dates = {"Date": formatdate(now, usegmt=True), "Retry-After": formatdate(now + 1, usegmt=True)}
            return Event(429, dates)
        if call.number == 40:
            threading.Timer(0.3, lambda: offset.__setitem__(0, offset[0] - 2 * days * DAY_S)).start()
            return Event(503, {"Retry-After": "1"})
        return FINE

    with WeatherServer(waits, date=False) as server:
        run(server.url, tmp_path / "out")
    assert_as_in_fine_weather(tmp_path / "out", calm, server)
    assert server.calls == ROWS + 2


def test_a_server_that_is_restarted_is_awaited(tmp_path: Path, calm: dict[str, bytes]) -> None:
    """Its port refuses connections for a while, then another server listens there."""
    first, servers = WeatherServer(), []

    def restart() -> None:
        wait_until(lambda: first.calls >= 20)
        first.stop()
        with socket.create_server(("127.0.0.1", first.port)) as listener:  # a barrier: the client tries to come back
            listener.accept()[0].close()
        servers.append(WeatherServer(port=first.port).__enter__())

    thread = threading.Thread(target=restart)
    with first:
        thread.start()
        run(first.url, tmp_path / "out")
        thread.join()
    servers[0].stop()
    assert_as_in_fine_weather(tmp_path / "out", calm, first, servers[0])
    assert first.answered and servers[0].answered
