"""Four sets of texts that the measures separate, with the vectors of the real encoder.

Real comments, the same with one half twice, with shuffled words, and templates: 1,000 of each, compared with 1,000
other comments. The bounds come from the table in docs/metrics.md.
"""

from collections.abc import Mapping

import numpy as np
import pytest

from personagen.metrics.diversity.lexical import lexical
from personagen.metrics.diversity.measure import semantic
from personagen.metrics.realism.measure import compare, side_of
from personagen.metrics.realism.mmd import bandwidth
from personagen.metrics.texts.corpus import read_corpus
from tests.helpers.real_texts import goemotions, half_twice, shuffled_words, templates

pytestmark = pytest.mark.slow

COUNT = 1000

Figures = Mapping[str, float | None]


@pytest.fixture(scope="module")
def figures() -> dict[str, Figures]:
    order = np.random.default_rng(0).permutation(len(goemotions().texts))
    drawn = [goemotions().texts[row] for row in order]
    texts, others = drawn[:COUNT], read_corpus(drawn[COUNT : 2 * COUNT])
    sets = {
        "real": texts, "twice": half_twice(texts), "shuffled": shuffled_words(texts), "templates": templates(texts),
    }  # fmt: skip
    by_set: dict[str, Figures] = {}
    width, other = bandwidth(others.vectors, 0), side_of(others)
    for name, set_texts in sets.items():
        side = side_of(read_corpus(set_texts))
        by_set[name] = {
            **lexical(side.tokens, set_texts),
            **semantic(side.corpus.vectors),
            **compare(side, other, width, 0),
        }
    return by_set


@pytest.mark.parametrize(
    ("name", "key", "low", "high"),
    [
        ("real", "vendi_score", 150, 175), ("real", "rke", 55, 75), ("real", "mean_cosine", 0.06, 0.1),
        ("real", "self_bleu", 0.09, 0.13), ("real", "distinct_2", 0.76, 0.84), ("real", "compression_ratio", 2.3, 2.6),
        ("real", "frechet_distance", -0.01, 0.01), ("real", "mmd2", -3e-4, 3e-4), ("real", "precision", 0.93, 0.99),
        ("real", "recall", 0.93, 0.99), ("real", "coverage", 0.95, 0.99), ("real", "authenticity", 0.58, 0.7),
        ("real", "mauve_star", 0.94, 1.0), ("real", "c2st_auc", 0.45, 0.55),
        ("twice", "self_bleu", 0.9, 1.0), ("twice", "distinct_2", 0.38, 0.46), ("twice", "compression_ratio", 4.0, 5.2),
        ("twice", "vendi_score", 125, 160), ("twice", "c2st_auc", 0.42, 0.58), ("twice", "coverage", 0.75, 0.93),
        ("shuffled", "self_bleu", 0.04, 0.09), ("shuffled", "distinct_2", 0.86, 0.95),
        ("shuffled", "vendi_score", 140, 175),
        ("shuffled", "c2st_auc", 0.8, 0.95), ("shuffled", "mmd2", 3e-3, 1e-2),
        ("shuffled", "frechet_distance", 0.015, 0.05),
        ("templates", "vendi_score", 10, 30), ("templates", "self_bleu", 0.9, 1.0),
        ("templates", "distinct_2", 0.0, 0.1),
        ("templates", "compression_ratio", 9.0, 60.0), ("templates", "recall", 0.0, 0.05),
        ("templates", "precision", 0.85, 1.0), ("templates", "coverage", 0.0, 0.4),
        ("templates", "mauve_star", 0.0, 0.1),
        ("templates", "c2st_auc", 0.99, 1.0), ("templates", "js_length", 0.3, 1.0), ("templates", "mmd2", 0.06, 0.2),
    ],
)  # fmt: skip
def test_figures_are_those_of_the_documentation(
    name: str, key: str, low: float, high: float, figures: dict[str, Figures]
) -> None:
    value = figures[name][key]
    assert value is not None and low <= value <= high


def test_each_defect_shows_in_the_measures_for_it(figures: dict[str, Figures]) -> None:
    """And the weaknesses: precision takes templates for real text, and Vendi scores word salad for diversity."""
    real, twice, shuffled, filled = (figures[name] for name in ("real", "twice", "shuffled", "templates"))
    assert (twice["self_bleu"] or 0) > 5 * (real["self_bleu"] or 1)
    assert (shuffled["c2st_auc"] or 0) > (real["c2st_auc"] or 1) + 0.25
    assert (filled["recall"] or 0) < 0.1 * (real["recall"] or 0)
    assert (filled["precision"] or 0) > (real["precision"] or 1) - 0.1
    assert (shuffled["vendi_score"] or 0) > 0.85 * (real["vendi_score"] or 0)
    assert (shuffled["distinct_2"] or 0) > (real["distinct_2"] or 1)
