"""Recipes of a match: that of the measured reference, those of the arms, and the file of the best one."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.file_names import MATCH_EXAMPLES, MATCH_LABEL_WORDS, MATCH_PROFILE
from personagen.builder.core.foreign_text import printable
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe

FOR_ARMS: Mapping[str, Any] = {"checks.label": None, "splits": {"train": 1.0, "validation": 0.0, "test": 0.0}}
"""Settings of all arms: no classifier of the recipe, which may have seen the test part, and no splits."""


def matched_recipe(base: Recipe, profile: Path, rows: int, quota: Mapping[str, int]) -> Recipe:
    """Return the recipe that a reference leads to: its profile, the profile's mixture of expressions, its labels.

    Args:
        base: recipe of the user; its length, style, expression, quotas, ablations and counterfactuals are replaced.
        profile: file of the profile.
        rows: number of texts.
        quota: texts per label; empty: the emotions of `base`, split evenly.

    Raises:
        RecipeError: the profile contradicts a setting of `base`.

    """
    return _with(
        base,
        {
            "rows": rows,
            "emotions": list(quota) or base.emotions,
            "quotas": dict(quota) or None,
            "expression": None,
            "text.style": str(profile.absolute()),
            "grounding": None,
            "text.examples": None,
            "text.label_words": None,
            "depth": "situational" if base.depth == "none" else base.depth,
            "ablations": [],
            "counterfactual": None,
        },
    )


def with_budget(recipe: Recipe, budget: float | None) -> Recipe:
    """Return the recipe with a maximum cost if it has a price of its model, else with a maximum number of tokens.

    Args:
        recipe: the recipe.
        budget: the maximum; None: that of the recipe.

    Raises:
        RecipeError: the budget is infinite or no number.

    """
    if budget is None:
        return recipe
    if not math.isfinite(budget):
        raise RecipeError(f"--budget is {budget}, wanted a finite number; leave it out for no budget")
    if recipe.price() is not None:
        return _with(recipe, {"budget.max_cost": budget})
    return _with(recipe, {"budget.max_tokens": max(1, int(budget))})


def varied(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """Return the recipe of an arm: some settings changed, and those of all arms."""
    return _with(recipe, {**overrides, **FOR_ARMS})


def _with(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    text = json.dumps(recipe.model_dump(mode="json", exclude_unset=True))
    return parse_recipe(text, "match", overrides)


def recipe_file(matched: Recipe, changes: Mapping[str, Any], header: Sequence[str]) -> str:
    """Return the file of a recipe; profile and examples are named relative to it.

    Args:
        matched: recipe of the reference.
        changes: settings of the best arm.
        header: lines of the comment above the keys.

    """
    recipe = _with(matched, changes)
    data = recipe.model_dump(mode="json", exclude_unset=True)
    for key, name in (
        ("style", MATCH_PROFILE),
        ("examples", MATCH_EXAMPLES),
        ("label_words", MATCH_LABEL_WORDS),
    ):
        if str(data["text"].get(key) or "").endswith(name):
            data["text"][key] = name
    comment = "".join(f"# {printable(line)}\n" for line in header)  # a line break in a name would begin a key
    return comment + yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
