"""Lexical diversity of a corpus."""

import math
import random
import re
from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from personagen.metrics.diversity.lexical import duplicate_fraction, expected_tokens, lexical, word_figures
from personagen.metrics.texts.words import normalise, tokenise


def measure(texts: list[str], vocabulary: Any = None) -> dict[str, Any]:
    tokens = [tokenise(text) for text in texts]
    figures = {
        **word_figures(tokens, texts, vocabulary),
        **lexical(tokens, texts),
        "duplicate_share": duplicate_fraction(texts),
    }
    keys = ("mean_words", "duplicate_share", "distinct_1", "distinct_2", "distinct_3", "ead_1", "ead_vocabulary")
    return {key: figures[key] for key in keys}


corpora = st.lists(st.text("ab c'B\t", max_size=12) | st.text(max_size=12), min_size=1, max_size=8)


def test_values_worked_out_by_hand() -> None:
    """Words a b a | b a: 2 of 5; ab ba ba: 2 of 3; aba: 1 of 1. EAD: 2 / (3 (1 - (2/3)^5)) = 162/211."""
    measured = measure(["A b, a", "b a"], vocabulary=3)
    assert measured["ead_1"] == pytest.approx(162 / 211, rel=1e-14)
    assert measured | {"ead_1": None} == {
        "mean_words": 2.5,
        "duplicate_share": 0.0,
        "distinct_1": 2 / 5,
        "distinct_2": 2 / 3,
        "distinct_3": 1.0,
        "ead_1": None,
        "ead_vocabulary": 3,
    }


def test_what_counts_as_a_duplicate() -> None:
    """Case, white space and the form of accents do not matter; punctuation and words do."""
    texts = ["Ça va", "c\u0327a   VA", " ça\nva ", "Ça va!", "Ça", ""]
    assert measure(texts)["duplicate_share"] == 2 / 6
    assert measure(["", "  ", "\n"])["duplicate_share"] == 2 / 3


def test_where_there_is_no_number_there_is_none() -> None:
    measured = measure(["😡", "..."], vocabulary=10)
    assert (measured["mean_words"], measured["duplicate_share"]) == (0.0, 0.0)
    assert [measured[key] for key in ("distinct_1", "distinct_2", "distinct_3", "ead_1")] == [None] * 4
    assert measure(["one two"])["distinct_3"] is None


def test_no_ngram_crosses_from_one_text_to_the_next() -> None:
    measured = measure(["a b", "a b", "a b"])
    assert (measured["distinct_2"], measured["distinct_3"]) == (1 / 3, None)


@given(corpora, st.randoms())
def test_order_does_not_matter(texts: list[str], shuffler: random.Random) -> None:
    shuffled = shuffler.sample(texts, len(texts))
    assert measure(shuffled, 10**6) == measure(texts, 10**6)


@given(corpora)
def test_every_number_is_in_its_range(texts: list[str]) -> None:
    measured = measure(texts, 10**6)
    assert 0 <= measured["duplicate_share"] < 1
    for share in (measured["distinct_1"], measured["distinct_2"], measured["distinct_3"]):
        assert share is None or 0 < share <= 1


@given(corpora, st.integers(0, 50))
def test_ead_has_its_bound_whatever_the_vocabulary(texts: list[str], spare: int) -> None:
    different = {word for text in texts for word in tokenise(text)}
    assume(different)
    ead = measure(texts, len(different) + spare)["ead_1"]
    assert ead is not None and 0 < ead < math.e / (math.e - 1)


@given(corpora, st.integers(1, 4))
def test_copies_divide_distinct_ngrams_by_their_number(texts: list[str], copies: int) -> None:
    once, often = measure(texts), measure(texts * copies)
    for key in ("distinct_1", "distinct_2", "distinct_3"):
        before, after = once[key], often[key]
        assert after == (None if before is None else pytest.approx(before / copies, rel=1e-15))
    assert often["mean_words"] == once["mean_words"]


@given(corpora, st.integers(1, 6))
def test_copies_are_counted(texts: list[str], copies: int) -> None:
    different = {normalise(text): text for text in texts}
    measured = measure(list(different.values()) * copies)
    assert measured["duplicate_share"] == (len(different) * copies - len(different)) / (len(different) * copies)
    assert measured["duplicate_share"] == pytest.approx((copies - 1) / copies, rel=1e-15)


@pytest.mark.parametrize(("vocabulary", "draws"), [(1, 1), (1, 5), (2, 7), (3, 6), (5, 1), (5, 5)])
def test_the_expectation_is_the_mean_over_all_draws(vocabulary: int, draws: int) -> None:
    counts = [len(set(drawn)) for drawn in product(range(vocabulary), repeat=draws)]
    assert expected_tokens(vocabulary, draws) == pytest.approx(sum(counts) / len(counts), rel=1e-14)


@given(st.integers(1, 10**12), st.integers(1, 10**7))
def test_the_expectation_keeps_its_digits(vocabulary: int, draws: int) -> None:
    expected = expected_tokens(vocabulary, draws)
    assert 1 - 1e-12 <= expected <= min(vocabulary, draws) * (1 + 1e-12)
    assert expected >= draws - draws * (draws - 1) / 2 / vocabulary - 1e-9 * draws, "pairs that meet, at most"


@pytest.mark.parametrize("words", [200, 1000, 5000, 25_000])
def test_ead_of_random_words_is_one_whatever_the_length(words: int) -> None:
    """Mean of ten corpora; a mistaken exponent or base is off by more than 10 % at one of the lengths."""
    draw = random.Random(words)
    measured = []
    for _ in range(10):
        texts = [" ".join(f"w{draw.randrange(1000)}" for _ in range(20)) for _ in range(words // 20)]
        measured.append(measure(texts, 1000)["ead_1"] or 0)
    assert sum(measured) / 10 == pytest.approx(1, abs=0.015)


@pytest.mark.parametrize(
    ("texts", "vocabulary", "message"),
    [
        (["a"], 0, "vocabulary is 0, wanted a whole number from 1 to 1,000,000,000,000, or None"),
        (["a"], 10**40, "vocabulary is a number of more than 30 digits, wanted a whole number from 1 to "),
        (["a"], True, "vocabulary is True, wanted a whole number from 1 to 1,000,000,000,000, or None"),
        (["a"], 2.0, "vocabulary is 2.0, wanted a whole number from 1 to 1,000,000,000,000, or None"),
        (["a b", "c"], 2, "vocabulary is 2, wanted 3 or more: the texts have so many different tokens"),
    ],
)
def test_refusals(texts: Any, vocabulary: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}") as caught:
        measure(texts, vocabulary)
    assert "\n" not in str(caught.value)
