"""Measure how a text is written: how openly it expresses an emotion, and its surface."""

from personagen.metrics.style.expressions import EXPRESSIONS, Expression, expression_of
from personagen.metrics.style.features import StyleFeatures, style_features, swear_words
from personagen.metrics.style.profiles import StyleProfile, measure_profile, parse_profile, write_profile
from personagen.metrics.style.valence import polarity, valenced_words

__all__ = [
    "EXPRESSIONS",
    "Expression",
    "StyleFeatures",
    "StyleProfile",
    "expression_of",
    "measure_profile",
    "parse_profile",
    "polarity",
    "style_features",
    "swear_words",
    "valenced_words",
    "write_profile",
]
