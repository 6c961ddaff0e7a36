"""Diversity of a corpus: an `evaluate` measurement (`diversity.py`), and its mathematics without `evaluate`."""

from personagen.metrics.diversity.lexical import LexicalDiversity, lexical_diversity

__all__ = ["LexicalDiversity", "lexical_diversity"]
