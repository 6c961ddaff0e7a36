"""The table of texts: its columns, and the tools that open it with the lines of docs/export.md."""

import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import personagen as pg
from personagen.builder.core.progress import SILENT
from personagen.builder.export.table import TableSettings, export_table
from personagen.builder.report.release_report import read_release_report
from tests.helpers.command import Run
from tests.helpers.releasing import EMOTIONS, ROOT, left_out_beside_predictions, records, rewrite, with_predictions

PAGE = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def classified(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose rows have predictions, so that no classifier is trained; read only."""

    def change(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        for row in rows:
            row["provenance"] |= {"checker_label": "joy", "checker_confidence": 0.5}
        return pa.Table.from_pylist(rows, with_predictions(table.schema))

    folder = tmp_path_factory.mktemp("classified") / "personagen"
    prefixes = (*(f"{emotion}/" for emotion in EMOTIONS), "all/", "depth_")
    return rewrite(release, folder, prefixes, change, left_out=left_out_beside_predictions(release))


@pytest.fixture(scope="module")
def table(classified: Path) -> Path:
    """The table of 30 synthetic and 30 real texts with their vectors, beside the release; read only."""
    result = export_table(classified, TableSettings(max_texts=30, vectors=True))
    assert result.rows == {"synthetic": 30, "real": 30}
    assert result.note == "30 of 70 texts, drawn by the seed"
    return result.path


def test_the_table_has_texts_personas_predictions_positions_and_vectors(classified: Path, table: Path) -> None:
    rows = pq.read_table(table).to_pylist()
    originals = {row["id"]: row for row in records(classified, "all")}
    synthetic = [row for row in rows if row["kind"] == "synthetic"]
    for row in synthetic:
        original = originals[row["id"]]
        assert (row["text"], row["emotion"]) == (original["text"], original["emotion"])
        assert (row["age"], row["country"]) == (original["demographic"]["age"], original["sociocultural"]["country"])
        assert row["control"] == original["situational"]["appraisal"]["control"]
        assert row["demographic_prose"] == original["demographic"]["prose"]
        assert (row["prediction"], row["prediction_confidence"]) == ("joy", 0.5)
        assert row["leaked"] == original["provenance"]["leaked"]
    assert {row["emotion"] for row in rows if row["kind"] == "real"} <= set(EMOTIONS)
    assert all(row["age"] is None for row in rows if row["kind"] == "real")
    vectors = np.array([row["vector"] for row in rows])
    assert vectors.shape == (60, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert len({(row["x"], row["y"]) for row in rows}) > 50


def lines(tool: str) -> str:
    """Return the line of the page that opens the table with a tool."""
    found = re.search(rf"^\| {tool} \| `(.*)` \|$", PAGE, re.MULTILINE)
    assert found, f"docs/export.md has no line for {tool}"
    return found[1]


@pytest.mark.parametrize("tool", ["pandas", "DuckDB", "Polars"])
def test_the_line_of_the_page_opens_the_table(tool: str, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(table.parent)
    names: dict[str, Any] = {"pd": pd, "duckdb": duckdb, "pl": pl}
    assert len(eval(lines(tool), names)) == 60


def test_the_command_writes_the_table_once(classified: Path, run: Run) -> None:
    shutil.copytree(classified, "personagen")
    done = run("export", "--to", "table", "--max-texts", "5", "--json")
    assert json.loads(done.out)["rows"] == {"synthetic": 5, "real": 5}
    again = run("export", "--to", "table", "--max-texts", "5")
    assert again.code == 1
    assert "personagen.texts.parquet exists; replace it with --force, or choose another file with --out" in again.err
    assert run("export", "--to", "table", "--max-texts", "4", "--force").out == "personagen.texts.parquet\n"
    assert "vector" not in pq.read_schema("personagen.texts.parquet").names


def test_a_table_that_cannot_be_written_is_one_line(classified: Path, run: Run) -> None:
    Path("file").touch()
    done = run("export", str(classified), "--to", "table", "--max-texts", "2", "--out", "file/t.parquet")
    assert done.code == 1
    assert "cannot write file/t.parquet: file exists; choose another folder with --out" in done.err


def test_a_reference_without_the_emotions_leaves_predictions_out(release: Path, tmp_path: Path) -> None:
    reference = tmp_path / "real.jsonl"
    words = [random.Random(number).choice(["rain", "bus", "tea"]) for number in range(60)]
    texts = [{"text": f"The {word} was late {number}"} for number, word in enumerate(words)]
    reference.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    opened = pg.Release(release)
    result = opened.export("table", tmp_path / "t.parquet", reference=reference, max_texts=10, progress=False)
    columns = pq.read_table(result.path)
    assert "prediction" not in columns.column_names
    assert columns["emotion"].null_count == 10, "real texts without labels"


@pytest.mark.slow
@pytest.mark.timeout(900)  # it may be the one that encodes
@pytest.mark.usefixtures("encoded_corpora")
def test_positions_are_those_of_the_map_of_the_report(classified: Path, tmp_path: Path) -> None:
    report = read_release_report(classified, "goemotions", None, 0, SILENT)
    shown = [text.text for group in report.groups for text in group.texts]
    rows = pq.read_table(export_table(classified, out=tmp_path / "t.parquet").path).to_pylist()
    assert [row["text"] for row in rows] == shown
    assert np.allclose([(row["x"], row["y"]) for row in rows], report.points, atol=1e-3)
