"""The label check in the pipeline: predictions that are kept, texts that are rejected, reproducible runs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import BackendError, RecipeError
from personagen.builder.generate import write_release
from personagen.builder.llm import EngineModel
from personagen.builder.llm.backends.openai_chat import connect_openai
from personagen.builder.planning.plan import make_plan
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.recipe.sections import BackendChoice
from personagen.builder.release.run.run_folder import open_run
from personagen.builder.release.run.run_state import run_recipe
from personagen.builder.writing.checks import Verdict
from personagen.builder.writing.label_check import LabelCheck, load_label_check
from personagen.metrics.emotion_classifiers import LinearClassifier, train_linear
from tests.helpers.flow import recipe_for, rejects_of, texts_of
from tests.helpers.real_texts import real, vectors_of
from tests.helpers.servers.fake_openai import FakeOpenAI

KEPT = {"checks.label": "flag"}
STRICT = {"checks.label": "reject", "checks.attempts": 60}


@pytest.fixture(scope="module")
def probe() -> LinearClassifier:
    """A classifier of two emotions."""
    sides = [
        side.take([row for row, label in enumerate(side.labels or []) if label in ("joy", "anger")])
        for side in (real(500), real(500, 500))
    ]
    return train_linear(*sides, "goemotions", lambda texts: vectors_of(list(texts)))


def make_checked(url: str, out: Path, probe: LinearClassifier, changes: dict[str, Any]) -> dict[str, Any]:
    """Generate a release whose labels are checked, and return its manifest."""
    recipe = recipe_for(url, changes)
    with open_run(out, run_recipe(recipe), reuse=True) as run:
        backend = connect_openai(model="fake-1", base_url=url, api_key="k", concurrency=8)
        models = [EngineModel(backend, BackendChoice())]
        check = LabelCheck(probe, reject=recipe.checks.label == "reject")
        result = asyncio.run(write_release(models, make_plan(recipe), run, label_check=check))
    return dict(result.manifest)


def test_flagged_texts_carry_their_predictions(tmp_path: Path, probe: LinearClassifier) -> None:
    with FakeOpenAI() as server:
        manifest = make_checked(server.url, tmp_path / "out", probe, KEPT)
        sent = len(server.requests)
    rows = texts_of(tmp_path / "out")
    read = {prediction.label for prediction in probe.predict([row["text"] for row in rows])}
    assert {row["provenance"]["checker_label"] for row in rows} == read == {"joy", "anger"}
    for row in rows:
        (prediction,) = probe.predict([row["text"]])
        assert row["provenance"]["checker_label"] == prediction.label
        assert row["provenance"]["checker_confidence"] == pytest.approx(prediction.confidence, abs=1e-6)
    labels = {"anger": "anger", "joy": "joy"}
    agreed = sum(row["provenance"]["checker_label"] == labels[row["id"].split("-")[0]] for row in rows)
    assert manifest["classifier"]["agreement"] == round(agreed / 14, 4) and sent == 14
    assert manifest["classifier"]["accuracy"] == probe.facts.accuracy and manifest["classifier"]["gate"] == "flag"
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert f"accuracy {probe.facts.accuracy}" in card


def test_texts_with_another_prediction_are_rejected_and_retried(tmp_path: Path, probe: LinearClassifier) -> None:
    with FakeOpenAI() as server:
        manifest = make_checked(server.url, tmp_path / "out", probe, STRICT)
        sent = len(server.requests)
        rows = texts_of(tmp_path / "out")
        again = make_checked(server.url, tmp_path / "other", probe, STRICT)
    assert len(rows) == 14
    for row in rows:
        assert row["provenance"]["checker_label"] == row["id"].split("-")[0]
    refused = rejects_of(tmp_path / "out")
    assert {reject["reason"] for reject in refused} == {"label"} and sent == 14 + len(refused)
    assert {reject["detail"] for reject in refused} == {"joy", "anger"}
    for reject in refused:
        assert reject["detail"] != reject["id"].split("-")[0]
        assert probe.predict([reject["text"]])[0].label == reject["detail"]
    assert manifest["classifier"]["agreement"] == 1.0
    assert manifest["rejects"] == {"expression": {"label": len(refused)}}
    assert again == manifest, "the same predictions, whatever came first"


def test_a_text_that_other_checks_reject_has_no_prediction(probe: LinearClassifier) -> None:
    bad, good = Verdict("x", "length", leaked=False), Verdict("I am so happy", None, leaked=False)
    check = LabelCheck(probe, reject=False)
    checked = asyncio.run(check([bad, good], "joy"))
    assert checked[0] == bad and checked[1].label in probe.classes
    assert asyncio.run(check([bad], "joy")) == [bad]


def test_a_recipe_without_a_check_has_none_and_keeps_its_fingerprint() -> None:
    recipe = parse_recipe("", "r")
    assert load_label_check(recipe) is None and "label" not in recipe.identity()["checks"]
    other = parse_recipe("checks: {label_model: m}", "r")
    assert other.fingerprint() == recipe.fingerprint() != parse_recipe("checks: {label: flag}", "r").fingerprint()


def test_the_folder_of_a_reference_is_not_published(tmp_path: Path) -> None:
    path = tmp_path / "real.csv"
    path.write_text("text,label\nhello,joy\n")
    recipe = parse_recipe("", "r", {"checks.label": "flag", "checks.label_reference": str(path)})
    assert recipe.identity()["checks"]["label_reference"] == "real.csv"


def test_an_emotion_that_the_reference_lacks_is_an_error_before_the_first_request(tmp_path: Path) -> None:
    path = tmp_path / "real.csv"
    path.write_text("text,label\n" + "hello there,joy\noh no,anger\n" * 10)
    recipe = parse_recipe("", "r", {"checks.label": "flag", "checks.label_reference": str(path), "rows": 7})
    message = (
        r"^checks\.label: reference real\.csv has no texts of disgust, fear, sadness, surprise, neutral; it has "
        r"anger, joy: name another checks\.label_reference, leave these emotions out, or leave checks\.label out$"
    )
    with pytest.raises(RecipeError, match=message):
        load_label_check(recipe)
    path.write_text("text\nhello\n")
    with pytest.raises(RecipeError, match=r"it has no labels: name another"):
        load_label_check(recipe)


def test_an_unreadable_reference_is_an_error_of_one_line(tmp_path: Path) -> None:
    recipe = parse_recipe("", "r", {"checks.label": "flag", "checks.label_reference": str(tmp_path / "real.xls")})
    (tmp_path / "real.xls").write_text("x")
    with pytest.raises(BackendError, match=r"^checks\.label: reference real\.xls is a \.xls file, wanted csv"):
        load_label_check(recipe)


@pytest.mark.parametrize("value", ["off", "'refuse'", "[reject]"])
def test_an_unknown_value_of_the_check_is_refused(value: str) -> None:
    with pytest.raises(RecipeError, match=r"checks\.label: got .*, wanted 'flag' or 'reject'"):
        parse_recipe(f"checks: {{label: {value}}}", "r")


@pytest.mark.slow
@pytest.mark.timeout(900)  # it may be the one that encodes
@pytest.mark.usefixtures("encoded_corpora")
def test_the_command_checks_labels_with_the_default_model_and_reference(tmp_path: Path) -> None:
    from tests.helpers.command import command_line, python

    code = command_line("generate", "recipe.yaml", "--json")
    (tmp_path / "recipe.yaml").write_text("rows: 7\nchecks: {label: reject}\n")
    done = python(code, tmp_path)
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "personagen" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["classifier"]["agreement"] == 1.0 and manifest["classifier"]["trained_on"] == 3360
    assert manifest["classifier"]["accuracy"] > 0.45
