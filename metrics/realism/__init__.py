"""Realism of texts against real ones: an `evaluate` metric (`realism.py`), and its mathematics without `evaluate`."""

from personagen.metrics.realism.measure import realism

__all__ = ["realism"]
