"""The shared parts of the `evaluate` modules and their Spaces: arguments, padding, forms."""

import runpy
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from personagen.metrics import NAMES
from personagen.metrics.space import (
    ALIASES,
    PADDING,
    FormField,
    form_arguments,
    labelled_lines,
    padded_sides,
    select_arguments,
    select_sides,
    text_lines,
    unpadded,
)

FOLDER = Path(str(files("personagen.metrics")))


def app(name: str) -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / name / "app.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_form_gives_arguments_of_its_module(name: str) -> None:
    inputs: tuple[FormField, ...] = app(name)["INPUTS"]
    values = [None if field.kind == "number" else "joy: so happy\n\nfear: who is there" for field in inputs]
    arguments = form_arguments(inputs, values)
    accepted = runpy.run_path(str(FOLDER / name / f"{name}.py"))["ACCEPTED"]
    assert {ALIASES.get(key, key) for key in arguments} <= set(accepted)
    assert "joy: so happy" in str(arguments) or arguments["labels"] == ["joy", "fear"]


@pytest.mark.parametrize("name", ["diversity", "realism", "human_likeness"])
def test_an_example_fills_the_form(name: str) -> None:
    loaded = app(name)
    for example in loaded["EXAMPLES"]:
        arguments = form_arguments(loaded["INPUTS"], example)
        texts = arguments.get("data") or arguments["predictions"]
        assert len(texts) >= 2 and all(isinstance(text, str) for text in texts)


def test_a_form_that_stays_empty_gives_nothing() -> None:
    assert text_lines(" \n\n") is None and text_lines("a\n \n b") == ["a", " b"]
    assert labelled_lines("joy: a: b\nno label\n fear :c ") == (["a: b", "c"], ["joy", "fear"])
    assert form_arguments(app("diversity")["INPUTS"], ["", "", None]) == {
        "data": [],
        "reference_data": None,
        "vocabulary": None,
    }


def test_arguments_of_other_modules_are_dropped_and_unknown_ones_refused() -> None:
    arguments = {"predictions": ["a"], "judge": "x", "seed": None, "labels": ["y"]}
    assert select_arguments(arguments, ("data", "labels", "seed")) == {"data": ["a"], "labels": ["y"]}
    with pytest.raises(TypeError, match=r"^compute got lables, wanted no more than data, labels$"):
        select_arguments({"lables": 1}, ("data", "labels"))


def test_sides_have_the_names_of_evaluate() -> None:
    accepted = ("data", "reference_data", "seed")
    wanted = {"predictions": ["a"], "references": None, "seed": 1}
    assert select_sides({"data": ["a"], "seed": 1}, accepted) == wanted
    assert select_sides({"seed": 1}, accepted) == {"seed": 1}, "texts were added before"


def test_sides_of_unequal_length_are_padded() -> None:
    columns = padded_sides(["a"], ("b", "c", "d"))
    assert columns == {"predictions": ["a", PADDING, PADDING], "references": ["b", "c", "d"]}
    assert unpadded(columns["predictions"]) == ["a"]
