"""How texts are written beside real ones: small cases by hand, samples of one corpus, corpora that differ."""

import warnings
from typing import Any

import numpy as np
import pytest

from personagen.metrics.realism import realism
from personagen.metrics.realism.written_style import FIGURES, written_style
from personagen.metrics.style.valence import polarity
from tests.helpers.real_texts import corpus_of, goemotions, real, shuffled_words

OPEN = ["I am so happy today, this is wonderful!", "lol that was great"] * 10
COVERED = ["The door closed behind the two men.", "He put the paper on the table and left."] * 10


def sampled(rows: Any) -> tuple[list[str], list[str]]:
    corpus = goemotions()
    return [corpus.texts[row] for row in rows], [(corpus.labels or [])[row] for row in rows]


def test_the_figures_of_a_small_case_are_those_counted_by_hand() -> None:
    result = written_style(OPEN, None, COVERED, None)
    assert (result["named_share"], result["voiced_share"], result["shown_share"]) == (0.5, 0.5, 0.0)
    assert result["shown_share_null"] == 1.0 and result["named_share_difference"] == 0.5
    assert result["words_per_text"] == (8 + 4) / 2 and result["words_per_text_null"] == (7 + 9) / 2
    assert result["words_per_text_difference"] == -2.0
    # Valenced words: "happy", "wonderful" of 8; "lol", "great" of 4; none of the others.
    assert (
        result["valenced_per_100"] == pytest.approx(100 * (2 / 8 + 2 / 4) / 2) and result["valenced_per_100_null"] == 0
    )
    assert result["lowercase_share"] == 0.5 and result["unpunctuated_share"] == 0.5
    assert result["exclamations_per_100"] == pytest.approx(100 / 12) and result["laughter_per_100"] == pytest.approx(
        100 / 12
    )
    assert result["profanity_per_100"] == 0 and result["profanity_per_100_null_ci"][0] == 0
    assert result["profanity_per_100_in_null"] is True and result["exclamations_per_100_in_null"] is False


def test_intervals_are_those_of_the_binomial_distribution() -> None:
    """A share p of n texts has the variance p (1 - p) / (n - 1), that of a difference is the sum of both."""
    texts, others = OPEN[:1] * 12 + COVERED[:1] * 28, OPEN[:1] * 10 + COVERED[:1] * 90
    result = written_style(texts, None, others, None)
    error, real_error = (0.3 * 0.7 / 39) ** 0.5, (0.1 * 0.9 / 99) ** 0.5
    # t(0.975, 39) = 2.022691; above, the logit reaches further: the derivative of p is 1 / (p (1 - p))
    logit = np.log(0.3 / 0.7) + 2.022691 * error / 0.21
    low = min(0.3 - 2.022691 * error, 1 / (1 + np.exp(-(np.log(0.3 / 0.7) - 2.022691 * error / 0.21))))
    assert result["named_share_ci"] == pytest.approx([low, 1 / (1 + np.exp(-logit))], abs=1e-4)
    reach = 1.96 * (error**2 + real_error**2) ** 0.5
    assert result["named_share_difference_ci"] == pytest.approx([0.2 - reach, 0.2 + reach], abs=1e-4)
    # t(0.975, 99) = 1.984217
    null = 1.984217 * (0.1 * 0.9 * 100 / 99 * (1 / 40 + 1 / 100)) ** 0.5
    further = 1 / (1 + np.exp(-(np.log(1 / 9) + null / 0.09)))
    assert result["named_share_null_ci"] == pytest.approx([0.0, further], abs=1e-4), "cut at 0"


@pytest.mark.parametrize(("count", "low", "high"), [(1, 0.0253, 5.572), (3, 0.619, 8.767), (10, 4.795, 18.39)])
def test_the_interval_of_a_rare_feature_is_close_to_that_of_a_poisson_count(
    count: int, low: float, high: float
) -> None:
    """Swear words in 400 texts of eight words, one per text; exact limits of Garwood (1936)."""
    texts = ["The damn door closed behind the two men."] * count
    texts += ["The old door closed behind the two men."] * (400 - count)
    found = np.array(written_style(texts, None, COVERED * 10, None)["profanity_per_100_ci"]) * 32
    assert found[0] <= low and high <= found[1] <= 1.4 * high


def test_a_feature_that_no_text_has_may_have_been_missed() -> None:
    """By the rule for a Poisson count of 0: up to 3.69 cases, here of 240 and of 320 words."""
    result = written_style(OPEN * 2, None, COVERED * 2, None)
    assert result["profanity_per_100_ci"] == pytest.approx([0, 3.69 * 100 / 240], abs=1e-2)
    assert result["profanity_per_100_null_ci"] == pytest.approx([0, 3.69 * 100 * (1 / 240 + 1 / 320)], abs=1e-2)
    assert result["shown_share_null_ci"] == pytest.approx([1 - 3.69 * (1 / 40 + 1 / 40), 1], abs=1e-2)
    assert result["profanity_per_100_difference_ci"][0] < 0 < result["profanity_per_100_difference_ci"][1]


def test_a_feature_that_no_text_has_may_have_been_missed_in_the_label_with_the_fewest_texts() -> None:
    """Each of 20 real texts of joy stands for 1 / 40 of the texts, though there are 520 real ones."""
    texts, labels = COVERED * 2, ["joy", "fear"] * 20
    real_texts, real_labels = COVERED + COVERED * 25, ["joy"] * 20 + ["fear"] * 500
    result = written_style(texts, labels, real_texts, real_labels)
    assert result["profanity_per_100_null"] == 0
    assert result["profanity_per_100_null_ci"][1] == pytest.approx(100 * 3.69 * (0.5 / 20 + 0.5 / 20) / 8, rel=0.01)


def test_a_sample_of_real_comments_lies_within_the_null_of_the_others() -> None:
    """Of 17 figures at 95 %, about one per sample lies outside."""
    outside = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(goemotions().texts))
        result = written_style(*sampled(order[:400]), *sampled(order[400:1600]))
        outside += [name for name in FIGURES if not result[f"{name}_in_null"]]
    assert len(outside) <= 8, outside


def test_the_null_interval_holds_the_values_of_real_samples_as_often_as_it_says() -> None:
    generator, within = np.random.default_rng(0), []
    for _ in range(20):
        order = generator.permutation(len(goemotions().texts))[:300]
        result = written_style(*sampled(order[:150]), *sampled(order[150:]))
        within += [
            result[f"{name}_in_null"] for name in ("named_share", "words_per_text", "polarity", "valenced_per_100")
        ]
    assert 0.88 <= np.mean(within) <= 1


def test_covert_long_texts_lie_outside_the_null_of_comments() -> None:
    texts = ["The kettle had boiled dry while he stood at the window and counted the cars that passed the gate."] * 60
    result = written_style(texts, ["anger", "fear", "joy"] * 20, *sampled(range(len(goemotions().texts))))
    for name in ("named_share", "shown_share", "valenced_per_100", "words_per_text"):
        assert result[f"{name}_in_null"] is False and result[f"{name}_in_null_by_label"]["joy"] is False, name
    assert result["words_per_text_by_label"] == {"anger": 19.0, "fear": 19.0, "joy": 19.0}


def test_labels_of_real_texts_have_the_weights_of_the_texts() -> None:
    """Real joy is positive and real anger negative; texts of joy alone are compared against real joy alone."""
    texts, labels = sampled(range(len(goemotions().texts)))
    joy = [text for text, label in zip(texts, labels, strict=True) if label == "joy"]
    whole = written_style(joy[:200], ["joy"] * 200, texts, labels)
    assert whole["polarity_null"] == pytest.approx(whole["polarity_null_by_label"]["joy"])
    assert whole["polarity_null"] == pytest.approx(np.mean([polarity(text) for text in joy]))
    assert whole["polarity_in_null"] and list(whole["polarity_by_label"]) == ["joy"]
    unlabelled = written_style(joy[:200], None, texts, labels)
    assert unlabelled["polarity_null"] < 0.1 < unlabelled["polarity"] and not unlabelled["polarity_in_null"]
    assert unlabelled["polarity_by_label"] == {} and unlabelled["named_share_in_null_by_label"] == {}


def test_a_label_with_few_texts_is_left_out_and_without_any_other_all_texts_count() -> None:
    texts, labels = sampled(range(300))
    few = written_style([*texts[:100], *OPEN], [*labels[:100], *["wistful"] * 20], texts[100:], labels[100:])
    assert "wistful" not in few["named_share_by_label"] and len(few["named_share_by_label"]) >= 1
    none = written_style(OPEN, ["wistful"] * 20, COVERED, ["tired"] * 20)
    assert none["words_per_text"] == 6 and none["words_per_text_by_label"] == {}


def test_texts_in_other_languages_have_no_figures_and_the_reason() -> None:
    german = ["Heute ist ein schöner Tag, und ich freue mich auf das Wochenende mit meiner Familie."] * 20
    result = written_style(german, ["joy"] * 20, *sampled(range(100)))
    assert result["style_reason"] == "the texts are mostly not in English: the word lists are"
    assert {key: value for key, value in result.items() if value not in (None, {})} == {
        "style_reason": result["style_reason"]
    }
    turned = written_style(OPEN, None, german, None)
    assert turned["style_reason"] == "the references are mostly not in English: the word lists are"
    assert result.keys() == written_style(OPEN, None, COVERED, None).keys() == turned.keys()


@pytest.mark.parametrize("texts", [[""], ["", ""], ["😡"], ["?!", ""], ["one"]])
def test_texts_without_words_have_figures_or_none(texts: list[str]) -> None:
    for result in (written_style(texts, None, COVERED, None), written_style(COVERED, None, texts, None)):
        for value in result.values():
            assert value is None or isinstance(value, dict | bool | str) or np.isfinite(value).all()
    assert written_style([""], None, COVERED, None)["words_per_text"] == 0
    assert written_style([""], None, COVERED, None)["profanity_per_100"] is None, "0 of 0 words"


def test_ten_real_texts_have_a_null_and_nine_none() -> None:
    assert written_style(OPEN, None, COVERED[:10], None)["polarity_null_ci"] is not None
    nine = written_style(OPEN, None, COVERED[:9], None)
    assert nine["polarity_null_ci"] is None and nine["polarity_in_null"] is None and nine["polarity_ci"] is not None


def test_realism_has_the_figures_and_the_order_of_words_changes_no_share_of_valence() -> None:
    corpus, reference = real(60), real(140, 500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result = realism(corpus, reference, sample_size=30)
        other = realism(
            corpus_of(shuffled_words(list(corpus.texts)), list(corpus.labels or [])), reference, sample_size=30
        )
    wanted = written_style(corpus.texts, corpus.labels, reference.texts, reference.labels)
    assert {key: result[key] for key in wanted} == wanted
    assert other["valenced_per_100"] == pytest.approx(result["valenced_per_100"], abs=0.5)
