"""Realism of texts compared with real ones: an `evaluate` metric (`realism.py`) and its functions, usable alone."""

from personagen.metrics.realism.measure import realism

__all__ = ["realism"]
