"""Utility of labelled texts: an `evaluate` metric (`utility.py`), and its mathematics without `evaluate`."""

from personagen.metrics.utility.measure import utility

__all__ = ["utility"]
