"""Diversity of a corpus: an `evaluate` measurement (`diversity.py`) and its functions, usable alone."""

from personagen.metrics.diversity.measure import diversity

__all__ = ["diversity"]
