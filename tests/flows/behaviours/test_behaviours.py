"""Whole runs against every behaviour of the table: the rows of a careful client, and no more wasted calls.

`tests/helpers/servers/behaviours` has the table; `python -m benchmarks.endpoints` prints it.
"""

from pathlib import Path

import pytest

from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, always, constant
from tests.helpers.servers.behaviours.table import BEHAVIOURS
from tests.helpers.servers.odd_runs import KEY, defects, run_openai
from tests.helpers.servers.odd_server import OddServer

RELEASES = [row for row in BEHAVIOURS if row.texts]
QUICK = [row for row in RELEASES if not row.seconds][::8]
"""Rows of the fast suite: every eighth of those that make no client wait."""


@pytest.mark.parametrize(
    "behaviour",
    [pytest.param(row, id=row.name, marks=[] if row in QUICK else pytest.mark.slow) for row in RELEASES],
)
def test_a_release_by_calls(behaviour: Behaviour, tmp_path: Path) -> None:
    assert defects(behaviour, run_openai(behaviour, tmp_path)) == []


def test_a_redirect_to_another_host_carries_no_key(tmp_path: Path) -> None:
    """It ends the run with the address that the server names."""
    with OddServer() as elsewhere:
        location = elsewhere.host.replace("127.0.0.1", "localhost") + "/v1/chat/completions"
        answer = OddAnswer(308, b"", {"Location": location})
        moved = Behaviour("moved", "addresses", always(constant(answer)), "parked domains", rows=70)
        run = run_openai(moved, tmp_path)
    sent = [value for call in elsewhere.tally.calls for value in call.headers.values()]
    assert [value for value in sent if KEY in value] == []
    assert (run.rows, "localhost" in run.message, run.has_key) == (0, True, False)
