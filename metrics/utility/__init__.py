"""Utility of labelled texts: an `evaluate` metric (`utility.py`) and its functions, usable alone."""

from personagen.metrics.utility.measure import utility

__all__ = ["utility"]
