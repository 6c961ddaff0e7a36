"""Effects of an attribute on pairs of texts: sign, exact p, correction over the family, and too few personas."""

import numpy as np
import pytest

from personagen.builder.evaluation.audit_results import CounterfactualEffect
from personagen.builder.evaluation.counterfactual_effects import _effects, _Measures, _Pairs, corrected_effects
from personagen.metrics.statistics.paired import holm


def effects_of(first: list[float], second: list[float], personas: list[int]) -> list[CounterfactualEffect]:
    """Measure pairs whose texts have the given lengths and agreement of 1."""
    count = len(first)
    outcomes = {"length": np.array([*first, *second]), "agreement": np.ones(2 * count)}
    pairs = _Pairs(("woman", "man"), np.arange(count), np.arange(count, 2 * count), np.array(personas))
    return list(_effects("gender", pairs, _Measures(outcomes, np.zeros((2 * count, 2), dtype=np.float32), None)))


def test_an_effect_is_the_second_value_less_the_first_with_the_exact_p_by_persona() -> None:
    length, agreement = effects_of([5, 6, 7, 8, 9, 10], [8, 10, 12, 9, 11, 16], [0, 1, 2, 3, 4, 5])
    assert (length.outcome, length.difference, length.pairs) == ("length", 3.5, 6)
    assert length.p == 2 / 2**6 and length.low is not None and 0 < length.low < 3.5
    assert (agreement.difference, agreement.low, agreement.p, agreement.p_corrected) == (0, None, None, None)
    assert agreement.reason == "0 of 6 personas have a difference other than 0, wanted 5"


def test_pairs_of_one_persona_count_as_one() -> None:
    length = effects_of([5] * 12, [7, 8, 9] * 4, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])[0]
    assert (length.low, length.p) == (None, None)
    assert length.reason == "4 of 4 personas have a difference other than 0, wanted 5"


def test_p_is_corrected_for_the_effects_that_have_one() -> None:
    measured = [
        effect
        for shift in (1, 2, 3)
        for effect in effects_of([5, 5, 5, 5, 5, 5, 5], [6, 7, 8, 9, 6, 5 - shift, 5 - shift], [0, 1, 2, 3, 4, 5, 6])
    ]
    corrected = corrected_effects(measured)
    ps = [effect.p for effect in corrected if effect.p is not None]
    assert len(ps) == 3
    assert [effect.p_corrected for effect in corrected if effect.p is not None] == pytest.approx(holm(ps))
    assert [effect.p_corrected is None for effect in corrected] == [effect.p is None for effect in measured]
    assert max(ps) < max(holm(ps)), "else nothing was corrected"


def test_a_family_of_effects_without_any_has_a_finding_in_at_most_five_of_a_hundred() -> None:
    """12 attributes, 30 personas with two pairs each, 150 audits: 5 % and three standard errors are 15."""
    generator = np.random.default_rng(0)
    personas, families, single = [row // 2 for row in range(60)], 0, 0
    for _ in range(150):
        effects = []
        for _ in range(12):
            first, second = generator.normal(20, 5, size=(2, 60)).round().tolist()
            effects += effects_of(first, second, personas)
        corrected = [effect.p_corrected for effect in corrected_effects(effects)]
        families += any(p is not None and p < 0.05 for p in corrected)
        single += any(effect.p is not None and effect.p < 0.05 for effect in effects)
    assert single > 40 and families <= 15
