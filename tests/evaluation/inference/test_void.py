"""The verdict "void": claims on a treatment that the texts do not show, and arms that it spares."""

from collections.abc import Sequence

import numpy as np
import pytest

from personagen.builder.evaluation.arms import ArmText, WrittenArm
from personagen.builder.evaluation.arms.delivery import (
    DELIVERED,
    EXPRESSION,
    NOT_DELIVERED,
    PERSONA,
    REAL_TEXTS,
    UNCLEAR,
    TreatmentDelivery,
    deliveries,
    needed,
)
from personagen.builder.evaluation.claims import CLAIMS, SUPPORTED, VOID, judge_claims
from personagen.builder.planning.plan import RowPlan
from personagen.metrics.statistics.paired import Blocks

OPEN, PLAIN = "I am so happy about this", "The bus came at nine and I took it"


def row(number: int) -> RowPlan:
    return RowPlan(f"joy-{number:06}", "joy", None, "situational", "train", number // 2, number % 2, number)


ROWS = [row(number) for number in range(60)]


def arm(texts: Sequence[str], real: str | None = None) -> WrittenArm:
    return WrittenArm([ArmText(row.id, text, "joy", "p", {}, real) for row, text in zip(ROWS, texts, strict=True)])


def trace(value: float, spread: float = 0.05) -> Blocks:
    noise = np.array([-1.0, 0, 1]) * spread
    return Blocks(value + noise, value + np.array([[-1.0, 1, 0.5, -0.5]] * 3) * spread, 60)


def measured(full: Sequence[str], shown: Sequence[str], persona: Blocks | None = None) -> list[TreatmentDelivery]:
    blocks = {} if persona is None else {"situational": {"persona_f": persona}}
    return deliveries([{"situational": arm(full), "shown": arm(shown)}], [ROWS], blocks)


@pytest.mark.parametrize(
    ("value", "spread", "outcome"),
    [(1.0, 0.05, NOT_DELIVERED), (1.3, 0.05, DELIVERED), (1.15, 0.02, DELIVERED), (1.05, 0.5, UNCLEAR)],
)
def test_a_persona_is_delivered_if_its_trace_is_above_chance(value: float, spread: float, outcome: str) -> None:
    """And not delivered only if the trace is surely below the least one that counts."""
    (found,) = [part for part in measured([OPEN] * 60, [PLAIN] * 60, trace(value, spread)) if part.treatment == PERSONA]
    assert (found.arm, found.outcome) == ("situational", outcome) and found.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("opens", "outcome"), [(60, DELIVERED), (20, DELIVERED), (0, NOT_DELIVERED), (1, NOT_DELIVERED)]
)
def test_an_expression_is_delivered_if_more_texts_of_the_full_method_are_open(opens: int, outcome: str) -> None:
    (found,) = measured([OPEN] * opens + [PLAIN] * (60 - opens), [PLAIN] * 60)
    assert (found.treatment, found.outcome) == (EXPRESSION, outcome)
    assert found.value == pytest.approx(opens / 60)


def test_examples_are_delivered_if_the_prompts_show_them() -> None:
    written = {"few-shot": arm([PLAIN] * 60, "x:1"), "full+real": arm([PLAIN] * 60), "none": arm([PLAIN] * 60)}
    found = {part.arm: part.outcome for part in deliveries([written], [ROWS], {}) if part.treatment == REAL_TEXTS}
    assert found == {"few-shot": DELIVERED, "full+real": NOT_DELIVERED}


def test_a_void_claim_has_the_measurement_and_keeps_its_figures() -> None:
    noise = np.array([[-1.0, 1, 0.5, -0.5]] * 3)
    blocks = {
        "situational": {"vendi_score": Blocks(np.array([40.0, 40.1, 39.9]), 40 + noise, 60), "persona_f": trace(1.0)},
        "none": {"vendi_score": Blocks(np.array([30.0, 30.2, 29.9]), 30 - noise, 60)},
    }
    free = judge_claims(blocks)
    judged = judge_claims(blocks, measured([OPEN] * 60, [OPEN] * 60, trace(1.0)))
    assert [claim.verdict for claim in free if claim.measure == "vendi_score"] == [SUPPORTED]
    assert [claim.verdict for claim in judged if claim.measure == "vendi_score"] == [VOID]
    (void,) = [claim for claim in judged if claim.verdict == VOID]
    assert void.void is not None and void.void.startswith("persona of situational: persona_f 1, at most 1.0")
    assert void.void.endswith("with 95 % certainty; wanted 1.2")
    assert [claim.p_corrected for claim in judged] == [claim.p_corrected for claim in free]


def test_claims_presuppose_the_treatments_that_they_are_about() -> None:
    found = {(claim.arm, claim.against, claim.measure): set(needed(claim.arm, claim.against, claim.measure))
             for claim in CLAIMS}  # fmt: skip
    assert found["situational", "none", "vendi_score"] == {("situational", PERSONA)}
    assert found["sociocultural", "demographic", "vendi_score"] == {("sociocultural", PERSONA)}
    assert found["situational", "few-shot", "mmd2"] == {("situational", PERSONA), ("few-shot", REAL_TEXTS)}
    assert found["situational", "shown", "mmd2"] == {("shown", EXPRESSION)}
    assert found["full+real", "situational", "mmd2"] == {("full+real", REAL_TEXTS)}
    for free in (("situational", None, "persona_f"), ("situational", "sociocultural", "vendi_score"),
                 ("situational", "real", "tstr_macro_f1"), ("shown", "unstyled", "mmd2")):  # fmt: skip
        assert found[free] == set()
