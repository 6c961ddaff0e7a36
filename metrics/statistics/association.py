"""How much of what varies among texts goes with an attribute of their personas, beyond their labels and beyond chance.

One figure for everything that can be measured of a text, be it a number, a category, the words in it or its vector: the
share of variance that lies between the values of the attribute, which is eta squared for a number, and for categories
the inertia of correspondence analysis. The means of the labels are taken away first where the labels were planned
apart from the personas: what is left is no work of the plan. Chance is what the same personas with shuffled attributes
get (Anderson, 2001); whole personas are shuffled, since texts of one persona are no independent witnesses.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.intervals import Z95
from personagen.metrics.texts.words import count_words, tokenise

SHUFFLES = 200
"""Shuffles from which mean and variance of chance are taken, where an outcome has many columns."""

NARROW, NARROW_SHUFFLES = 50, 1000
"""Columns up to which there are more shuffles: the sum of few squares is skewed, and its variance harder to tell."""

HALVES = 20
"""Halves of the personas whose spread tells the error of a share."""

CELLS = 1_000_000
"""Numbers that shuffles which are summed at once may take."""

WORDS, FEWEST = 1000, 5
"""Words that are looked at, the most frequent ones, and texts that a word must be in."""

PRIOR = 500.0
"""Weight of all texts against those of one value, in words, where words are compared."""

Codes = NDArray[np.intp]
"""Number of a category for each text or persona, from 0."""

Table = NDArray[np.float32]
"""Shape (n, k): what was measured of each text."""


@dataclass(frozen=True, slots=True)
class Association:
    """How much of an outcome goes with an attribute.

    Attributes:
        share: share of variance between the values of the attribute, less what chance gets; 0 is chance, 1 is all.
        low: lower end of its 95 % interval.
        high: upper end.
        p: how likely chance gets as much.

    """

    share: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Something measured of each text, added up over the texts of each persona.

    Attributes:
        sums: shape (p, k), of deviations from the mean (of the label).
        sizes: texts of each persona, shape (p,).
        total: sum of squared deviations over all texts.

    """

    sums: NDArray[np.float64]
    sizes: NDArray[np.float64]
    total: float


def categories(values: Sequence[str]) -> Table:
    """Write categories as columns of 0 and 1."""
    kinds, found = np.unique(list(values), return_inverse=True)
    return np.eye(len(kinds), dtype=np.float32)[found]


def outcome(table: Table, personas: Codes, labels: Codes | None, *, scaled: bool = True) -> Outcome | None:
    """Prepare what was measured; None where it does not vary.

    Args:
        table: shape (n, k).
        personas: who wrote each text.
        labels: labels whose means are taken away; None takes away the mean of all texts.
        scaled: whether every column counts the same, whatever its variance.

    """
    left = table.astype(np.float64)
    for kind in np.unique(labels) if labels is not None else [None]:
        rows = slice(None) if kind is None else labels == kind
        left[rows] -= left[rows].mean(axis=0)
    spread = left.std(axis=0)
    left = left[:, spread > 1e-9]
    if not left.shape[1]:
        return None
    if scaled:
        left /= spread[spread > 1e-9]
    sums = np.zeros((int(personas.max()) + 1, left.shape[1]))
    np.add.at(sums, personas, left)
    return Outcome(sums, np.bincount(personas).astype(np.float64), float(np.square(left).sum()))


def association(found: Outcome, values: Codes, seed: int) -> Association:
    """Return how much of an outcome goes with an attribute of the personas.

    Chance is taken as a gamma distribution with the mean and variance of the shuffles, so that p can be smaller than
    one over their number.

    Args:
        found: the outcome.
        values: value of the attribute of each persona, two different ones or more.
        seed: of shuffles and halves.

    """
    from scipy.stats import gamma

    generator = np.random.default_rng([seed, 31])
    order = np.argsort(values, kind="stable")
    edges = np.append(np.unique(values[order], return_index=True)[1], len(values))
    share = float(_between(found, order[None], edges)[0]) / found.total
    chance = _shuffled(found, edges, generator) / found.total
    level, spread = float(chance.mean()), float(chance.var(ddof=1))
    rest = max(1 - level, 1e-9)
    p = float(gamma.sf(share, level**2 / spread, scale=spread / level)) if spread > 1e-12 else 1.0
    halves = []
    for _ in range(HALVES):
        half = order[np.sort(generator.choice(len(order), size=max(len(order) // 2, 1), replace=False))]
        ends = np.append(np.unique(values[half], return_index=True)[1], len(half))
        total = found.total * found.sizes[half].sum() / found.sizes.sum()
        halves.append(_between(found, half[None], ends)[0] / total)
    error = float(np.std(halves, ddof=1)) / rest
    adjusted = (share - level) / rest
    return Association(adjusted, max(adjusted - Z95 * error, -1.0), min(adjusted + Z95 * error, 1.0), p)


def _shuffled(found: Outcome, edges: Codes, generator: np.random.Generator) -> NDArray[np.float64]:
    """Sum the squares between groups of shuffled personas, again and again; several shuffles at once where they fit."""
    count, width = found.sums.shape
    wanted = NARROW_SHUFFLES if width <= NARROW else SHUFFLES
    most = max(1, CELLS // (count + len(edges) * width))
    sizes = [min(most, wanted - start) for start in range(0, wanted, most)]
    orders = (generator.permuted(np.tile(np.arange(count), (size, 1)), axis=1) for size in sizes)
    return np.concatenate([_between(found, each, edges) for each in orders])


def _between(found: Outcome, orders: Codes, edges: Codes) -> NDArray[np.float64]:
    """Sum the squares between groups of personas.

    Args:
        found: the outcome.
        orders: personas in order, group by group; shape (b, n) for b ways to group them.
        edges: where each group begins in an order, and where the last one ends.

    Returns:
        Shape (b,).

    """
    from scipy.sparse import csr_matrix

    batch, count = orders.shape
    starts = (np.arange(batch)[:, None] * count + edges[:-1]).ravel()
    parts = np.ones(orders.size), orders.ravel(), np.append(starts, orders.size)
    deal = csr_matrix(parts, shape=(len(starts), len(found.sizes)))
    squares = np.square(deal @ found.sums).sum(axis=1) / (deal @ found.sizes)
    return np.asarray(squares.reshape(batch, -1).sum(axis=1))


def differences(table: Table, values: Codes, personas: Codes, labels: Codes) -> list[tuple[float, float]]:
    """Return for each value of an attribute the mean of a number less that of the label, with half its 95 % interval.

    The error is that of a mean over personas (of sums over their texts).

    Args:
        table: shape (n, 1).
        values: value of each text's persona.
        personas: who wrote each text.
        labels: label of each text.

    """
    left = table[:, 0].astype(np.float64)
    for kind in np.unique(labels):
        left[labels == kind] -= left[labels == kind].mean()
    results = []
    for value in range(int(values.max()) + 1):
        rows = values == value
        mean = float(left[rows].mean())
        sums = np.bincount(personas[rows], left[rows] - mean)
        groups = len(np.unique(personas[rows]))
        error = float(np.square(sums).sum() * groups / max(groups - 1, 1)) ** 0.5 / rows.sum()
        results.append((mean, Z95 * error))
    return results


def vocabulary(texts: Sequence[str]) -> tuple[list[str], Table]:
    """Tell which of the most frequent words are in which text: the words, and a table of 0 and 1."""
    sets = [set(tokenise(text)) for text in texts]
    counts = Counter(word for words in sets for word in words)
    chosen = sorted(word for word, count in counts.most_common(WORDS) if FEWEST <= count < len(texts))
    place = {word: column for column, word in enumerate(chosen)}
    table = np.zeros((len(texts), len(chosen)), dtype=np.float32)
    for row, words in enumerate(sets):
        table[row, [place[word] for word in words if word in place]] = 1
    return chosen, table


def distinctive(words: Sequence[str], table: Table, values: Codes, most: int = 5) -> list[list[str]]:
    """List for each value of an attribute the words that its texts have more often than the others, likeliest first.

    Only words whose z (see `log_odds`) would be rare among all words and values (Bonferroni at 5 %).
    """
    from scipy.stats import norm

    counts = np.zeros((int(values.max()) + 1, table.shape[1]))
    np.add.at(counts, values, table)
    limit = float(norm.isf(0.025 / max(counts.size, 1)))
    found = []
    for z in log_odds(counts):
        order = np.argsort(-z, kind="stable")[:most]
        found.append([words[column] for column in order if z[column] > limit])
    return found


def log_odds(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how surely each group uses each word more often (below 0: less often) than the other groups, as z.

    By log odds with all texts as the prior (Monroe, Colaresi and Quinn, 2008).

    Args:
        counts: how often each group of texts has each word, shape (groups, words).

    """
    whole = counts.sum(axis=0)
    found = np.zeros_like(counts)
    there = whole > 0
    if there.any():
        own, prior = counts[:, there], whole[there] / whole.sum() * PRIOR
        rest = whole[there] - own
        odds = _log_odds(own, prior) - _log_odds(rest, prior)
        found[:, there] = odds / np.sqrt(1 / (own + prior) + 1 / (rest + prior))
    return found


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
