"""Words that the texts of one value of an attribute use more often than the others, beyond chance among personas."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.association import SHUFFLES, Table
from personagen.metrics.statistics.groups import Codes
from personagen.metrics.statistics.paired import LEVEL, MIN_GROUPS
from personagen.metrics.texts.words import tokenise

MAX_TOKENS = 1000
"""Most frequent tokens that form the vocabulary."""

MIN_TOKEN_TEXTS = 5
"""Texts in which a token of the vocabulary must occur."""

PRIOR_TOKENS = 500.0
"""Weight of the prior of `log_odds`, in tokens."""


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


def distinctive(  # noqa: PLR0913 - the parts of one test
    words: list[str],
    table: Table,
    values: Codes,
    personas: Codes,
    *,
    attributes: int = 1,
    most: int = 5,
    seed: int = 0,
) -> list[list[str]]:
    """Return per value of an attribute the words that its texts use significantly more often, most significant first.

    A word is significant if its z score (see `word_scores`) is above those of all words and values in 95 % of shuffles
    of the personas. With more attributes the limit is that of a Gumbel distribution with the mean and variance of these
    maxima, at 5 % for all attributes together.

    Args:
        words: the vocabulary.
        table: 0 or 1 per text and word, shape (n, words).
        values: value of the attribute of each text.
        personas: persona of each text.
        attributes: number of attributes that are tested.
        most: largest number of words per value.
        seed: seed of the shuffles.

    """
    kinds = int(values.max()) + 1
    numbers = np.unique(personas, return_inverse=True)[1]
    of_persona = np.zeros(int(numbers.max()) + 1, dtype=np.intp)
    of_persona[numbers] = values
    tested = np.bincount(of_persona, minlength=kinds) >= MIN_GROUPS
    if not words or not tested.any():
        return [[] for _ in range(kinds)]
    uses = _excess_uses(table, numbers)
    generator = np.random.default_rng([seed, 32])
    largest = np.array([
        word_scores(uses, generator.permutation(of_persona))[tested].max() for _ in range(SHUFFLES)
    ])  # fmt: skip
    limit = float(np.sort(largest)[int(np.ceil((1 - LEVEL) * (SHUFFLES + 1))) - 1])
    spread = float(largest.std(ddof=1)) * 6**0.5 / np.pi
    gumbel = float(largest.mean()) - np.euler_gamma * spread - spread * np.log(-np.log1p(-LEVEL / attributes))
    limit = max(limit, gumbel)
    lists: list[list[str]] = []
    for z, is_tested in zip(word_scores(uses, of_persona), tested, strict=True):
        order = np.argsort(-z, kind="stable")[:most]
        lists.append([words[column] for column in order if is_tested and z[column] > limit])
    return lists


def _excess_uses(table: Table, personas: Codes) -> NDArray[np.float64]:
    """Return how many more texts of each persona have each word than as many texts of all, scaled to variance 1."""
    from scipy.sparse import csr_matrix

    members = csr_matrix((np.ones(len(personas)), (personas, np.arange(len(personas)))))
    counts = np.asarray(members @ table.astype(np.float64))
    excess = counts - np.bincount(personas)[:, None] * table.mean(axis=0, dtype=np.float64)
    spread = excess.std(axis=0)
    return np.asarray(excess / np.where(spread > 1e-12, spread, np.inf))


def word_scores(uses: NDArray[np.float64], values: Codes) -> NDArray[np.float64]:
    """Return the z score of each word for each value: the sum over its personas, by its variance over shuffles.

    Args:
        uses: uses of each word by each persona, of mean 0 and variance 1, shape (personas, words).
        values: value of each persona.

    """
    from scipy.sparse import csr_matrix

    count, kinds = len(values), int(values.max()) + 1
    sizes = np.bincount(values, minlength=kinds).astype(np.float64)
    members = csr_matrix((np.ones(count), (values, np.arange(count))), shape=(kinds, count))
    spread = np.sqrt(np.maximum(sizes * (count - sizes) / max(count - 1, 1), 1e-12))
    return np.asarray((members @ uses) / spread[:, None])


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
