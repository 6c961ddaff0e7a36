"""Verdicts on claims: both directions, claims with a null of their own, and claims that are left out."""

import numpy as np
import pytest

from personagen.builder.evaluation.arms import ARMS
from personagen.builder.evaluation.claims import (
    CLAIMS,
    MARGIN,
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    VOID,
    Claim,
    count_verdicts,
    judge_claims,
    verdict,
)
from personagen.metrics.panel import MEASURES
from personagen.metrics.statistics.paired import Blocks


def blocks(value: float, spread: float = 0.01) -> Blocks:
    """Make three blocks whose halves vary by `spread`."""
    noise = np.array([-1.0, 0, 1]) * spread / 2
    return Blocks(value + noise, value + np.array([[-1.0, 1, 0.5, -0.5]] * 3) * spread)


def test_every_claim_names_known_arms_and_measures() -> None:
    measures = {name: better for names in MEASURES.values() for name, better in names.items()}
    for claim in CLAIMS:
        assert claim.arm in ARMS and (claim.against is None or claim.against in ARMS)
        assert measures[claim.measure] == claim.better or claim.measure == "c2st_auc"
    assert len({claim.statement for claim in CLAIMS}) == len(CLAIMS)


@pytest.mark.parametrize(
    ("better", "value", "chance", "found"),
    [
        ("higher", 0.2, 0.01, SUPPORTED),
        ("higher", -0.2, 0.01, REFUTED),
        ("lower", -0.2, 0.01, SUPPORTED),
        ("lower", 0.2, 0.01, REFUTED),
        ("higher", 0.2, 0.05, UNDECIDED),
        ("higher", 0.2, None, UNDECIDED),
    ],
)
def test_a_verdict_needs_a_difference_and_a_small_p(
    better: str, value: float, chance: float | None, found: str
) -> None:
    assert verdict(Claim("c", "m", "a", "b", better), value, chance) == found


def other(value: float) -> Blocks:
    """Make blocks whose deviations are not those of `blocks`."""
    return Blocks(value + np.array([0.5, -0.2, -0.3]) / 100, value + np.array([[0.4, 0.2, -1.0, 0.4]] * 3) / 100)


def arms(full: float, matched: float) -> dict[str, dict[str, Blocks]]:
    return {
        "situational": {"vendi_score": blocks(full), "tstr_macro_f1": blocks(0.3), "persona_f": blocks(1.5)},
        "none-lengthmatched": {"vendi_score": other(matched)},
        "real": {"tstr_macro_f1": blocks(0.305, 0.009)},
    }


def test_claims_are_judged_by_the_difference_of_their_arms() -> None:
    found = {claim.statement: claim for claim in judge_claims(arms(40, 30))}
    assert set(found) == {
        "They do so at equal length",
        "A persona leaves its trace in its texts",
        "The texts can take the place of as many real ones",
    }, "claims whose arms or measures are missing are left out"
    longer = found["They do so at equal length"]
    assert longer.difference == pytest.approx(10) and longer.verdict == SUPPORTED
    assert longer.low is not None and longer.high is not None and longer.low < 10 < longer.high
    assert longer.p is not None and longer.p_corrected is not None and longer.p <= longer.p_corrected < 0.001
    assert judge_claims(arms(30, 40))[0].verdict == REFUTED
    assert judge_claims({"none-lengthmatched": {"vendi_score": blocks(1)}}) == []


def test_a_null_of_its_own_moves_the_test_and_not_the_difference() -> None:
    found = {claim.measure: claim for claim in judge_claims(arms(40, 30))}
    trace = found["persona_f"]
    assert trace.difference == pytest.approx(1.5) and trace.verdict == SUPPORTED and trace.null == 1
    # 0.005 less than real, less than the margin: close enough to take its place.
    place = found["tstr_macro_f1"]
    assert place.difference == pytest.approx(-0.005) and place.null == -MARGIN and place.verdict == SUPPORTED


def test_p_is_corrected_for_all_claims_together() -> None:
    close = arms(30.001, 30)
    close["situational"]["vendi_score"] = Blocks(np.array([29.0, 30.5, 30.6]), np.array([[29.0, 31, 30, 30]] * 3))
    found = judge_claims(close)
    tested = [(claim.p, claim.p_corrected) for claim in found if claim.p is not None and claim.p_corrected is not None]
    assert len(tested) == 3
    assert max(p for _, p in tested) == pytest.approx(min(1, max(p for p, _ in tested)), abs=1e-9)
    assert found[0].verdict == UNDECIDED
    assert count_verdicts(found) == {SUPPORTED: 2, REFUTED: 0, UNDECIDED: 1, VOID: 0}


def test_arms_whose_halves_do_not_match_are_compared_by_blocks_alone() -> None:
    both = arms(40, 30)
    one = both["none-lengthmatched"]["vendi_score"]
    both["none-lengthmatched"]["vendi_score"] = Blocks(one.wholes, np.empty((3, 0)))
    found = judge_claims(both)[0]
    assert found.difference == pytest.approx(10) and found.p is not None


def test_a_family_of_claims_without_a_difference_has_a_verdict_in_at_most_five_of_a_hundred() -> None:
    """All arms of one distribution, 150 comparisons: uncorrected most have a verdict; 5 % and 3 errors are 15."""
    generator = np.random.default_rng(0)
    names = {claim.arm for claim in CLAIMS} | {claim.against for claim in CLAIMS if claim.against}
    measures = {claim.measure for claim in CLAIMS if claim.against}
    verdicts, single = 0, 0
    for _ in range(150):
        texts = generator.normal(size=(len(names) * len(measures), 3, 40))
        halves = np.stack([texts[..., generator.permutation(40)[:20]].mean(axis=-1) for _ in range(6)], axis=-1)
        parts = iter(zip(texts.mean(axis=-1), halves, strict=True))
        arms = {name: {measure: Blocks(*next(parts)) for measure in sorted(measures)} for name in sorted(names)}
        judged = [claim for claim in judge_claims(arms) if claim.null == 0]
        verdicts += any(claim.verdict != UNDECIDED for claim in judged)
        single += any(claim.p is not None and claim.p < 0.05 for claim in judged)
    assert single > 75 and verdicts <= 15


def test_an_undecided_claim_has_a_detectable_difference() -> None:
    close = arms(30.001, 30)
    found = judge_claims(close)[0]
    assert found.verdict == UNDECIDED and found.detectable is not None and found.detectable > 0.001
    assert found.p is not None and found.p_corrected is not None and found.reason is None
    same = arms(30, 30)
    same["situational"]["vendi_score"] = same["none-lengthmatched"]["vendi_score"]
    none = judge_claims(same)[0]
    assert (none.p, none.low, none.detectable, none.reason) == (None, None, None, "the values do not vary")
    assert none.verdict == UNDECIDED


def test_the_detectable_difference_is_that_of_the_strictest_test_of_the_family() -> None:
    family = {claim.statement: claim for claim in judge_claims(arms(30.001, 30))}
    measured = {name: {"vendi_score": values["vendi_score"]} for name, values in arms(30.001, 30).items()
                if "vendi_score" in values}  # fmt: skip
    (alone,) = judge_claims(measured)
    together = family[alone.statement]
    assert len(family) > 2 and together.difference == alone.difference and together.p == alone.p
    assert alone.detectable is not None and together.detectable is not None
    assert together.detectable > 1.1 * alone.detectable
