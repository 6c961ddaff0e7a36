"""Fractions of variance: planted truths, rates of false alarms, coverage, and SciPy's figures in simple cases."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import f_oneway, gamma, kstest
from scipy.stats.contingency import association as contingency

from personagen.metrics.statistics.association import (
    Association,
    _ends,
    arrangements,
    association,
    categories,
    differences,
    outcome,
    sentiment,
)
from personagen.metrics.statistics.distinctive_words import distinctive, vocabulary

Codes = NDArray[np.intp]
GENERATOR = np.random.default_rng(0)


def ends_and_p(found: Association) -> tuple[float, float, float]:
    """Return interval and p of an association that has them."""
    assert found.low is not None and found.high is not None and found.p is not None
    return found.low, found.high, found.p


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
    assert adjusted.p is not None and ratio.pvalue < adjusted.p < 1e-5, "a gamma distribution has more in its tail"
    assert adjusted.low is not None and adjusted.high is not None
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
    low, high, p = ends_and_p(found)
    assert 0.1 < low < found.fraction < high < 0.3 and p < 1e-6


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
        low, high, _ = ends_and_p(found)
        covered += low <= truth <= high
        within_half += abs(truth - found.fraction) <= (high - found.fraction) / 2
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
        low, high, p = ends_and_p(found)
        chances.append(p)
        covered += low <= 0 <= high
    assert np.mean(np.array(chances) < 0.05) <= 0.15 and 0.3 < np.mean(chances) < 0.7
    assert covered >= 50


def test_a_persona_with_its_own_value_and_an_outcome_that_does_not_vary() -> None:
    personas, labels, _ = people(12)
    found = outcome(GENERATOR.normal(size=(48, 1)).astype(np.float32), personas, labels)
    assert found is not None
    alone = association(found, np.arange(12), 0)
    assert (alone.low, alone.high, alone.p, alone.detectable(1)) == (None, None, None, None)
    assert alone.reason == "12 personas with 12 values have too few arrangements for a test"
    assert outcome(np.ones((48, 1), dtype=np.float32), personas, labels) is None


def test_few_personas_have_no_p_below_that_of_their_arrangements() -> None:
    """Six personas in halves: 20 / 2 groupings, so no p below 0.1; eight: 35."""
    assert [arrangements(np.repeat([0, 1], half)) for half in (2, 3, 4)] == pytest.approx([3, 10, 35])
    assert arrangements(np.array([0, 0, 1])) == pytest.approx(3) and arrangements(np.arange(9)) == pytest.approx(1)
    for half, tested in ((3, False), (4, True)):
        values = np.repeat([0, 1], half)
        measured = outcome(
            (100 * values[:, None] + np.arange(2 * half)[:, None] / 9).astype(np.float32), np.arange(2 * half), None
        )
        assert measured is not None
        found = association(measured, values, 0)
        assert (found.p is not None) == tested
        assert found.p is None or found.p == pytest.approx(1 / 35)


def _null(kind: str, personas: int, values: int, seed: int) -> tuple[NDArray[np.float32], Codes, Codes, Codes]:
    """Make texts of personas that share half of the variance, and an attribute that says nothing about them."""
    generator = np.random.default_rng([seed, personas])
    weights = 1 / np.arange(1, values + 1)
    codes = np.unique(generator.choice(values, personas, p=weights / weights.sum()), return_inverse=True)[1]
    owners = np.repeat(np.arange(personas), 2)
    number = generator.normal(size=personas)[owners] + generator.normal(size=2 * personas)
    number = {"number": number, "rare": (number > 1).astype(float), "words": np.round(np.exp(2.3 + number / 2))}[kind]
    return number[:, None].astype(np.float32), owners, codes, np.arange(2 * personas) % 7


@pytest.mark.parametrize("kind", ["number", "rare", "words"])
@pytest.mark.parametrize(("personas", "values"), [(35, 2), (175, 2), (175, 30)])
def test_chance_is_found_in_five_of_a_hundred_and_intervals_hold_it(kind: str, personas: int, values: int) -> None:
    """80 audits of one attribute: at most 5 % and three standard errors, of shares and of the values together."""
    found = missed = apart = 0
    for seed in range(80):
        table, owners, codes, labels = _null(kind, personas, values, seed)
        measured = outcome(table, owners, labels)
        assert measured is not None
        result = association(measured, codes, seed)
        assert result.p is not None and result.low is not None and result.high is not None
        found += result.p < 0.05
        missed += not result.low <= 0 <= result.high
        assert result.low <= 0 or result.p < 0.05, "no interval without 0 beside `not found`"
        means = differences(table, codes[owners], owners, labels)
        apart += any(
            mean.low is not None and mean.high is not None and not mean.low <= 0 <= mean.high for mean in means
        )
    assert found <= 10 and missed <= 10 and apart <= 10


def test_p_is_uniform_without_an_effect() -> None:
    ps = []
    for seed in range(200):
        table, owners, codes, labels = _null("number", 60, 3, seed)
        measured = outcome(table, owners, labels)
        assert measured is not None
        ps.append(association(measured, codes, seed).p)
    assert kstest(np.array(ps, dtype=float), "uniform").pvalue > 0.01


def test_the_detectable_fraction_is_found_in_about_80_of_100() -> None:
    """Two values of 40 personas each; the planted variance is what the audit names as detectable."""
    table, owners, codes, labels = _null("number", 80, 2, 3)
    base = outcome(table, owners, labels)
    assert base is not None
    size = association(base, codes, 0).detectable(40)
    assert size is not None and 0.03 < size < 0.25
    shift = (size / (1 - size) * 2 / (codes.mean() * (1 - codes.mean()))) ** 0.5
    powers = []
    for seed in range(150):
        generator = np.random.default_rng([seed, 9])
        numbers = generator.normal(size=80)[owners] + generator.normal(size=160) + shift * codes[owners]
        measured = outcome(numbers[:, None].astype(np.float32), owners, labels)
        assert measured is not None
        p = association(measured, codes, seed).p
        powers.append(p is not None and p < 0.05 / 40)
    assert 0.65 <= np.mean(powers) <= 0.93


def test_an_interval_excludes_0_only_if_p_is_below_5_per_cent() -> None:
    assert _ends(0.3, 0.1, 0.049) == pytest.approx((0.2, 0.4 + 0.01 / 1.2))
    assert _ends(0.3, 0.1, 0.05) == pytest.approx((0, 0.4 + 0.01 / 1.2))
    assert _ends(-0.05, 0.1, 0.9) == pytest.approx((-0.15, 0.075)) and _ends(0.9, 0.4, 0.01)[1] == 1


def test_the_same_seed_gives_the_same_figures() -> None:
    personas, labels, values = people(30)
    found = outcome(np.random.default_rng(5).normal(size=(120, 4)).astype(np.float32), personas, labels)
    assert found is not None and association(found, values, 7) == association(found, values, 7)


def test_differences_are_means_less_those_of_the_labels() -> None:
    labels = np.tile([0, 1], 10)
    numbers = np.arange(20.0) + 10 * labels
    found = differences(numbers[:, None].astype(np.float32), np.repeat([0, 1], 10), np.arange(20), labels)
    assert [mean.value for mean in found] == [-5, 5]
    deviations = (numbers - np.where(labels == 0, 9, 20))[:10]
    error = deviations.std(ddof=1) / 10**0.5
    for mean in found:
        assert mean.low is not None and mean.high is not None and mean.p is None
        # t(1 - 0.05 / 4, 9) = 2.685011: two values together
        assert (mean.high - mean.low) / 2 == pytest.approx(2.685011 * error)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_value_that_few_personas_have_has_no_interval(count: int) -> None:
    owners = np.repeat(np.arange(20), 2)
    values = (owners < count).astype(np.intp)
    numbers = np.random.default_rng(0).normal(size=(40, 1)).astype(np.float32)
    many, few = differences(numbers, values, owners, np.zeros(40, dtype=np.intp))
    assert (few.low, few.high, few.reason) == (None, None, f"{count} personas have it, wanted 5")
    assert many.low is not None and many.reason is None
    same = differences(np.ones((40, 1), dtype=np.float32), values, owners, np.zeros(40, dtype=np.intp))
    assert {mean.reason for mean in same} == {"the values do not vary"}


def test_personas_that_are_alike_by_chance_have_the_error_of_all() -> None:
    owners = np.arange(40)
    numbers = np.random.default_rng(0).normal(size=40)
    numbers[:5] = 0.1
    few, _ = differences(numbers[:, None].astype(np.float32), (owners >= 5).astype(np.intp), owners, np.zeros(40, int))
    assert few.error is not None and few.error > 0.9 * numbers[5:].std() / 5**0.5


def test_words_that_one_value_has_alone_are_found() -> None:
    texts = ["the river took my shoes today"] * 30 + ["the engine took my shoes today"] * 30
    words, table = vocabulary(texts)
    assert words == ["engine", "river"], "a word in all texts distinguishes none"
    values, personas = np.repeat([0, 1], 30), np.arange(60) // 2
    assert distinctive(words, table, values, personas) == [["river"], ["engine"]]
    assert distinctive(words, table, values, personas, attributes=20) == [["river"], ["engine"]]
    assert distinctive(words, table, np.tile([0, 0, 1, 1], 15), personas) == [[], []]
    assert distinctive([], np.zeros((60, 0), dtype=np.float32), values, personas) == [[], []]
    assert distinctive(words, table, values, np.arange(60) // 15) == [[], []], "two personas per value"


@pytest.mark.parametrize(("texts", "values", "attributes"), [(2, 2, 1), (10, 2, 1), (10, 8, 1), (10, 2, 4)])
def test_pet_words_of_personas_are_distinctive_of_no_value(texts: int, values: int, attributes: int) -> None:
    """Each persona has three words that most of its texts hold; 80 audits: 5 % and three standard errors are 10."""
    audits = 0
    for seed in range(80):
        generator = np.random.default_rng([seed, texts])
        owners = np.repeat(np.arange(60), texts)
        table = generator.random((len(owners), 120)) < 0.03
        pets = np.zeros((60, 120), dtype=bool)
        pets[np.arange(60)[:, None], generator.integers(120, size=(60, 3))] = True
        table |= pets[owners] & (generator.random(table.shape) < 0.8)
        words = [str(column) for column in range(120)]
        audits += any(
            any(distinctive(words, table.astype(np.float32), codes[owners], owners, attributes=attributes, seed=seed))
            for codes in generator.integers(values, size=(attributes, 60))
        )
    assert audits <= 10


@pytest.mark.parametrize(("personas", "words"), [(4, []), (5, ["river"])])
def test_words_of_a_value_that_few_personas_have_are_not_distinctive(personas: int, words: list[str]) -> None:
    owners = np.repeat(np.arange(60), 3)
    table = np.zeros((180, 2), dtype=np.float32)
    table[:, 0] = owners < personas
    table[::7, 1] = 1
    found = distinctive(["river", "engine"], table, (owners < personas).astype(np.intp), owners)
    assert found == [[], words]


def test_rare_words_and_the_most_words() -> None:
    assert vocabulary(["once only here"] * 4 + ["and there"])[0] == []


def test_sentiment_has_its_sign() -> None:
    glad, sad, flat = sentiment(
        ["I love this, what a great day!", "I hate it, it was awful.", "The box is on the table."]
    )
    assert glad[0] > 0.5 and sad[0] < -0.5 and flat[0] == 0


def test_a_p_beyond_the_shuffles_is_the_tail_of_a_gamma_distribution_with_their_moments() -> None:
    personas, labels, values = people(60, kinds=2)
    numbers = np.random.default_rng(3).normal(size=240) + 1.5 * values[personas]
    measured = outcome(numbers[:, None].astype(np.float32), personas, labels)
    assert measured is not None
    found = association(measured, values, 0)
    shape, scale = found.chance**2 / found.chance_variance, found.chance_variance / found.chance
    whole = found.fraction * (1 - found.chance) + found.chance
    assert found.p is not None and 0 < found.p < 1e-4
    assert found.p == pytest.approx(gamma.sf(whole, shape, scale=scale), rel=1e-6)
