"""The mixture of expressions and styles that a recipe asks for."""

from collections.abc import Mapping
from dataclasses import dataclass

from personagen.builder.planning.styles.library import find_style, style_id
from personagen.metrics.style import Expression

MIN_WORDS = 8
MAX_WORDS = 120
"""Bounds of a text without a style."""

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

    """

    expressions: Shares | None
    styles: Shares
    min_words: int
    max_words: int

    def identity(self) -> tuple[dict[str, float] | None, dict[str, float]]:
        """Return expressions and styles as plain data; a profile from a file is named with its digest."""
        expressions = None if self.expressions is None else dict(self.expressions)
        return expressions, {style_id(name): fraction for name, fraction in self.styles}


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
        bounds = min_words or MIN_WORDS, max_words or MAX_WORDS
        return StyleMixture(expressions, (), *bounds)
    for name, _ in styles:
        if not fits_bounds(name, min_words, max_words):
            raise ValueError(_contradiction(name, min_words, max_words))
    own = [find_style(name).words() for name, _ in styles]
    least = min(low for low, _ in own) if min_words is None else min_words
    greatest = max(high for _, high in own) if max_words is None else max_words
    return StyleMixture(expressions, styles, least, greatest)


def _shares(key: str, value: str | Mapping[Expression, float] | Mapping[str, float]) -> Shares:
    if isinstance(value, str):
        return ((value, 1.0),)
    total = sum(value.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"{key}: fractions sum to {total:g}, wanted 1; change one of them")
    return tuple((name, fraction / total) for name, fraction in value.items() if fraction)


def fits_bounds(style: str, min_words: int | None, max_words: int | None) -> bool:
    """Return whether a tenth or more of the real texts of a style are as long as a recipe wants. None: no bound."""
    lengths = _lengths(style)
    return sum(_is_within(words, min_words, max_words) for words in lengths) >= MIN_FITTING * len(lengths)


def _is_within(words: int, min_words: int | None, max_words: int | None) -> bool:
    return (min_words is None or min_words <= words) and (max_words is None or words <= max_words)


def _lengths(style: str) -> list[int]:
    return sorted(one.words for texts in find_style(style).texts.values() for one in texts)


def _contradiction(style: str, min_words: int | None, max_words: int | None) -> str:
    lengths = _lengths(style)
    low, high = lengths[len(lengths) // 20], lengths[-1 - len(lengths) // 20]
    bounds = {"text.min_words": min_words, "text.max_words": max_words}
    wanted = " and ".join(f"{key} {value}" for key, value in bounds.items() if value is not None)
    return (
        f"text.style: {style} has texts of {low} to {high} words (9 of 10), which contradicts {wanted}; change the "
        "bounds, or choose another style"
    )
