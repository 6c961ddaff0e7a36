"""Diversity of odd texts: numbers within their ranges, or none."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personagen.metrics.diversity import diversity
from personagen.metrics.texts.corpus import Corpus
from tests.helpers.real_texts import unit

ODD: dict[str, list[str]] = {
    "one": ["The bus was late"],
    "empty strings": ["", "", " "],
    "emoji": ["😡😡", "❤️", "..."],
    "right to left": ["أنا سعيد جدا اليوم", "می‌خواهم بروم", "אני שמח"],
    "no spaces": ["我很高兴。", "カメラを2台", "น้ำใจ"],
    "lone surrogate": ["a \ud800 b", "c"],
    "one megabyte": ["so happy " * 120_000, "the bus was late"],
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if "megabyte" in name else ()) for name in ODD]
)
def test_odd_texts_have_numbers_or_none(name: str) -> None:
    texts = ODD[name]
    found = diversity(Corpus(texts, None, np.eye(len(texts), 3, dtype=np.float32), "given"))
    assert found["n"] == len(texts) and found["vendi_score"] == pytest.approx(len(texts))
    assert all(value is None or not isinstance(value, float) or math.isfinite(value) for value in found.values())
    if name == "one":
        assert found["self_bleu"] is None and found["mean_cosine"] is None and found["vendi_score_ci"] is None
    if name == "empty strings":
        assert found["distinct_1"] is None and found["duplicate_share"] == 2 / 3 and found["self_bleu"] == 0


@settings(max_examples=30)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=12), st.integers(0, 5))
def test_any_texts_have_numbers_within_their_ranges(texts: list[str], seed: int) -> None:
    vectors = unit(np.random.default_rng(seed).normal(size=(len(texts), 4)))
    found: dict[str, Any] = diversity(Corpus(texts, None, vectors, "given"), seed=seed)
    for key in ("distinct_1", "distinct_4", "self_bleu", "homogenization_rouge_l", "hdd", "mattr", "duplicate_share"):
        assert found[key] is None or 0 <= found[key] <= 1 + 1e-12, key
    assert 1 - 1e-9 <= found["rke"] <= found["vendi_score"] + 1e-9 <= len(texts) + 1e-6
    assert found == diversity(Corpus(texts, None, vectors, "given"), seed=seed)
