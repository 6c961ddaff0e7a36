"""Wordings are dealt evenly and at random: within each emotion and intensity, and whatever else a row has."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.planning.plan import make_plan
from personagen.builder.planning.prompts import wording_of
from personagen.builder.planning.recipe.parsing import parse_recipe
from tests.helpers.releasing import ROOT

NAMES = ("a", "b", "c")


def dealt(rows: int, strata: int = 1, names: tuple[str, ...] = NAMES, seed: int = 0, emotion: str = "joy") -> list[str]:
    return [wording_of(names, seed=seed, emotion=emotion, turn=t, rows=rows, strata=strata) for t in range(rows)]


@given(st.integers(1, 60), st.integers(1, 3), st.integers(2, 7))
def test_wordings_are_balanced_within_an_emotion_and_within_an_intensity(rows: int, strata: int, count: int) -> None:
    names = tuple(map(str, range(count)))
    wordings = dealt(rows, strata, names)
    counts = Counter(wordings)
    assert max(counts.values()) - min(counts[name] for name in names) <= 1
    for stratum in range(min(strata, rows)):
        of_stratum = Counter(wordings[stratum::strata])
        assert max(of_stratum.values()) - min(of_stratum[name] for name in names) <= 2


def test_a_wording_depends_on_seed_emotion_and_row_and_not_on_the_order_of_the_names() -> None:
    assert dealt(60) == dealt(60) == dealt(60, names=("c", "a", "b"))
    assert len({tuple(dealt(60)), tuple(dealt(60, seed=1)), tuple(dealt(60, emotion="fear"))}) == 3


def test_wordings_follow_no_pattern_of_turns() -> None:
    wordings = dealt(3000)
    for step in (1, 2, 3, 6):
        pairs = Counter(zip(wordings, wordings[step:], strict=False))
        assert min(pairs[one, other] for one in NAMES for other in NAMES) > 80, step


@pytest.mark.parametrize("changes", ["", "intensities: [low, high]\n"])
def test_wordings_are_independent_of_expression_style_and_depth(changes: str) -> None:
    paths = ", ".join(f"prompts/{name}.md" for name in ("facts_first", "voice_first", "after_the_event"))
    text = (
        f"rows: 2100\nemotions: [joy, anger]\nablations: [none]\n{changes}backend: {{kind: openai, model: m}}\n"
        f"prompts: {{styled: [{paths}]}}\ntext: {{style: {{comments: 0.5, diary: 0.5}}}}"
    )
    plan = make_plan(parse_recipe(text, "r", folder=ROOT / "recipes"))
    rows = [row for shard in plan.shards() for row in plan.rows(shard)]
    texts = [row for row in rows if row.depth == "situational"]
    assert {row.id: row.wording for row in texts} == {
        row.id.removesuffix("-none"): row.wording for row in rows if row.depth == "none"
    }
    for kind in ("expression", "style"):
        groups = Counter((getattr(row.style, kind), row.wording) for row in texts if row.style)
        for value in {value for value, _ in groups}:
            counts = [count for (other, _), count in groups.items() if other == value]
            expected = sum(counts) / 3
            chi_square = sum((count - expected) ** 2 / expected for count in counts)
            assert len(counts) == 3 and chi_square < 13.8, (kind, value, counts)  # p = 0.001 with two degrees


def test_rows_have_no_wording_where_the_prompt_has_one() -> None:
    plan = make_plan(parse_recipe("", "r"))
    assert {row.wording for shard in plan.shards() for row in plan.rows(shard)} == {None}
