"""Recipes that the embedded model cannot write: refused before its first call by every command, and no others."""

from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.event_loop import run_blocking
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.styles import write_examples
from personagen.builder.rehearsal import COMPLETION, MAX_COMPLETION_WORDS, require_writable
from personagen.builder.writing.expression import _stray_pattern, expression_settings
from personagen.metrics.style import measure_profile, write_profile
from tests.helpers.command import Run, run_here

run = pytest.fixture(run_here)
ENVY = {"name": "mine", "emotions": [{"name": "envy", "definition": "wanting it too", "events": ["seeing a house"]}]}


def recipe(**keys: Any) -> Recipe:
    return parse_recipe("", "r", {key.replace("__", "."): value for key, value in keys.items()})


def refusal(**keys: Any) -> str | None:
    """Return the error about a recipe; None: it is not refused."""
    try:
        run_blocking(require_writable(recipe(**keys)))
    except RecipeError as error:
        return str(error)
    return None


LENGTH = r"words, but \d+ of \d+ rehearsed texts of the embedded model can have \d+ to \d+ words at most, wanted bounds"
REFUSED = [
    ("{text: {language: de}}", r"text.language: got de for the embedded model, which writes English, wanted en; leave"),
    ("{text: {min_words: 60}}", rf"text\.min_words: got texts of 60 to 120 {LENGTH}"),
    ("{text: {min_words: 1, max_words: 2}}", rf"text\.min_words, text\.max_words: got texts of 1 to 2 {LENGTH}"),
    ("{text: {style: mail, min_words: 60}}", rf"text\.style, text\.min_words: got texts of 60 to 150 {LENGTH}"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text for text, _ in REFUSED])
@pytest.mark.parametrize("command", ["plan", "preview", "generate"])
def test_every_command_refuses_what_the_embedded_model_cannot_write(
    run: Run, command: str, text: str, message: str
) -> None:
    Path("recipe.yaml").write_text(text, encoding="utf-8")
    outcome = run(command, "recipe.yaml")
    assert outcome.code == 1 and outcome.out == "" and len(outcome.err.splitlines()) == 1
    with pytest.raises(RecipeError, match=message):
        raise RecipeError(outcome.err.removeprefix("personagen: ").strip())
    assert [path.name for path in Path().iterdir()] == ["recipe.yaml"]


WRITABLE: list[dict[str, Any]] = [
    {},
    {"text__language": None},
    {"text__min_words": 10},
    {"text__min_words": 20},
    {"text__max_words": 6},
    {"text__style": {"dialogue": 0.5, "tweets": 0.5}},
    {"text__style": "diary"},
    {"expression": "shown", "text__min_words": 60},
    {"expression": "shown", "text__language": "de"},
    {"text__language": "de", "backend__kind": "openai", "backend__model": "m"},
    {"text__min_words": 60, "backend__kind": "transformers", "backend__model": "m"},
    {"ablations": ["none"], "text__min_words": 10},
    {"taxonomy": ENVY, "text__min_words": 5, "rows": 30},
]


@pytest.mark.parametrize("keys", WRITABLE, ids=[str(keys) for keys in WRITABLE])
def test_no_other_recipe_is_refused(keys: dict[str, Any]) -> None:
    """A recipe of `shown` texts without a style ends as it did before, and other models are not examined."""
    assert refusal(**keys) is None


def test_a_profile_of_long_texts_and_an_emotion_without_material_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.tsv"
    profile = measure_profile("long", "a text", ["We walked home in the rain. " * 40], None, per_label=1)
    path.write_text(write_profile(profile), encoding="utf-8")
    assert "text.style: got texts of 240 to 240 words, but 42 of 42" in (refusal(text__style=str(path)) or "")
    assert "but 30 of 30 rehearsed texts" in (refusal(taxonomy=ENVY, text__min_words=16, rows=30) or "")


def test_a_list_of_real_texts_goes_on_with_texts_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "examples.tsv"
    path.write_text(
        write_examples([("anger", f"It happened {number} times.") for number in range(9)]), encoding="utf-8"
    )
    keys = {"emotions": ["anger"], "rows": 9, "text__examples": str(path), "text__min_words": 30}
    assert refusal(**keys, depth="none") is None
    assert refusal(**keys) is not None


def test_the_longest_completion_is_the_longest_that_is_accepted() -> None:
    """The table of faults refuses one more word, and the limit of tokens has room for no more."""
    faults = _stray_pattern("anger", is_styled=True)
    assert len(COMPLETION) == MAX_COMPLETION_WORDS
    assert faults.search(" ".join(COMPLETION)) is None
    assert faults.search(" ".join((*COMPLETION, "there"))) is not None
    assert expression_settings(recipe()).sampling.max_tokens > MAX_COMPLETION_WORDS
