"""Fractions of variance: planted truths, rates of false alarms, coverage, and SciPy's figures in simple cases."""

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
    measured = outcome(numbers.astype(np.float32), personas, None)
    assert measured is not None
    groups = [numbers[values == kind, 0] for kind in range(3)]
    ratio = f_oneway(*groups)
    eta = ratio.statistic * 2 / (ratio.statistic * 2 + 57)
    adjusted = association(measured, values, 0)
    expected = 2 / 59  # chance with 3 values and 60 personas
    assert adjusted.fraction == pytest.approx((eta - expected) / (1 - expected), abs=0.01)
    assert ratio.pvalue < adjusted.p < 1e-5, "a gamma distribution has more in its tail"
    assert adjusted.low < adjusted.fraction < adjusted.high
    weak = outcome((numbers - 0.85 * values[:, None]).astype(np.float32), personas, None)
    assert weak is not None
    plain = f_oneway(*[numbers[values == kind, 0] - 0.85 * kind for kind in range(3)])
    assert association(weak, values, 0).p == pytest.approx(plain.pvalue, abs=0.03)


def test_two_categories_have_the_square_of_cramers_v() -> None:
    personas, _, values = people(200, each=1, kinds=2)
    codes = (values + (np.random.default_rng(2).random(200) < 0.3)) % 2
    measured = outcome(categories([str(code) for code in codes]), personas, None)
    assert measured is not None
    table = np.zeros((2, 2), dtype=int)
    np.add.at(table, (values, codes), 1)
    v = contingency(table, method="cramer")
    assert association(measured, values, 0).fraction == pytest.approx((v**2 - 1 / 199) / (1 - 1 / 199), abs=0.005)


def test_what_goes_with_an_attribute_is_found_and_its_size_is_right() -> None:
    personas, labels, values = people(300, kinds=2)
    noise = np.random.default_rng(3).normal(size=(1200, 1))
    numbers = (noise + values[personas][:, None] + 5 * labels[:, None]).astype(np.float32)
    measured = outcome(numbers, personas, labels)
    assert measured is not None, "the means of the labels are subtracted, however large they are"
    found = association(measured, values, 0)
    assert found.fraction == pytest.approx(0.2, abs=0.04), "a variance of 1/4 in 5/4"
    assert 0.1 < found.low < found.fraction < found.high < 0.3
    assert found.p < 1e-6


def test_intervals_cover_a_known_truth_as_often_as_they_promise() -> None:
    """95 of 100, within the error of 200 trials; half as wide, they would cover it in 70 of 100."""
    covered = within_half = 0
    for seed in range(200):
        personas, _, values = people(80, each=3, kinds=2, seed=seed)
        generator = np.random.default_rng(seed + 1000)
        effect = (0.7, 1.0)[seed % 2]
        numbers = effect * values[personas] + 0.5 * generator.normal(size=80)[personas] + generator.normal(size=240)
        truth = (effect**2 / 4) / (effect**2 / 4 + 0.5**2 + 1)
        measured = outcome(numbers[:, None].astype(np.float32), personas, None)
        assert measured is not None
        found = association(measured, values, seed)
        covered += found.low <= truth <= found.high
        within_half += abs(truth - found.fraction) <= (found.high - found.fraction) / 2
    assert covered >= 0.9 * 200 and within_half <= 0.8 * 200


def test_chance_is_no_finding_even_where_texts_of_a_persona_are_alike() -> None:
    chances, covered = [], 0
    for seed in range(60):
        personas, labels, values = people(60, seed=seed)
        generator = np.random.default_rng(seed + 100)
        alike = generator.normal(size=(60, 1))[personas] * 3 + generator.normal(size=(240, 1))
        measured = outcome(alike.astype(np.float32), personas, labels)
        assert measured is not None
        found = association(measured, values, 0)
        chances.append(found.p)
        covered += found.low <= 0 <= found.high
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
    assert words == ["engine", "river"], "a word in all texts distinguishes none"
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
