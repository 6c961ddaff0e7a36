"""Association of an attribute of personas with texts, beyond their labels and beyond chance.

One figure for every outcome that can be measured of a text, whether a number, a category, its words or its vector: the
fraction of variance between the values of the attribute. For a number this is eta squared, for categories the inertia
of correspondence analysis. If labels were planned independently of the personas, their means are subtracted first.
Chance is the value of the same personas with shuffled attributes (Anderson, 2001). Whole personas are shuffled, because
texts of one persona are not independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.groups import Codes, without_group_means
from personagen.metrics.statistics.paired import LEVEL, MIN_GROUPS, POWER, MeanEstimate
from personagen.metrics.statistics.shuffles import gamma_tail, upper_p
from personagen.metrics.texts.words import count_words

SHUFFLES = 200
"""Shuffles that give mean and variance of chance, for outcomes of many columns."""

MAX_NARROW_COLUMNS = 50
"""Columns up to which an outcome gets `NARROW_SHUFFLES`: the sum of few squares is skewed and varies more."""

NARROW_SHUFFLES = 1000
"""Shuffles for outcomes of few columns."""

HALVES = 20
"""Halves of the personas whose spread gives the standard error."""

MAX_CELLS = 1_000_000
"""Numbers in memory for shuffles that are summed together."""

Table = NDArray[np.float32]
"""Shape (n, k): measurements of each text."""


@dataclass(frozen=True, slots=True)
class Association:
    """Association of an outcome with an attribute.

    Attributes:
        fraction: fraction of variance between the values of the attribute, adjusted for chance. 0: chance. 1: all.
        low: lower end of its 95 % interval; None: see `reason`.
        high: upper end.
        p: p-value of the fraction; None: see `reason`.
        chance: mean of the unadjusted fraction over shuffled personas.
        chance_variance: its variance over shuffles.
        reason: why there is no interval and no p; None: both are there.

    """

    fraction: float
    low: float | None
    high: float | None
    p: float | None
    chance: float
    chance_variance: float
    reason: str | None = None

    def detectable(self, tests: int) -> float | None:
        """Return the fraction that is found in 80 % of cases by the strictest of so many tests (Holm); None: no p.

        Chance is a scaled chi-square with the mean and variance of the shuffles; an effect makes it noncentral.
        """
        from scipy.special import chndtrinc
        from scipy.stats import gamma

        if self.p is None:
            return None
        scale = self.chance_variance / self.chance / 2
        freedom = 2 * self.chance**2 / self.chance_variance
        bound = float(gamma.isf(LEVEL / max(tests, 1), freedom / 2, scale=2))
        noncentrality = float(chndtrinc(bound, freedom, 1 - POWER))
        return min(noncentrality * scale / max(1 - self.chance, 1e-9), 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Measurements of texts, summed over the texts of each persona.

    Attributes:
        sums: sums of deviations from the mean (of the label), shape (personas, k).
        sizes: texts per persona, shape (personas,).
        total: sum of squared deviations over all texts.

    """

    sums: NDArray[np.float64]
    sizes: NDArray[np.float64]
    total: float


def categories(values: Sequence[str]) -> Table:
    """Convert categories to columns of 0 and 1."""
    kinds, codes = np.unique(list(values), return_inverse=True)
    return np.eye(len(kinds), dtype=np.float32)[codes]


def outcome(table: Table, personas: Codes, labels: Codes | None, *, scaled: bool = True) -> Outcome | None:
    """Sum the deviations of measurements per persona; None: the measurements do not vary.

    Args:
        table: measurements, shape (n, k).
        personas: persona of each text.
        labels: label of each text, whose means are subtracted; None: the mean of all texts is subtracted.
        scaled: True: every column is scaled to variance 1.

    """
    deviations = without_group_means(table, np.zeros(len(table), dtype=np.intp) if labels is None else labels)
    spread = deviations.std(axis=0)
    deviations = deviations[:, spread > 1e-9]
    if not deviations.shape[1]:
        return None
    if scaled:
        deviations /= spread[spread > 1e-9]
    sums = np.zeros((int(personas.max()) + 1, deviations.shape[1]))
    np.add.at(sums, personas, deviations)
    return Outcome(sums, np.bincount(personas).astype(np.float64), float(np.square(deviations).sum()))


def association(measured: Outcome, values: Codes, seed: int) -> Association:
    """Compute the association of an outcome with an attribute of the personas.

    p is the fraction of shuffles with at least the observed value; if fewer than 10 are, it is that of a gamma
    distribution with their mean and variance. The standard error is the spread over random halves of the personas, or
    that of chance if it is larger. The interval excludes 0 only if p is below 5 %.

    Args:
        measured: the outcome.
        values: value of the attribute of each persona; at least two different values.
        seed: seed of shuffles and halves.

    Returns:
        The association; without interval and p if the personas have too few arrangements for a p below 5 %.

    """
    from scipy.stats import t

    generator = np.random.default_rng([seed, 31])
    order = np.argsort(values, kind="stable")
    edges = np.append(np.unique(values[order], return_index=True)[1], len(values))
    fraction = float(_between(measured, order[None], edges)[0]) / measured.total
    shuffles = _shuffled(measured, edges, generator) / measured.total
    chance, variance = float(shuffles.mean()), float(shuffles.var(ddof=1))
    rest = max(1 - chance, 1e-9)
    adjusted = (fraction - chance) / rest
    if arrangements(values) * LEVEL < 1 or variance < 1e-12:
        reason = f"{len(values)} personas with {len(edges) - 1} values have too few arrangements for a test"
        return Association(adjusted, None, None, None, chance, variance, reason)
    p = max(upper_p(fraction, shuffles, gamma_tail), 1 / arrangements(values))
    error = max(float(np.std(_halves(measured, order, values, generator), ddof=1)), variance**0.5) / rest
    low, high = _ends(adjusted, float(t.ppf(1 - LEVEL / 2, HALVES - 1)) * error, p)
    return Association(adjusted, low, high, p, chance, variance)


def _ends(adjusted: float, reach: float, p: float) -> tuple[float, float]:
    """Return the interval of a fraction; it excludes 0 only if p is below 5 %."""
    further = reach**2 / (4 * max(adjusted, reach))  # the error grows with the root of the fraction
    low, high = max(adjusted - reach, -1.0), min(max(adjusted + reach + further, 0.0), 1.0)
    return min(low, 0.0) if p >= LEVEL else low, high


def arrangements(values: Codes) -> float:
    """Return how many different groupings the shuffles of personas have; groups of one size may swap their names."""
    from scipy.special import gammaln

    sizes = np.unique(values, return_counts=True)[1]
    swaps = np.unique(sizes, return_counts=True)[1]
    log = gammaln(len(values) + 1) - gammaln(sizes + 1).sum() - gammaln(swaps + 1).sum()
    return float(np.exp(min(log, 700.0)))


def _halves(measured: Outcome, order: Codes, values: Codes, generator: np.random.Generator) -> list[float]:
    """Return the fraction in random halves of the personas."""
    fractions = []
    for _ in range(HALVES):
        half = order[np.sort(generator.choice(len(order), size=max(len(order) // 2, 1), replace=False))]
        ends = np.append(np.unique(values[half], return_index=True)[1], len(half))
        total = measured.total * measured.sizes[half].sum() / measured.sizes.sum()
        fractions.append(float(_between(measured, half[None], ends)[0] / total))
    return fractions


def _shuffled(measured: Outcome, edges: Codes, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return the sum of squares between groups for every shuffle of the personas, computed in batches."""
    count, width = measured.sums.shape
    wanted = NARROW_SHUFFLES if width <= MAX_NARROW_COLUMNS else SHUFFLES
    most = max(1, MAX_CELLS // (count + len(edges) * width))
    sizes = [min(most, wanted - start) for start in range(0, wanted, most)]
    orders = (generator.permuted(np.tile(np.arange(count), (size, 1)), axis=1) for size in sizes)
    return np.concatenate([_between(measured, batch, edges) for batch in orders])


def _between(measured: Outcome, orders: Codes, edges: Codes) -> NDArray[np.float64]:
    """Return the sum of squares between groups of personas.

    Args:
        measured: the outcome.
        orders: personas ordered by group, shape (b, n) for b groupings.
        edges: start of each group in an order, and the end of the last.

    Returns:
        Shape (b,).

    """
    from scipy.sparse import csr_matrix

    batch, count = orders.shape
    starts = (np.arange(batch)[:, None] * count + edges[:-1]).ravel()
    entries = np.ones(orders.size), orders.ravel(), np.append(starts, orders.size)
    members = csr_matrix(entries, shape=(len(starts), len(measured.sizes)))
    squares = np.square(members @ measured.sums).sum(axis=1) / (members @ measured.sizes)
    return np.asarray(squares.reshape(batch, -1).sum(axis=1))


def differences(table: Table, values: Codes, personas: Codes, labels: Codes) -> list[MeanEstimate]:
    """Return the mean deviation of a number from its label's mean, with its interval, per attribute value.

    The standard error is clustered by persona, and at least that of as many personas of any value: few personas may be
    alike by chance. Intervals have t quantiles with one degree of freedom less than personas, and cover all values of
    the attribute together with 95 % (Bonferroni).

    Args:
        table: the number, shape (n, 1).
        values: value of the attribute of each text's persona.
        personas: persona of each text.
        labels: label of each text.

    Returns:
        One estimate without p per value; without interval for a value that fewer than five personas have.

    """
    from scipy.stats import t

    deviations = without_group_means(table, labels)[:, 0]
    owners = [np.unique(personas[values == value]) for value in range(int(values.max()) + 1)]
    tests = sum(len(group) >= MIN_GROUPS for group in owners)
    means = np.bincount(values, deviations) / np.bincount(values)
    squares = [
        float(np.square(np.bincount(personas[values == value], deviations[values == value] - mean)).sum())
        for value, mean in enumerate(means)
    ]
    pooled = sum(squares) / max(sum(len(group) - 1 for group in owners), 1)
    results = []
    for value, (group, mean, square) in enumerate(zip(owners, means.tolist(), squares, strict=True)):
        count = len(group)
        if count < MIN_GROUPS or pooled == 0:
            reason = "the values do not vary" if pooled == 0 else f"{count} personas have it, wanted {MIN_GROUPS}"
            results.append(MeanEstimate(mean, None, None, None, reason=reason))
            continue
        error = (count * max(square / (count - 1), pooled)) ** 0.5 / int((values == value).sum())
        reach = float(t.isf(LEVEL / (2 * tests), count - 1)) * error
        results.append(MeanEstimate(mean, mean - reach, mean + reach, None, error, count - 1))
    return results


def lengths(texts: Sequence[str]) -> Table:
    """Count the words of texts, shape (n, 1)."""
    return np.array([[count_words(text)] for text in texts], dtype=np.float32)


def sentiment(texts: Sequence[str]) -> Table:
    """Rate English texts from -1 (negative) to 1 (positive), shape (n, 1): VADER (Hutto and Gilbert, 2014)."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyser = SentimentIntensityAnalyzer()
    return np.array([[analyser.polarity_scores(text)["compound"]] for text in texts], dtype=np.float32)
