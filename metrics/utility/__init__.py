"""Utility of labelled texts: an `evaluate` metric (`utility.py`) and its functions, usable without it."""

from personagen.metrics.utility.measure import utility

__all__ = ["utility"]
