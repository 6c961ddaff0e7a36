"""Human-likeness by judges: an `evaluate` measurement (`human_likeness.py`) and its functions, usable alone."""

from personagen.metrics.human_likeness.judge import Answer, Judge, Question
from personagen.metrics.human_likeness.measure import human_likeness

__all__ = ["Answer", "Judge", "Question", "human_likeness"]
