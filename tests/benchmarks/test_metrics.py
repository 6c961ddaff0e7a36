"""The benchmark of metrics: its inputs, our side of every case, its table. No peer is run here."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.metrics.__main__ import PEERS, difference, measured, row
from benchmarks.metrics.inputs import prepare
from benchmarks.metrics.ours import CASES
from benchmarks.metrics.timing import read


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("inputs"), 60)


def test_inputs_are_as_large_as_asked_and_the_same_each_time(place: Path, tmp_path: Path) -> None:
    case, again = read(place), read(prepare(tmp_path, 60))
    assert len(case.texts) == len(case.words) == len(case.one) == len(case.other) == 60
    assert np.linalg.norm(case.one, axis=1) == pytest.approx(1, abs=1e-6) and not (case.one == case.other).all()
    assert again.texts == case.texts and (again.one == case.one).all()
    more = read(prepare(tmp_path, 5000))
    assert len(more.texts) == 5000 and all(more.words)


@pytest.mark.parametrize("name", CASES)
def test_our_side_of_every_case_gives_a_number(name: str, place: Path) -> None:
    found = np.asarray(CASES[name](read(place)), dtype=float)
    assert np.isfinite(found).all() and found.size in (1, 4, 60)
    assert PEERS.keys() <= CASES.keys()


def test_a_case_runs_in_a_process_and_fails_in_one_line(place: Path) -> None:
    found = measured([sys.executable, "-m", "benchmarks.metrics.ours", "vendi", place])
    assert found["share"] == 1.0 and found["seconds"] > 0 and 1 < found["value"] < 60
    failed = measured([sys.executable, "-m", "benchmarks.metrics.ours", "nonsense", place])
    assert failed == {"error": "KeyError: 'nonsense'"}


def test_rows_of_the_table() -> None:
    ours = {"seconds": 0.5, "mib": 10.2, "value": [1.0, 2.0], "share": 1.0}
    peer = {"seconds": 50.0, "mib": 100.0, "value": [1.0, 2.5], "share": 0.1}
    assert (
        row("self_bleu_nltk", 1000, ours, peer) == "| self_bleu | NLTK | 1,000 | 0.5 | 50 est. | 100 | 10 | 100 | 0.2 |"
    )
    assert row("prdc", 1000, ours, {"error": "no"}) == "| prdc | prdc | 1,000 | 0.5 | failed: no | | 10 | | |"
    assert row("diversity core", 1000, ours, None) == "| diversity core | | 1,000 | 0.5 | | | 10 | | |"
    assert difference("rouge_l", 1, 2) == "" and difference("vendi", 1.0, 1.0) == "0"
    assert json.dumps(row("prdc", 5, {"error": "x"}, None)) == '"| prdc | | 5 | failed: x | | | | | |"'
