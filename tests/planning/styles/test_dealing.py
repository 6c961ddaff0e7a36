"""Expressions and styles of rows: exact quotas, crossed with intensity and persona, and features of real texts."""

from collections import Counter
from collections.abc import Iterable
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.planning.plan import Plan, RowPlan, make_plan
from personagen.builder.planning.quotas import split_quota
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.styles import RowStyle, find_style
from personagen.metrics.style import EXPRESSIONS, measure_profile, write_profile

MIXED = {"named": 0.5, "voiced": 0.2, "shown": 0.3}


def plan_of(**keys: Any) -> Plan:
    return make_plan(parse_recipe("", "test", {key.replace("__", "."): value for key, value in keys.items()}))


def rows_of(plan: Plan) -> list[RowPlan]:
    """Return all rows at the depth of the recipe."""
    return [row for shard in plan.shards() if shard.emotion is not None for row in plan.rows(shard)]


def style_of(row: RowPlan) -> RowStyle:
    assert row.style is not None
    return row.style


def counts(rows: Iterable[RowPlan]) -> Counter[str]:
    return Counter(style_of(row).expression for row in rows)


def within_chance(drawn: int, rows: int, fraction: float) -> bool:
    """Return whether a count is at most four standard deviations from its mean, or the row that is always divisible."""
    return abs(drawn - rows * fraction) <= 4 * sqrt(rows * fraction * (1 - fraction)) + 1


@pytest.mark.parametrize("intensities", [[], ["low", "high"], ["low", "medium", "high"]])
@pytest.mark.parametrize("rows", [7, 50, 301])
def test_the_quotas_of_an_emotion_are_exact(rows: int, intensities: list[str]) -> None:
    emotions = ["anger", "joy"]
    plan = plan_of(rows=2 * rows, emotions=emotions, expression=MIXED, intensities=intensities)
    for emotion in emotions:
        dealt = counts(row for row in rows_of(plan) if row.emotion == emotion)
        assert dealt == Counter(split_quota(rows, MIXED))


@given(
    weights=st.tuples(*[st.integers(0, 20)] * 3).filter(any),
    rows=st.integers(1, 200),
    intensities=st.sampled_from([[], ["low"], ["low", "medium", "high"]]),
)
def test_no_quota_is_a_row_or_more_from_its_fraction(
    weights: tuple[int, ...], rows: int, intensities: list[str]
) -> None:
    mixture = {name: weight / sum(weights) for name, weight in zip(EXPRESSIONS, weights, strict=True)}
    plan = plan_of(rows=rows, emotions=["fear"], text__style="comments", expression=mixture, intensities=intensities)
    dealt = counts(rows_of(plan))
    assert dealt.total() == rows
    assert all(abs(dealt[name] - rows * fraction) < 1 for name, fraction in mixture.items())


def test_expressions_are_crossed_with_intensities() -> None:
    plan = plan_of(rows=90, emotions=["anger"], expression=MIXED, intensities=["low", "medium", "high"])
    for intensity in ("low", "medium", "high"):
        dealt = counts(row for row in rows_of(plan) if row.intensity == intensity)
        assert all(abs(dealt[name] - 30 * fraction) <= 1 for name, fraction in MIXED.items())


def test_expressions_are_independent_of_split_and_place_in_the_persona() -> None:
    rows = rows_of(plan_of(rows=6000, emotions=["anger", "joy"], expression=MIXED, intensities=["low", "high"]))
    groups = [[row for row in rows if row.split == split] for split in ("train", "validation", "test")]
    groups += [[row for row in rows if row.situation == place] for place in (0, 1)]
    for group in groups:
        assert len(group) >= 600
        assert all(within_chance(counts(group)[name], len(group), fraction) for name, fraction in MIXED.items())


def test_the_two_rows_of_a_persona_agree_in_expression_as_often_as_by_chance() -> None:
    rows = rows_of(plan_of(rows=4000, emotions=["anger", "joy"], expression=MIXED))
    by_persona: dict[int, list[str]] = {}
    for row in rows:
        by_persona.setdefault(row.persona, []).append(style_of(row).expression)
    pairs = [pair for pair in by_persona.values() if len(pair) == 2]
    agreeing = sum(one == other for one, other in pairs)
    assert within_chance(agreeing, len(pairs), sum(fraction**2 for fraction in MIXED.values()))


@pytest.mark.parametrize("style", ["comments", "dialogue", "reports"])
def test_by_default_the_fractions_of_an_emotion_are_those_of_the_real_texts(style: str) -> None:
    plan = plan_of(rows=700, text__style=style)
    for emotion in ("anger", "disgust", "fear", "joy", "sadness", "surprise"):
        fractions = {str(name): fraction for name, fraction in find_style(style).shares(emotion).items()}
        assert counts(row for row in rows_of(plan) if row.emotion == emotion) == Counter(split_quota(100, fractions))
    assert {*counts(row for row in rows_of(plan) if row.emotion == "neutral")} == {"shown"}


def test_the_emotions_of_a_default_recipe_differ_in_their_fractions() -> None:
    rows = rows_of(plan_of(rows=700))
    dealt = {emotion: counts(row for row in rows if row.emotion == emotion) for emotion in ("anger", "fear", "joy")}
    assert dealt["fear"]["named"] > dealt["joy"]["named"] and dealt["anger"]["voiced"] > dealt["fear"]["voiced"]
    assert {style_of(row).style for row in rows_of(plan_of(rows=70))} == {"comments"}


def test_several_styles_have_exact_quotas_of_their_own() -> None:
    plan = plan_of(rows=200, emotions=["joy"], text__style={"comments": 0.25, "dialogue": 0.75}, expression=MIXED)
    dealt = Counter((style_of(row).style, style_of(row).expression) for row in rows_of(plan))
    for style, fraction in (("comments", 0.25), ("dialogue", 0.75)):
        for name, part in MIXED.items():
            assert abs(dealt[style, name] - 200 * fraction * part) <= 1


def test_the_quotas_of_300_pairs_of_style_and_expression_are_exact(tmp_path: Path) -> None:
    """A number per pair has room for more than 256 of them."""
    texts = ["I am so happy!", "Wow!!", "It rained on the way home."]
    table = write_profile(measure_profile("own", "a note", texts, ["joy"] * 3, per_label=3))
    paths = [tmp_path / f"own{number}.tsv" for number in range(100)]
    for path in paths:
        path.write_text(table, encoding="utf-8")
    asked = {"named": 0.5, "voiced": 0.25, "shown": 0.25}
    styles = {str(path): 0.01 for path in paths}
    plan = plan_of(rows=1200, emotions=["joy"], text__style=styles, expression=asked, intensities=["low", "high"])
    dealt = Counter((style_of(row).style, style_of(row).expression) for row in rows_of(plan))
    assert dealt == {(str(path), name): 12 * fraction for path in paths for name, fraction in asked.items()}


def test_a_plan_is_the_same_each_time_and_another_seed_deals_anew() -> None:
    recipe = {"rows": 60, "emotions": ["anger", "joy"], "expression": MIXED}
    once, again, other = (rows_of(plan_of(seed=seed, **recipe)) for seed in (3, 3, 4))
    assert once == again
    assert [row.style for row in once] != [row.style for row in other]
    assert counts(once) == counts(other)


def test_ablations_and_counterfactuals_keep_the_style_of_their_row() -> None:
    attributes = {"gender": ["woman", "man"]}
    plan = plan_of(rows=40, emotions=["anger", "joy"], ablations=["none"], counterfactual={"attributes": attributes})
    styles = {row.id: row.style for row in rows_of(plan)}
    others = [row for shard in plan.shards() if shard.emotion is None for row in plan.rows(shard)]
    pairs = [(row.id.removesuffix("-none"), row.style) for row in others if row.counterfactual is None]
    assert len(pairs) == 40 and dict(pairs) == styles
    copies = [row for row in others if row.counterfactual is not None]
    assert all(row.style == styles[row.counterfactual.original_id] for row in copies if row.counterfactual)


def test_the_features_of_a_row_are_those_of_a_real_text_of_its_emotion_and_expression() -> None:
    for row in rows_of(plan_of(rows=140, expression=MIXED)):
        style = style_of(row)
        assert style.features in find_style("comments").of(row.emotion)
        assert style.features is not None and style.features.expression == style.expression


def test_features_lie_within_the_bounds_of_the_recipe() -> None:
    plan = plan_of(rows=140, text__min_words=6, text__max_words=12)
    assert {style_of(row).style for row in rows_of(plan)} == {"comments"}
    for row in rows_of(plan):
        features = style_of(row).features
        assert features is not None and 6 <= features.words <= 12


def test_rows_of_one_emotion_have_various_features() -> None:
    rows = rows_of(plan_of(rows=100, emotions=["joy"]))
    assert len({style_of(row).features for row in rows}) > 50


def test_a_custom_emotion_is_dealt_like_all_texts_and_its_asked_fractions_are_exact() -> None:
    taxonomy = {"name": "mine", "emotions": [{"name": "envy", "definition": "wanting it too", "like": "anger"}]}
    fractions = {str(name): fraction for name, fraction in find_style("comments").shares("envy").items()}
    assert counts(rows_of(plan_of(rows=50, taxonomy=taxonomy))) == Counter(split_quota(50, fractions))
    asked = counts(rows_of(plan_of(rows=50, taxonomy=taxonomy, expression=MIXED)))
    assert asked == {"named": 25, "voiced": 10, "shown": 15}


def test_a_recipe_without_a_style_has_expressions_alone() -> None:
    rows = rows_of(plan_of(rows=20, emotions=["joy"], expression=MIXED, text__min_words=60, text__max_words=200))
    assert {(style_of(row).style, style_of(row).features) for row in rows} == {(None, None)}
    rows = rows_of(plan_of(rows=21, text__language="de"))
    assert {(style_of(row).style, style_of(row).features) for row in rows} == {(None, None)}


def test_a_recipe_of_shown_texts_asks_rows_for_nothing() -> None:
    for keys in ({"expression": "shown"}, {"expression": {"shown": 1.0, "named": 0.0}}, {"checks__leak": "reject"}):
        assert {row.style for row in rows_of(plan_of(**keys))} == {None}
