"""Arms of a comparison: shared rows, distinct real texts of the right emotion, contents of prompts."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.evaluation.arms import ARMS, ArmSetting, ArmText, WritingTask, ordered_arms
from personagen.builder.evaluation.arms.conditions import MAX_EXAMPLE_WORDS, USES, max_rows
from personagen.builder.planning.plan import RowPlan, make_plan
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.taxonomy import named_taxonomy
from personagen.builder.writing.expression import (
    NO_GROUNDING,
    Grounding,
    Subject,
    beginnings,
    continues_list,
    expression_request,
    expression_settings,
)
from personagen.builder.writing.grounding import load_grounding
from tests.helpers.real_texts import corpus_of, goemotions, real

POOL = real(700)


def setting(seed: int = 0, rows: int = 28, expression: str | None = "shown") -> ArmSetting:
    recipe = parse_recipe("", "r", {"seed": seed, "rows": rows, "expression": expression})
    plan = make_plan(recipe)
    planned = [row for shard in plan.shards() for row in plan.rows(shard)]
    earlier = {arm: {row.id: ArmText(row.id, f"{arm} of {row.id}.", row.emotion) for row in planned}
               for arm in ("none", "situational")}  # fmt: skip
    return ArmSetting(recipe, POOL, planned, earlier, "goemotions")


def task(name: str, expression: str | None = "shown") -> WritingTask:
    found = ARMS[name](setting(expression=expression))
    assert isinstance(found, WritingTask)
    return found


def contents(made: WritingTask) -> Callable[[RowPlan], Grounding]:
    """Return the content of each row's prompt beside its layers."""
    return made.grounding or load_grounding(made.recipe)


def texts(name: str, seed: int = 0) -> list[ArmText]:
    found = ARMS[name](setting(seed))
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("name", [name for name in ARMS if name not in ("real", "retrieval")])
def test_written_arms_share_the_rows_of_one_plan(name: str) -> None:
    plan = make_plan(task(name).recipe)
    planned = [row for shard in plan.shards() for row in plan.rows(shard)]
    assert [(row.id, row.emotion, row.turn) for row in planned] == [
        (row.id, row.emotion, row.turn) for row in setting().rows
    ]
    if planned[0].depth != "none":
        assert [row.persona for row in planned] == [row.persona for row in setting().rows]


@pytest.mark.parametrize("name", ["real", "retrieval"])
def test_real_texts_have_the_emotion_of_their_row_and_are_distinct(name: str) -> None:
    found = texts(name)
    labels = dict(zip(POOL.texts, POOL.labels or [], strict=True))
    assert [text.id for text in found] == [row.id for row in setting().rows]
    assert all(labels[text.text] == text.label for text in found)
    assert len({text.text for text in found}) == len(found)
    assert found == texts(name) != texts(name, seed=1)


def test_retrieved_texts_are_closer_to_their_emotion_than_random_ones() -> None:
    place = {text: row for row, text in enumerate(POOL.texts)}

    def nearness(name: str) -> float:
        near = []
        for text in (each for seed in range(3) for each in texts(name, seed)):
            own = [
                row for row, label in enumerate(POOL.labels or []) if label == text.label and row != place[text.text]
            ]
            near.append(float((POOL.vectors[own] @ POOL.vectors[place[text.text]]).max()))
        return sum(near) / len(near)

    assert nearness("retrieval") > nearness("real") + 0.02


@pytest.mark.parametrize("name", ["few-shot", "full+real"])
def test_examples_are_real_and_short_and_have_the_emotion_of_the_row(name: str) -> None:
    made, labels = (
        task(name),
        dict(zip(map(" ".join, map(str.split, goemotions().texts)), goemotions().labels or [], strict=True)),
    )
    for row in setting().rows:
        shown = contents(made)(row).examples
        assert len(set(shown)) == 4 and {labels[text] for text in shown} == {row.emotion}
        assert all(len(text.split()) <= MAX_EXAMPLE_WORDS and "\n" not in text for text in shown)
    assert made.recipe.depth == ("none" if name == "few-shot" else "situational")


def test_every_paraphrase_has_a_source_of_its_own() -> None:
    made = task("paraphrase")
    sources = [contents(made)(row).source for row in setting().rows]
    assert len(set(sources)) == len(sources) and None not in sources
    assert contents(made)(setting().rows[0]) == contents(made)(setting().rows[0])


def test_the_requested_length_is_that_of_the_full_method_in_the_same_row() -> None:
    made, row = task("none-lengthmatched"), setting().rows[3]
    assert contents(made)(row).words == 3 and contents(made)(row).opening == f"none of {row.id}."
    assert ARMS["none-lengthmatched"](replace(setting(), earlier={"none": {}, "situational": {}}))
    assert made.recipe.depth == "none"


@pytest.mark.parametrize("name", ["none", "demographic", "sociocultural", "situational"])
def test_arms_of_depths_add_nothing_to_the_layers(name: str) -> None:
    made = task(name)
    assert made.recipe.depth == name and contents(made)(setting().rows[0]) == NO_GROUNDING


def prompt(name: str, kind: str) -> tuple[str, list[str], RowPlan]:
    server = {"backend.kind": "openai", "backend.model": "m"} if kind == "openai" else {}
    recipe = parse_recipe("", "r", server | {"expression": "shown"})
    row = replace(setting().rows[0], depth="none")
    emotion, grounding = named_taxonomy("ekman")[row.emotion], contents(task(name))(row)
    request = expression_request(expression_settings(recipe), recipe, row, emotion, Subject(None, None), grounding)
    shown = "\n".join([*(message.content for message in request.messages), request.prefill])
    starts = [] if continues_list(row, grounding) else beginnings(0, row, emotion, None, grounding)
    return shown, starts, row


@pytest.mark.parametrize("kind", ["openai", "embedded"])
def test_prompts_contain_examples_and_sources(kind: str) -> None:
    shown, _, row = prompt("few-shot", kind)
    assert all(f"- {text}" in shown for text in contents(task("few-shot"))(row).examples)
    shown, _, row = prompt("paraphrase", kind)
    source = contents(task("paraphrase"))(row).source
    assert source is not None and source in shown and "other words" in shown


def test_a_length_is_requested_and_a_small_model_continues_its_own_sentence() -> None:
    assert "about 3 words" in prompt("none-lengthmatched", "openai")[0]
    _, starts, row = prompt("none-lengthmatched", "embedded")
    assert starts and all(start.startswith(f"none of {row.id}. ") for start in starts)


def test_a_continued_sentence_does_not_get_the_same_clause_twice() -> None:
    row = setting().rows[0]
    emotion = named_taxonomy("ekman")[row.emotion]
    first = beginnings(0, row, emotion, None)[0]
    starts = beginnings(0, row, emotion, None, Grounding(opening=f"{first} the bus."))
    assert len(starts) == len(beginnings(0, row, emotion, None)) - 1
    assert not any(start.endswith(first) for start in starts)


def test_the_pool_bounds_the_rows_per_emotion() -> None:
    texts = [text for text in goemotions().texts if len(text.split()) <= 20][:30]
    pool = corpus_of([*texts, "word " * 50], ["joy"] * 31)
    assert max_rows(pool, "joy") == 29 and max_rows(pool, "fear") == 0


def test_arms_are_ordered_and_include_those_that_they_use() -> None:
    assert ordered_arms(None, styled=True) == list(ARMS)
    assert ordered_arms(None, styled=False) == [name for name in ARMS if name not in ("shown", "unstyled")]
    matched = ["none", "situational", "none-lengthmatched", "real"]
    assert ordered_arms(["real", "none-lengthmatched"], styled=False) == matched
    assert ordered_arms(["few-shot:verbalized"], styled=True) == ["few-shot:verbalized"]
    for name, used in USES.items():
        assert all(list(ARMS).index(each) < list(ARMS).index(name) for each in used)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fewshot", r"^unknown arm 'fewshot', did you mean 'few-shot'\?; known: none, situational"),
        ("real:verbalized", r"^arm 'real:verbalized' has nothing to sample: no model writes it; leave ':verbalized'"),
        ("", r"^unknown arm ''"),
        ("shown", r"^arm 'shown' differs from the full method in expression and style, .* leave expression or the arm"),
    ],
)
def test_an_unknown_arm_is_refused(name: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        ordered_arms([name], styled=False)


def test_all_arms_without_real_texts_ask_for_the_expression_of_their_row() -> None:
    rows = {name: planned_rows(task(name, None)) for name in ("none", "situational", "none-lengthmatched")}
    styles = [[row.style for row in planned] for planned in rows.values()]
    assert styles[0] == styles[1] == styles[2] and {style.expression for style in styles[0] if style} == {
        "named",
        "voiced",
        "shown",
    }


def test_a_small_model_writes_as_much_without_a_persona_as_with_one() -> None:
    made = task("none-lengthmatched", None)
    row = setting(expression=None).rows[3]
    assert contents(made)(row).words == 3 and contents(made)(row).opening is None


def test_an_arm_that_only_shows_keeps_the_style_and_one_without_style_has_neither() -> None:
    shown, unstyled = planned_rows(task("shown", None)), planned_rows(task("unstyled", None))
    assert {(row.style.expression, row.style.style) for row in shown if row.style} == {("shown", "comments")}
    assert len(shown) == 28 and all(row.style is None for row in unstyled)
    assert task("unstyled", None).recipe.mixture() is None


def planned_rows(made: WritingTask) -> list[RowPlan]:
    plan = make_plan(made.recipe)
    return [row for shard in plan.shards() for row in plan.rows(shard)]
