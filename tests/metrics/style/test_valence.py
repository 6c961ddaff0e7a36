"""Valence of texts: hand-made texts, and VADER's published examples where its left-out rules do not act."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.metrics.style import polarity, valenced_words


@pytest.mark.parametrize(
    ("text", "positive", "negative"),
    [
        ("The bus left at nine.", 0, 0),
        ("I love this wonderful town", 2, 0),
        ("I hate the awful noise", 0, 2),
        ("This is not good", 0, 1),
        ("I don’t hate him", 1, 0),
        ("not that I know, but a good day", 1, 0),
        ("", 0, 0),
    ],
)
def test_words_on_each_side(text: str, positive: int, negative: int) -> None:
    assert valenced_words(text) == (positive, negative)


@pytest.mark.parametrize(
    ("text", "compound"),
    [("VADER is smart, handsome, and funny.", 0.8316), ("The book was good.", 0.4404), ("Today sux", -0.3612)],
)
def test_polarity_is_that_of_the_readme_of_vader(text: str, compound: float) -> None:
    assert polarity(text) == pytest.approx(compound, abs=5e-5)


def test_a_negated_word_weighs_less_on_the_other_side() -> None:
    assert polarity("It is not good.") == pytest.approx(-0.3412, abs=5e-5)
    assert polarity("Nothing happened.") == 0


@given(st.text(max_size=200))
def test_polarity_of_any_string_is_within_its_range(text: str) -> None:
    positive, negative = valenced_words(text)
    assert -1 < polarity(text) < 1
    assert min(positive, negative) >= 0
    if positive == negative == 0:
        assert polarity(text) == 0
