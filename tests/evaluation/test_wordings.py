"""`compare` with several wordings of the prompt: intervals over wordings, or the reason for none."""

import json
from collections import Counter
from pathlib import Path

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.evaluation.arms import part_recipes
from personagen.builder.evaluation.compare import ComparisonSettings, compare
from personagen.builder.evaluation.comparison import ComparisonResults, read_comparison
from personagen.builder.planning.plan import make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from tests.helpers.real_texts import write_reference
from tests.helpers.releasing import ROOT
from tests.helpers.servers.fake_openai import FakeOpenAI

OWN = ("facts_first", "voice_first", "after_the_event")


def recipe_with(wordings: int, url: str = "http://127.0.0.1:9/v1") -> Recipe:
    paths = [str(ROOT / "recipes" / "prompts" / f"{name}.md") for name in OWN[:wordings]]
    backend = f"{{kind: openai, model: fake-1, base_url: {url}}}"
    text = f"emotions: [joy, anger]\nbackend: {backend}\nelaborate: {{sociocultural: sampled, situational: sampled}}"
    return parse_recipe(text, "r", {"prompts": {"styled": paths}})


def compared(wordings: int, out: Path, tmp_path: Path) -> ComparisonResults:
    reference = write_reference(tmp_path / "real.jsonl")
    settings = ComparisonSettings(str(reference), rows=16 * wordings, seeds=2, arms=("none", "situational"))
    with FakeOpenAI() as server:
        return compare(recipe_with(wordings, server.url), settings, out)


def test_three_wordings_have_a_block_each_and_intervals_over_them(tmp_path: Path) -> None:
    results = compared(3, tmp_path / "out", tmp_path)
    assert results.facts.wordings == tuple(sorted(OWN))
    assert {len(figure.blocks) for figure in results.figures} == {6}
    for figure in results.figures:
        assert figure.value == pytest.approx(sum(figure.blocks) / 6, rel=1e-4, abs=1e-4)
    assert any(figure.low is not None for figure in results.figures)
    assert any(claim.p is not None for claim in results.claims)
    lines = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    assert "Intervals are 95 %, over seeds and over wordings of the prompt (after_the_event, facts_first" in lines
    assert read_comparison(tmp_path / "out").facts == results.facts


def test_two_wordings_have_no_intervals_and_say_so(tmp_path: Path) -> None:
    results = compared(2, tmp_path / "out", tmp_path)
    assert {(figure.low, figure.high) for figure in results.figures} == {(None, None)}
    reason = "2 wordings show too little of how wordings differ, wanted 3 or more"
    assert {(claim.p, claim.verdict, claim.reason) for claim in results.claims} == {(None, "undecided", reason)}
    content = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert content["wordings"] == ["facts_first", "voice_first"]
    assert "and left out: 3 wordings or more show how" in (tmp_path / "out" / "results.md").read_text(encoding="utf-8")


def test_all_arms_have_the_wording_of_a_row() -> None:
    part = part_recipes(recipe_with(3), 60, 2)[0]
    changes = [{"depth": "none"}, {"expression": "shown", "text": part.text.model_copy(update={"style": "comments"})}]
    plans = [make_plan(part.model_copy(update=change)) for change in ({}, *changes)]
    wordings = [{row.id: row.wording for shard in plan.shards() for row in plan.rows(shard)} for plan in plans]
    assert wordings[0] == wordings[1] == wordings[2]
    assert Counter(wordings[0].values()) == dict.fromkeys(OWN, 10)


def test_a_seed_needs_two_rows_per_emotion_and_wording() -> None:
    with pytest.raises(RecipeError, match=r"gives 11 texts per seed for 2 emotions in 3 wordings, wanted two or"):
        part_recipes(recipe_with(3), 22, 2)
    assert len(part_recipes(recipe_with(3), 24, 2)) == 2
