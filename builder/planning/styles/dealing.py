"""Deal an expression, a style and the features of a real text to each row; pure and seeded."""

import random
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from personagen.builder.planning.styles.mixture import Shares, StyleMixture
from personagen.metrics.style import StyleFeatures

NEUTRAL = "neutral"
"""Emotion that no word names: its texts are always "shown"."""

BYTE_KINDS = 256
"""Pairs of style and expression up to which the kind of a row takes one byte: recipes have millions of rows."""


@dataclass(frozen=True, slots=True)
class RowStyle:
    """How a row is to be written.

    Attributes:
        expression: "named", "voiced" or "shown".
        style: name of the genre; None: none, the text has the bounds of the recipe.
        features: features that the text should have, those of one real text of the genre; None: no style.

    """

    expression: str
    style: str | None
    features: StyleFeatures | None


def row_style(mixture: StyleMixture, *, seed: int, emotion: str, turn: int, rows: int, strata: int) -> RowStyle:
    """Return the style of a row; exact quotas over the rows of its emotion, crossed with the intensities.

    Args:
        mixture: fractions of expressions and styles.
        seed: seed of the recipe.
        emotion: label of the row.
        turn: number of the row within its emotion.
        rows: rows of the emotion.
        strata: intensities, which alternate by turn; 1 without any.

    """
    dealt = dealt_kinds(mixture, seed=seed, emotion=emotion, rows=rows, strata=strata)
    (style, expression), _ = _kinds(mixture, emotion)[dealt[turn]]
    if not style:
        return RowStyle(expression, None, None)
    fitting = _fitting(mixture, style, emotion, expression)
    return RowStyle(expression, style, random.Random(f"style:{seed}:{emotion}:{turn}").choice(fitting))


def dealt_kinds(mixture: StyleMixture, *, seed: int, emotion: str, rows: int, strata: int) -> Sequence[int]:
    """Return the number of the pair of style and expression of each row of an emotion, by turn; see `row_style`."""
    return _dealt(_kinds(mixture, emotion), seed, emotion, rows, strata)


@lru_cache(maxsize=256)
def _kinds(mixture: StyleMixture, emotion: str) -> tuple[tuple[tuple[str, str], float], ...]:
    """Return the pairs of style and expression of an emotion with their fractions."""
    kinds = []
    for style, fraction in mixture.styles or (("", 1.0),):
        for expression, part in _expressions(mixture, emotion, style):
            if part:
                kinds.append(((style, expression), fraction * part))
    return tuple(kinds)


def _expressions(mixture: StyleMixture, emotion: str, style: str) -> Shares:
    if emotion == NEUTRAL:
        return (("shown", 1.0),)
    if mixture.expressions is not None:
        return mixture.expressions
    return tuple(mixture.profile(style).shares(emotion).items())


def _dealt(kinds: tuple[tuple[object, float], ...], seed: int, emotion: str, rows: int, strata: int) -> Sequence[int]:
    """Return the number of the kind of each row of an emotion, by turn."""
    return deal_kinds(tuple(fraction for _, fraction in kinds), f"expression:{seed}:{emotion}", rows, strata)


@lru_cache(maxsize=128)
def deal_kinds(fractions: tuple[float, ...], key: str, rows: int, strata: int) -> Sequence[int]:
    """Return the number of the kind of each row of an emotion, by turn.

    All kinds are spread evenly over a sequence with exact quotas. Each stratum gets a run of it, in shuffled order, so
    that kinds and intensities are crossed.

    Args:
        fractions: fraction of each kind; they sum to 1.
        key: seed of the shuffles, with the name of what is dealt.
        rows: rows of the emotion.
        strata: intensities, which alternate by turn; 1 without any.

    """
    sequence = _spread(fractions, rows)
    code = "B" if len(fractions) <= BYTE_KINDS else "I"
    dealt = array(code, bytes(rows * array(code).itemsize))
    start = 0
    for stratum in range(strata):
        turns = range(stratum, rows, strata)
        part = sequence[start : start + len(turns)]
        start += len(turns)
        random.Random(f"{key}:{stratum}").shuffle(part)
        dealt[stratum::strata] = array(code, part)
    return dealt


def _spread(fractions: Sequence[float], rows: int) -> list[int]:
    """Return `rows` numbers of kinds with exact quotas by largest remainder, evenly spread."""
    exact = [fraction * rows for fraction in fractions]
    quotas = [int(value + 1e-9) for value in exact]
    order = sorted(range(len(exact)), key=lambda kind: round(quotas[kind] - exact[kind], 9))
    for kind in order[: rows - sum(quotas)]:
        quotas[kind] += 1
    return spread(quotas)


def spread(quotas: Sequence[int]) -> list[int]:
    """Return the numbers of the kinds, each as often as its quota, evenly spread."""
    places = chain.from_iterable(
        (((position + 0.5) / quota, kind) for position in range(quota)) for kind, quota in enumerate(quotas)
    )
    return [kind for _, kind in sorted(places)]


@lru_cache(maxsize=1024)
def _fitting(mixture: StyleMixture, style: str, emotion: str, expression: str) -> tuple[StyleFeatures, ...]:
    """Return the real texts whose features a row may have: of its emotion, its expression and within the bounds."""
    profile, least, greatest = mixture.profile(style), mixture.min_words, mixture.max_words
    own = profile.of(emotion)
    everyone = tuple(chain.from_iterable(profile.texts.values()))
    within: Mapping[str, tuple[StyleFeatures, ...]] = {
        name: tuple(one for one in texts if least <= one.words <= greatest)
        for name, texts in (("own", own), ("all", everyone))
    }
    for texts in within.values():
        alike = tuple(one for one in texts if one.expression == expression)
        if alike:
            return alike
    return within["own"] or within["all"]
