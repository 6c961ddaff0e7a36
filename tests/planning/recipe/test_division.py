"""Limits of a run, divided among its workers."""

import re
from typing import Any

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.recipe.division import divided
from personagen.builder.planning.recipe.parsing import parse_recipe
from tests.helpers.flow import recipe_for

URL = "http://127.0.0.1:9/v1"


def test_limits_are_divided_and_the_fingerprint_stays() -> None:
    limits = {"backend.concurrency": 10, "backend.rpm": 600, "backend.tpm": 90_001, "budget.max_tokens": 1_000}
    recipe = recipe_for(URL, limits)
    part, line = divided(recipe, 4)
    (choice,) = part.backends
    assert (choice.concurrency, choice.rpm, choice.tpm, part.budget.max_tokens) == (2, 150, 22_500, 250)
    assert line == "2 requests in flight, 150 requests per minute, 22,500 tokens per minute; 250 tokens"
    assert part.fingerprint() == recipe.fingerprint()
    for number in range(1, 11):
        (choice,) = divided(recipe, number)[0].backends
        assert number * (choice.concurrency or 0) <= 10 and number * (choice.tpm or 0) <= 90_001


def test_the_limits_of_several_models_are_divided_apart() -> None:
    models = [
        {"kind": "openai", "model": "a", "base_url": URL, "concurrency": 8},
        {"kind": "openai", "model": "b", "base_url": URL, "rpm": 40},
    ]
    changed = {"backend": models, "prices": {"a": {"input": 1, "output": 1}, "b": {"input": 1, "output": 1}}}
    recipe = parse_recipe("", "test", {"rows": 14, "budget.max_cost": 3.0} | changed)
    part, line = divided(recipe, 4)
    assert [(choice.concurrency, choice.rpm) for choice in part.backends] == [(2, None), (None, 10)]
    assert part.budget.max_cost == 0.75
    assert line == "a: 2 requests in flight; b: 10 requests per minute; 0.75 in cost"


def test_a_recipe_without_limits_stays_as_it_is() -> None:
    recipe = recipe_for(URL)
    assert divided(recipe, 4) == (recipe, "")


@pytest.mark.parametrize(
    ("key", "value"),
    [("backend.concurrency", 3), ("backend.rpm", 15), ("backend.tpm", 1), ("budget.max_tokens", 15)],
)
def test_a_limit_that_cannot_be_divided_is_named(key: str, value: Any) -> None:
    wanted = (
        f"{key} is {value}, which 16 workers cannot divide; raise it, take fewer parts, or give the limit of each "
        "worker with --per-worker"
    )
    with pytest.raises(RecipeError, match=re.escape(wanted)):
        divided(recipe_for(URL, {key: value}), 16)
