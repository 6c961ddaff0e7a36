"""Behaviours of the table in the lines of batches, and towards judges."""

from pathlib import Path

import pytest

from tests.helpers.servers.behaviours.records import Behaviour
from tests.helpers.servers.behaviours.table import BEHAVIOURS, ORDINARY
from tests.helpers.servers.odd_runs import defects, run_batch, run_judge

BATCHES = [row for row in BEHAVIOURS if row.texts and row.batch and row.address == "/v1" and row != ORDINARY][::2]
"""Every second row that concerns batches; `python -m benchmarks.endpoints --only batch` runs them all."""

JUDGES = [row for row in BEHAVIOURS if row.judge]


def test_an_ordinary_release_by_batches(tmp_path: Path) -> None:
    assert defects(ORDINARY, run_batch(ORDINARY, tmp_path), batch=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", BATCHES, ids=lambda row: row.name)
def test_a_release_by_batches(behaviour: Behaviour, tmp_path: Path) -> None:
    assert defects(behaviour, run_batch(behaviour, tmp_path), batch=True) == []


@pytest.mark.parametrize(
    "behaviour",
    [pytest.param(row, id=row.name, marks=pytest.mark.slow if row.seconds else []) for row in JUDGES],
)
def test_ratings_of_a_judge(behaviour: Behaviour, tmp_path: Path) -> None:
    assert defects(behaviour, run_judge(behaviour, tmp_path), rows=7) == []
