"""The linear emotion classifier: predictions, calibration, its cache, and refusals."""

from pathlib import Path

import numpy as np
import pytest

from personagen.metrics.emotion_classifiers import LinearClassifier, train_and_test, train_linear
from personagen.metrics.emotion_classifiers.classifier import (
    accuracy_facts,
    best_temperature,
    calibrated_facts,
    calibration_error,
    other_corpora,
)
from personagen.metrics.texts.cache import cache_folder
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.reference import Reference
from personagen.metrics.utility.probe import codes
from tests.helpers.real_texts import goemotions, real, vectors_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERSONAGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def train() -> LinearClassifier:
    return train_linear(real(500), real(500, 500), "goemotions", lambda texts: vectors_of(list(texts)))


def test_predictions_of_real_texts_are_far_better_than_chance_as_the_facts_state() -> None:
    classifier, test = train(), real(500, 500)
    predictions = classifier.predict(test.texts)
    right = [prediction.label == label for prediction, label in zip(predictions, test.labels or [], strict=True)]
    facts = classifier.facts
    assert facts.accuracy == pytest.approx(np.mean(right), abs=1e-4)
    assert facts.accuracy > 0.28 and facts.tested_on == 500 and facts.trained_on == 500
    assert facts.reference == "goemotions" and facts.model == "tfidf"
    assert all(1 / 7 - 1e-4 <= prediction.confidence <= 1 for prediction in predictions)


def test_confidence_is_close_to_accuracy_outside_the_training_corpus() -> None:
    """Calibrated on its own corpus it would err more: the same logits, with the temperature of unseen folds."""
    classifier = train()
    facts = classifier.facts
    assert facts.other_calibration_error is not None and facts.other_calibration_error < 0.06
    corpora = other_corpora("goemotions", real(500).texts, classifier.classes)
    assert [name for name, _ in corpora] == ["brighter", "xed"] and facts.calibrated_on == "brighter and xed"
    texts, labels = ([item for _, part in corpora for item in part[side]] for side in (0, 1))
    logits = vectors_of(texts) @ classifier.weights + classifier.bias
    true = codes(labels, classifier.classes)
    test = accuracy_facts(logits[1::2], true[1::2], facts.temperature)
    assert (facts.other_tested_on, facts.other_accuracy) == (test["tested_on"], test["accuracy"])
    assert facts.temperature == pytest.approx(best_temperature(logits[::2], true[::2]), abs=1e-3)
    own = real(500, 500)
    alone = best_temperature(
        own.vectors @ classifier.weights + classifier.bias, codes(own.labels or [], classifier.classes)
    )
    assert accuracy_facts(logits, true, alone)["calibration_error"] > facts.other_calibration_error


def test_other_corpora_have_the_labels_and_the_language_of_the_training_texts() -> None:
    texts = real(200).texts
    for name, (others, labels) in other_corpora("xed", texts, ("anger", "joy")):
        assert name != "xed" and set(labels) == {"anger", "joy"} and len(others) == len(labels) <= 350
    assert other_corpora("r", texts, ("awe", "joy")) == [], "one label is no test"
    german = ["Das ist wirklich ein sehr schöner Tag, und ich freue mich darauf, dich bald wiederzusehen."] * 9
    assert other_corpora("r", german, ("anger", "joy")) == []
    facts = calibrated_facts("r", german, ("anger", "joy"), lambda texts: np.zeros((len(texts), 2)), 1.5)
    assert facts == {"temperature": 1.5}


def test_a_classifier_is_trained_once_and_then_loaded_from_the_cache() -> None:
    first = train()
    (path,) = cache_folder("classifiers").iterdir()
    written = path.stat().st_mtime_ns
    again = train()
    assert again.facts == first.facts and np.array_equal(again.weights, first.weights)
    assert path.suffix == ".npz" and path.stat().st_mtime_ns == written


def test_other_texts_or_labels_make_another_version() -> None:
    one, test = real(500), real(500, 500)
    other = Corpus(one.texts, [*(one.labels or [])[1:], "joy"], one.vectors, one.model)
    pairs = ((one, test), (other, test), (one, other))
    versions = {train_linear(*pair, "r", lambda texts: vectors_of(list(texts))).facts.version for pair in pairs}
    assert len(versions) == 3


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut", b"no archive"])
def test_a_damaged_cache_is_made_anew(damage: bytes) -> None:
    first = train()
    (path,) = cache_folder("classifiers").iterdir()
    path.write_bytes(damage)
    assert train().facts == first.facts
    assert path.stat().st_size > 1000


def test_a_cache_that_cannot_be_written_is_reported(cache: Path) -> None:
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("in the way")
    with pytest.warns(UserWarning, match=r"^the emotion classifier is not cached: .* cannot be written"):
        assert train().facts.accuracy > 0.28


def test_two_labels_are_enough() -> None:
    sides = [
        side.take([row for row, label in enumerate(side.labels or []) if label in ("joy", "anger")])
        for side in (real(500), real(500, 500))
    ]
    classifier = train_linear(*sides, "two", lambda texts: vectors_of(list(texts)))
    assert classifier.classes == ("anger", "joy") and classifier.facts.accuracy > 0.6


def test_labels_are_needed() -> None:
    side = real(100)
    for bad in (Corpus(side.texts, None, side.vectors, "m"), Corpus(side.texts, ["joy"] * 100, side.vectors, "m")):
        with pytest.raises(ValueError, match=r"^labels are missing, wanted two or more different ones"):
            train_linear(bad, side, "r", lambda texts: vectors_of(list(texts)))
    other = Corpus(side.texts, ["awe"] * 100, side.vectors, "m")
    with pytest.raises(ValueError, match=r"^no test text has a label of the training texts"):
        train_linear(side, other, "r", lambda texts: vectors_of(list(texts)))


def test_no_text_has_no_prediction() -> None:
    assert train().predict([]) == []


def test_a_temperature_undoes_what_logits_were_multiplied_by() -> None:
    from scipy.special import softmax

    generator = np.random.default_rng(0)
    logits = generator.normal(size=(4000, 3)) * 2
    true = np.array([generator.choice(3, p=row) for row in softmax(logits, axis=1)])
    assert best_temperature(logits, true) == pytest.approx(1, abs=0.1)
    assert best_temperature(logits * 3, true) == pytest.approx(3, abs=0.3)


def test_calibration_error_of_a_known_case() -> None:
    # Ten predictions of 0.95, six of them right: 0.35 too sure. Ten of 0.55, five right: 0.05 too sure.
    sure = np.array([0.95] * 10 + [0.55] * 10)
    right = np.array([True] * 6 + [False] * 4 + [True] * 5 + [False] * 5)
    assert calibration_error(sure, right) == pytest.approx((0.35 + 0.05) / 2)


def test_accuracy_of_a_known_case() -> None:
    logits = np.array([[2.0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2]])
    facts = accuracy_facts(logits, np.array([0, 1, 1, 1]), 1.0)
    # Right: rows 0 and 2. F1 of class 0: 2/3, of class 1: 2/4; class 2 is none of the true ones.
    assert facts["accuracy"] == 0.5
    assert facts["balanced_accuracy"] == pytest.approx((1 + 1 / 3) / 2, abs=1e-4)
    assert facts["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2, abs=1e-4)


def test_the_test_part_of_a_reference_is_kept_apart_or_made() -> None:
    own, apart = train_and_test(goemotions())
    assert len(own[0]) == 3360 and len(apart[0]) == 1400
    texts = [f"text {row}" for row in range(50)]
    labels = ["joy", "fear"] * 25
    own, apart = train_and_test(Reference("r", texts, labels, [], None))
    assert len(own[0]) == 40 and len(apart[0]) == 10 and not set(own[0]) & set(apart[0])
    assert apart[1].count("joy") == apart[1].count("fear") == 5
    with pytest.raises(ValueError, match=r"^reference r has no labels, wanted one per text; name another one$"):
        train_and_test(Reference("r", texts, None, [], None))
