"""Association of an attribute of personas with texts, beyond their labels and beyond chance.

One figure for every outcome that can be measured of a text, whether a number, a category, its words or its vector: the
fraction of variance between the values of the attribute. For a number this is eta squared, for categories the inertia
of correspondence analysis. If labels were planned independently of the personas, their means are subtracted first.
Chance is the value of the same personas with shuffled attributes (Anderson, 2001). Whole personas are shuffled, because
texts of one persona are not independent.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.intervals import Z95
from personagen.metrics.texts.words import count_words, tokenise

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

MAX_TOKENS = 1000
"""Most frequent tokens that form the vocabulary."""

MIN_TOKEN_TEXTS = 5
"""Texts in which a token of the vocabulary must occur."""

PRIOR_TOKENS = 500.0
"""Weight of the prior of `log_odds`, in tokens."""

Codes = NDArray[np.intp]
"""Number of a category of each text or persona, from 0."""

Table = NDArray[np.float32]
"""Shape (n, k): measurements of each text."""


@dataclass(frozen=True, slots=True)
class Association:
    """Association of an outcome with an attribute.

    Attributes:
        fraction: fraction of variance between the values of the attribute, adjusted for chance. 0: chance. 1: all.
        low: lower end of its 95 % interval.
        high: upper end.
        p: p-value of the fraction.

    """

    fraction: float
    low: float
    high: float
    p: float


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
    deviations = table.astype(np.float64)
    for kind in np.unique(labels) if labels is not None else [None]:
        rows = slice(None) if kind is None else labels == kind
        deviations[rows] -= deviations[rows].mean(axis=0)
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

    Chance is modelled by a gamma distribution with the mean and variance of the shuffles, so that p can be smaller than
    one over their number. The standard error is the spread over random halves of the personas.

    Args:
        measured: the outcome.
        values: value of the attribute of each persona; at least two different values.
        seed: seed of shuffles and halves.

    """
    from scipy.stats import gamma

    generator = np.random.default_rng([seed, 31])
    order = np.argsort(values, kind="stable")
    edges = np.append(np.unique(values[order], return_index=True)[1], len(values))
    fraction = float(_between(measured, order[None], edges)[0]) / measured.total
    chance = _shuffled(measured, edges, generator) / measured.total
    level, spread = float(chance.mean()), float(chance.var(ddof=1))
    rest = max(1 - level, 1e-9)
    p = float(gamma.sf(fraction, level**2 / spread, scale=spread / level)) if spread > 1e-12 else 1.0
    halves = []
    for _ in range(HALVES):
        half = order[np.sort(generator.choice(len(order), size=max(len(order) // 2, 1), replace=False))]
        ends = np.append(np.unique(values[half], return_index=True)[1], len(half))
        total = measured.total * measured.sizes[half].sum() / measured.sizes.sum()
        halves.append(_between(measured, half[None], ends)[0] / total)
    error = float(np.std(halves, ddof=1)) / rest
    adjusted = (fraction - level) / rest
    return Association(adjusted, max(adjusted - Z95 * error, -1.0), min(adjusted + Z95 * error, 1.0), p)


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


def differences(table: Table, values: Codes, personas: Codes, labels: Codes) -> list[tuple[float, float]]:
    """Return the mean deviation of a number from its label's mean, and half its 95 % interval, per attribute value.

    The standard error is clustered by persona.

    Args:
        table: the number, shape (n, 1).
        values: value of the attribute of each text's persona.
        personas: persona of each text.
        labels: label of each text.

    """
    deviations = table[:, 0].astype(np.float64)
    for kind in np.unique(labels):
        deviations[labels == kind] -= deviations[labels == kind].mean()
    results = []
    for value in range(int(values.max()) + 1):
        rows = values == value
        mean = float(deviations[rows].mean())
        sums = np.bincount(personas[rows], deviations[rows] - mean)
        groups = len(np.unique(personas[rows]))
        error = float(np.square(sums).sum() * groups / max(groups - 1, 1)) ** 0.5 / rows.sum()
        results.append((mean, Z95 * error))
    return results


def vocabulary(texts: Sequence[str]) -> tuple[list[str], Table]:
    """Return the most frequent tokens, and a table of 0 and 1 that marks the tokens of each text.

    Tokens in fewer than 5 texts, or in all texts, are left out.
    """
    sets = [set(tokenise(text)) for text in texts]
    counts = Counter(token for tokens in sets for token in tokens)
    chosen = sorted(token for token, count in counts.most_common(MAX_TOKENS) if MIN_TOKEN_TEXTS <= count < len(texts))
    columns = {token: column for column, token in enumerate(chosen)}
    table = np.zeros((len(texts), len(chosen)), dtype=np.float32)
    for row, tokens in enumerate(sets):
        table[row, [columns[token] for token in tokens if token in columns]] = 1
    return chosen, table


def distinctive(words: Sequence[str], table: Table, values: Codes, most: int = 5) -> list[list[str]]:
    """Return per value of an attribute the words that its texts use significantly more often, most significant first.

    Significance is that of z (see `log_odds`) at 5 % with a Bonferroni correction for all words and values.

    Args:
        words: the vocabulary.
        table: 0 or 1 per text and word, shape (n, words).
        values: value of the attribute of each text.
        most: largest number of words per value.

    """
    from scipy.stats import norm

    counts = np.zeros((int(values.max()) + 1, table.shape[1]))
    np.add.at(counts, values, table)
    limit = float(norm.isf(0.025 / max(counts.size, 1)))
    lists = []
    for z in log_odds(counts):
        order = np.argsort(-z, kind="stable")[:most]
        lists.append([words[column] for column in order if z[column] > limit])
    return lists


def log_odds(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return z scores of the log odds of each word in each group, relative to the other groups.

    Above 0: the group uses the word more often. All texts serve as the prior (Monroe, Colaresi and Quinn, 2008).

    Args:
        counts: count of each word in each group of texts, shape (groups, words).

    """
    whole = counts.sum(axis=0)
    scores = np.zeros_like(counts)
    used = whole > 0
    if used.any():
        group, prior = counts[:, used], whole[used] / whole.sum() * PRIOR_TOKENS
        rest = whole[used] - group
        odds = _log_odds(group, prior) - _log_odds(rest, prior)
        scores[:, used] = odds / np.sqrt(1 / (group + prior) + 1 / (rest + prior))
    return scores


def _log_odds(counts: NDArray[np.float64], prior: NDArray[np.float64]) -> NDArray[np.float64]:
    totals = counts.sum(axis=1, keepdims=True) + prior.sum()
    return np.asarray(np.log(counts + prior) - np.log(totals - counts - prior))


def lengths(texts: Sequence[str]) -> Table:
    """Count the words of texts, shape (n, 1)."""
    return np.array([[count_words(text)] for text in texts], dtype=np.float32)


def sentiment(texts: Sequence[str]) -> Table:
    """Rate English texts from -1 (negative) to 1 (positive), shape (n, 1): VADER (Hutto and Gilbert, 2014)."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyser = SentimentIntensityAnalyzer()
    return np.array([[analyser.polarity_scores(text)["compound"]] for text in texts], dtype=np.float32)
