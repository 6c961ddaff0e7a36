"""Measure how a text is written: how openly it expresses an emotion, and its surface."""

from personagen.metrics.style.expressions import EXPRESSIONS, Expression, expression_of
from personagen.metrics.style.features import FEATURES, StyleFeatures, style_features
from personagen.metrics.style.profiles import StyleProfile, measure_profile, parse_profile, write_profile

__all__ = [
    "EXPRESSIONS",
    "FEATURES",
    "Expression",
    "StyleFeatures",
    "StyleProfile",
    "expression_of",
    "measure_profile",
    "parse_profile",
    "style_features",
    "write_profile",
]
