"""The mixture of expressions and styles that a recipe asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from personagen.builder.planning.styles.library import DEFAULT_STYLE, find_style, style_id
from personagen.metrics.style import Expression, StyleProfile

MIN_WORDS = 8
"""Least words of a text without a style."""

MAX_WORDS = 120
"""Greatest words of a text without a style."""

MIN_FITTING = 0.1
"""Fraction of the real texts of a style that must lie within the recipe's bounds."""

Shares = tuple[tuple[str, float], ...]
"""Fractions by name, which sum to 1; names whose fraction is 0 are left out."""


@dataclass(frozen=True, slots=True)
class StyleMixture:
    """Expressions, styles and lengths of the texts of a recipe.

    Attributes:
        expressions: fraction of each expression. None: those of the real texts of the emotion, by style; without a
            style those of DEFAULT_STYLE.
        styles: fraction of each style. Empty: no style.
        min_words: least words of a text.
        max_words: greatest words of a text.
        ids: how the styles are recorded; a profile from a file is named with its digest.
        profiles: profiles of the styles as they were when the mixture was made, by name.

    """

    expressions: Shares | None
    styles: Shares
    min_words: int
    max_words: int
    ids: tuple[str, ...] = ()
    profiles: Mapping[str, StyleProfile] = field(default_factory=dict, compare=False, repr=False)

    def profile(self, style: str) -> StyleProfile:
        """Return the profile of one of the styles; "": that of DEFAULT_STYLE."""
        return self.profiles[style] if style else find_style(DEFAULT_STYLE)

    def identity(self) -> tuple[dict[str, float] | None, dict[str, float]]:
        """Return expressions and styles as plain data."""
        expressions = None if self.expressions is None else dict(self.expressions)
        return expressions, {id_: fraction for id_, (_, fraction) in zip(self.ids, self.styles, strict=True)}


def make_mixture(
    expression: Expression | Mapping[Expression, float] | None,
    style: str | Mapping[str, float] | None,
    min_words: int | None,
    max_words: int | None,
) -> StyleMixture:
    """Build the mixture from the keys of a recipe.

    Raises:
        ValueError: fractions do not sum to 1, a style is unknown, or its texts do not fit the bounds.

    """
    expressions = None if expression is None else _shares("expression", expression)
    styles = () if style is None else _shares("text.style", style)
    if not styles:
        return StyleMixture(expressions, (), *unstyled_bounds(min_words, max_words))
    return _with_styles(expressions, styles, tuple(style_id(name) for name, _ in styles), min_words, max_words)


def unstyled_bounds(min_words: int | None, max_words: int | None) -> tuple[int, int]:
    """Return the least and the greatest words of a text without a style. None: the default.

    Raises:
        ValueError: a bound contradicts the default of the other one.

    """
    least, greatest = MIN_WORDS if min_words is None else min_words, MAX_WORDS if max_words is None else max_words
    if least > greatest:
        key, other = ("min_words", "max_words") if max_words is None else ("max_words", "min_words")
        raise ValueError(
            f"text.{key}: got {min_words or max_words}, which contradicts the default of text.{other} without a style, "
            f"{greatest if max_words is None else least}; set text.{other} too"
        )
    return least, greatest


@lru_cache(maxsize=64)  # recipes are asked for their bounds at every row
def _with_styles(
    expressions: Shares | None, styles: Shares, ids: tuple[str, ...], min_words: int | None, max_words: int | None
) -> StyleMixture:
    profiles = {name: find_style(name) for name, _ in styles}
    for name, profile in profiles.items():
        if not _fits(profile, min_words, max_words):
            raise ValueError(_contradiction(name, profile, min_words, max_words))
    least = min(profile.words()[0] for profile in profiles.values()) if min_words is None else min_words
    greatest = max(profile.words()[1] for profile in profiles.values()) if max_words is None else max_words
    return StyleMixture(expressions, styles, least, greatest, ids, profiles)


def _shares(key: str, value: str | Mapping[Expression, float] | Mapping[str, float]) -> Shares:
    if isinstance(value, str):
        return ((value, 1.0),)
    total = sum(value.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"{key}: fractions sum to {total:g}, wanted 1; change one of them")
    return tuple((name, fraction / total) for name, fraction in value.items() if fraction)


@lru_cache(maxsize=64)
def fits_default_style(min_words: int | None, max_words: int | None) -> bool:
    """Return whether a tenth or more of the texts of DEFAULT_STYLE are as long as a recipe wants. None: no bound."""
    return _fits(find_style(DEFAULT_STYLE), min_words, max_words)


def _fits(profile: StyleProfile, min_words: int | None, max_words: int | None) -> bool:
    lengths = _lengths(profile)
    return sum(_is_within(words, min_words, max_words) for words in lengths) >= MIN_FITTING * len(lengths)


def _is_within(words: int, min_words: int | None, max_words: int | None) -> bool:
    return (min_words is None or min_words <= words) and (max_words is None or words <= max_words)


def _lengths(profile: StyleProfile) -> list[int]:
    return sorted(one.words for texts in profile.texts.values() for one in texts)


def _contradiction(style: str, profile: StyleProfile, min_words: int | None, max_words: int | None) -> str:
    lengths = _lengths(profile)
    low, high = lengths[len(lengths) // 20], lengths[-1 - len(lengths) // 20]
    bounds = {"text.min_words": min_words, "text.max_words": max_words}
    wanted = " and ".join(f"{key} {value}" for key, value in bounds.items() if value is not None)
    return (
        f"text.style: {style} has texts of {low} to {high} words (9 of 10), which contradicts {wanted}; change the "
        "bounds, or choose another style"
    )
