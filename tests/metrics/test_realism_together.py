"""`realism` as a whole: values and their nulls, warnings, and odd texts."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personagen.metrics.realism import realism
from personagen.metrics.realism.measure import compare, side_of
from personagen.metrics.texts.corpus import Corpus
from tests.helpers.real_texts import corpus_of, real, templates, unit


def test_r7_copies_raise_a_warning() -> None:
    one, other = real(60), real(120)  # the 60 are among the 120
    with pytest.warns(UserWarning, match=r"^60 of 60 texts are in the references too: the figures show memory"):
        found = realism(one, other)
    assert found["copied_share"] == 1.0 and found["near_copied_share"] == 1.0
    assert found["authenticity"] < found["authenticity_null"]


def test_values_are_compared_with_their_nulls() -> None:
    filled = corpus_of(templates(real(120).texts), real(120).labels)
    found = realism(filled, real(300, 600), seed=2)
    assert found["sample_size"] == 120 and found["n_reference"] == 300
    for key in ("mmd2", "frechet_distance", "energy_distance", "c2st_auc", "js_length", "js_words", "fi_star"):
        assert found[key] > found[f"{key}_null_ci"][1], key
    for key in ("mauve_star", "recall", "coverage"):
        assert found[key] < found[f"{key}_null_ci"][0], key
    assert found["mmd2_p"] < 0.01 and found["copied_share"] == 0
    assert all(low <= found[key[:-3]] <= high for key, (low, high) in bounds(found).items())


def bounds(found: dict[str, Any]) -> dict[str, list[float]]:
    return {key: value for key, value in found.items() if key.endswith("_ci") and value is not None}


def test_one_source_gets_its_null() -> None:
    found = realism(real(150), real(400, 600), seed=1)
    outside = [
        key
        for key in ("mmd2", "frechet_distance", "energy_distance", "c2st_auc", "recall", "coverage", "js_length")
        if not found[f"{key}_null_ci"][0] - 0.03 <= found[key] <= found[f"{key}_null_ci"][1] + 0.03
    ]
    assert outside == []


def test_labels_that_the_reference_lacks_are_reported() -> None:
    odd = corpus_of(real(60).texts, ["pride"] * 30 + ["joy"] * 30)
    with pytest.warns(
        UserWarning, match=r"^labels pride are not in the references: comparisons of labels leave them out"
    ):
        found = realism(odd, real(120, 600))
    assert found["labels_unknown"] == 1 and found["label_consistency"] is None


ODD: dict[str, list[str]] = {
    "one": ["The bus was late"],
    "empty strings": ["", "", " "],
    "emoji": ["😡😡", "❤️", "..."],
    "right to left": ["أنا سعيد جدا اليوم", "می‌خواهم بروم", "אני שמח"],
    "one megabyte": ["so happy " * 120_000, "the bus was late"],
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if "megabyte" in name else ()) for name in ODD]
)
def test_odd_texts_have_numbers_or_none(name: str) -> None:
    texts = ODD[name]
    one = Corpus(texts, ["joy"] * len(texts), np.eye(len(texts), 4, dtype=np.float32), "given")
    other = Corpus(["x", "y z"], ["joy"] * 2, np.eye(2, 4, dtype=np.float32), "given")
    found = realism(one, other, sample_size=None)
    assert found["n"] == len(texts) and found["mmd2_null"] is None and found["recall"] is None
    assert all(value is None or not isinstance(value, float) or math.isfinite(value) for value in found.values())


@settings(max_examples=15)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(0, 3))
def test_any_sizes_have_numbers_within_their_ranges(n: int, m: int, width: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    one = Corpus([f"t{row}" for row in range(n)], None, unit(generator.normal(size=(n, width))), "given")
    other = Corpus([f"r{row}" for row in range(m)], None, unit(generator.normal(size=(m, width))), "given")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(side_of(one), side_of(other), 1.0, seed)
    for key in ("precision", "recall", "coverage", "authenticity", "mauve_star", "fi_star", "c2st_auc", "js_length"):
        value = found[key]
        assert value is None or -1e-9 <= value <= 1 + 1e-9, key
    assert found == compare(side_of(one), side_of(other), 1.0, seed)
