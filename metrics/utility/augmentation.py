"""The gain that synthetic texts add to real ones: scores over the numbers of both."""

from collections.abc import Mapping

import numpy as np

from personagen.metrics.utility.probe import codes, macro_f1
from personagen.metrics.utility.transfer import SEEDS, Predict, TransferSetting, joined

REAL_TEXTS = (0, 50, 200, 1000)
"""Numbers of real training texts."""

MULTIPLES = (0, 1, 2, 5)
"""Numbers of synthetic training texts, as multiples of the real ones."""

BASE_TEXTS = 50
"""Base of the multiples without real texts."""


def augmentation(setting: TransferSetting, predict: Predict) -> Mapping[str, float | None]:
    """Compute macro-F1 on real test texts over the numbers of real and synthetic training texts.

    Returns:
        Keys such as "200+2x": 200 real texts and 400 synthetic ones; "0+2x": 100 synthetic ones. Means over 5 draws.
        None: too few texts, or only one class was drawn.

    """
    curves: dict[str, float | None] = {}
    for real in REAL_TEXTS:
        for multiple in MULTIPLES:
            if real or multiple:
                curves[f"{real}+{multiple}x"] = _point(setting, predict, real, multiple * (real or BASE_TEXTS))
    return curves


def _point(setting: TransferSetting, predict: Predict, real: int, synthetic: int) -> float | None:
    if real > len(setting.real) or synthetic > len(setting.synthetic):
        return None
    true = codes(setting.test.labels or [], setting.classes)
    scores = []
    for seed in range(setting.seed, setting.seed + SEEDS):
        generator = np.random.default_rng([seed, 13])
        # Draws of one seed are nested: all points of a curve share their real texts.
        real_rows = generator.permutation(len(setting.real))[:real]
        synthetic_rows = generator.permutation(len(setting.synthetic))[:synthetic]
        train = joined(setting.real.take(real_rows), setting.synthetic.take(synthetic_rows))
        if len(set(train.labels or [])) < 2:
            return None
        scores.append(macro_f1(predict(train, setting.test, setting.classes), true, len(setting.classes)))
    return float(np.mean(scores))
