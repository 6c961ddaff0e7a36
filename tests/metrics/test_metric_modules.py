"""The four `evaluate` modules: loaded from their folders, their cards, their examples, all of them together."""

import ast
import doctest
import json
import re
import runpy
import socket
import warnings
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from personagen.metrics import NAMES, path
from personagen.metrics.space import ARGUMENTS
from tests.helpers.real_texts import real
from tests.helpers.releasing import ROOT

FOLDER = Path(str(files("personagen.metrics")))
EYE = np.eye(3)

KINDS = {"diversity": "measurement", "realism": "metric", "human_likeness": "measurement", "utility": "metric"}


class Rule:
    """A judge that likes long texts."""

    name = "rule"

    def __call__(self, questions: Any) -> Any:
        from personagen.metrics.human_likeness import Answer

        return [Answer(texts=[str(min(5, 1 + len(question.user) // 150))]) for question in questions]


@pytest.fixture(scope="module")
def tried_hosts() -> Iterator[list[Any]]:
    """List what is looked up or connected to while the modules are loaded and used; each such attempt fails."""
    tried: list[Any] = []

    def refuse(*what: Any, **more: Any) -> None:
        tried.append(what)
        raise OSError("no network in this test")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(socket.socket, "connect", refuse)
        yield tried


@pytest.fixture(scope="module")
def modules(tried_hosts: list[Any]) -> dict[str, Any]:
    import evaluate

    # In memory: a refused call leaves a locked file behind, for which the next one waits a second.
    return {name: evaluate.load(path(name), keep_in_memory=True) for name in NAMES}


@pytest.fixture(scope="module")
def arguments() -> dict[str, Any]:
    """Arguments of all four: 60 texts against 140."""
    texts, others, held = real(60), real(140, 500), real(70, 900)
    return {
        "labels": texts.labels, "embeddings": texts.vectors,
        "reference_labels": others.labels, "reference_embeddings": others.vectors,
        "test_data": held.texts, "test_labels": held.labels, "test_embeddings": held.vectors,
        "personas": [{"age": str(row % 5), "trade": "abc"[row % 3]} for row in range(60)],
        "judge": Rule(), "sample_size": 30, "seed": 3,
    }  # fmt: skip


@pytest.fixture(scope="module")
def results(modules: dict[str, Any], arguments: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    warnings.simplefilter("ignore", UserWarning)  # some of the texts are nearly in the test part
    for name, module in modules.items():
        own = runpy.run_path(str(FOLDER / name / f"{name}.py"))["ACCEPTED"]
        given = {key: value for key, value in arguments.items() if key in own}
        names = ("data", "reference_data") if KINDS[name] == "measurement" else ("predictions", "references")
        found[name] = module.compute(**dict(zip(names, (real(60).texts, real(140, 500).texts), strict=True)), **given)
    return found


def card(name: str) -> str:
    return (FOLDER / name / "README.md").read_text(encoding="utf-8")


def test_there_are_four_and_no_other_is_known() -> None:
    assert sorted(KINDS) == sorted(NAMES)
    with pytest.raises(
        ValueError, match=r"^metric is 'bleu', wanted one of diversity, realism, human_likeness, utility$"
    ):
        path("bleu")


def test_evaluate_loads_the_folders_without_network(modules: dict[str, Any], tried_hosts: list[Any]) -> None:
    for name, module in modules.items():
        assert type(module).__module__.startswith(f"evaluate_modules.metrics.{name}.")
        assert (module.name, module.module_type) == (name, KINDS[name])
        assert module.citation.count("@") >= 1 and module.description.strip()
    assert tried_hosts == []


def test_a_checkout_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    import evaluate

    if not (ROOT / "metrics").is_dir():
        pytest.skip("no checkout")
    monkeypatch.chdir(ROOT)
    assert evaluate.load("metrics/diversity", keep_in_memory=True).compute(data=["a"], embeddings=[[1.0]])["n"] == 1


def test_results_are_flat_and_can_be_written(results: dict[str, dict[str, Any]]) -> None:
    for name, result in results.items():
        assert json.loads(json.dumps(result, allow_nan=False)) == result, name
        assert {key for key in result if not re.fullmatch(r"[a-z][a-z0-9_]*", key)} == set()
        assert result["seed"] == 3 and result["n"] == 60
        for key, value in result.items():
            if isinstance(value, dict):
                assert key.endswith(("_by_label", "rows", "augmentation")) or key.startswith("persona_"), key


def test_keys_are_unique_across_modules(results: dict[str, dict[str, Any]]) -> None:
    common = {"n", "seed", "sample_size", "embedding_model", "labels_used"}
    seen: dict[str, str] = {}
    for name, result in results.items():
        for key in result.keys() - common:
            assert key not in seen, f"{key} is in {seen.get(key)} and {name}"
            seen[key] = name


@pytest.mark.parametrize("name", NAMES)
def test_the_card_names_every_key(name: str, results: dict[str, dict[str, Any]]) -> None:
    table = card(name).partition("### Output Values")[2]
    endings = r"(_difference|_in_null)?(_(ci|null|null_ci|reference))?(_by_label)?$"
    kinds = {re.sub(endings, "", key) for key in results[name]}
    kinds = {key for key in kinds if not key.startswith("tfidf_")}
    kinds = {re.sub(r"_real$|_auc$", "", key) if name == "human_likeness" else key for key in kinds}
    within = {f"distinct_{order}" for order in (2, 3)}  # "distinct_1 ... distinct_4"
    assert [key for key in sorted(kinds - within) if not re.search(rf"`{key}[`_]", table)] == []


def test_equal_input_gives_equal_output(
    modules: dict[str, Any], arguments: dict[str, Any], results: dict[str, dict[str, Any]]
) -> None:
    import evaluate

    warnings.simplefilter("ignore", UserWarning)
    together = evaluate.combine(list(modules.values()))
    found = together.compute(predictions=real(60).texts, references=real(140, 500).texts, **arguments)
    for name, result in results.items():
        for key, value in result.items():
            assert found.get(key, found.get(f"{name}_{key}")) == value, key


@pytest.mark.parametrize("name", NAMES)
def test_the_cases_of_the_folder(name: str, modules: dict[str, Any]) -> None:
    for case in runpy.run_path(str(FOLDER / name / "tests.py"))["test_cases"]:
        measured = modules[name].compute(**{key: value for key, value in case.items() if key != "result"})
        for key, value in case["result"].items():
            if value is None or isinstance(value, dict):
                assert measured[key] == value, key
            else:
                assert measured[key] == pytest.approx(value, rel=1e-6), key


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_the_card_are_true(name: str, modules: dict[str, Any]) -> None:
    examples = re.findall(r"^```python\n(.*?)^```$", card(name), re.MULTILINE | re.DOTALL)
    test = doctest.DocTestParser().get_doctest("".join(examples), {}, "README.md", None, 0)
    report: list[str] = []
    doctest.DocTestRunner().run(test, out=report.append)
    assert report == [] and len(test.examples) >= 6


@pytest.mark.parametrize("name", ["diversity", "realism", "utility"])
def test_the_example_in_the_documentation_of_the_module_is_true(name: str, modules: dict[str, Any]) -> None:
    module = modules[name]
    test = doctest.DocTestParser().get_doctest(module.inputs_description, {name: module}, "info", None, 0)
    report: list[str] = []
    doctest.DocTestRunner().run(test, out=report.append)
    assert report == [] and len(test.examples) >= 3


@pytest.mark.parametrize("name", NAMES)
def test_the_front_matter_is_that_of_a_space(name: str) -> None:
    _, front, body = card(name).split("---\n", 2)
    space = yaml.safe_load(front)
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {space.pop("colorFrom"), space.pop("colorTo")} <= colours
    assert re.fullmatch(r"6\.\d+\.\d+", space.pop("sdk_version"))
    assert len(space.pop("description")) > 40 and len(space.pop("emoji")) == 1
    assert space.pop("title").lower().replace("-", "_") == name
    assert space == {
        "sdk": "gradio", "app_file": "app.py", "pinned": False, "license": "apache-2.0",
        "tags": ["evaluate", KINDS[name]],
    }  # fmt: skip
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", body, flags=re.DOTALL), re.MULTILINE)
    kind = KINDS[name].title()
    wanted = [
        f"{kind} Card for {name.replace('_', '-').title()}", f"{kind} Description", "How to Use", "Inputs",
        "Output Values", "Values from Popular Papers", "Limitations and Bias", "Citation", "Further References",
    ]  # fmt: skip
    assert [title for title in titles if title in wanted] == wanted


@pytest.mark.parametrize("name", NAMES)
def test_the_space_has_what_it_starts(name: str) -> None:
    """A Space is started by hand; here it is read."""
    ast.parse((FOLDER / name / "app.py").read_text(encoding="utf-8"))
    needed = (FOLDER / name / "requirements.txt").read_text(encoding="utf-8").split()
    assert {"datasets", "evaluate", "numpy"} <= {re.split(r"[<>=]", entry)[0] for entry in needed}


@pytest.mark.parametrize("name", NAMES)
def test_every_module_takes_the_arguments_of_all_and_no_others(name: str, modules: dict[str, Any]) -> None:
    own = runpy.run_path(str(FOLDER / name / f"{name}.py"))["ACCEPTED"]
    assert set(own) <= ARGUMENTS
    with pytest.raises(TypeError, match=r"^compute got refrences, wanted no more than data, embeddings,|judge"):
        modules[name].compute(predictions=["a"], refrences=["b"])


@pytest.mark.parametrize("name", ["diversity", "human_likeness"])
def test_texts_may_be_added_one_by_one_and_in_batches(name: str, modules: dict[str, Any]) -> None:
    module = modules[name]
    module.add(data="one")
    module.add_batch(data=("two", "three"))
    given = {"embeddings": EYE} if name == "diversity" else {"judge": Rule(), "reference_data": ["x", "y"]}
    assert module.compute(**given)["n"] == 3
    with pytest.raises(TypeError, match=r"^data\[0\] is 4, wanted a string$"):
        module.add(data=4)


def test_pairs_may_be_added_in_batches_of_unequal_length(modules: dict[str, Any]) -> None:
    module = modules["realism"]
    module.add_batch(predictions=["a", "b"], references=["c"])
    module.add_batch(predictions=["d"], references=["e", "f", "g"])
    result = module.compute(embeddings=EYE, reference_embeddings=EYE[[0, 1, 2, 0]])
    assert (result["n"], result["n_reference"]) == (3, 4)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("diversity", {"data": []}, r"data is empty, wanted one text or more"),
        ("diversity", {"data": "abc"}, r"data is 'abc', wanted a list of strings"),
        ("diversity", {"data": ["a", 5]}, r"data\[1\] is 5, wanted a string"),
        ("diversity", {"data": ["a", None]}, r"data\[1\] is None, wanted a string"),
        ("diversity", {"data": ["a"], "sample_size": 2, "embeddings": EYE[:1]},
         r"sample_size is 2, wanted 1 or less: the smaller corpus has no more texts"),
        ("diversity", {"data": ["a"], "seed": -1}, r"seed is -1, wanted 0 or more"),
        ("diversity", {"data": ["a"], "vocabulary": 0, "embeddings": EYE[:1]},
         r"vocabulary is 0, wanted a whole number from 1 to 1,000,000,000,000, or None"),
        ("diversity", {"data": ["a"], "labels": ["x", "y"]}, r"labels has 2 entries, wanted 1: one per text"),
        ("diversity", {"data": ["a"], "labels": [None]}, r"labels\[0\] is None, wanted a string or a whole number"),
        ("diversity", {"data": ["a"], "personas": "x", "embeddings": EYE[:1]},
         r"personas is 'x', wanted a list of mappings, one per text"),
        ("diversity", {"data": ["a"], "personas": [], "embeddings": EYE[:1]},
         r"personas has 0 entries, wanted 1: one per text"),
        ("diversity", {"data": ["a"], "personas": [{"age": 5}], "embeddings": EYE[:1]},
         r"personas\[0\] is {'age': 5}, wanted a mapping of strings to strings"),
        ("diversity", {"data": ["a", "b"], "personas": [{"age": "5"}, {"sex": "f"}], "embeddings": EYE[:2]},
         r"personas\[1\] differs from personas\[0\] in 'age, sex', wanted the same attributes"),
        ("diversity", {"data": ["a"], "predictions": ["a"]},
         r"compute got predictions and data, which mean the same; give one of them"),
        ("diversity", {"data": ["a"], "embeddings": [[np.nan]]}, r"embeddings\[0\] is not finite, wanted numbers"),
        ("diversity", {"data": ["a"], "embeddings": [[2.0]]},
         r"embeddings\[0\] has the length 2, wanted 1; divide each row by its length"),
        ("diversity", {"data": ["a"], "embeddings": EYE},
         r"embeddings has the shape \(3, 3\), wanted \(1, d\): one row per text"),
        ("diversity", {"data": ["a"], "embeddings": [["x"]]},
         r"embeddings is \[\['x'\]\], wanted an array of numbers, one row per text"),
        ("realism", {"predictions": ["a"]}, r"references is missing, wanted a list of strings"),
        ("realism", {"references": ["a"]}, r"predictions is missing, wanted a list of strings"),
        ("realism", {"predictions": [], "references": ["a"]}, r"predictions is empty, wanted one text or more"),
        ("realism", {"predictions": ["a"], "references": [3]}, r"references\[0\] is 3, wanted a string"),
        ("realism", {"predictions": ["a"], "references": ["b"], "embeddings": EYE[:1],
                     "reference_embeddings": np.eye(2)[:1]},
         r"embeddings have 3 columns and reference_embeddings 2, wanted the same"),
        ("realism", {"predictions": ["a"], "references": ["b"], "embeddings": EYE[:1],
                     "reference_embeddings": EYE[:1], "sample_size": 2},
         r"sample_size is 2, wanted 1 or less: the smaller side has no more texts"),
        ("realism", {"predictions": ["a"], "references": ["b"], "sample_size": 1, "embeddings": EYE[:1],
                     "reference_embeddings": EYE[:1]}, r"sample_size is 1, wanted 2 or more"),
        ("human_likeness", {"data": ["a"]}, r"reference_data is missing, wanted real texts: ratings mean nothing .*"),
        ("human_likeness", {"data": ["a"], "reference_data": ["b"], "judge": []},
         r"judge is empty, wanted one judge or more"),
        ("human_likeness", {"data": ["a"], "reference_data": ["b"], "judge": 5},
         r"judge is 5, wanted a name such as openai:MODEL, or a judge"),
        ("human_likeness", {"data": ["a"], "reference_data": ["b"], "judge": Rule(), "sample_size": 2},
         r"sample_size is 2, wanted 1 or less: the smaller side has no more texts"),
        ("utility", {"predictions": ["a"], "references": ["b"], "embeddings": EYE[:1], "reference_embeddings": EYE[:1]},
         r"labels or reference_labels are missing, wanted one per text: utility is about labels"),
        ("utility", {"predictions": ["a"] * 3, "references": ["b"] * 3, "labels": ["x"] * 3,
                     "reference_labels": ["y"] * 3, "embeddings": EYE, "reference_embeddings": EYE},
         r"0 labels have 5 texts or more in every part, wanted two or more; the labels are .*"),
        ("utility", {"predictions": ["a"], "references": ["b"], "model": 5},
         r"model is 5, wanted the name of an encoder"),
        ("utility", {"predictions": ["a"], "references": ["b"], "labels": ["x"], "reference_labels": ["x"],
                     "embeddings": EYE[:1], "reference_embeddings": EYE[:1], "mask_words": 5},
         r"mask_words is 5, wanted True or a mapping of labels to lists of words"),
        ("utility", {"predictions": ["a"], "references": ["b"], "labels": ["x"], "reference_labels": ["x"],
                     "embeddings": EYE[:1], "reference_embeddings": EYE[:1], "mask_words": True},
         r"mask_words changes texts whose embeddings were given; give the name of a model instead"),
    ],
)  # fmt: skip
def test_refusals(name: str, given: dict[str, Any], message: str, modules: dict[str, Any]) -> None:
    """One line each: what, got, wanted; and the module works afterwards."""
    with pytest.raises((TypeError, ValueError), match=f"^{message}$") as caught:
        modules[name].compute(**given)
    assert "\n" not in str(caught.value)
    if name == "realism":
        given = {"predictions": ["a"], "references": ["b"], "embeddings": EYE[:1], "reference_embeddings": EYE[1:2]}
        assert modules[name].compute(**given)["n_reference"] == 1
    if name == "diversity":
        assert modules[name].compute(data=["a"], embeddings=[[1.0]])["n"] == 1
