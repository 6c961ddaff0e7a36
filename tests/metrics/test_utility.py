"""Utility of texts for training classifiers: known cases, leaks, masks, curves, refusals."""

import math
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.emotion_words import mask_words
from personagen.metrics.utility import utility
from personagen.metrics.utility.finetune import FineTuning
from personagen.metrics.utility.leakage import overlaps_test, requested_mask
from personagen.metrics.utility.measure import masked
from personagen.metrics.utility.probe import (
    f1_by_class,
    mcnemar_p,
    predict_from_vectors,
    predict_from_words,
    resampled_macro_f1,
)
from personagen.metrics.utility.transfer import TransferSetting, transfer
from tests.helpers.real_texts import corpus_of, goemotions, real

LABELS = ("anger", "fear", "joy")


def three(count: int, skip: int) -> Corpus:
    """Take real texts of three labels, as many of each."""
    corpus = real(3360)
    rows = [
        [row for row, label in enumerate(corpus.labels or []) if label == wanted][skip : skip + count]
        for wanted in LABELS
    ]
    return corpus.take(sorted(row for each in rows for row in each))


def relabelled(corpus: Corpus, fraction: float) -> Corpus:
    """Shuffle the labels of a fraction of the texts."""
    generator = np.random.default_rng(0)
    rows = generator.permutation(len(corpus))[: int(len(corpus) * fraction)]
    labels = list(corpus.labels or [])
    for row, other in zip(rows, generator.permutation(rows), strict=True):
        labels[row] = (corpus.labels or [])[other]
    return Corpus(corpus.texts, labels, corpus.vectors, corpus.model)


def quiet(*sides: Corpus, **more: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # TF-IDF vectors of short texts may be nearly the same
        return utility(*sides, **more)


def test_u1_real_texts_in_the_place_of_synthetic_ones_get_the_same() -> None:
    found = quiet(three(100, 0), three(100, 0), three(80, 300))
    assert found["tstr_macro_f1"] == found["trtr_macro_f1"] and found["tstr_trtr_gap"] == 0.0
    assert found["tstr_trtr_gap_ci"] is None and found["tstr_trtr_ratio"] == 1.0 and found["mcnemar_p"] == 1.0
    assert found["tstr_f1_by_label"] == found["trtr_f1_by_label"] and set(found["tstr_f1_by_label"]) == set(LABELS)
    assert found["utility_floor_majority"] < found["utility_floor_shuffled"] + 0.2 < found["tstr_macro_f1"] + 0.2
    assert found["tstr_macro_f1"] > 0.42 > found["utility_floor_shuffled"], "three classes; chance is a third"


def test_u1_more_shuffled_labels_never_help() -> None:
    scores = []
    for fraction in (0.0, 0.5, 1.0):
        setting = TransferSetting(relabelled(three(150, 0), fraction), three(150, 150), three(150, 300), LABELS, 150, 0)
        scores.append(transfer(setting, predict_from_vectors)["tstr_macro_f1"])
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[2] + 0.1 and scores[2] == pytest.approx(1 / 3, abs=0.1)


@pytest.mark.slow
def test_a_second_sample_of_one_source_is_as_good_within_the_interval() -> None:
    found = quiet(three(150, 0), three(150, 150), three(100, 300))
    low, high = found["tstr_trtr_gap_ci"]
    assert low < 0 < high and high - low < 0.3
    assert found["tstr_macro_f1_ci"][0] < found["tstr_macro_f1"] < found["tstr_macro_f1_ci"][1]
    assert found["n_train"] == 450 - 3 * ((450 - found["n_train"]) // 3) and found["labels_used"] == 3
    assert found["utility_ceiling"] >= found["utility_floor_shuffled"]


def test_without_a_test_part_one_is_held_out() -> None:
    found = quiet(three(60, 0), three(100, 100))
    assert found["n_test"] == 90 and found["n_train"] <= 180


def test_texts_of_the_test_part_are_left_out_of_training() -> None:
    test = three(40, 300)
    leaky = Corpus(
        [*three(40, 0).texts, *[text.upper() + "!" for text in test.texts]],
        [*(three(40, 0).labels or []), *(test.labels or [])],
        np.concatenate([three(40, 0).vectors, test.vectors]),
        "tfidf",
    )
    marked = overlaps_test(leaky, test)
    assert marked[120:].all() and marked[:120].mean() < 0.05
    with pytest.warns(
        UserWarning, match=r"^\d+ texts and \d+ real training texts are nearly in the test part: training"
    ):
        found = utility(leaky, three(40, 150), test)
    assert found["leaked_rows"]["synthetic"] == int(marked.sum()) >= 120
    assert found["n_train"] <= 120


def test_a_text_overlaps_the_test_part_by_its_tokens_or_by_its_vector() -> None:
    test = Corpus(["The cat sat."], None, np.array([[1, 0]], dtype=np.float32), "given")
    cosines = np.array([0, 0.96, 0.94])
    vectors = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)
    train = Corpus(["the CAT sat", "a dog ran", "a cow ran"], None, vectors, "given")
    assert overlaps_test(train, test).tolist() == [True, True, False]


@pytest.mark.slow
def test_keys_of_curves_name_the_numbers_of_texts() -> None:
    found = quiet(three(80, 0), three(80, 150), three(60, 300))["augmentation"]
    assert list(found) == [
        f"{real_count}+{times}x" for real_count in (0, 50, 200, 1000) for times in (0, 1, 2, 5) if real_count or times
    ]
    assert found["1000+0x"] is None and found["200+2x"] is None, "there are 240 of each at most"
    assert found["200+0x"] > found["50+0x"] - 0.05 and 0 < found["0+1x"] < 1


def test_labels_that_a_part_lacks_are_left_out() -> None:
    odd = Corpus(
        [*three(40, 0).texts, *real(10).texts],
        [*(three(40, 0).labels or []), *["pride"] * 10],
        np.concatenate([three(40, 0).vectors, real(10).vectors]),
        "tfidf",
    )
    found = quiet(odd, three(40, 150), three(30, 300))
    assert found["labels_left_out"] == 1 and found["labels_used"] == 3
    one = corpus_of(three(20, 0).texts[:20], ["joy"] * 20)
    with pytest.raises(ValueError, match=r"^1 labels have 5 texts or more in every part, wanted two or more; the labe"):
        quiet(one, three(40, 150), three(30, 300))


def test_sample_size_bounds_the_training_texts() -> None:
    assert quiet(three(40, 0), three(40, 150), three(30, 300), sample_size=30)["n_train"] == 30
    with pytest.raises(ValueError, match=r"^sample_size is 2, wanted 3 to \d+: the rarest of 3 labels has \d+ texts$"):
        quiet(three(40, 0), three(40, 150), three(30, 300), sample_size=2)


def test_f1_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score

    generator = np.random.default_rng(0)
    predicted, true = generator.integers(0, 4, size=90), generator.integers(0, 4, size=90)
    wanted = f1_score(true, predicted, average=None)
    assert f1_by_class(predicted, true, 4) == pytest.approx(wanted, abs=1e-12)
    whole = resampled_macro_f1(predicted, true, np.ones((1, 90), dtype=np.float32), 4)
    assert whole[0] == pytest.approx(wanted.mean(), abs=1e-6)
    drawn = generator.integers(0, 90, size=90)
    weights = np.bincount(drawn, minlength=90).astype(np.float32)[None]
    again = f1_score(true[drawn], predicted[drawn], average="macro")
    assert resampled_macro_f1(predicted, true, weights, 4)[0] == pytest.approx(again, abs=1e-6)


def test_mcnemar_of_known_tables() -> None:
    """5 against 0: 2 / 32. 1 against 1, and nothing against nothing: 1."""
    one = np.array([True] * 5 + [True] * 3)
    other = np.array([False] * 5 + [True] * 3)
    assert mcnemar_p(one, other) == pytest.approx(2 / 32) and mcnemar_p(one, one) == 1.0
    assert mcnemar_p(np.array([True, False]), np.array([False, True])) == pytest.approx(1)


def test_masks_of_one_s_own_words() -> None:
    pattern = requested_mask({"joy": ["so", "so glad", ""], "fear": ["eek"]}, [])
    assert mask_words("So glad, eek! so also", pattern) == "[EMOTION], [EMOTION]! [EMOTION] also"
    assert requested_mask({}, ["joy"]) is None
    for wrong in (5, "joy", {"joy": "yay"}, {"joy": [5]}):
        message = f"mask_words is {wrong!r}, wanted True or a mapping of labels to lists of words"
        with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
            requested_mask(wrong, [])
    with pytest.raises(ValueError, match=r"^mask_words changes texts whose embeddings were given; give the name of a"):
        masked(Corpus(["a"], None, np.ones((1, 1), dtype=np.float32), "given"), requested_mask(True, ["joy"]))


def test_probes_learn_real_labels() -> None:
    train, test = three(150, 0), three(100, 300)
    for predict in (predict_from_vectors, predict_from_words):
        predicted = predict(train, test, LABELS)
        right = [LABELS[code] == label for code, label in zip(predicted, test.labels or [], strict=True)]
        assert np.mean(right) > 0.42
    empty = Corpus(["...", "!"], ["joy", "fear"], np.eye(2, dtype=np.float32), "given")
    assert set(predict_from_words(empty, test, LABELS)) == {LABELS.index("fear")}, "the first of the most frequent"
    with pytest.raises(ValueError, match=r"^labels are missing, wanted one per text$"):
        predict_from_vectors(Corpus(["a"], None, np.ones((1, 1), dtype=np.float32), "given"), test, LABELS)


@pytest.mark.parametrize(
    "texts",
    [
        [""] * 12,
        ["😡"] * 12,
        ["أنا سعيد"] * 12,
        pytest.param(["so happy " * 120_000] + ["x"] * 11, marks=pytest.mark.slow),
    ],
)
def test_odd_texts_have_numbers(texts: list[str]) -> None:
    labels = ["joy", "fear"] * 6
    vectors = np.eye(2, 3, dtype=np.float32)[[0, 1] * 6]
    test = Corpus([f"t{row}" for row in range(12)], labels, np.eye(3, dtype=np.float32)[[2] * 12], "given")
    short = [text[:9] for text in texts]
    found = utility(Corpus(texts, labels, vectors, "given"), Corpus(short, labels, vectors, "given"), test)
    assert all(value is None or not isinstance(value, float) or math.isfinite(value) for value in found.values())


def test_the_slice_of_goemotions_is_as_its_sources_say() -> None:
    corpus = goemotions()
    assert len(corpus.texts) == 3360 and len(corpus.test_texts) == 1400
    counts = {label: (corpus.labels or []).count(label) for label in set(corpus.labels or [])}
    assert set(counts.values()) == {480} and len(counts) == 7
    assert set(corpus.test_labels or []) == set(counts) and not set(corpus.texts) & set(corpus.test_texts)


def test_an_encoder_needs_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"^model needs accelerate to be fine-tuned; run: pip install acc"):
        FineTuning("x", 0)(three(5, 0), three(5, 5), LABELS)


@pytest.mark.slow
def test_an_encoder_is_fine_tuned_on_request(tmp_path: Path) -> None:
    """A small encoder that knows two kinds of words gets a new head, which learns in three epochs what they mean."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "happy", "scared", "me", "you", "so"]
    inner = Tokenizer(models.WordLevel({word: row for row, word in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(tmp_path)
    config = BertConfig(
        vocab_size=len(words), hidden_size=384, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        num_labels=2,
    )  # fmt: skip
    torch.manual_seed(0)
    encoder = BertForSequenceClassification(config)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    known = torch.tensor([[6, 8, 4], [7, 8, 4], [6, 8, 5], [7, 8, 5]])
    for _ in range(60):
        optimiser.zero_grad()
        encoder(input_ids=known, labels=torch.tensor([0, 0, 1, 1])).loss.backward()
        optimiser.step()
    encoder.bert.save_pretrained(tmp_path)
    generator = np.random.default_rng(0)

    def corpus(count: int, start: int) -> Corpus:
        labels = ["joy" if row % 2 else "fear" for row in range(count)]
        texts = [f"{generator.choice(['me', 'you'])} so {'happy' if label == 'joy' else 'scared'}" for label in labels]
        vectors = np.zeros((count, 2000), dtype=np.float32)
        vectors[np.arange(count), start + np.arange(count)] = 1
        return Corpus([f"{text} {start + row}" for row, text in enumerate(texts)], labels, vectors, "given")

    sides = corpus(600, 0), corpus(600, 600), corpus(60, 1200)
    found = utility(*sides, model=str(tmp_path))
    assert found["finetuned_model"] == str(tmp_path)
    assert found["finetuned_tstr_macro_f1"] > 0.9 and found["finetuned_trtr_macro_f1"] > 0.9
    assert utility(*sides, model=str(tmp_path))["finetuned_tstr_macro_f1"] == found["finetuned_tstr_macro_f1"]
    message = r"^cannot load model 'no/such-encoder' \(.*\); name an encoder$"
    with pytest.raises(ValueError, match=message):
        utility(*sides, model="no/such-encoder")
