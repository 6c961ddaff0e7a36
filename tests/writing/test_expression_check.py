"""The expression of texts, asked for and found, with models that obey, always show, or always name the emotion."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.planning.plan import RowPlan, make_plan
from personagen.builder.planning.recipe import Recipe
from tests.helpers.flow import answer_fault, make, recipe_for, rejects_of, rows_of, seed_of, texts_of
from tests.helpers.releasing import manifest_of
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault, sentences

MIXED = {"expression": {"named": 0.4, "voiced": 0.3, "shown": 0.3}, "text.max_words": 60}
STARTS = {
    "anger": {"named": "I was furious.", "voiced": "What the fuck is this shit!", "shown": ""},
    "joy": {"named": "I was so happy.", "voiced": "Haha, thank you so much!!", "shown": ""},
}
"""Beginnings of replies that express an emotion."""

Policy = Callable[[str, int], str]
"""Expression of a reply, by the one asked for and the number of the attempt."""

POLICIES: dict[str, Policy] = {
    "obeys": lambda asked, attempt: asked,
    "shows": lambda asked, attempt: "shown",
    "names": lambda asked, attempt: "named",
    "learns": lambda asked, attempt: asked if attempt >= 2 else "shown",
}


def planned(recipe: Recipe) -> list[RowPlan]:
    plan = make_plan(recipe)
    return [row for shard in plan.shards() for row in plan.rows(shard)]


def asked(row: RowPlan) -> str:
    assert row.style is not None
    return row.style.expression


def replies(recipe: Recipe, policy: Policy, attempts: int = 4) -> Iterator[Fault]:
    """Yield the reply to each attempt at each row; no two are alike."""
    for row in planned(recipe):
        for attempt in range(attempts):
            rest = sentences(random.Random(f"{row.id}:{attempt}"))
            text = f"{STARTS[row.emotion][policy(asked(row), attempt)]} {rest}".strip()
            yield answer_fault(text, seed_of(row.id, attempt))


def generate(out: Path, policy: Policy, *changes: dict[str, Any]) -> tuple[dict[str, Any], list[RowPlan], int]:
    """Make a release, and return its manifest, its plan and the number of requests."""
    recipe = recipe_for("http://127.0.0.1:1/v1", MIXED, *changes)
    with FakeOpenAI(faults=list(replies(recipe, policy))) as server:
        make(recipe_for(server.url, MIXED, *changes), out)
        return manifest_of(out), planned(recipe), len(server.requests)


@pytest.mark.parametrize("name", ["obeys", "shows", "names"])
def test_the_table_counts_what_was_asked_for_and_what_the_model_wrote(name: str, tmp_path: Path) -> None:
    policy = POLICIES[name]
    manifest, rows, requests = generate(tmp_path / "out", policy)
    expected: dict[str, Counter[str]] = {}
    for row in rows:
        expected.setdefault(asked(row), Counter())[policy(asked(row), 0)] += 1
    assert set(expected) == {"named", "voiced", "shown"} and requests == len(rows) == 14
    assert manifest["expressions"] == expected
    columns = {row["id"]: row for row in texts_of(tmp_path / "out")}
    for row in rows:
        written = columns[row.id]
        found = written["provenance"]["expression_found"]
        assert (written["expression"], found) == (asked(row), policy(asked(row), 0))
        assert written["style"] == "comments"
    assert rejects_of(tmp_path / "out") == []


def test_a_word_for_the_emotion_is_no_leak_where_it_was_asked_for(tmp_path: Path) -> None:
    obeyed, rows, _ = generate(tmp_path / "obeys", POLICIES["obeys"])
    assert obeyed["leaked"] == 0
    named, _, _ = generate(tmp_path / "names", POLICIES["names"])
    assert named["leaked"] == sum(asked(row) != "named" for row in rows) > 0
    assert all(row["provenance"]["leaked"] for row in texts_of(tmp_path / "names"))


def test_another_expression_is_rejected_and_retried_if_the_recipe_says_so(tmp_path: Path) -> None:
    manifest, rows, requests = generate(tmp_path / "out", POLICIES["learns"], {"checks.expression": "reject"})
    others = [row for row in rows if asked(row) != "shown"]
    rejects = rejects_of(tmp_path / "out")
    assert {reject["reason"] for reject in rejects} == {"expression"}
    assert Counter(reject["id"] for reject in rejects) == {row.id: 2 for row in others}
    assert manifest["rejects"] == {"expression": {"expression": 2 * len(others)}}
    assert requests == len(rows) + 2 * len(others)
    assert all(set(found) == {wanted} for wanted, found in manifest["expressions"].items())
    assert {row["provenance"]["attempts"] for row in texts_of(tmp_path / "out")} == {1, 3}


def test_a_text_that_is_not_in_english_is_not_checked_and_never_rejected(tmp_path: Path) -> None:
    recipe = recipe_for("http://127.0.0.1:1/v1", MIXED, {"checks.expression": "reject"})
    first = planned(recipe)[0]
    russian = answer_fault("В понедельник почтальон отнёс зелёную лестницу в гавань, а клерк считал коробки.", 0)
    russian = Fault("status", seed=seed_of(first.id, 0), status=200, body=russian.body)
    with FakeOpenAI(faults=[russian, *replies(recipe, POLICIES["obeys"])]) as server:
        make(recipe_for(server.url, MIXED, {"checks.expression": "reject"}), tmp_path / "out")
    (written,) = [row for row in rows_of(tmp_path / "out", first.emotion) if row["id"] == first.id]
    assert written["provenance"]["expression_found"] == "not checked" and written["expression"] == asked(first)
    assert manifest_of(tmp_path / "out")["expressions"][asked(first)]["unchecked"] == 1


def test_a_release_of_shown_texts_has_neither_table_nor_columns(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        make(recipe_for(server.url), tmp_path / "out")
    assert "expressions" not in manifest_of(tmp_path / "out")
    row = texts_of(tmp_path / "out")[0]
    assert not {"expression", "style"} & {*row} and "expression_found" not in row["provenance"]
