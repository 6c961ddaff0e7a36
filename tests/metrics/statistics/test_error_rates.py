"""Error rates of the metrics by simulation: p values of data without an effect, and coverage of intervals."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kstest

from personagen.metrics.diversity.measure import _at, diversity
from personagen.metrics.diversity.personas import association_p, persona_variance
from personagen.metrics.human_likeness.agreement import agreement_interval, krippendorff_alpha
from personagen.metrics.human_likeness.measure import Item, Scores, _auc, _likeness
from personagen.metrics.realism.measure import _prediction_interval
from personagen.metrics.realism.mmd import mmd2_p
from personagen.metrics.statistics.intervals import (
    DRAWS,
    bounded_interval,
    interval,
    rarefied,
    spread_freedom,
    welch_freedom,
)
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.words import tokenise
from personagen.metrics.utility.probe import codes
from personagen.metrics.utility.transfer import TransferSetting, transfer
from tests.helpers.real_texts import real


@pytest.mark.parametrize("copies", [0, 5, 50])
def test_repeated_texts_are_no_evidence_of_another_source(copies: int) -> None:
    """100 v 100 texts of one source, some of them repeated within their side; 100 draws."""
    vectors = real(1400).vectors
    ps = []
    for seed in range(100):
        rows = np.random.default_rng(seed).permutation(1400)[:200]
        sides = [vectors[rows[:100]].copy(), vectors[rows[100:]].copy()]
        for side in sides:
            side[:copies] = side[100 - copies :]
        ps.append(mmd2_p(sides[0], sides[1], 1.2, 0))
    values = np.array(ps, dtype=float)
    assert (values < 0.05).mean() <= 0.12 and kstest(values, "uniform").pvalue > 0.001


def test_mmd2_p_needs_two_different_texts_per_side_and_sees_another_source() -> None:
    vectors = real(200).vectors
    assert mmd2_p(np.repeat(vectors[:1], 9, axis=0), vectors, 1.2, 0) is None
    other = vectors[:100] + 0.5 * vectors[7]
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    assert mmd2_p(other, vectors[100:], 1.2, 0) == pytest.approx(1 / 201)


@pytest.mark.parametrize("favoured", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("texts", [2, 10])
def test_personas_that_favour_a_label_are_no_association_of_their_attributes(favoured: float, texts: int) -> None:
    """140 texts, 3 random attributes of 6 values; 80 corpora: 5 % and three standard errors are 10."""
    found = 0
    for seed in range(80):
        generator = np.random.default_rng([seed, texts])
        count = 140 // texts
        people = [{name: str(generator.integers(6)) for name in "abc"} for _ in range(count)]
        owners = np.repeat(np.arange(count), texts)
        favourites = generator.integers(7, size=count)[owners]
        labels = np.where(generator.random(140) < favoured, favourites, generator.integers(7, size=140))
        p = association_p([people[owner] for owner in owners], [str(label) for label in labels], 0)
        found += p is not None and p < 0.05
    assert found <= 10


def test_four_personas_have_no_p_and_a_planted_association_is_found() -> None:
    people = [{"gender": ("woman", "man")[row % 2], "name": str(row // 2)} for row in range(80)]
    labels = [("joy", "fear")[row % 2] for row in range(80)]
    assert association_p(people, labels, 0) == pytest.approx(1 / 201, abs=0.01)
    assert association_p([{"name": str(row % 4)} for row in range(80)], labels, 0) is None


def ratings(mean: float, count: int, generator: np.random.Generator) -> Scores:
    """Draw mean ratings of four dimensions."""
    raters = mean + 0.6 * generator.normal(size=count)[:, None] + 0.9 * generator.normal(size=(count, 4))
    return np.asarray(np.clip(np.round(raters), 1, 5).mean(axis=1))


def likeness(texts: Scores, others: Scores) -> dict[str, list[float] | None]:
    """Return the intervals of mean, gap and AUC of rated texts beside rated real texts."""
    kinds = ["synthetic"] * len(texts) + ["real"] * len(others) + ["shuffled", "template", "truncated"]
    found = _likeness([Item(kind, "", None) for kind in kinds], np.concatenate([texts, others, np.ones(3)]))
    return {name: found[f"human_likeness{name}_ci"] for name in ("", "_gap", "_auc")}


@pytest.mark.parametrize(("count", "real_mean"), [(5, 3.0), (10, 3.0), (10, 4.5), (20, 4.5), (100, 3.5)])
def test_intervals_of_ratings_cover_the_truth_from_few_texts_on(count: int, real_mean: float) -> None:
    """400 draws: 95 % within three standard errors; that of the AUC may be wider, and always has a width."""
    generator = np.random.default_rng([count, int(2 * real_mean)])
    many, others = ratings(3, 20_000, generator), ratings(real_mean, 20_000, generator)
    area = float((np.sign(np.subtract.outer(many[:4000], others[:4000])) / 2 + 0.5).mean())
    truths = {"": many.mean(), "_gap": many.mean() - others.mean(), "_auc": area}
    covered = dict.fromkeys(truths, 0)
    for _ in range(400):
        found = likeness(ratings(3, count, generator), ratings(real_mean, count, generator))
        for name, truth in truths.items():
            ends = found[name]
            assert ends is not None and ends[0] < ends[1]
            covered[name] += ends[0] <= truth <= ends[1]
    assert all(number >= 367 for number in covered.values()) and max(covered[""], covered["_gap"]) <= 394, covered


def test_one_rated_text_and_equal_ratings_have_no_interval() -> None:
    three = np.array([3.0, 4, 2])
    assert likeness(np.array([3.0]), three) == {"": None, "_gap": None, "_auc": None}
    assert likeness(three, np.array([3.0]))["_gap"] is None
    assert likeness(np.array([3.0, 3, 3]), np.array([3.0, 3, 3])) == {"": None, "_gap": None, "_auc": None}
    assert _auc(np.full(5, 4.0), np.full(5, 2.0)) == (1.0, [pytest.approx(0.5625), 1.0])
    mean = likeness(np.array([1.0, 1, 1, 2]), three)[""]
    assert mean is not None and mean[0] == 1, "no mean below the lowest rating"


def test_an_interval_has_the_quantile_of_its_degrees_of_freedom() -> None:
    assert interval(1.0, 0.5) == pytest.approx([1 - 0.979982, 1 + 0.979982])
    assert interval(1.0, 0.5, freedom=9) == pytest.approx([1 - 1.131079, 1 + 1.131079], abs=1e-5)
    # Equal variances and counts: twice the degrees of freedom of a side; one varying side: its own.
    assert welch_freedom([2.0, 2.0], [8, 8]) == pytest.approx(14) and welch_freedom([2.0, 0.0], [8, 5]) == 7
    assert welch_freedom([0.0, 0.0], [8, 8]) is None and welch_freedom([1.0, 1.0], [1, 8]) is None


def test_the_interval_of_diversity_is_that_of_four_fifths_of_the_texts() -> None:
    corpus = real(60)
    tokens = [tokenise(text) for text in corpus.texts]
    found = diversity(corpus)
    values, errors = rarefied(
        lambda rows: _at(corpus, tokens, None, rows), [60], 60, 0, kept=0.8, proportional=("vendi_score",)
    )
    freedom = 1 / (1 / 19 + 1 / 59)
    for name, bounds in (("vendi_score", (1, 60)), ("self_bleu", (0, 1)), ("distinct_2", (0, 1))):
        assert found[f"{name}_ci"] == bounded_interval(values[name], errors[name], bounds, freedom), name
    assert spread_freedom(DRAWS, 60) == pytest.approx(freedom) and spread_freedom(20, 1) == pytest.approx(0.95)


def test_an_interval_near_a_bound_has_the_further_ends_of_two_scales() -> None:
    reach = 1.959964 * 0.02 / (0.9 * 0.1)  # delta method: the derivative of the logit is 1 / (p (1 - p))
    further = [1 / (1 + np.exp(-(np.log(9) + sign * reach))) for sign in (-1, 1)]
    assert bounded_interval(0.9, 0.02, (0, 1)) == pytest.approx([further[0], 0.9 + 1.959964 * 0.02])
    assert bounded_interval(18.1, 0.38, (1, 20)) == pytest.approx([1 + 19 * further[0], 18.1 + 1.959964 * 0.38])
    assert bounded_interval(0.1, 0.02, (0, 1)) == pytest.approx([0.1 - 1.959964 * 0.02, 1 - further[0]])
    # t(0.975, 9) = 2.262157
    assert bounded_interval(3.0, 0.5, (0, np.inf), 9) == pytest.approx(
        [3 - 2.262157 * 0.5, 3 * np.exp(2.262157 / 6)], abs=1e-5
    )
    assert bounded_interval(-1.0, 0.5, (-np.inf, np.inf)) == interval(-1.0, 0.5)
    assert (bounded_interval(1e-9, 1.0, (0, np.inf)) or [1])[1] == pytest.approx(1e-9 + 1.959964)
    assert bounded_interval(1.0, 0.5, (0, 1)) == interval(1.0, 0.5, (0, 1))


@pytest.mark.parametrize("count", [20, 70])
def test_intervals_of_diversity_hold_the_mean_over_sets_or_are_none(count: int) -> None:
    """100 sets: 95 % less three standard errors are 88.5 %; symmetric intervals at 20 texts held 84 to 92 %."""
    corpus = real(3360)
    corpus = Corpus(corpus.texts, None, corpus.vectors, corpus.model)
    generator = np.random.default_rng([count, 4])
    results = [diversity(corpus.take(generator.permutation(3360)[:count])) for _ in range(100)]
    for name in ("vendi_score", "rke", "self_bleu", "distinct_2", "distinct_4", "mean_cosine", "mtld"):
        mean = np.mean([found[name] for found in results])
        ends = [found[f"{name}_ci"] for found in results if found[f"{name}_ci"] is not None]
        held = [low < high and low <= mean <= high for low, high in ends]
        assert len(held) < 10 or np.mean(held) >= 0.885, (name, len(held), np.mean(held))
        assert len(held) == 100 or name in ("distinct_2", "distinct_4", "mtld"), name


def test_what_does_not_vary_in_a_sample_has_no_interval() -> None:
    assert interval(1.0, 0.0) is None and bounded_interval(1.0, 0.0, (0, 1)) is None
    assert interval(None, 1.0) is None and bounded_interval(0.5, None, (0, 1)) is None
    words = [" ".join(f"w{row}x{column}" for column in range(12)) for row in range(20)]
    found = diversity(Corpus(words, None, np.eye(20, dtype=np.float32), "given"))
    assert found["distinct_4"] == 1 and found["self_repetition"] == 0
    assert found["distinct_4_ci"] is found["self_repetition_ci"] is found["vendi_score_ci"] is None


@pytest.mark.parametrize(("texts", "is_defined"), [(12, False), (40, True)])
def test_mtld_has_an_interval_from_five_factors_on(texts: int, is_defined: bool) -> None:
    generator = np.random.default_rng(6)
    rows = [" ".join(f"w{number}" for number in generator.integers(60, size=15)) for _ in range(texts)]
    found = diversity(Corpus(rows, None, generator.normal(size=(texts, 4)).astype(np.float32), "given"))
    assert (15 * texts / found["mtld"] >= 5) == is_defined == (found["mtld_ci"] is not None)


def test_an_interval_for_one_more_value_is_wider_than_that_of_the_mean() -> None:
    # t(0.975, 9) = 2.262157, and the variance of the mean of 10 values beside that of the new one
    reach = 2.262157 * 0.1 * 1.1**0.5
    assert _prediction_interval(1.0, 0.1, (-np.inf, np.inf)) == pytest.approx([1 - reach, 1 + reach], abs=1e-6)
    assert _prediction_interval(0.9, 0.1, (0, 1)) == [pytest.approx(0.9 - reach, abs=1e-6), 1]
    assert _prediction_interval(None, None, (0, 1)) is None


def test_the_interval_of_agreement_leaves_out_whole_texts() -> None:
    """Of a mean it is the interval of t; with four equal ratings per text it is no narrower."""
    texts = np.random.default_rng(0).uniform(-1, 1, size=20)
    ratings = np.broadcast_to(texts[:, None, None], (20, 4, 2))
    reach = 2.093024 * texts.std(ddof=1) / 20**0.5
    found = agreement_interval(lambda rows: float(rows.mean()), ratings)
    assert found == pytest.approx([texts.mean() - reach, texts.mean() + reach], abs=1e-6)
    assert agreement_interval(lambda rows: float(rows.mean()), ratings[:4]) is None
    assert agreement_interval(lambda rows: 1.0, ratings) is None
    assert agreement_interval(lambda rows: None if len(rows) < 80 else 1.0, ratings) is None


@pytest.mark.parametrize("count", [10, 20])
def test_the_interval_of_agreement_holds_the_truth(count: int) -> None:
    """Two judges of ordinal ratings, 200 sets: 95 % less three standard errors are 90.4 %."""
    generator = np.random.default_rng([count, 8])

    def judged(texts: int) -> Scores:
        quality = np.repeat([3.0, 3.5, 1.8], texts) + 0.6 * generator.normal(size=3 * texts)
        both = quality[:, None, None] + 0.9 * generator.normal(size=(3 * texts, 4, 2))
        return np.asarray(np.clip(np.round(both), 1, 5))

    truth = krippendorff_alpha(judged(10_000).reshape(-1, 2)) or 0.0
    ends = [agreement_interval(krippendorff_alpha, judged(count)) or (1, 0) for _ in range(200)]
    assert 0.3 < truth < 0.7 and np.mean([low <= truth <= high for low, high in ends]) >= 0.904


def test_a_p_of_the_variance_between_personas_counts_the_observed_arrangement() -> None:
    own = np.repeat(np.eye(10, dtype=np.float32), 4, axis=0)
    people = [{"name": str(row // 4)} for row in range(40)]
    fraction, p = persona_variance(own, people, 0)
    assert fraction == pytest.approx(1) and p == pytest.approx(1 / 201)


def clouds(count: int, generator: np.random.Generator) -> Corpus:
    """Draw points of two labels that overlap, as texts with vectors."""
    labels = ["joy", "fear"] * (count // 2)
    points = generator.normal(size=(count, 6)) + 0.6 * np.array([label == "joy" for label in labels])[:, None]
    return Corpus([f"{generator.random()}" for _ in labels], labels, points.astype(np.float32), "given")


def nearest_mean(train: Corpus, test: Corpus, classes: Sequence[str]) -> NDArray[np.intp]:
    """Predict the class with the nearest mean."""
    true = codes(train.labels or [], classes)
    means = np.stack([train.vectors[true == kind].mean(axis=0) for kind in range(len(classes))])
    return np.asarray(np.linalg.norm(test.vectors[:, None] - means, axis=2).argmin(axis=1))


def test_the_interval_of_utility_holds_the_mean_over_training_texts_and_test_texts() -> None:
    """6 training texts per label, 400 test texts, 80 data sets; the test texts alone give half of the error."""
    scores, ends = [], []
    for seed in range(80):
        generator = np.random.default_rng([seed, 3])
        setting = TransferSetting(
            clouds(12, generator), clouds(12, generator), clouds(400, generator), ["fear", "joy"], 6, seed
        )
        found = transfer(setting, nearest_mean, ("tstr", "trtr"))
        scores.append(found["tstr_macro_f1"])
        ends.append(found["tstr_macro_f1_ci"])
    covered = sum(low <= np.mean(scores) <= high for low, high in ends)
    assert covered >= 71, covered


def test_a_gap_is_paired_over_the_test_texts() -> None:
    """Two sides that learn the same from 200 texts: what test texts they fail on is no difference between them."""
    generator = np.random.default_rng(5)
    setting = TransferSetting(
        clouds(400, generator), clouds(400, generator), clouds(100, generator), ["fear", "joy"], 200, 0
    )
    found = transfer(setting, nearest_mean, ("tstr", "trtr"))
    widths = {key: found[f"{key}_ci"][1] - found[f"{key}_ci"][0] for key in ("tstr_macro_f1", "tstr_trtr_gap")}
    assert widths["tstr_trtr_gap"] < 0.8 * widths["tstr_macro_f1"]
