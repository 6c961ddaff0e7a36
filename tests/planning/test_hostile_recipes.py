"""2,000 mutations of a recipe: parsed, or refused in one line; no file but those that it names is opened."""

import json
import random
from pathlib import Path

import yaml

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.parsing import parse_recipe
from tests.helpers.hostile.mutations import damaged, mutated, places, strange_files, watched_files

TEXT = """
name: small
rows: 8
emotions: [joy, fear]
quotas: {joy: 4, fear: 4}
intensities: [low, high]
expression: {named: 0.5, shown: 0.5}
ablations: [none]
splits: {train: 0.8, validation: 0.1, test: 0.1}
text: {max_words: 40, style: {comments: 1.0}, language: en}
checks: {leak: flag, near_duplicate: 0.7}
backend: {kind: openai, model: m, base_url: "http://h/v1", headers: {X-Title: a}, query: {api-version: 2024-10-21}}
draw: {temperature: 1.0, candidates: 2}
prices: {m: {input: 0.1, output: 0.2}}
budget: {max_cost: 1.0}
"""


def require_parsed_or_refused(text: str) -> bool:
    try:
        recipe = parse_recipe(text, "recipe.yaml")
    except RecipeError as error:
        assert "\n" not in str(error) and len(str(error)) < 1500, str(error)[:300]
        return False
    assert recipe.fingerprint() and json.dumps(recipe.identity())
    return True


def test_mutated_recipes_are_parsed_or_refused(tmp_path: Path) -> None:
    rng = random.Random(20)
    data = yaml.safe_load(TEXT) | {"backend": {"kind": "openai", "model": "m", "base_url": "http://h/v1"}}
    known = list(places(data))
    assert require_parsed_or_refused(TEXT) and require_parsed_or_refused(json.dumps(data))
    parsed = 0
    with watched_files() as opened:
        for number in range(2000):
            if number % 2:
                text = damaged(TEXT, rng)
            else:
                try:
                    text = json.dumps(mutated(data, rng, known))
                except (ValueError, RecursionError):
                    continue
            parsed += require_parsed_or_refused(text)
        strange = [path for path in strange_files(opened, tmp_path) if "secret.parquet" not in path]
    assert not strange, strange
    assert 100 < parsed < 1900
