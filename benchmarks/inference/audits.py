"""Audits of texts of personas that share half of a number's variance, without an effect or with a planted one."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.inference.rates import ErrorCounts, ErrorRate, below, holds
from personagen.metrics.statistics.association import Codes, association, differences, outcome
from personagen.metrics.statistics.distinctive_words import distinctive
from personagen.metrics.statistics.paired import clustered, holm

TEXTS_PER_PERSONA = 2
ATTRIBUTES = (2, 2, 3, 5, 8, 15, 30, 40)
"""Values of the attributes of an audit; frequencies fall with their rank, as those of countries do."""

EFFECT = 0.5
"""Planted difference between two values, in standard deviations of a text within its persona."""

SHARED = "2 texts per persona"


def owners_of(texts: int) -> Codes:
    """Return the persona of each text."""
    return np.arange(texts) // TEXTS_PER_PERSONA


def attribute(generator: np.random.Generator, personas: int, values: int) -> Codes:
    """Draw the value of each persona."""
    weights = 1 / np.arange(1, values + 1)
    drawn = generator.choice(values, personas, p=weights / weights.sum())
    return np.unique(drawn, return_inverse=True)[1]


def numbers(generator: np.random.Generator, owners: Codes) -> NDArray[np.float64]:
    """Draw a number of each text, half of whose variance its persona explains."""
    return generator.normal(size=int(owners.max()) + 1)[owners] + generator.normal(size=len(owners))


def associations(sets: int) -> Iterator[ErrorRate]:
    """Yield the rates of shares, their p, the differences of values, without and with an effect."""
    promises = {
        "audit: p of an association < 0.05": "5 %",
        "audit: interval of an association holds 0": ">= 95 %",
        "audit: intervals of all values hold 0": ">= 95 %",
        "audit: interval of an association holds a planted one": ">= 95 %",
    }
    for texts in (20, 70, 350, 2000):
        for values in (2, 30):
            counter = ErrorCounts()
            for seed in range(sets if texts < 2000 else max(sets // 4, 1)):
                generator = np.random.default_rng([seed, texts, values])
                owners, labels = owners_of(texts), np.arange(texts) % 7
                codes = attribute(generator, texts // TEXTS_PER_PERSONA, values)
                if codes.max() < 1:
                    continue
                null = numbers(generator, owners)[:, None].astype(np.float32)
                measured = outcome(null, owners, labels)
                assert measured is not None
                found = association(measured, codes, seed)
                names = list(promises)
                counter.add(names[0], below(found.p))
                counter.add(names[1], holds(found.low, found.high, 0))
                ends = [holds(one.low, one.high, 0) for one in differences(null, codes[owners], owners, labels)]
                defined = [end for end in ends if end is not None]
                counter.add(names[2], all(defined) if defined else None)
                if values == 2:
                    counter.add(names[3], _planted(generator, owners, codes, seed))
            yield from counter.rates(f"{texts} texts, {SHARED}, {values} values", promises)


def _planted(generator: np.random.Generator, owners: Codes, codes: Codes, seed: int) -> bool | None:
    shift = EFFECT * 2**0.5
    measured = outcome(
        (numbers(generator, owners) + shift * codes[owners])[:, None].astype(np.float32), owners, None, scaled=False
    )
    assert measured is not None
    share = float(codes.mean())
    between = shift**2 * share * (1 - share)
    found = association(measured, codes, seed)
    return holds(found.low, found.high, between / (between + 2))


def families(sets: int) -> Iterator[ErrorRate]:
    """Yield how often an audit without any effect has a finding: Holm over attributes and outcomes, words."""
    figures = "audit: any of 24 associations found", "audit: any distinctive word of 8 attributes"
    for texts, per_persona in ((350, 2), (2000, 10)):
        counter = ErrorCounts()
        for seed in range(max(sets // 2, 1) if texts == 350 else max(sets // 10, 1)):
            generator = np.random.default_rng([seed, texts, 5])
            owners, labels = np.arange(texts) // per_persona, np.arange(texts) % 7
            personas = int(owners.max()) + 1
            words = generator.random((texts, 150)) < 0.03
            pets = np.zeros((personas, 150), dtype=bool)
            pets[np.arange(personas)[:, None], generator.integers(150, size=(personas, 3))] = True
            words |= pets[owners] & (generator.random(words.shape) < 0.8)
            tables = [numbers(generator, owners)[:, None], (numbers(generator, owners) > 1)[:, None], words]
            measured = [outcome(table.astype(np.float32), owners, labels) for table in tables]
            attributes = [attribute(generator, personas, values) for values in ATTRIBUTES]
            found = [association(one, codes, seed).p for one in measured if one is not None for codes in attributes]
            counter.add(figures[0], min(holm([p for p in found if p is not None])) < 0.05)
            names = [str(column) for column in range(words.shape[1])]
            counter.add(
                figures[1],
                any(
                    any(distinctive(names, words.astype(np.float32), codes[owners], owners, attributes=8, seed=seed))
                    for codes in attributes
                ),
            )
        yield from counter.rates(f"{texts} texts, {per_persona} texts per persona", dict.fromkeys(figures, "<= 5 %"))


def counterfactuals(sets: int) -> Iterator[ErrorRate]:
    """Yield the rates of effects of counterfactual pairs: no effect, an effect of 1, families of 30."""
    promises = {
        "counterfactuals: p of an effect < 0.05": "<= 5 %",
        "counterfactuals: interval of an effect holds 0": ">= 95 %",
        "counterfactuals: interval holds an effect of 1": "95 %",
        "counterfactuals: any of 30 effects found": "<= 5 %",
    }
    names = list(promises)
    for pairs in (6, 20, 70, 350, 2000):
        counter = ErrorCounts()
        owners = owners_of(pairs)
        for seed in range(sets):
            generator = np.random.default_rng([seed, pairs, 6])
            drawn = [np.round(2 * numbers(generator, owners)) for _ in range(30 if seed < sets / 4 else 1)]
            found = [clustered(one, owners) for one in drawn]
            counter.add(names[0], below(found[0].p))
            counter.add(names[1], holds(found[0].low, found[0].high, 0))
            shifted = clustered(drawn[0] + 1, owners)
            counter.add(names[2], holds(shifted.low, shifted.high, 1))
            ps = [one.p for one in found if one.p is not None]
            counter.add(names[3], min(holm(ps)) < 0.05 if len(found) > 1 and ps else None)
        yield from counter.rates(f"{pairs} pairs, 2 pairs per persona", promises)
