"""2,000 mutations of a recipe: parsed, or refused in one line; no file but those that it names is opened."""

import json
import random
from pathlib import Path

import pytest
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


ODD_LINES = ["a\nb", "a\r", "a\x1b[31m", "a\x00", "a\u202eb", "a\u2066b", "a\u200bb", "a\u2028b", "a\ufeff", "a\ufffe",
             "a\uffffb", "a\U0001ffff", "a\ufdd0", "a\U000e0041", "a\u00ad", "a\u2060b", "a\x85b"]  # fmt: skip


@pytest.mark.parametrize("line", ODD_LINES)
@pytest.mark.parametrize("key", ["event", "model"])
def test_lines_that_reach_the_data_have_no_invisible_characters(key: str, line: str) -> None:
    texts = {"event": "came home", "model": "m"} | {key: line}
    emotion = {"name": "calm", "definition": "at rest", "events": [texts["event"]]}
    data = {"rows": 2, "taxonomy": {"name": "own", "emotions": [emotion]},
            "backend": {"kind": "openai", "model": texts["model"], "base_url": "http://h/v1"}}  # fmt: skip
    with pytest.raises(
        RecipeError, match=r"has (a line break|the invisible character U\+[0-9A-F]{4,6}); write one line"
    ):
        parse_recipe(json.dumps(data), "recipe.yaml")
    texts[key] = "she cried 👩\u200d🚒, می\u200cروم, a\u00a0b"
    data["taxonomy"]["emotions"][0]["events"] = [texts["event"]]  # type: ignore[index]
    data["backend"]["model"] = texts["model"]  # type: ignore[index]
    assert parse_recipe(json.dumps(data), "recipe.yaml")
