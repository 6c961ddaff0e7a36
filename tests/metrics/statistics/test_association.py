"""Shares of variance: planted truths, no false alarms, and the figures of other people's code for the simple cases."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import f_oneway
from scipy.stats.contingency import association as contingency

from personagen.metrics.statistics.association import (
    association,
    categories,
    differences,
    distinctive,
    outcome,
    sentiment,
    vocabulary,
)

Codes = NDArray[np.intp]
GENERATOR = np.random.default_rng(0)


def people(count: int, each: int = 4, kinds: int = 3, seed: int = 0) -> tuple[Codes, Codes, Codes]:
    """Deal texts to personas: persona and label of each text, and an attribute of each persona."""
    generator = np.random.default_rng(seed)
    personas = np.repeat(np.arange(count), each)
    labels = np.tile(np.arange(each), count)
    return personas, labels, generator.integers(0, kinds, size=count)


def test_a_number_has_the_eta_squared_of_an_analysis_of_variance() -> None:
    personas, _, values = people(60, each=1)
    numbers = np.random.default_rng(1).normal(size=(60, 1)) + values[:, None]
    found = outcome(numbers.astype(np.float32), personas, None)
    assert found is not None
    groups = [numbers[values == kind, 0] for kind in range(3)]
    ratio = f_oneway(*groups)
    eta = ratio.statistic * 2 / (ratio.statistic * 2 + 57)
    adjusted = association(found, values, 0)
    expected = 2 / 59  # what chance gets with 3 values and 60 persons
    assert adjusted.share == pytest.approx((eta - expected) / (1 - expected), abs=0.01)
    assert ratio.pvalue < adjusted.p < 1e-5, "a gamma distribution has more in its tail"
    assert adjusted.low < adjusted.share < adjusted.high
    weak = outcome((numbers - 0.85 * values[:, None]).astype(np.float32), personas, None)
    assert weak is not None
    plain = f_oneway(*[numbers[values == kind, 0] - 0.85 * kind for kind in range(3)])
    assert association(weak, values, 0).p == pytest.approx(plain.pvalue, abs=0.03)


def test_two_categories_have_the_square_of_cramers_v() -> None:
    personas, _, values = people(200, each=1, kinds=2)
    told = (values + (np.random.default_rng(2).random(200) < 0.3)) % 2
    found = outcome(categories([str(each) for each in told]), personas, None)
    assert found is not None
    table = np.zeros((2, 2), dtype=int)
    np.add.at(table, (values, told), 1)
    v = contingency(table, method="cramer")
    assert association(found, values, 0).share == pytest.approx((v**2 - 1 / 199) / (1 - 1 / 199), abs=0.005)


def test_what_goes_with_an_attribute_is_found_and_its_size_is_right() -> None:
    personas, labels, values = people(300, kinds=2)
    noise = np.random.default_rng(3).normal(size=(1200, 1))
    numbers = (noise + values[personas][:, None] + 5 * labels[:, None]).astype(np.float32)
    found = outcome(numbers, personas, labels)
    assert found is not None, "the labels are taken away, however much they explain"
    told = association(found, values, 0)
    assert told.share == pytest.approx(0.2, abs=0.04), "a variance of 1/4 beside 1"
    assert 0.1 < told.low < told.share < told.high < 0.3
    assert told.p < 1e-6


def test_chance_is_no_finding_even_where_texts_of_a_persona_are_alike() -> None:
    chances, covered = [], 0
    for seed in range(60):
        personas, labels, values = people(60, seed=seed)
        generator = np.random.default_rng(seed + 100)
        alike = generator.normal(size=(60, 1))[personas] * 3 + generator.normal(size=(240, 1))
        found = outcome(alike.astype(np.float32), personas, labels)
        assert found is not None
        told = association(found, values, 0)
        chances.append(told.p)
        covered += told.low <= 0 <= told.high
    assert np.mean(np.array(chances) < 0.05) <= 0.15 and 0.3 < np.mean(chances) < 0.7
    assert covered >= 50


def test_a_persona_with_its_own_value_and_an_outcome_that_does_not_vary() -> None:
    personas, labels, _ = people(12)
    found = outcome(GENERATOR.normal(size=(48, 1)).astype(np.float32), personas, labels)
    assert found is not None and association(found, np.arange(12), 0).p == 1
    assert outcome(np.ones((48, 1), dtype=np.float32), personas, labels) is None


def test_the_same_seed_gives_the_same_figures() -> None:
    personas, labels, values = people(30)
    found = outcome(np.random.default_rng(5).normal(size=(120, 4)).astype(np.float32), personas, labels)
    assert found is not None and association(found, values, 7) == association(found, values, 7)


def test_differences_are_means_less_those_of_the_labels() -> None:
    labels = np.array([0, 0, 1, 1])
    found = differences(
        np.array([[1.0], [3.0], [10.0], [14.0]], dtype=np.float32), np.array([0, 1, 0, 1]), np.arange(4), labels
    )
    assert [mean for mean, _ in found] == [-1.5, 1.5]
    assert all(reach == pytest.approx(1.96 * 0.5, rel=0.01) for _, reach in found), "two personas a value, 1/2 apart"


def test_words_that_one_value_has_alone_are_found() -> None:
    texts = ["the river took my shoes today"] * 30 + ["the engine took my shoes today"] * 30
    words, table = vocabulary(texts)
    assert words == ["engine", "river"], "a word that all texts have tells nothing"
    values = np.repeat([0, 1], 30)
    assert distinctive(words, table, values) == [["river"], ["engine"]]
    assert distinctive(words, table, np.tile([0, 1], 30)) == [[], []]
    assert distinctive([], np.zeros((60, 0), dtype=np.float32), values) == [[], []]


def test_rare_words_and_the_most_words() -> None:
    assert vocabulary(["once only here"] * 4 + ["and there"])[0] == []


def test_sentiment_has_its_sign() -> None:
    glad, sad, flat = sentiment(
        ["I love this, what a great day!", "I hate it, it was awful.", "The box is on the table."]
    )
    assert glad[0] > 0.5 and sad[0] < -0.5 and flat[0] == 0
