"""The benchmark of first rows: distances, and a run with this version of `datasets`."""

import sys
from pathlib import Path

import datasets
import pytest

from benchmarks.clients.__main__ import FIRST_ROWS, first_labels, fractions, labels_of, largest_distance, table_lines
from tests.helpers.releasing import EMOTIONS, make_release
from tests.helpers.servers.fake_openai import FakeOpenAI


def test_the_distance_is_that_of_the_worst_label() -> None:
    whole = fractions(["a"] * 6 + ["b"] * 3 + ["c"])
    assert whole == {"a": 0.6, "b": 0.3, "c": 0.1}
    assert largest_distance(["a", "a", "b", "b"], whole) == pytest.approx(20)
    assert largest_distance(["a"], whole) == pytest.approx(40)


@pytest.mark.slow
def test_the_first_rows_have_every_label_near_its_fraction(tmp_path: Path) -> None:
    quotas = dict(zip(EMOTIONS, (60, 12, 12, 40, 24, 12, 24), strict=True))
    with FakeOpenAI() as server:
        release = make_release(tmp_path / "personagen", server.url, rows=sum(quotas.values()), quotas=quotas)
    version, labels = first_labels(sys.executable, release, "streamed")
    assert version == datasets.__version__
    assert len(labels) == FIRST_ROWS
    assert set(labels) == set(EMOTIONS)
    assert largest_distance(labels, fractions(labels_of(release))) < 5
    row = list(table_lines(release, [sys.executable]))[-1]
    assert row.startswith(f"| {version} | 7 of 7, ")
