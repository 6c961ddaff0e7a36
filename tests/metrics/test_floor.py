"""The floor of utility: three plain sentences per label, what they teach, and that nothing is generated from them."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personagen.builder.planning.taxonomy import NAMED_TAXONOMIES, named_taxonomy
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.reference import SLICES, load_reference
from personagen.metrics.utility.floor import floor_problem, plain_sentences, read_plain
from personagen.metrics.utility.measure import utility, yardsticks
from personagen.metrics.utility.probe import f1_by_class, predict_from_words
from tests.helpers.real_texts import corpus_of
from tests.helpers.releasing import ROOT
from tests.metrics.test_utility import LABELS, relabelled, three


def plain(labels: tuple[str, ...] = LABELS) -> Corpus:
    pairs = [(text, label) for label in labels for text in plain_sentences()[label]]
    return corpus_of([text for text, _ in pairs], [label for _, label in pairs])


def quiet(*parts: Corpus | None, **more: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return yardsticks(*parts, **more)  # type: ignore[arg-type]  # a test part is given


def _names(taxonomy: str) -> list[str]:
    return [emotion.name for emotion in named_taxonomy(taxonomy).emotions]


def test_every_label_of_the_named_taxonomies_has_three_sentences_and_none_is_there_twice() -> None:
    labels = {label for name in NAMED_TAXONOMIES for label in _names(name)}
    assert set(plain_sentences()) == labels and {len(texts) for texts in plain_sentences().values()} == {3}
    sentences = [text for texts in plain_sentences().values() for text in texts]
    assert len(set(sentences)) == 90 and all(3 <= len(text.split()) <= 14 for text in sentences)


def test_no_text_is_generated_from_the_plain_sentences() -> None:
    """Only evaluation may read them; no file of the builder holds one of them."""
    sentences = [text for texts in plain_sentences().values() for text in texts]
    readers, holders = set(), set()
    for path in (ROOT / "builder").rglob("*"):
        if not path.is_file() or path.suffix not in (".py", ".yaml", ".tsv", ".md"):
            continue
        text = path.read_text(encoding="utf-8")
        if re.search(r"plain_sentences|read_plain\b|utility\.floor", text):
            readers.add(path.relative_to(ROOT / "builder").parts[0])
        holders |= {path.name for sentence in sentences if sentence in text}
    assert readers == {"evaluation"} and holders == set()


def test_no_plain_sentence_is_in_a_bundled_slice() -> None:
    sentences = {text.lower() for texts in plain_sentences().values() for text in texts}
    for name in SLICES.values():
        corpus = load_reference(name)
        assert sentences.isdisjoint(text.lower() for text in (*corpus.texts, *corpus.test_texts))


@pytest.mark.parametrize(
    ("name", "train", "test", "labels"),
    [("xed", 960, 480, "anger disgust fear joy sadness surprise"),
     ("brighter", 757, 689, "anger fear joy neutral sadness surprise")],
)  # fmt: skip
def test_the_slices_are_as_their_sources_say(name: str, train: int, test: int, labels: str) -> None:
    corpus = load_reference(name)
    assert (len(corpus.texts), len(corpus.test_texts)) == (train, test) and corpus.name == name
    for part in (corpus.labels, corpus.test_labels):
        assert sorted(set(part or ())) == labels.split()
    assert len({text.lower() for text in (*corpus.texts, *corpus.test_texts)}) == train + test, "no text twice"
    sources = (ROOT / "metrics" / "data" / "SOURCES.md").read_text(encoding="utf-8")
    section = sources.partition(f"## {name}.tsv.gz")[2].partition("\n## ")[0]
    assert f"{train} " in section and f"{test} " in section and "creativecommons.org/licenses/by/4.0" in section


def test_the_floor_is_a_classifier_trained_on_the_sentences() -> None:
    test = three(80, 300)
    result = quiet(three(60, 0), three(60, 100), test, plain())
    predicted = predict_from_words(plain(), test, LABELS)
    true = np.array([LABELS.index(label) for label in test.labels or ()])
    assert result["tfidf_floor_macro_f1"] == pytest.approx(f1_by_class(predicted, true, 3).mean())
    gap = result["tfidf_tstr_macro_f1"] - result["tfidf_floor_macro_f1"]
    low, high = result["tfidf_tstr_floor_gap_ci"]
    assert result["tfidf_tstr_floor_gap"] == pytest.approx(gap) and low < gap < high and result["floor_reason"] is None


def test_real_texts_lie_above_the_floor_and_shuffled_labels_below() -> None:
    parts = three(150, 100), three(100, 250)
    floor = plain()
    real = quiet(three(100, 0), *parts, floor)
    wrong = quiet(relabelled(three(100, 0), 1.0), *parts, floor)
    assert real["tfidf_floor_macro_f1"] == wrong["tfidf_floor_macro_f1"]
    assert wrong["tfidf_tstr_floor_gap"] < 0 < real["tfidf_tstr_floor_gap"]


def test_the_plain_sentences_themselves_are_at_the_floor() -> None:
    floor = plain()
    twice = Corpus([*floor.texts] * 2, [*(floor.labels or ())] * 2, np.concatenate([floor.vectors] * 2), floor.model)
    result = quiet(twice, three(60, 100), three(80, 300), floor)
    assert abs(result["tstr_floor_gap"]) < 0.05
    low, high = result["tstr_floor_gap_ci"]
    assert low <= 0 <= high, "a release of plain sentences is not below the floor"


def test_every_label_has_as_many_texts_on_both_sides_as_the_side_with_fewer() -> None:
    rare = three(60, 0)
    rows = [row for row, label in enumerate(rare.labels or ()) if label != "fear" or row < 60]
    some = rare.take(rows)
    result = quiet(some, three(30, 100), three(80, 300), plain())
    fears = (some.labels or []).count("fear")
    leaked = sum(result["leaked_rows"].values())
    assert 60 + min(fears, 30) - leaked <= result["n_train"] <= 60 + min(fears, 30)


@pytest.mark.parametrize(("label", "kept"), [("wistful", None), ("joy", None)])
def test_labels_without_sentences_have_no_floor_and_the_reason(label: str, kept: None) -> None:
    def renamed(corpus: Corpus) -> Corpus:
        labels = ["wistful" if own == "joy" else own for own in corpus.labels or ()]
        return Corpus(corpus.texts, labels, corpus.vectors, corpus.model)

    parts = [renamed(part) if label == "wistful" else part for part in (three(30, 0), three(30, 100), three(60, 300))]
    result = quiet(*parts, plain(("anger", "fear")))
    assert result["floor_reason"] == f"there are no plain sentences for {label}"
    assert result["floor_macro_f1"] is result["tfidf_floor_macro_f1"] is result["tstr_floor_gap_ci"] is kept
    assert result["tstr_macro_f1"] > 0 and result["tfidf_trtr_macro_f1"] > 0
    assert read_plain(["wistful", "tired"], "given") is None


def test_real_texts_in_another_language_have_no_floor_and_the_reason() -> None:
    german = ["Heute ist ein schöner Tag, und ich freue mich auf das Wochenende mit meiner Familie."] * 20
    test = Corpus(german, ["joy"] * 20, np.ones((20, 1), dtype=np.float32), "given")
    reason = floor_problem(plain(("joy",)), test, ["joy"])
    assert reason == "the plain sentences are in English, and most of the real texts are not"


def test_without_an_encoder_there_is_a_floor_of_words_only() -> None:
    sentences = read_plain(LABELS, "given")
    assert sentences is not None and len(sentences) == 9 and sentences.vectors.shape == (9, 0)
    result = quiet(three(30, 0), three(30, 100), three(60, 300), sentences)
    assert result["floor_macro_f1"] is None and result["tfidf_floor_macro_f1"] > 0
    assert result["floor_reason"] == "the plain sentences cannot be encoded: embeddings were given"


def test_utility_has_the_floor_and_agrees_with_the_yardsticks() -> None:
    parts = three(40, 0), three(40, 100), three(60, 300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result = utility(*parts, plain=plain())
        without = utility(*parts)
    other = quiet(*parts, plain())
    assert result["floor_macro_f1"] == other["floor_macro_f1"]
    assert {key for key in other if key not in result} == set()
    assert without["floor_macro_f1"] is None and "anger" in without["floor_reason"]


def test_the_package_has_the_sentences_as_a_table() -> None:
    lines = (Path(ROOT) / "metrics" / "data" / "plain_sentences.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "label\ttext" and len(lines) == 91
