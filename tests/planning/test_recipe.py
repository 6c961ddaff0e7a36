"""The recipe: defaults, every refusal and its message, the fingerprint."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.parsing import parse_recipe, read_recipe
from personagen.builder.planning.recipe import Recipe


def test_an_empty_recipe_takes_every_default() -> None:
    recipe = parse_recipe("", "recipe.yaml")
    assert recipe == Recipe()
    assert recipe.rows == 70
    assert recipe.quota() == dict.fromkeys(("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral"), 10)


REFUSALS = [
    ("foo: 1", "unknown key 'foo'; known: ablations, backend"),
    ("checks: {leek: flag}", "unknown key 'checks.leek', did you mean 'leak'?"),
    ("rows: 0", "rows: got 0, wanted greater than or equal to 1"),
    ("rows: -3", "rows: got -3, wanted greater than or equal to 1"),
    ("rows: ten", 'rows: got "ten", wanted a valid integer'),
    ("rows: 70.5", "rows: got 70.5, wanted a valid integer"),
    ("rows: 3", "rows is 3 for 7 emotions, wanted at least one each; raise rows or name fewer emotions"),
    ("taxonomy: ekmann", "taxonomy: got 'ekmann', wanted ekman or plutchik or goemotions or a mapping, did you mean"),
    ("emotions: [joi]", "unknown emotion 'joi', did you mean 'joy'?; known: anger, disgust"),
    ("emotions: joy", 'emotions: got "joy", wanted a list, such as [joy, anger]'),
    ("emotions: []", "emotions is empty; name at least one or leave it out"),
    ("emotions: [joy, joy]", "emotions names 'joy' twice; name it once"),
    ("quotas: {joy: 70}", "quotas and emotions differ in anger, disgust, fear, neutral, sadness, surprise"),
    ("emotions: [joy, fear]\nquotas: {joy: 70, fear: 0}", "quota of 'fear' is 0, wanted 1 or more"),
    ("emotions: [joy, fear]\nquotas: {joy: 7, fear: 3}", "quotas sum to 10, wanted rows = 70; change one of them"),
    ("emotions: [joy]\nquotas: {joi: 70}", "unknown emotion 'joi', did you mean 'joy'?"),
    ("backend: {kind: openai}", "backend openai needs a model; name one with --model or backend.model"),
    ("backend: {kind: foo}", "backend.kind: got \"foo\", wanted 'embedded', 'openai', 'batch' or 'transformers'"),
    ("backend: {model: x}", "backend embedded has its own model, got 'x'"),
    ("backend: {base_url: 'http://x'}", "backend embedded has no base_url; leave it out or use kind openai"),
    ("backend: {kind: openai, model: m, base_url: 'http://me:key@h'}", "base_url holds a user or password; leave them"),
    ("backend: {concurrency: 0}", "backend.concurrency: got 0, wanted greater than or equal to 1"),
    ("splits: {train: 0.9}", "splits: fractions sum to 1.1, wanted 1"),
    ("splits: {train: -1}", "splits.train: got -1, wanted greater than or equal to 0"),
    ("depth: all", "depth: got \"all\", wanted 'none', 'demographic', 'sociocultural' or 'situational'"),
    ("ablations: [situational]", "ablations repeat the depth 'situational'"),
    ("text: {min_words: 9, max_words: 8}", "text: min_words 9 is above max_words 8"),
    ("text: {language: xx}", "text: language 'xx' cannot be checked; use null or one of af, "),
    ("license: cc-by-4", "license: the Hub knows no 'cc-by-4', did you mean 'cc-by-4.0'?; name one of https://hugging"),
    ("license: [mit]", 'license: got ["mit"], wanted a valid string'),
    ("license: other", "license: other needs a license_name, such as my-license-1.0"),
    ("license: mit\nlicense_name: x", "license_name and license_link go with license: other; leave them out or set it"),
    ("license_link: LICENSE", "license_name and license_link go with license: other; leave them out or set it"),
    ("license: other\nlicense_name: 'a b'", "license_name: got 'a b', wanted letters, digits, '.', '-', '_' and '+'"),
    (
        "license: other\nlicense_name: x\nlicense_link: 'javascript:1'",
        "license_link: got 'javascript:1', wanted LICENSE, LICENSE.md, an address or a #section",
    ),
    ("name: '../x'", 'name: got "../x", wanted string'.removesuffix(" string")),
    ("seed: [", "line 1: not YAML"),
    ("\x1f", "not YAML (unacceptable character"),
    ("a: &a [*a]", "recipe.yaml: "),
    ("seed: 2026-99-99", "not YAML"),
    ("- 1", "got a list, wanted a mapping of keys"),
    ("taxonomy: {name: x, emotions: [{name: calm, definition: b}]}", "emotion 'calm' has no situations; add `like:`"),
    ("taxonomy: {name: x, emotions: [{name: calm, definition: b, lik: joy}]}", "unknown key 'taxonomy.emotions.0.lik'"),
    ("taxonomy: {name: x, emotions: [{name: calm, definition: b, like: joi}]}", "did you mean 'joy'?"),
    ("taxonomy: {name: x, emotions: [{name: all, definition: b, like: joy}]}", "'all' is the name of another config"),
    ("taxonomy: {name: x, emotions: [{name: ../up, definition: b, like: joy}]}", "taxonomy.emotions.0.name: got"),
]


@pytest.mark.parametrize(("text", "message"), REFUSALS, ids=[text for text, _ in REFUSALS])
def test_a_bad_recipe_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "recipe.yaml")
    assert str(caught.value).startswith("recipe.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot read recipe .*none\.yaml: .*No such file"):
        read_recipe(tmp_path / "none.yaml")


def test_options_replace_parts_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("rows: 14\nbackend: {kind: openai, model: small}\n")
    recipe = read_recipe(path, {"rows": 21, "backend.model": "large"})
    assert (recipe.rows, recipe.backend.kind, recipe.backend.model) == (21, "openai", "large")


def test_the_fingerprint_sees_what_changes_rows_and_nothing_else() -> None:
    plain = parse_recipe("backend: {kind: openai, model: m}", "r").fingerprint()
    elsewhere = (
        "backend: {kind: openai, model: m, base_url: 'http://h', concurrency: 3}\nchecks: {attempts: 99}\nlicense: mit"
    )
    assert parse_recipe(elsewhere, "r").fingerprint() == plain
    for change in ("seed: 1", "rows: 71", "depth: none", "text: {max_words: 50}", "name: other"):
        assert parse_recipe(f"backend: {{kind: openai, model: m}}\n{change}", "r").fingerprint() != plain
    assert parse_recipe("backend: {kind: openai, model: n}", "r").fingerprint() != plain


def test_layers_are_elaborated_by_models_that_can() -> None:
    assert parse_recipe("", "r").elaborated() == ()
    assert parse_recipe("backend: {kind: openai, model: m}", "r").elaborated() == ("sociocultural", "situational")
    asked = "backend: {kind: openai, model: m}\nelaborate: {demographic: llm, situational: sampled}"
    assert parse_recipe(asked, "r").elaborated() == ("demographic", "sociocultural")


def test_a_custom_taxonomy_brings_its_own_labels() -> None:
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


@given(rows=st.integers(7, 100_000))
def test_even_quotas_sum_to_the_rows_and_differ_by_one_at_most(rows: int) -> None:
    quota = Recipe(rows=rows).quota()
    assert sum(quota.values()) == rows
    assert max(quota.values()) - min(quota.values()) <= 1


@given(st.text(max_size=200))
def test_any_text_is_a_recipe_or_a_recipe_error(text: str) -> None:
    try:
        recipe = parse_recipe(text, "r")
    except RecipeError as error:
        assert "\n" not in str(error)
    else:
        assert recipe == Recipe.model_validate_json(recipe.model_dump_json())
