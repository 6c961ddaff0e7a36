"""Mutations of the files of comparisons, matches and runs: a page without their markup, or a refusal in one line."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import PersonaGenError, ReleaseError
from personagen.builder.core.records import Demographic, Sociocultural
from personagen.builder.evaluation.comparison_tables import comparison_markdown, verdict_lines
from personagen.builder.evaluation.matching.match_results import read_match
from personagen.builder.report.comparison_report import _read
from personagen.builder.report.match_report import read_match_report
from personagen.builder.report.page import Report, render_page
from personagen.builder.report.rejected_replies import draw_examples, read_rejects
from tests.helpers.browser import data_of
from tests.helpers.hostile.mutations import as_json, damaged, mutated, places, strange_files, watched_files
from tests.report.test_match_page import saved
from tests.report.test_odd_comparisons import CLAIM, FIGURE, write_comparison

MARKUP = "<img src=x onerror=alert(1)>'\"&"
CHOICES = ("better", "verdict", "format", "stage")
"""Keys with a few possible values."""

REJECT = {"id": "joy-1", "stage": "expression", "reason": "leak", "attempt": 0, "text": "Joy.", "detail": None}
JUDGED = {
    "human_likeness": 3.2, "human_likeness_ci": [3.0, 3.4], "human_likeness_real": 3.5, "human_likeness_gap": -0.3,
    "human_likeness_auc": 0.4, "judge_validated": False, "judge_validation": "one judge alone",
}  # fmt: skip
MANY = pytest.param(4, marks=pytest.mark.slow)
"""A multiple of the mutations that the fast tests try."""


PERSONA = {
    "demographic": asdict(Demographic(31, "woman", "employed", "cook", "Service", "5120", "INFP", 50, 50, 50, 50, 50)),
    "sociocultural": asdict(Sociocultural(
        "France", "town", "upper secondary", "none", "alone", "comfortable", "security", "benevolence", "plain",
    )),
}  # fmt: skip


@pytest.fixture
def comparison(tmp_path: Path) -> Path:
    figures = {"figures": {"leak_rate": FIGURE, "mmd2": FIGURE}, "rejects": {"leak": 3}}
    claim = CLAIM | {"detectable": 0.1, "reason": "few"}
    folder = write_comparison(tmp_path / "c", {"none": figures, "situational": figures, "real": {}}, [claim])
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    results["human_likeness"] = {"none": JUDGED, "situational": {"problem": "no judge"}}
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    change_lines(folder / "texts" / "situational.jsonl", lambda line: line | {"persona": PERSONA, "persona_id": "p"})
    rejects = [REJECT | {"arm": "none", "seed": 0}, REJECT | {"arm": "real", "seed": 0, "detail": "joy-2"}]
    (folder / "rejects.jsonl").write_text("\n".join(map(json.dumps, rejects)), encoding="utf-8")
    return folder


def change_lines(path: Path, change: Callable[[Any], Any]) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(json.dumps(change(json.loads(line))) for line in lines), encoding="utf-8")


def comparison_report(folder: Path) -> Report:
    """Read a comparison in every way but the map, whose positions take seconds."""
    report = _read(folder, 0)
    comparison_markdown(report.comparison)
    assert all(isinstance(line, str) for line in verdict_lines(report.comparison.claims))
    assert report.comparison._repr_html_() and repr(report.comparison)
    return replace(report, points=[(0.0, 0.0)] * sum(len(group.texts) for group in report.groups))


def match_report(folder: Path) -> Report:
    assert read_match(folder)._repr_html_()
    return read_match_report(folder)


def require_page(report: Report) -> None:
    page = render_page(report)
    assert page.count("<script") == 3 and "<img src=x" not in page
    assert data_of(page)


def mutations(content: dict[str, Any], rng: random.Random, number: int) -> Iterator[bytes]:
    known, text = list(places(content)), json.dumps(content)
    for count in range(number):
        changed = damaged(text, rng) if count % 4 == 0 else as_json(mutated(content, rng, known))
        yield changed.encode("utf-8", "surrogatepass")


def try_mutations(path: Path, contents: Iterator[bytes], read: Callable[[Path], Report], folder: Path) -> None:
    """Read a folder for each content of one of its files; every tenth one that is read has its page rendered."""
    counts = {"read": 0, "refused": 0}
    require_page(read(folder))  # which also imports what is imported on use
    with watched_files() as opened:
        for content in contents:
            path.write_bytes(content)
            try:
                report = read(folder)
                list(report.sections())
                counts["read"] += 1
                if counts["read"] % 10 == 0:
                    require_page(report)
            except ReleaseError as error:
                assert len(str(error)) < 1000 and str(error).isprintable()
                counts["refused"] += 1
        strange = [name for name in strange_files(opened, folder.parent) if "report.js" not in name]
        assert not strange, strange
    assert min(counts.values()) > 9, counts


@pytest.mark.parametrize("factor", [1, MANY])
@pytest.mark.parametrize(("name", "number"), [("results.json", 500), ("texts/situational.jsonl", 300),
                                              ("rejects.jsonl", 200)])  # fmt: skip
def test_mutated_comparisons_have_a_page_or_are_refused(name: str, number: int, factor: int, comparison: Path) -> None:
    rng = random.Random(f"{name} {factor}")
    path = comparison / name
    first, *rest = path.read_text(encoding="utf-8").split("\n") if name.endswith("l") else [path.read_text("utf-8")]
    ending = "\n".join(["", *rest]).encode()
    contents = (content + ending for content in mutations(json.loads(first), rng, number * factor))
    try_mutations(path, contents, comparison_report, comparison)


@pytest.mark.parametrize("factor", [1, MANY])
@pytest.mark.parametrize("labelled", [True, False])
def test_mutated_matches_have_a_page_or_are_refused(labelled: bool, factor: int, tmp_path: Path) -> None:
    saved(tmp_path / "match", labelled=labelled)
    path = tmp_path / "match" / "match.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    contents = mutations(content, random.Random(f"{labelled} {factor}"), 260 * factor)
    try_mutations(path, contents, match_report, tmp_path / "match")


def test_mutated_rejects_of_a_run_are_read_or_refused(tmp_path: Path) -> None:
    rng = random.Random(20)
    counts = {"read": 0, "refused": 0}
    for content in mutations(REJECT, rng, 1000):
        (tmp_path / "rejects.jsonl").write_bytes(json.dumps(REJECT).encode() + b"\n" + content)
        try:
            examples = draw_examples(lambda: read_rejects(tmp_path), 0)
            assert all(isinstance(reply.text, str | None) for replies in examples.values() for reply in replies)
            counts["read"] += 1
        except PersonaGenError as error:
            assert len(str(error)) < 500 and str(error).isprintable()
            counts["refused"] += 1
    assert min(counts.values()) > 100, counts


def with_markup(value: Any, key: str = "") -> Any:
    """Add markup to every text of a JSON value, and to the names of arms, figures and reasons."""
    if isinstance(value, str):
        return value if key in CHOICES else f"{value}{MARKUP}"
    if isinstance(value, list):
        return [with_markup(part) for part in value]
    if not isinstance(value, dict):
        return value
    renamed = key in ("figures", "rejects", "labels")
    return {f"{name}{MARKUP}" if renamed else name: with_markup(part, name) for name, part in value.items()}


def test_every_text_of_a_comparison_is_escaped(comparison: Path) -> None:
    path = comparison / "results.json"
    content = with_markup(json.loads(path.read_text(encoding="utf-8")))
    name = f"situational{MARKUP}".replace("/", "")
    content["arms"][name] = content["arms"].pop("situational")
    path.write_text(json.dumps(content), encoding="utf-8")
    for file in [*(comparison / "texts").iterdir(), comparison / "rejects.jsonl"]:
        change_lines(file, with_markup)
    (comparison / "texts" / "situational.jsonl").rename(comparison / "texts" / f"{name}.jsonl")
    require_page(comparison_report(comparison))


def test_every_text_of_a_match_is_escaped(tmp_path: Path) -> None:
    saved(tmp_path / "match")
    path = tmp_path / "match" / "match.json"
    path.write_text(json.dumps(with_markup(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    require_page(match_report(tmp_path / "match"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["classifier"].update(accuracy="<b>"), r"'classifier\.accuracy': got str, wanted a valid number"),
        (lambda c: c["classifier"].update(other_accuracy=0.5), "got dict, wanted all results on other corpora, or non"),
        (lambda c: c["claims"][0].update(low=None), "got dict, wanted both ends of an interval, or none"),
        (lambda c: c["model"].pop("backend"), r"'model\.backend': it is missing"),
        (lambda c: c["human_likeness"]["none"].update(human_likeness_ci=[1]), r"'human_likeness\.none\.human_likeness"),
        (lambda c: c.update(arms={}), "'arms': got dict, wanted"),
        (lambda c: c["reference"].update(name=7), r"'reference\.name': got 7"),
    ],
)  # fmt: skip
def test_a_comparison_of_wrong_types_is_one_line(change: Any, message: str, comparison: Path) -> None:
    path = comparison / "results.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ReleaseError, match=rf"cannot read the comparison .*{message}.*; run `compare` again"):
        comparison_report(comparison)
