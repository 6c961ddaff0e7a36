"""Recipes from the keywords of the public verbs."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import personagen as pg
from personagen.builder.api.arguments import SHORTHANDS, RecipeKeys, as_recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.recipe.sections import BackendChoice, ModelPrice, TextRequirements


def recipe(*source: Any, **keys: Any) -> pg.Recipe:
    return as_recipe(source[0] if source else None, keys, pg.generate)


def refusal(*source: Any, **keys: Any) -> str:
    with pytest.raises(pg.errors.RecipeError) as caught:
        recipe(*source, **keys)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_keywords_are_the_keys_of_the_recipe_and_the_shorthands() -> None:
    assert set(RecipeKeys.__annotations__) == {*pg.Recipe.model_fields, *SHORTHANDS}


@pytest.mark.parametrize("verb", [pg.generate, pg.preview, pg.estimate])
def test_the_signature_shows_every_key(verb: Callable[..., Any]) -> None:
    assert set(RecipeKeys.__annotations__) <= set(inspect.signature(verb).parameters)


def test_no_argument_is_the_default_recipe() -> None:
    assert recipe() == pg.Recipe()


def test_a_recipe_without_keywords_is_the_same_object() -> None:
    source = pg.Recipe(rows=14)
    assert recipe(source) is source


@pytest.mark.parametrize("make_source", [str, Path])
def test_keywords_replace_what_a_file_says(make_source: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("rows: 70\nseed: 3\ntext: {min_words: 4, max_words: 50}\n", encoding="utf-8")
    made = recipe(make_source(path), rows=14, text={"max_words": 60})
    assert (made.rows, made.seed, made.text.min_words, made.text.max_words) == (14, 3, 4, 60)


def test_keywords_replace_what_a_recipe_says() -> None:
    source = pg.Recipe(rows=70, seed=3, text=TextRequirements(min_words=4))
    made = recipe(source, rows=14, text={"max_words": 60})
    assert (made.rows, made.seed, made.text) == (14, 3, TextRequirements(min_words=4, max_words=60))


def test_sections_may_be_records_and_sequences_tuples() -> None:
    made = recipe(
        emotions=("joy", "fear"),
        text=TextRequirements(max_words=60),
        backend=BackendChoice(kind="openai", model="m"),
        prices={"m": ModelPrice(input=1, output=2)},
        max_cost=2.5,
    )
    same = "{emotions: [joy, fear], text: {max_words: 60}, backend: {kind: openai, model: m}, "
    same += "prices: {m: {input: 1, output: 2}}, budget: {max_cost: 2.5}}"
    assert made == parse_recipe(same, "test")
    assert made.fingerprint() == parse_recipe(same, "test").fingerprint()


@pytest.mark.parametrize(
    ("model", "kind", "name"),
    [
        ("openai:gpt-4o", "openai", "gpt-4o"),
        ("openai:llama3:8b", "openai", "llama3:8b"),
        ("transformers:Qwen/Qwen3-0.6B", "transformers", "Qwen/Qwen3-0.6B"),
        ("batch:gpt-4o", "batch", "gpt-4o"),
        ("embedded", "embedded", None),
    ],
)
def test_model_chooses_backend_and_name(model: str, kind: str, name: str | None) -> None:
    backend = recipe(model=model).backend
    assert (backend.kind, backend.model) == (kind, name)


def test_embedded_replaces_the_model_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("backend: {kind: openai, model: m}", encoding="utf-8")
    assert recipe(path, model="embedded").backend == BackendChoice()


def test_a_bare_model_name_keeps_the_backend() -> None:
    source = pg.Recipe(backend=BackendChoice(kind="openai", model="one"))
    assert recipe(source, model="llama3:8b").backend == BackendChoice(kind="openai", model="llama3:8b")
    assert recipe(backend={"kind": "openai"}, model="m").backend == BackendChoice(kind="openai", model="m")


def test_a_bare_model_name_does_not_name_a_model_of_an_embedded_recipe() -> None:
    message = refusal(pg.Recipe(rows=14), model="gpt-4o")
    assert message.startswith("model: got 'gpt-4o'") and '"openai:gpt-4o"' in message


def test_a_shorthand_is_the_key_of_its_section() -> None:
    url = "http://127.0.0.1:9/v1"
    made = recipe(model="openai:m", base_url=url, concurrency=2, rpm=3, tpm=4, max_tokens=5)
    assert made.backend == BackendChoice(kind="openai", model="m", base_url=url, concurrency=2, rpm=3, tpm=4)
    assert made.budget.max_tokens == 5
    assert recipe(model="openai:m", reasoning_effort="low").backend.reasoning_effort == "low"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"row": 3}, ["generate: unknown keyword 'row'", "did you mean 'rows'?"]),
        ({"outt": "x"}, ["generate: unknown keyword 'outt'", "did you mean 'out'?"]),
        ({"text": {"max_word": 3}}, ["unknown key 'text.max_word'", "did you mean 'max_words'?"]),
        ({"text": 3}, ["text: got 3"]),
        ({"rows": "7"}, ['rows: got "7"', "integer"]),
        ({"emotions": ["jog"]}, ["unknown emotion 'jog'", "did you mean 'joy'?"]),
        ({"model": "gpt-4o"}, ["model: got 'gpt-4o'", '"openai:gpt-4o"', '"embedded"']),
        ({"model": "openai:"}, ['"openai:NAME"']),
        ({"model": "openai"}, ["model: got 'openai'", 'wanted "openai:NAME" or "embedded"']),
        ({"model": "opnai:gpt-4o"}, ['wanted "openai:gpt-4o" or "embedded"']),
        ({"model": 3}, ["backend.model: got 3"]),
    ],
)
def test_a_wrong_keyword_is_one_line_that_helps(keys: dict[str, Any], words: list[str]) -> None:
    message = refusal(**keys)
    assert all(word in message for word in words), message


def test_a_source_that_is_no_recipe_is_refused() -> None:
    assert "got dict, wanted a Recipe, the path of a YAML file, or keywords" in refusal({"rows": 3})
    assert "cannot read recipe nowhere.yaml" in refusal("nowhere.yaml")


@pytest.mark.parametrize("number", [0, "2", True, 1.5])
def test_a_number_of_texts_is_a_count(number: Any) -> None:
    wanted = f"number: got {number!r}, wanted an integer of 1 or more"
    with pytest.raises(pg.errors.RecipeError, match=re.escape(wanted)):
        pg.preview(number=number, progress=False)
    with pytest.raises(pg.errors.RecipeError, match=f"seeds: got {number!r}"):
        pg.compare(seeds=number, progress=False)


def test_a_folder_that_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(pg.errors.ReleaseError, match=r"no comparison in .*: results.json is missing; name the folder"):
        pg.Comparison(tmp_path)


@given(rows=st.integers(7, 10_000), seed=st.integers(0, 2**31), depth=st.sampled_from(["none", "situational"]))
def test_keywords_and_yaml_have_one_fingerprint(rows: int, seed: int, depth: str) -> None:
    yaml = f"rows: {rows}\nseed: {seed}\ndepth: {depth}\n"
    assert recipe(rows=rows, seed=seed, depth=depth).fingerprint() == parse_recipe(yaml, "test").fingerprint()


def test_a_recipe_accepts_lists_and_mappings() -> None:
    pairs = {"attributes": {"gender": ["man", "woman"]}}
    made = pg.Recipe(emotions=["joy", "fear"], ablations=["none"], intensities=["low"], counterfactual=pairs)
    text = "{emotions: [joy, fear], ablations: [none], intensities: [low], counterfactual: {attributes: {gender: "
    assert made == parse_recipe(text + "[man, woman]}}}", "test")


@pytest.mark.parametrize("keys", [{"row": 3}, {"text": {"max_word": 3}}, {"rows": "7"}, {"emotions": ["jog"]}])
def test_a_recipe_is_refused_in_the_words_of_a_recipe_file(keys: dict[str, Any]) -> None:
    with pytest.raises(pg.errors.RecipeError) as direct:
        pg.Recipe(**keys)
    with pytest.raises(pg.errors.RecipeError) as parsed:
        parse_recipe("", "file", dict(keys.items()))
    assert str(parsed.value) == f"file: {direct.value}"


def test_a_list_of_models_is_a_keyword_and_keeps_its_models() -> None:
    made = recipe(backend=[{"kind": "openai", "model": "a"}, BackendChoice(kind="openai", model="b")], rpm=9)
    assert [(choice.model, choice.rpm) for choice in made.backends] == [("a", 9), ("b", 9)]
    assert [choice.concurrency for choice in recipe(made, concurrency=2).backends] == [2, 2]
    assert [choice.rpm for choice in recipe(made, backend={"rpm": 1}).backends] == [1, 1]
    for key, value in {"model": "openai:m", "base_url": "http://h/v1", "backend": {"model": "c"}}.items():
        assert "backend is a list of 2 models, so backend." in refusal(made, **{key: value})
