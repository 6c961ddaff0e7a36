"""Diversity of a corpus: an `evaluate` measurement (`diversity.py`), and its mathematics without `evaluate`."""

from personagen.metrics.diversity.lexical import LexicalDiversity, lexical_diversity
from personagen.metrics.diversity.measure import diversity

__all__ = ["LexicalDiversity", "diversity", "lexical_diversity"]
