"""The emotion classifier: what it reads, how sure it says it is, what it keeps, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from personagen.metrics.emotion_classifiers import linear as module
from personagen.metrics.emotion_classifiers.linear import (
    Probe,
    accuracy_facts,
    best_temperature,
    calibration_error,
    train_and_test,
    train_probe,
)
from personagen.metrics.texts.cache import cache_folder
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.reference import Reference
from tests.helpers.real_texts import goemotions, real, vectors_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERSONAGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def train() -> Probe:
    return train_probe(real(500), real(500, 500), "goemotions", lambda texts: vectors_of(list(texts)))


def test_it_reads_real_texts_far_better_than_chance_and_says_how_well() -> None:
    probe, test = train(), real(500, 500)
    told = probe.read(test.texts)
    right = [reading.label == label for reading, label in zip(told, test.labels or [], strict=True)]
    assert probe.facts.accuracy == pytest.approx(np.mean(right), abs=1e-4)
    assert probe.facts.accuracy > 0.28 and probe.facts.tested_on == 500 and probe.facts.trained_on == 500
    assert probe.facts.reference == "goemotions" and probe.facts.model == "tfidf"
    assert all(1 / 7 - 1e-4 <= reading.confidence <= 1 for reading in told)


def test_its_confidence_is_about_how_often_it_is_right() -> None:
    assert train().facts.calibration_error < 0.06


def test_it_is_trained_once_and_read_from_the_cache_then(monkeypatch: pytest.MonkeyPatch) -> None:
    first = train()
    monkeypatch.setattr(module, "_trained", None)  # would fail if it were called
    again = train()
    assert again.facts == first.facts and np.array_equal(again.weights, first.weights)
    assert [path.suffix for path in cache_folder("classifiers").iterdir()] == [".npz"]


def test_other_texts_or_labels_make_another_version() -> None:
    one = real(500)
    other = Corpus(one.texts, [*(one.labels or [])[1:], "joy"], one.vectors, one.model)
    assert module._version(one, one) != module._version(other, one) != module._version(other, other)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut", b"no archive"])
def test_a_damaged_cache_is_made_anew(damage: bytes) -> None:
    first = train()
    (path,) = cache_folder("classifiers").iterdir()
    path.write_bytes(damage)
    assert train().facts == first.facts
    assert path.stat().st_size > 1000


def test_a_cache_that_cannot_be_written_is_told(cache: Path) -> None:
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("in the way")
    with pytest.warns(UserWarning, match=r"^the emotion classifier is not kept: .* cannot be written"):
        assert train().facts.accuracy > 0.28


def test_two_labels_are_enough() -> None:
    sides = [
        side.take([row for row, label in enumerate(side.labels or []) if label in ("joy", "anger")])
        for side in (real(500), real(500, 500))
    ]
    probe = train_probe(*sides, "two", lambda texts: vectors_of(list(texts)))
    assert probe.classes == ("anger", "joy") and probe.facts.accuracy > 0.6


def test_labels_are_needed() -> None:
    side = real(100)
    for bad in (Corpus(side.texts, None, side.vectors, "m"), Corpus(side.texts, ["joy"] * 100, side.vectors, "m")):
        with pytest.raises(ValueError, match=r"^labels are missing, wanted two or more different ones"):
            train_probe(bad, side, "r", lambda texts: vectors_of(list(texts)))
    other = Corpus(side.texts, ["awe"] * 100, side.vectors, "m")
    with pytest.raises(ValueError, match=r"^no test text has a label that the classifier was trained on"):
        train_probe(side, other, "r", lambda texts: vectors_of(list(texts)))


def test_no_text_has_no_reading() -> None:
    assert train().read([]) == []


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
