"""Ranges of measures, to which intervals are cut: a t interval of few seeds may leave them."""

import re

RANGES = (
    (r"difference|gap|gain|delta", None),
    (r"^(mean_cosine|polarity|sentiment|judge_alpha|judge_kappa)", (-1.0, 1.0)),
    (r"(share|rate|auc|f1|accuracy|precision|recall|coverage|agreement|consistency|authenticity|novelty)(_|$)",
     (0.0, 1.0)),
    (r"^(distinct_|self_bleu|homogenization|hdd|mattr|mauve|js_|cluster_entropy|between_label_variance)", (0.0, 1.0)),
    (r"^(human_likeness|naturalness|specificity|persona_fit)", (1.0, 5.0)),
    (r"(vendi_score|rke|mtld|words_per_text|per_100|frechet_distance|compression_ratio|self_repetition|persona_f)",
     (0.0, float("inf"))),
)  # fmt: skip
"""Pattern of the name of a measure, and its range; the first that matches counts. None: unbounded."""


def range_of(measure: str) -> tuple[float, float]:
    """Return the range of a measure; infinite ends: it has none."""
    bounds = next((bounds for pattern, bounds in RANGES if re.search(pattern, measure)), None)
    return bounds or (float("-inf"), float("inf"))


def cut(value: float | None, measure: str) -> float | None:
    """Return the end of an interval, moved into the range of its measure; None: there is no interval."""
    low, high = range_of(measure)
    return None if value is None else min(max(value, low), high)
