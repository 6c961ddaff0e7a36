"""How many texts show their personas by words, beside as many texts with the personas of other texts.

Texts are compared with the personas of the other texts of their label. p is the fraction of shuffles of whole personas
with at least as many texts that show them, since texts of one persona are not independent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.persona.words import WORD_ATTRIBUTES, is_shown, signs_in, signs_of
from personagen.metrics.statistics.groups import Codes, codes_of, without_group_means
from personagen.metrics.statistics.paired import LEVEL, MIN_GROUPS, clustered
from personagen.metrics.statistics.shuffles import upper_p

ANY = "any"
"""Name of the record of texts that show one attribute or more."""

SHUFFLES = 2000
"""Shuffles of the personas; the smallest p is 0.0005, which Holm's correction of ten tests turns into 0.005."""

Matches = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ShownByWords:
    """Texts that show an attribute by words.

    Attributes:
        attribute: name of the attribute; "any": one or more of all.
        shown: fraction of texts with words that go with the persona's value.
        chance: the same fraction with the personas of the other texts of the label. None: there are no others.
        precision: `shown` over the fraction of texts with words that go with any value. None: no text has any.
        low: lower end of the 95 % interval of `shown` less `chance`. None: see `reason`.
        high: upper end.
        p: one-sided p that `shown` is chance. None: see `reason`.
        reason: why there is no p or no interval. None: both are there.

    """

    attribute: str
    shown: float
    chance: float | None
    precision: float | None
    low: float | None
    high: float | None
    p: float | None
    reason: str | None = None


def shown_by_words(
    texts: Sequence[str], labels: Sequence[str], personas: Sequence[Mapping[str, str]], groups: Codes, seed: int
) -> list[ShownByWords]:
    """Measure which attributes English texts show by words: one record per attribute, and one of all.

    Args:
        texts: the texts.
        labels: label of each text.
        personas: attributes of the persona of each text, by name; an age is a number of years.
        groups: number of the persona of each text, from 0.
        seed: seed of the shuffles.

    """
    codes = codes_of(labels)
    return [
        _measured(attribute, matches, has_words, codes, groups, seed)
        for attribute, matches, has_words in _matched(texts, personas, groups)
    ]


def shown_and_chance(
    texts: Sequence[str], labels: Sequence[str], personas: Sequence[Mapping[str, str]], persona_ids: Sequence[str]
) -> dict[str, float | None]:
    """Return the fraction of texts that show each attribute, and any, with the personas of other texts of their label.

    None: each label has one persona. For the arguments see `shown_by_words`; personas are given by their ids.
    """
    codes = codes_of(labels)
    groups = codes_of(persona_ids)
    chances: dict[str, float | None] = {}
    for attribute, matches, _ in _matched(texts, personas, groups):
        others = _with_others(matches, codes, groups)
        known = others[np.isfinite(others)]
        chances[attribute] = float(known.mean()) if len(known) else None
    return chances


def _matched(
    texts: Sequence[str], personas: Sequence[Mapping[str, str]], groups: Codes
) -> Iterator[tuple[str, Matches, Matches]]:
    """Yield each attribute with the personas whose value a text shows, and with whether it has words of any value.

    The last one is that of all attributes. Shapes: (texts, personas) and (texts,).
    """
    signs = [signs_in(text) for text in texts]
    owners = [personas[number] for number in np.unique(groups, return_index=True)[1]]
    anything = np.zeros((len(texts), len(owners)), dtype=np.bool_)
    has_any = np.zeros(len(texts), dtype=np.bool_)
    is_possible = False
    for attribute in WORD_ATTRIBUTES:
        values = [owner.get(attribute, "") for owner in owners]
        if not any(signs_of(attribute, value) for value in values):
            continue
        by_value = {
            value: np.array([is_shown(found, attribute, value) for found in signs], dtype=np.bool_)
            for value in set(values)
        }
        matches = np.stack([by_value[value] for value in values], axis=1)
        has_words = np.array([attribute in found for found in signs], dtype=np.bool_)
        anything |= matches
        has_any |= has_words
        is_possible = True
        yield attribute, matches, has_words
    if is_possible:
        yield ANY, anything, has_any


def _with_others(matches: Matches, labels: Codes, groups: Codes) -> NDArray[np.float64]:
    """Return for each text the fraction of other personas' texts of its label that show its persona; NaN: none."""
    own = matches[np.arange(len(groups)), groups].astype(np.float64)
    others = np.full(len(groups), np.nan)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        counts = matches[members].sum(axis=0, dtype=np.float64)
        np.subtract.at(counts, groups[members], own[members])
        strangers = len(members) - np.bincount(groups[members], minlength=matches.shape[1])[groups[members]]
        has_strangers = strangers > 0
        others[members[has_strangers]] = counts[groups[members[has_strangers]]] / strangers[has_strangers]
    return others


def _measured(
    attribute: str, matches: Matches, has_words: Matches, labels: Codes, groups: Codes, seed: int
) -> ShownByWords:
    """Compare the texts that match their own persona with those that match another one of the label.

    Args:
        attribute: name of the attribute.
        matches: whether a text shows the value of a persona, shape (texts, personas).
        has_words: whether a text has words of any value.
        labels: number of the label of each text.
        groups: number of the persona of each text.
        seed: seed of the shuffles.

    """
    own = matches[np.arange(len(groups)), groups].astype(np.float64)
    others = _with_others(matches, labels, groups)
    shown = float(own.mean())
    precision = shown / float(has_words.mean()) if has_words.any() else None
    usable = np.isfinite(others)
    if not usable.any():
        return ShownByWords(attribute, shown, None, precision, None, None, None, "each label has one persona")
    chance = float(others[usable].mean())
    count = matches.shape[1]
    if count < MIN_GROUPS:
        reason = f"{count} personas, wanted {MIN_GROUPS}"
        return ShownByWords(attribute, shown, chance, precision, None, None, None, reason)
    sums = np.zeros((count, count))
    np.add.at(sums, groups, without_group_means(matches, labels))
    p = _shuffled_p(sums, seed)
    difference = clustered((own - others)[usable], np.unique(groups[usable], return_inverse=True)[1].reshape(-1))
    low, high = difference.low, difference.high
    if low is None or high is None:
        return ShownByWords(attribute, shown, chance, precision, None, None, p, difference.reason)
    low = min(low, 0.0) if p >= LEVEL else low
    return ShownByWords(attribute, shown, chance, precision, low, max(high, 0.0), p)


def _shuffled_p(sums: NDArray[np.float64], seed: int) -> float:
    """Return the fraction of assignments of personas with a sum of at least that of the own ones.

    Args:
        sums: deviations of the texts of a persona (row) matched with another persona (column).
        seed: seed of the shuffles.

    """
    generator = np.random.default_rng([seed, 51])
    count = len(sums)
    observed = float(np.trace(sums))
    rows = np.arange(count)
    shuffles = [float(sums[rows, generator.permutation(count)].sum()) for _ in range(SHUFFLES)]
    return upper_p(observed, np.array(shuffles))
