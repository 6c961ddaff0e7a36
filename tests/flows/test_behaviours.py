"""Whole runs against every behaviour of the table: the rows of a careful client, and no more wasted calls.

`tests/helpers/servers/behaviours` has the table; `python -m benchmarks.endpoints` prints it.
"""

from pathlib import Path

import pytest

from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, always
from tests.helpers.servers.behaviours.table import BEHAVIOURS, ORDINARY
from tests.helpers.servers.odd_runs import defects, run_batch, run_judge, run_openai
from tests.helpers.servers.odd_server import OddServer

RELEASES = [row for row in BEHAVIOURS if row.texts]
QUICK = [row for row in RELEASES if not row.seconds][::8]
"""Rows of the fast suite: every eighth of those that make no client wait."""

BATCHES = [row for row in RELEASES if row.batch and row.address == "/v1"]
JUDGES = [row for row in BEHAVIOURS if row.judge]


def rows(behaviours: list[Behaviour] | tuple[Behaviour, ...], quick: list[Behaviour]) -> list[object]:
    """Return parameters of a test, of which those outside `quick` are slow."""
    return [pytest.param(row, id=row.name, marks=[] if row in quick else pytest.mark.slow) for row in behaviours]


@pytest.mark.parametrize("behaviour", rows(RELEASES, QUICK))
def test_a_release_by_calls(behaviour: Behaviour, tmp_path: Path) -> None:
    assert defects(behaviour, run_openai(behaviour, tmp_path)) == []


@pytest.mark.parametrize("behaviour", rows(BATCHES, [ORDINARY]))
def test_a_release_by_batches(behaviour: Behaviour, tmp_path: Path) -> None:
    assert defects(behaviour, run_batch(behaviour, tmp_path), batch=True) == []


@pytest.mark.parametrize("behaviour", rows(JUDGES, JUDGES[:4]))
def test_ratings_of_a_judge(behaviour: Behaviour, tmp_path: Path) -> None:
    assert defects(behaviour, run_judge(behaviour, tmp_path), rows=7) == []


def test_a_redirect_to_another_host_carries_no_key(tmp_path: Path) -> None:
    """It ends the run with the address that the server names."""
    with OddServer() as elsewhere:
        location = elsewhere.host.replace("127.0.0.1", "localhost") + "/v1/chat/completions"
        moved = always_moved(location)
        run = run_openai(moved, tmp_path)
    assert [
        call.headers.get("authorization") for call in elsewhere.tally.calls if "authorization" in call.headers
    ] == []
    assert (run.rows, "localhost" in run.message) == (0, True)


def always_moved(location: str) -> Behaviour:
    """Return the behaviour of a server that has moved to another one."""
    answer = OddAnswer(308, b"", {"Location": location})
    return Behaviour("moved", "addresses", always(lambda call: answer), "parked domains", stop=("localhost",), rows=70)
