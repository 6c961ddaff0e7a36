"""Prompts of rows with an expression and a style: what a row asks for is in its prompt, and nothing else."""

import re
from dataclasses import replace
from typing import Any

import pytest

from personagen.builder.planning.plan import RowPlan, make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.styles import find_style
from personagen.builder.writing.expression import (
    NO_GROUNDING,
    Grounding,
    Subject,
    expression_request,
    expression_settings,
)
from personagen.builder.writing.surface import surface_lines
from personagen.metrics.style import StyleFeatures, style_features
from tests.helpers.releasing import GOLDEN

PROMPT = GOLDEN / "styled_prompt.txt"
BARE = style_features("The red car in the street.")
"""Features of a text that asks for as little as possible."""

THING = "It is about a thing or a matter; no I, no you."
CALM = "It has no exclamation mark."


def recipe_of(**keys: Any) -> Recipe:
    own = {"backend.kind": "openai", "backend.model": "m", "seed": 5}
    return parse_recipe("", "r", own | {key.replace("__", "."): value for key, value in keys.items()})


def row_of(recipe: Recipe, number: int = 0) -> RowPlan:
    plan = make_plan(recipe)
    return next(row for shard in plan.shards() for row in plan.rows(shard) if row.turn == number)


def prompt_of(recipe: Recipe, row: RowPlan, grounding: Grounding = NO_GROUNDING) -> str:
    """Return the user turn of a row without a situation."""
    persona = make_plan(recipe).people.persona(row.persona) if recipe.depth != "none" else None
    emotion = recipe.chosen_taxonomy()[row.emotion]
    subject = Subject(persona, None)
    request = expression_request(expression_settings(recipe), recipe, row, emotion, subject, grounding)
    return request.messages[-1].content


def styled(row: RowPlan, expression: str, features: StyleFeatures | None) -> RowPlan:
    """Return a row with another expression and features."""
    assert row.style is not None
    return replace(row, style=replace(row.style, expression=expression, features=features))


def golden_prompt() -> str:
    """Return the chat of one row of anger of persona depth "sociocultural", in the style of comments."""
    recipe = recipe_of(emotions=["anger"], depth="sociocultural", intensities=["high"])
    features = replace(BARE, words=14, sentences=2, first=True, exclamations=1, profanity=1, lowercase=True)
    return prompt_of(recipe, styled(row_of(recipe), "voiced", features)) + "\n"


def test_the_prompt_of_a_row_is_the_golden_one() -> None:
    """After an intended change: python -m tests.update_golden."""
    assert PROMPT.read_text(encoding="utf-8") == golden_prompt()


LINES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {THING, CALM}),
    ({"first": True}, {"The person says I, me or my.", CALM}),
    ({"second": True}, {"The person speaks to another person (you).", CALM}),
    ({"third": True}, {"It is about other people (he, she or they), not about the person.", CALM}),
    ({"first": True, "third": True}, {"The person says I, me or my.", CALM}),
    ({"questions": 2}, {THING, CALM, "It asks a question."}),
    ({"exclamations": 1}, {THING, "It has one exclamation mark."}),
    ({"exclamations": 3}, {THING, "It has several exclamation marks."}),
    ({"profanity": 1}, {THING, CALM, "It has a swear word."}),
    ({"laughter": 2}, {THING, CALM, "It has written laughter, such as lol or haha."}),
    ({"emoji": 1}, {THING, CALM, "It has an emoji or an emoticon."}),
    ({"shouted": 1}, {THING, CALM, "A word is in CAPITALS."}),
    ({"contractions": 1}, {THING, CALM, "It has a contraction, such as don't."}),
    ({"misspelt": 1}, {THING, CALM, "A word is spelt as in a hasty message, such as dont, u or gonna."}),
    ({"lowercase": True}, {THING, CALM, "It begins with a small letter."}),
    ({"unpunctuated": True}, {THING, CALM, "It ends without a mark."}),
    ({"fragments": 1}, {THING, CALM, "A part of it is no whole sentence."}),
]


@pytest.mark.parametrize(("changes", "lines"), LINES, ids=[", ".join(changes) or "none" for changes, _ in LINES])
def test_each_line_is_in_the_prompt_if_the_row_asks_for_it_and_else_not(
    changes: dict[str, Any], lines: set[str]
) -> None:
    recipe = recipe_of(emotions=["joy"], depth="none")
    features = replace(BARE, fragments=0, **changes) if "fragments" not in changes else replace(BARE, **changes)
    prompt = prompt_of(recipe, styled(row_of(recipe), "shown", features))
    everything = {line for _, each in LINES for line in each}
    assert {line for line in everything if f"\n- {line}" in prompt} == lines == set(surface_lines(features))


def test_every_feature_that_a_text_may_have_is_worded() -> None:
    """Each feature of a profile beside length, expression and valence changes the lines."""
    worded = {name for changes, _ in LINES for name in changes}
    features = set(StyleFeatures.__dataclass_fields__)
    assert features - worded == {"words", "sentences", "expression", "positive", "negative"}


@pytest.mark.parametrize(
    ("expression", "line"),
    [
        ("named", "- Name the feeling: a word of the text says what the person feels."),
        ("voiced", "- Do not name the feeling, and make it unmistakable: the person swears, laughs, thanks,"),
        ("shown", "- Let the reader sense the feeling from what is told, thought and done; do not name it,"),
    ],
)
def test_the_expression_is_asked_for_in_plain_words(expression: str, line: str) -> None:
    recipe = recipe_of(emotions=["joy"], depth="none", expression=expression, text__style="comments")
    prompt = prompt_of(recipe, row_of(recipe))
    assert line in prompt
    for other in ("Name the feeling:", "Do not name the feeling,", "Let the reader sense"):
        assert (other in prompt) == (other in line)


def test_a_neutral_text_is_asked_for_no_feeling() -> None:
    recipe = recipe_of(emotions=["neutral"], depth="none")
    assert "feeling" not in prompt_of(recipe, row_of(recipe))


@pytest.mark.parametrize("number", range(5))
def test_the_length_and_the_genre_are_those_of_the_row(number: int) -> None:
    recipe = recipe_of(emotions=["joy"], depth="none", text__style="dialogue")
    row = row_of(recipe, number)
    assert row.style is not None and row.style.features is not None
    prompt, features = prompt_of(recipe, row), row.style.features
    found = re.search(r"- Length: about (\d+) words?, (?:one|(\d+)) sentences?\.", prompt)
    assert found and (int(found[1]), int(found[2] or 1)) == (features.words, features.sentences)
    assert f"Write {find_style('dialogue').form} in English" in prompt


def test_a_row_without_a_style_has_the_bounds_of_the_recipe() -> None:
    recipe = recipe_of(emotions=["joy"], depth="none", expression="named", text__min_words=50, text__max_words=90)
    prompt = prompt_of(recipe, row_of(recipe))
    assert "- Length: 50 to 90 words." in prompt and "Write a short personal text in English" in prompt
    assert surface_lines(None) == []


def test_a_given_length_replaces_that_of_the_style() -> None:
    recipe = recipe_of(emotions=["joy"], depth="none")
    assert "- Length: about 44 words." in prompt_of(recipe, row_of(recipe), Grounding(words=44))


def test_a_recipe_of_shown_texts_has_the_prompt_of_before() -> None:
    recipe = recipe_of(emotions=["joy"], depth="none", expression="shown")
    assert expression_settings(recipe).template == "expression"
    assert "- Length: about" not in prompt_of(recipe, row_of(recipe))
