"""The recipe: quotas, taxonomy, layers that the model writes, price, and what its fingerprint depends on."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from personagen.builder.core.prices import Price
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.recipe.sections import BackendChoice

BASE = (
    "backend: {kind: openai, model: m}\nchecks: {label: flag}\nprices: {m: {input: 1, output: 2}}\n"
    "counterfactual: {attributes: {gender: [woman, man]}, pairs: 3}"
)
"""A recipe in which every setting has an effect or could have one."""

RUNTIME: Mapping[str, Mapping[str, Any]] = {
    "backend.base_url": {"backend.base_url": "http://localhost:1"},
    "backend.headers": {"backend.headers": {"X-Title": "personas"}},
    "backend.query": {"backend.query": {"api-version": "2024-10-21"}},
    "backend.timeout": {"backend.timeout": 60},
    "backend.thinking_tokens": {"backend.thinking_tokens": 2000},
    "backend.concurrency": {"backend.concurrency": 3},
    "backend.rpm": {"backend.rpm": 60},
    "backend.tpm": {"backend.tpm": 1000},
    "checks.attempts": {"checks.attempts": 99},
    "prices": {"prices": {"m": {"input": 3, "output": 4}}},
    "budget.max_cost": {"budget.max_cost": 2},
    "budget.max_tokens": {"budget.max_tokens": 10**6},
    "license": {"license": "mit"},
    "license_name": {"license": "other", "license_name": "mine-1.0"},
    "license_link": {"license": "other", "license_name": "mine-1.0", "license_link": "LICENSE"},
}
"""Settings that change no accepted row, with overrides that change them."""

IDENTITY: Mapping[str, Mapping[str, Any]] = {
    "name": {"name": "other"},
    "seed": {"seed": 1},
    "rows": {"rows": 71},
    "taxonomy": {"taxonomy": "plutchik"},
    "emotions": {"emotions": ["joy", "fear"]},
    "quotas": {"emotions": ["joy", "fear"], "quotas": {"joy": 30, "fear": 40}},
    "intensities": {"intensities": ["low"]},
    "depth": {"depth": "sociocultural"},
    "ablations": {"ablations": ["none"]},
    "counterfactual": {"counterfactual": None},
    "personas": {"personas": {"where": {"gender": "woman"}}},
    "batches": {"emotions": ["joy", "fear"], "batches": [{"joy": 20, "fear": 20}, {"joy": 10, "fear": 20}]},
    "channels": {"channels": {"mail": "an email"}},
    "events": {"events": {"bank": {}}},
    "situations_per_persona": {"situations_per_persona": 3},
    "splits.train": {"splits.train": 0.7, "splits.test": 0.2},
    "splits.validation": {"splits.validation": 0.2, "splits.test": 0.0},
    "splits.test": {"splits.train": 0.9, "splits.test": 0.0},
    "shard_rows": {"shard_rows": 9},
    "elaborate.demographic": {"elaborate.demographic": "llm"},
    "elaborate.sociocultural": {"elaborate.sociocultural": "sampled"},
    "elaborate.situational": {"elaborate.situational": "sampled"},
    "expression": {"expression": "named"},
    "text.min_words": {"text.min_words": 9},
    "text.max_words": {"text.max_words": 25},
    "text.examples": {"text.examples": str(Path(__file__).with_name("examples.tsv"))},
    "text.label_words": {"text.label_words": str(Path(__file__).with_name("examples.tsv"))},
    "text.style": {"text.style": "dialogue"},
    "text.language": {"text.language": None},
    "grounding": {"grounding.examples.source": "xed"},
    "checks.leak": {"checks.leak": "reject"},
    "checks.expression": {"checks.expression": "reject"},
    "checks.personal": {"checks.personal": "reject"},
    "checks.slurs": {"checks.slurs": "reject"},
    "checks.near_duplicate": {"checks.near_duplicate": 0.8},
    "checks.label": {"checks.label": "reject"},
    "checks.label_reference": {"checks.label_reference": "other.jsonl"},
    "checks.label_model": {"checks.label_model": "encoder"},
    "backend.kind": {"backend.kind": "batch"},
    "backend.model": {"backend.model": "n"},
    "backend.body": {"backend.body": {"chat_template_kwargs": {"enable_thinking": False}}},
    "backend.reasoning_effort": {"backend.reasoning_effort": "low"},
    "prompts": {"prompts": {"styled": str(Path(__file__).with_name("styled.md"))}},
    "backend.share": {"backend": [{"kind": "openai", "model": name, "share": 1} for name in "mn"]},
    "draw.max_tokens": {"draw.max_tokens": 4000},
    "draw.temperature": {"draw.temperature": 0.5},
    "draw.top_p": {"draw.top_p": 0.5},
    "draw.candidates": {"draw.candidates": 2},
}
"""Settings that change accepted rows, with overrides that change them."""


def fingerprint(overrides: Mapping[str, Any]) -> str:
    return parse_recipe(BASE, "r", overrides).fingerprint()


def settings_of(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all settings; sections that are always there count by their settings."""
    for name, field in section.model_fields.items():
        kind = BackendChoice if name == "backend" else field.annotation  # the other form is a list of them
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from settings_of(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_setting_is_tested_for_its_effect_on_the_fingerprint() -> None:
    assert sorted(settings_of(Recipe)) == sorted([*RUNTIME, *IDENTITY])


@pytest.mark.parametrize("setting", RUNTIME)
def test_runtime_settings_do_not_change_the_fingerprint(setting: str) -> None:
    assert parse_recipe(BASE, "r", RUNTIME[setting]) != parse_recipe(BASE, "r")
    assert fingerprint(RUNTIME[setting]) == fingerprint({})


@pytest.mark.parametrize("setting", IDENTITY)
def test_all_other_settings_change_the_fingerprint(setting: str) -> None:
    assert fingerprint(IDENTITY[setting]) != fingerprint({})


def test_values_and_pairs_of_counterfactuals_change_the_fingerprint() -> None:
    changes = ({"counterfactual.pairs": 4}, {"counterfactual.attributes": {"gender": ["man", "woman"]}})
    assert len({fingerprint(change) for change in ({}, *changes)}) == 3


def test_every_key_of_the_section_on_real_texts_changes_the_fingerprint_but_the_terms_of_a_source() -> None:
    source = {"grounding.examples.source": "xed", "counterfactual": None}
    keys: list[dict[str, Any]] = [
        {"grounding.examples.count": 5},
        {"grounding.examples.max_uses": 5},
        {"grounding.paraphrase": True, "depth": "none"},
        {"grounding.paraphrase.source": "brighter", "depth": "none"},
        {"grounding.seed": 5},
        {"grounding.verbalized": True},
    ]
    assert len({fingerprint(source | key) for key in ({}, {"depth": "none"}, *keys)}) == len(keys) + 2
    terms = {"grounding.examples.license": "cc0-1.0", "grounding.examples.attribution": "a b"}
    assert fingerprint(source | terms) == fingerprint(source)


def test_without_a_classifier_its_settings_do_not_change_the_fingerprint() -> None:
    unused = {"checks.label": None, "checks.label_reference": "other.jsonl", "checks.label_model": "encoder"}
    assert fingerprint(unused) == fingerprint({"checks.label": None})


def test_the_fingerprint_depends_on_the_name_of_a_reference_file_and_not_on_its_folder(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "real.jsonl").touch()
    paths = [str(tmp_path / folder / "real.jsonl") for folder in ("one", "two")]
    recipes = [parse_recipe(BASE, "r", {"checks.label_reference": path}) for path in paths]
    assert recipes[0].fingerprint() == recipes[1].fingerprint()
    assert recipes[0].identity()["checks"]["label_reference"] == "real.jsonl"


def test_an_empty_body_does_not_change_the_fingerprint() -> None:
    assert fingerprint({"backend.body": {}}) == fingerprint({"backend.body": None}) == fingerprint({})


def test_fingerprints_are_those_of_earlier_versions() -> None:
    """Another value would refuse unfinished runs, and write and pay for finished releases anew."""
    shown = {"expression": "shown"}  # all texts of those versions
    text = "rows: 14\nbackend: {kind: openai, model: m, rpm: 3}"
    assert parse_recipe("", "r", shown).fingerprint() == "c2ef39b59ba1ab4d"
    assert parse_recipe(text, "r", shown).fingerprint() == "48a2592cc30ca07d"
    assert parse_recipe("text: {min_words: 8, max_words: 120}", "r", shown).fingerprint() == "c2ef39b59ba1ab4d"


@given(rows=st.integers(7, 100_000))
def test_even_quotas_sum_to_the_rows_and_differ_by_one_at_most(rows: int) -> None:
    quota = Recipe(rows=rows).quota()
    assert sum(quota.values()) == rows
    assert max(quota.values()) - min(quota.values()) <= 1


def test_quotas_and_emotions_are_in_the_order_of_the_taxonomy() -> None:
    recipe = Recipe(rows=6, emotions=("joy", "anger", "fear"), quotas={"joy": 1, "fear": 2, "anger": 3})
    assert list(recipe.quota().items()) == [("anger", 3), ("fear", 2), ("joy", 1)]
    assert recipe.chosen_taxonomy().names == ("anger", "fear", "joy")


def test_a_custom_taxonomy_has_its_own_labels() -> None:
    text = """
rows: 4
taxonomy:
  name: mine
  emotions:
  - {name: calm, definition: at rest, like: neutral}
  - {name: envy, definition: wanting what others have, events: [seeing a friend's new house]}
"""
    taxonomy = parse_recipe(text, "r").chosen_taxonomy()
    assert taxonomy.names == ("calm", "envy")
    assert taxonomy["envy"].events == ("seeing a friend's new house",)
    with pytest.raises(KeyError):
        taxonomy["joy"]


def test_an_emotion_without_events_suffices_where_no_text_has_a_situation() -> None:
    taxonomy = "taxonomy: {name: x, emotions: [{name: calm, definition: at rest}]}"
    assert parse_recipe(f"{taxonomy}\ndepth: sociocultural\nablations: [none]", "r").chosen_taxonomy().names == (
        "calm",
    )


def test_models_elaborate_background_and_situation_by_default_and_the_embedded_model_nothing() -> None:
    assert Recipe().elaborated() == ()
    assert parse_recipe("backend: {kind: openai, model: m}", "r").elaborated() == ("sociocultural", "situational")
    asked = "backend: {kind: openai, model: m}\nelaborate: {demographic: llm, situational: sampled}"
    assert parse_recipe(asked, "r").elaborated() == ("demographic", "sociocultural")
    assert parse_recipe("elaborate: {sociocultural: llm}", "r").elaborated() == ("sociocultural",)


def test_a_batch_costs_half_and_a_model_without_a_price_is_not_priced() -> None:
    assert parse_recipe(BASE, "r").price() == Price(1, 2)
    assert parse_recipe(BASE, "r", {"backend.kind": "batch"}).price() == Price(0.5, 1)
    assert parse_recipe(BASE, "r", {"backend.model": "n"}).price() is None
    assert Recipe().price() is None


def test_a_recipe_cannot_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().rows = 3  # type: ignore[misc]


def test_the_default_recipe_does_not_load_the_language_identifier() -> None:
    code = "import sys; from personagen.builder.planning import make_plan, Recipe; make_plan(Recipe())\n"
    code += "print('py3langid' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "False\n"
