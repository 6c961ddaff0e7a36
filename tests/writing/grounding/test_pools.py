"""The real texts that prompts may show: the train part only, nothing that nearly repeats the rest, and enough."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.writing.grounding import begun_recipe, load_pools, with_kept_texts
from tests.helpers.real_texts import goemotions, write_reference


def written(path: Path, rows: Iterable[Mapping[str, str]]) -> str:
    path.write_text("\n".join(json.dumps(dict(row)) for row in rows), encoding="utf-8")
    return str(path)


def recipe_of(source: str, **keys: object) -> Recipe:
    overrides = {"rows": 8, "emotions": ["joy", "anger"], "depth": "none", "expression": "shown"}
    given = {name.replace("__", "."): value for name, value in keys.items()}
    return parse_recipe("", "r", overrides | {"grounding.examples.source": source} | given)


def test_texts_come_from_half_of_the_train_part_and_the_other_half_is_left() -> None:
    pool = load_pools(recipe_of("goemotions"))["examples"]
    whole = goemotions()
    assert [pool.available(emotion) for emotion in ("joy", "anger")] == [240, 240] and pool.barred == frozenset()
    for emotion, texts in pool.texts.items():
        assert all((whole.labels or [])[text.row] == emotion for text in texts)
        assert all(" ".join(whole.texts[text.row].split()) == text.text for text in texts)
    assert not {text.text for texts in pool.texts.values() for text in texts} & set(whole.test_texts)


def test_a_text_that_nearly_repeats_another_part_is_not_shown(tmp_path: Path) -> None:
    """Held texts, test texts and texts of a validation split count, whatever their emotion."""
    train = [{"text": f"number {n} says a thing of its own {n}", "label": "joy", "split": "train"} for n in range(60)]
    pool = load_pools(recipe_of(written(tmp_path / "a.jsonl", train), emotions=["joy"]))["examples"]
    first, second, third = (text.text for text in pool.texts["joy"][:3])
    others = [
        {"text": first.upper() + "!", "label": "fear", "split": "test"},
        {"text": second, "label": "joy", "split": "validation"},
    ]
    source = written(tmp_path / "b.jsonl", [*train, *others])
    again = load_pools(recipe_of(source, emotions=["joy"]))["examples"]
    shown = [text.text for text in again.texts["joy"] if text.row not in again.barred]
    barred = [text.text for text in again.texts["joy"] if text.row in again.barred]
    assert {first, second} & {text.text for text in again.texts["joy"]} == set(barred)
    assert first not in shown and second not in shown and len(shown) + len(barred) == 30 and third


@pytest.mark.parametrize("split", ["test", "validation", "dev"])
def test_a_source_with_texts_for_testing_alone_is_refused(tmp_path: Path, split: str) -> None:
    rows = [{"text": f"text {n}", "label": "joy", "split": split} for n in range(60)]
    with pytest.raises(RecipeError, match=rf"^grounding.examples.source: a.jsonl has only the split {split}, wanted a"):
        load_pools(recipe_of(written(tmp_path / "a.jsonl", rows), emotions=["joy"]))


@pytest.mark.parametrize("name", ["test.jsonl", "my_Test-1.jsonl", "mails.validation.jsonl", "eval.jsonl"])
def test_a_file_that_is_named_after_a_part_for_testing_is_refused(tmp_path: Path, name: str) -> None:
    rows = [{"text": f"text {n}", "label": "joy"} for n in range(60)]
    with pytest.raises(RecipeError, match=rf"^grounding.examples.source: {name} is a file of \w+ texts by its name, "):
        load_pools(recipe_of(written(tmp_path / name, rows), emotions=["joy"]))
    trained = [row | {"split": "train"} for row in rows]
    assert load_pools(recipe_of(written(tmp_path / name, trained), emotions=["joy"]))["examples"].available("joy")
    assert load_pools(recipe_of(written(tmp_path / "latest.jsonl", rows), emotions=["joy"]))["examples"].texts["joy"]


def test_a_folder_is_loaded_without_bars(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "train.jsonl", [{"text": f"text {n}", "label": "joy"} for n in range(60)])
    load_pools(recipe_of(str(tmp_path), emotions=["joy"]))
    assert capfd.readouterr() == ("", "")


def test_a_validation_and_a_test_split_are_no_train_part(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": "joy", "split": ("test", "validation")[n % 2]} for n in range(60)]
    with pytest.raises(RecipeError, match=r"a.jsonl has only the split validation, wanted a train part"):
        load_pools(recipe_of(written(tmp_path / "a.jsonl", rows), emotions=["joy"]))


def test_a_source_without_labels_or_emotions_of_the_recipe_is_refused(tmp_path: Path) -> None:
    plain = written(tmp_path / "plain.jsonl", ({"text": f"text {n}"} for n in range(60)))
    with pytest.raises(RecipeError, match=r"^grounding.examples.source: plain.jsonl has no labels, wanted one emotion"):
        load_pools(recipe_of(plain))
    other = written(tmp_path / "other.jsonl", ({"text": f"text {n}", "label": "joy"} for n in range(60)))
    with pytest.raises(
        RecipeError, match=r"other.jsonl has 0 texts of 'anger' that .*, wanted one or more; it has tex"
    ):
        load_pools(recipe_of(other))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"grounding__examples__count": 31}, r"has 30 texts of 'anger' that .*, wanted count = 31; lower count"),
        (
            {"rows": 40, "grounding__examples__count": 10, "grounding__examples__max_uses": 2},
            r"enough for 6 rows that see 10 each with max_uses = 2, wanted 20 rows; raise max_uses",
        ),
        (
            {"rows": 62, "grounding__paraphrase": True},
            r"^grounding.paraphrase: .* wanted one for each of 31 rows; lower",
        ),
    ],
)
def test_too_few_texts_are_refused_before_the_first_call(tmp_path: Path, keys: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_pools(recipe_of(str(write_reference(tmp_path / "real.jsonl")), **keys))


def test_the_licence_of_a_release_that_is_a_source_counts(tmp_path: Path) -> None:
    written(tmp_path / "texts.jsonl", ({"text": f"text {n}", "label": "joy"} for n in range(60)))
    manifest = {"name": "theirs", "license": {"license": "cc-by-nc-4.0"}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"got real texts under cc-by-nc-4.0 for a release under mit"):
        recipe_of(str(tmp_path), license="mit")


def test_a_run_goes_on_with_the_texts_that_it_began_with(tmp_path: Path) -> None:
    source, folder, warnings = write_reference(tmp_path / "real.jsonl"), tmp_path / "inputs", list[str]()
    recipe = recipe_of(str(source))
    begun = with_kept_texts(recipe, folder)
    assert begun.fingerprint() == recipe.fingerprint() and load_pools(begun) == load_pools(recipe)
    source.unlink()
    again = begun_recipe(recipe, folder, warnings.append)
    assert again.fingerprint() == begun.fingerprint() and load_pools(again) == load_pools(begun) and not warnings
    written(source, ({"text": f"text {n}", "label": "joy"} for n in range(60)))
    assert begun_recipe(recipe, folder, warnings.append) == again
    assert warnings == [
        "real.jsonl has changed since this run began, which continues with the texts that it began with"
    ]
    other = recipe_of(str(source), emotions=["joy"])
    assert begun_recipe(other, folder, warnings.append) == other  # the copy lacks nothing, but has another scope


def test_a_damaged_copy_is_refused(tmp_path: Path) -> None:
    begun = with_kept_texts(recipe_of(str(write_reference(tmp_path / "real.jsonl"))), tmp_path)
    (tmp_path / "examples.real-texts.json").write_text("{", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"^grounding.examples: cannot read the copy .*; put back the file"):
        load_pools(begun)
    with pytest.raises(RecipeError, match=r"^grounding: cannot read the copy .*; put back the file"):
        begun.fingerprint()
