"""What the headers of segments report of parts and workers."""

import json
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.llm.journal_only import ModelIdentity
from personagen.builder.llm.requests import Candidate, Reply
from personagen.builder.llm.storage.stored_replies import stored
from personagen.builder.planning.parts import Part
from personagen.builder.segments.segment import Header, Origin, Work, write_segment
from personagen.builder.segments.store import open_store
from personagen.builder.segments.summary import PartSummary, summarize
from tests.helpers.command import Run

NOW = 1_000_000.0
ORIGIN = Origin("0123456789abcdef", {"rows": 14}, "m", "0.1.0", (ModelIdentity("openai", "fake-1"),))


def ship(folder: Path, part: Part, worker: str, order: int, replies: int, **work: Any) -> Path:
    """Write a segment that a worker sealed `ago` seconds before now, after it had begun `began` seconds before."""
    folder.mkdir(exist_ok=True)
    rows = [
        stored(f"{worker}{order:02d}{number:050d}", Reply((Candidate("Words.", "stop"),), 3, 2))
        for number in range(replies)
    ]
    ago, began = work.pop("ago"), work.pop("began")
    facts = {"state": "working", "wanted": 10, "accepted": replies, "cost": replies / 100} | work
    header = Work(
        host=f"host-{worker[0]}",
        began=NOW - began,
        sealed=NOW - ago,
        replies=replies,
        prompt_tokens=3 * replies,
        completion_tokens=2 * replies,
        **facts,
    )
    return write_segment(folder, Header(part, worker, order, ORIGIN, header), rows)


A, B = "a" * 12, "b" * 12


def parts_of(folder: Path) -> tuple[PartSummary, ...]:
    (run,) = summarize(open_store(str(folder)), lambda: NOW).runs
    return run.parts


def test_segments_add_up_to_the_state_of_their_part(tmp_path: Path) -> None:
    ship(tmp_path, Part(0, 2), A, 0, 0, ago=180, began=180, state="begun")
    ship(tmp_path, Part(0, 2), A, 1, 4, ago=120, began=180)
    ship(tmp_path, Part(0, 2), A, 2, 8, ago=60, began=180, state="complete")
    first, second = parts_of(tmp_path)
    assert first == PartSummary(
        Part(0, 2), "complete", (A,), "host-a", 10, 8, 12, 60, pytest.approx(0.12), pytest.approx(6.0), 60.0
    )
    assert second == PartSummary(Part(1, 2), "not begun")


def test_a_part_without_a_segment_for_an_hour_is_silent_and_one_that_is_done_is_not(tmp_path: Path) -> None:
    for number, (state, ago) in enumerate(
        [("working", 3601), ("working", 3599), ("complete", 9999), ("stopped", 9999)]
    ):
        ship(tmp_path, Part(number, 4), A, 0, 2, ago=ago, began=ago + 60, state=state)
    assert [part.state for part in parts_of(tmp_path)] == ["silent", "working", "complete", "stopped"]


def test_a_part_is_slow_below_half_of_the_median_rate(tmp_path: Path) -> None:
    for number, replies in enumerate([20, 20, 18, 9]):
        ship(tmp_path, Part(number, 4), A, 0, replies, ago=30, began=90)
    assert [part.is_slow for part in parts_of(tmp_path)] == [False, False, False, True]


def test_the_time_between_two_processes_of_a_worker_is_no_work(tmp_path: Path) -> None:
    """Part 3 was requeued: it worked for one minute, was queued for a day, and worked for another one."""
    for number in range(3):
        ship(tmp_path, Part(number, 4), A, 0, 10, ago=30, began=90)
    ship(tmp_path, Part(3, 4), A, 0, 10, ago=86_430, began=86_490, state="stopped")
    ship(tmp_path, Part(3, 4), A, 1, 4, ago=60, began=90)
    ship(tmp_path, Part(3, 4), A, 2, 6, ago=30, began=90)
    assert [part.rate for part in parts_of(tmp_path)] == pytest.approx([10.0] * 4)
    assert not any(part.is_slow for part in parts_of(tmp_path))


def test_parts_that_have_only_begun_are_not_slow_and_state_no_counts(run: Run, tmp_path: Path) -> None:
    url = tmp_path / "journals"
    for number in range(3):
        ship(url, Part(number, 5), A, 0, 10, ago=30, began=90)
    begun = {"wanted": 0, "state": "begun"}
    ship(url, Part(3, 5), A, 0, 0, ago=20, began=21, **begun)
    part = parts_of(url)[3]
    assert (part.wanted, part.rate, part.is_slow) == (None, None, False)
    other = tmp_path / "other"
    ship(other, Part(0, 2), A, 0, 0, ago=20, began=21, **begun)
    out = run("status", "--journals", other).out
    assert "0 of 0" not in out and "or more" not in out
    ship(other, Part(1, 2), A, 0, 0, ago=20, began=21, wanted=0, state="complete")
    assert "0 of 0 or more" in run("status", "--journals", other).out


def test_a_segment_with_two_names_counts_once_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    path = ship(tmp_path, Part(0, 1), A, 0, 5, ago=30, began=90)
    path.with_name(f"copy of {path.name}").write_bytes(path.read_bytes())
    cut = ship(tmp_path, Part(0, 1), A, 1, 5, ago=20, began=90)
    cut.write_bytes(cut.read_bytes()[:-100])
    summary = summarize(open_store(str(tmp_path)), lambda: NOW)
    assert summary.runs[0].parts[0].replies == 5
    name = f"segment {cut.name!r} in {tmp_path}"
    assert summary.problems == (f"{name} was cut or altered: it is no complete parquet file",)


def test_the_command_names_what_needs_attention(run: Run, tmp_path: Path) -> None:
    url = tmp_path / "journals"
    for number, worker in ((0, A), (1, A), (1, B)):
        ship(url, Part(number, 3), worker, 0, 5, ago=NOW - 5, began=NOW - 4)  # sealed in 1970
    outcome = run("status", "--journals", url)
    assert outcome.code == 0 and outcome.out.startswith("recipe 0123456789abcdef, 3 parts, openai fake-1\n")
    assert "\n2/3   not begun" in outcome.out and "\nall   0 complete" in outcome.out
    assert "warning: part 0/3 has shipped nothing for " in outcome.out
    assert "warning: part 1/3 has had 2 workers; " in outcome.out
    facts = json.loads(run("status", "--journals", url, "--json").out)
    assert [part["state"] for part in facts["runs"][0]["parts"]] == ["silent", "silent", "not begun"]
    assert facts["runs"][0]["complete"] is False and facts["problems"] == []


def test_a_folder_without_segments_is_an_error(run: Run, tmp_path: Path) -> None:
    outcome = run("status", "--journals", tmp_path / "none")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        f"personagen: there is no segment in {tmp_path / 'none'}; fill a part with personagen fill, or "
        "name the folder\n"
    )
