"""What synthetic texts add to few real ones: curves over the number of both."""

from collections.abc import Mapping

import numpy as np

from personagen.metrics.utility.probe import codes
from personagen.metrics.utility.transfer import SEEDS, Read, Setting, joined, macro_f1

REAL = (0, 50, 200, 1000)
TIMES = (0, 1, 2, 5)
BASE = 50
"""Texts that a multiple is taken of where there is no real one."""


def augmentation(setting: Setting, read: Read) -> Mapping[str, float | None]:
    """Return macro-F1 on real test texts, for numbers of real and of synthetic training texts.

    Returns:
        Keys such as "200+2x": 200 real texts and twice as many synthetic ones; "0+2x" has 100 synthetic ones. Means
        over 5 draws; None where there are too few texts, or only one class was drawn.

    """
    found: dict[str, float | None] = {}
    for real in REAL:
        for times in TIMES:
            if real or times:
                found[f"{real}+{times}x"] = _point(setting, read, real, times * (real or BASE))
    return found


def _point(setting: Setting, read: Read, real: int, made: int) -> float | None:
    if real > len(setting.real) or made > len(setting.synthetic):
        return None
    true = codes(setting.test.labels or [], setting.classes)
    scores = []
    for seed in range(setting.seed, setting.seed + SEEDS):
        generator = np.random.default_rng([seed, 13])
        # Draws of one seed are nested: the real texts of a curve's points are the same.
        rows = generator.permutation(len(setting.real))[:real], generator.permutation(len(setting.synthetic))[:made]
        train = joined(setting.real.take(rows[0]), setting.synthetic.take(rows[1]))
        if len(set(train.labels or [])) < 2:
            return None
        scores.append(macro_f1(read(train, setting.test, setting.classes), true, len(setting.classes)))
    return float(np.mean(scores))
