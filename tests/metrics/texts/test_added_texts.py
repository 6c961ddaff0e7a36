"""Texts given to the metrics otherwise than by `compute`: added one by one, in batches, and lists for the functions."""

from typing import Any

import numpy as np
import pytest

from personagen.metrics import NAMES, path
from personagen.metrics.texts.corpus import read_corpus
from tests.helpers.real_texts import real

EYE = np.eye(3)


class LengthRule:
    """A judge that likes long texts."""

    name = "length"

    def __call__(self, questions: Any) -> Any:
        from personagen.metrics.human_likeness import Answer

        return [Answer(texts=[str(min(5, 1 + len(question.user) // 150))]) for question in questions]


@pytest.fixture(scope="module")
def modules() -> dict[str, Any]:
    import evaluate

    return {name: evaluate.load(path(name), keep_in_memory=True) for name in NAMES}


def given_by(name: str) -> dict[str, Any]:
    """Return what `compute` needs beside three texts and four real ones."""
    if name == "human_likeness":
        return {"judge": LengthRule()}
    vectors = {"embeddings": EYE, "reference_embeddings": EYE[[0, 1, 2, 0]]}
    return vectors if name != "utility" else vectors | {"labels": ["x"] * 3, "reference_labels": ["x"] * 4}


@pytest.mark.parametrize(
    "names", [("predictions", "references"), ("data", "reference_data")], ids=lambda names: names[0]
)
@pytest.mark.parametrize("name", ["diversity", "realism", "human_likeness"])
def test_add_add_batch_and_compute_accept_the_same_names(
    name: str, names: tuple[str, str], modules: dict[str, Any]
) -> None:
    texts, real = names
    module = modules[name]
    whole = module.compute(**{texts: ["a", "b", "c"], real: ["d", "e", "f", "g"]}, **given_by(name))
    module.add(**{texts: "a", real: "d"})
    module.add_batch(**{texts: ["b"], real: ["e", "f"]})
    module.add_batch(**{texts: ["c"]})
    module.add_batch(**{real: ["g"]})
    assert module.compute(**given_by(name)) == whole


@pytest.mark.filterwarnings("ignore:.* are nearly in the test part:UserWarning")
def test_utility_accepts_added_texts(modules: dict[str, Any]) -> None:
    module = modules["utility"]
    module.add(prediction="a", reference="d")
    module.add_batch(data=["b", "c"], reference_data=["e", "f", "g"])
    with pytest.raises(ValueError, match="0 labels have 5 texts or more in every part"):
        module.compute(**given_by("utility"))


def test_combined_modules_accept_added_texts(modules: dict[str, Any]) -> None:
    import evaluate

    together = evaluate.combine([modules["diversity"], modules["realism"]])
    together.add(prediction="a", reference="d")
    together.add_batch(predictions=["b", "c"], references=["e", "f"])
    result = together.compute(embeddings=EYE, reference_embeddings=EYE)
    assert (result["diversity_n"], result["n_reference"]) == (3, 3)


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("add_batch", {"labels": ["x"]}, r"add_batch got labels, wanted texts alone; give all else to compute"),
        (
            "add",
            {"data": "a", "prediction": "a"},
            r"add got prediction and data, which mean the same; give one of them",
        ),
        ("add_batch", {}, r"add_batch got no texts, wanted predictions \(or data\), references \(or reference_data\)"),
        ("add_batch", {"predictions": "abc"}, r"(predictions|data) is 'abc', wanted a list of strings"),
        ("add", {"reference": 5}, r"(references|reference_data)\[0\] is 5, wanted a string"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_refusals_of_added_texts(
    name: str, method: str, given: dict[str, Any], message: str, modules: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=f"^{message}$"):
        getattr(modules[name], method)(**given)


def test_the_functions_take_lists_of_texts() -> None:
    from personagen.metrics.diversity import diversity
    from personagen.metrics.human_likeness import human_likeness
    from personagen.metrics.realism import realism
    from personagen.metrics.utility import utility

    texts, others = real(20).texts, real(20, 500).texts
    assert diversity(texts, others) == diversity(read_corpus(texts), read_corpus(others))
    assert realism(texts, others)["n_reference"] == 20
    assert human_likeness(texts, others, LengthRule())["n"] == 20
    with pytest.raises(ValueError, match="labels or reference_labels are missing, wanted one per text"):
        utility(texts, others)
    number: Any = 5
    with pytest.raises(TypeError, match=r"^data is 5, wanted a list of strings$"):
        diversity(number)
    with pytest.raises(TypeError, match=r"^reference_data is 'text', wanted a list of strings$"):
        realism(["a"], "text")
    with pytest.raises(TypeError, match=r"^data is 'text', wanted a list of strings$"):
        human_likeness("text", ["a"], LengthRule())
    with pytest.raises(TypeError, match=r"^judge is 5, wanted a name such as openai:MODEL, or a judge$"):
        human_likeness(["a"], ["b"], number)
