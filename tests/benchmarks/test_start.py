"""Time of a run before its first request, and processor time per row."""

from collections.abc import Iterator

import pytest

from benchmarks.pipeline.measure import Server
from benchmarks.start import cpu_s, first_request_s


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def test_the_command_is_stopped_at_its_first_request(server: Server) -> None:
    """The plan of 2,000 rows is not written to its end."""
    assert first_request_s(server, 2000, "none") > 0
    assert server.stats()["requests"] < 2000


def test_the_processor_time_is_that_of_a_whole_run(server: Server) -> None:
    assert cpu_s(server, 20, "none") > 0
    assert server.stats()["replies"] == 20
