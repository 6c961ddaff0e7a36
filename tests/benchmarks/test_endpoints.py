"""The benchmark of endpoints: its choice of behaviours, its cells and its tables. No peer is run here."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.endpoints.__main__ import arguments, chosen_behaviours, kept_cells, measure, repeatable
from benchmarks.endpoints.runs import OURS, PEERS, Cell, is_tried, portable, run_command, run_ours
from benchmarks.endpoints.tables import ahead, matrix, summary
from tests.helpers.servers.behaviours.table import BEHAVIOURS, ORDINARY, behaviour_named

HOPELESS = behaviour_named("never usable: no content")


def cell(
    system: str, usable: int, *, behaviour: str = ORDINARY.name, dirty: int = 0, careful: bool | None = None
) -> Cell:
    return Cell(behaviour, system, 7, usable, dirty, 18, 2, "a | b", careful)


def test_a_peer_with_more_usable_rows_is_named() -> None:
    cells = [cell("openai", 6), cell("curator", 7), cell("distilabel", 6)]
    assert ahead(cells) == ["Behaviours under which a peer has more usable rows than PersonaGen: ordinary (curator)."]
    assert ahead([cell("openai", 7), cell("curator", 7)])[0].endswith("none.")
    assert ahead([cell("openai", 7)]) == [], "nothing is said where no peer was run"


def test_the_summary_counts_whole_runs_where_rows_can_be_written() -> None:
    cells = [cell("openai", 7, careful=True), cell("openai", 0, behaviour=HOPELESS.name, careful=False)]
    lines = summary([ORDINARY, HOPELESS], [*cells, cell("curator", 5, dirty=2)], ["openai", "curator"])
    assert "| PersonaGen, calls | 2 | 1 of 1 | 0 | 1 of 2 |" in lines
    assert "| curator | 1 | 0 of 1 | 1 |  |" in lines


def test_each_behaviour_is_a_line_of_its_group() -> None:
    lines = matrix([ORDINARY, HOPELESS], [cell("openai", 5, dirty=2)], ["openai", "batch"])
    assert "| ordinary | all rows | 5/7 !2, 18 (2) |  | a \\| b |" in lines
    assert "| never usable: no content | stop |  |  |  |" in lines
    assert [line for line in lines if line.startswith("## ")] == ["## Control", "## Hopeless runs"]


def test_peers_are_tried_where_no_recipe_is_needed() -> None:
    tried = {system: [row for row in BEHAVIOURS if is_tried(system, row)] for system in (*OURS, *PEERS)}
    assert tried["openai"] == [row for row in BEHAVIOURS if row.texts]
    assert all(row.batch for row in tried["batch"]) and all(row.judge for row in tried["judge"])
    assert not is_tried("curator", behaviour_named("n ignored"))
    assert is_tried("curator", behaviour_named("refusals now and then: de"))
    assert 0.7 * len(BEHAVIOURS) < len(tried["distilabel"]) < len(BEHAVIOURS)


def test_behaviours_are_chosen_by_group() -> None:
    assert chosen_behaviours("control", 1) == [ORDINARY]
    assert len(chosen_behaviours("thoughts", 10)) == -(-len(chosen_behaviours("thoughts", 1)) // 10)
    assert len(chosen_behaviours(None, 1)) == len(BEHAVIOURS)
    with pytest.raises(SystemExit, match=r"unknown \['thouhgts'\], expected some of control,parameters"):
        chosen_behaviours("thouhgts", 1)
    with pytest.raises(SystemExit, match=r"unknown \['curators'\], expected some of openai,batch"):
        measure(arguments(["--only", "curators"]), [])


def test_cells_of_peers_are_kept_from_an_earlier_run(tmp_path: Path) -> None:
    path = tmp_path / "cells.json"
    cells = [cell("openai", 7), cell("curator", 5), cell("distilabel", 5), cell("curator", 5, behaviour="gone")]
    path.write_text(json.dumps({"cells": [asdict(made) for made in cells]}), encoding="utf-8")
    assert kept_cells(path, ["openai", "curator"], [ORDINARY]) == [cells[1]]
    assert kept_cells(None, ["curator"], [ORDINARY]) == []


def test_a_run_of_personagen_fills_a_cell() -> None:
    made = run_ours(ORDINARY, "openai", timeout_s=120)
    assert (made.usable, made.wanted, made.dirty, made.message, made.careful) == (7, 7, 0, "", True)


def test_a_run_that_does_not_end_is_ended(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(600)"]
    assert run_command(words, timeout_s=0.5)[1] == "no end after 0.5 s"
    failed = run_command([sys.executable, "-c", "raise SystemExit('no model | here')"], timeout_s=60)
    assert failed == ("", "no model   here")


def test_results_name_nothing_of_the_machine() -> None:
    message = "http://127.0.0.1:4711/v1 refused: see /tmp/pytest-of-x/out.run/rejects.jsonl, not and/or https://a.b/c/d"
    assert portable(message) == "http://server/v1 refused: see rejects.jsonl, not and/or https://a.b/c/d"
    assert repeatable(arguments(["--peers-dir", "/home/x", "--every", "2"])) == ["--every 2"]


def test_the_command_writes_tables_and_json(tmp_path: Path) -> None:
    words = ["--only", "openai", "--groups", "control", "--json", str(tmp_path / "cells.json")]
    command = [sys.executable, "-m", "benchmarks.endpoints", *words, "--write", str(tmp_path / "tables.md")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "| ordinary | all rows | 7/7, 18 (0) |  |" in done.stdout
    assert (tmp_path / "tables.md").read_text(encoding="utf-8").strip() == done.stdout.strip()
    assert '"usable": 7' in (tmp_path / "cells.json").read_text(encoding="utf-8")
