"""The published accuracy of the emotion classifier: the page shows what the benchmark wrote about the package."""

import hashlib
import json
from pathlib import Path

import pytest

from benchmarks.metrics.classifier import main, table
from personagen.metrics.texts.embeddings import DEFAULT_MODEL
from personagen.metrics.texts.reference import SLICES, load_reference
from tests.helpers.real_texts import known_vectors
from tests.helpers.releasing import ROOT

PUBLISHED = json.loads((ROOT / "docs" / "results" / "classifier.json").read_text(encoding="utf-8"))


def test_the_page_has_the_table_of_the_file() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert "\n".join(table(PUBLISHED["results"])) in page
    assert PUBLISHED["embeddings"] == DEFAULT_MODEL and len(PUBLISHED["results"]) == 9


def test_the_file_is_about_the_texts_of_the_package() -> None:
    for name, entry in PUBLISHED["slices"].items():
        texts = [*load_reference(name).texts, *load_reference(name).test_texts]
        assert entry["sha256"] == hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
    assert list(PUBLISHED["slices"]) == list(SLICES.values())


def test_other_corpora_are_harder_and_shares_are_shares() -> None:
    home = {row["trained_on"]: row for row in PUBLISHED["results"] if row["trained_on"] == row["tested_on_corpus"]}
    for row in PUBLISHED["results"]:
        assert 0 < row["accuracy"] < 1 and 0 < row["calibration_error"] < 0.5 and row["tested_on"] >= 400
        if row is not home[row["trained_on"]]:
            assert row["accuracy"] < home[row["trained_on"]]["accuracy"]


def test_the_benchmark_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with known_vectors(tmp_path / "cache", []):
        main(["--out", str(tmp_path / "classifier.json")])
    written = json.loads((tmp_path / "classifier.json").read_text())
    assert written["slices"] == PUBLISHED["slices"] and written.keys() == PUBLISHED.keys()
    for one, other in zip(written["results"], PUBLISHED["results"], strict=True):
        assert one.keys() == other.keys() and one["tested_on"] == other["tested_on"]
    assert capsys.readouterr().out.strip() == "\n".join(table(written["results"]))
