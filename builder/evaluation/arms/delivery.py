"""Whether the texts of an arm show its treatment: what an arm is said to have, and its texts lack, proves nothing.

A treatment was not delivered if its effect is smaller than the least one that counts (one-sided interval of 95 %), and
not significantly above that of no treatment. If the texts allow neither conclusion, it is unclear.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personagen.builder.evaluation.arms.recipes import VERBALIZED
from personagen.builder.evaluation.arms.writing import WrittenArm
from personagen.builder.planning.plan import RowPlan
from personagen.metrics.style import expression_of

if TYPE_CHECKING:
    from personagen.metrics.statistics.paired import Blocks, MeanEstimate

LEVEL = 0.05
"""Significance level of the one-sided tests."""

LEAST_PERSONA_F = 1.2
"""Ratio of variances from which on a persona counts as felt: a tenth of the variance with two texts per persona."""

LEAST_OPEN_DIFFERENCE = 0.1
"""Difference of the fractions of texts that name or voice their emotion from which on two expressions differ."""

LEAST_SHOWN_FRACTION = 0.9
"""Fraction of texts whose prompts show real texts from which on an arm has seen them."""

PERSONA, EXPRESSION, REAL_TEXTS = "persona", "expression", "real texts"

DELIVERED, NOT_DELIVERED, UNCLEAR = "delivered", "not delivered", "unclear"

FULL = "situational"
"""Arm of the full method."""

SHOWN = "shown"
"""Arm of the full method, in its style, that neither names nor voices the emotion."""

PERSONA_ARMS = ("demographic", "sociocultural", FULL, SHOWN, "unstyled", "full+real")
"""Arms whose texts have a persona."""

REAL_ARMS = ("few-shot", "full+real", "paraphrase")
"""Arms whose prompts show real texts."""

WITHOUT_PERSONA = ("none", "none-lengthmatched", "few-shot", "paraphrase", "retrieval")
"""Arms that claims on personas compare against."""


@dataclass(frozen=True, slots=True)
class TreatmentDelivery:
    """Whether the texts of an arm show a treatment.

    Attributes:
        arm: name of the arm.
        treatment: "persona", "expression" or "real texts".
        measure: what was measured.
        value: its value.
        upper: upper end of its one-sided 95 % interval, or the value if its error is unknown. None: all texts were
            counted.
        least: least value that counts.
        outcome: "delivered", "not delivered" or "unclear".

    """

    arm: str
    treatment: str
    measure: str
    value: float
    upper: float | None
    least: float
    outcome: str

    def sentence(self) -> str:
        """Return the measurement as a phrase, as the reason for a verdict."""
        upper = "" if self.upper is None else f", at most {self.upper:.3g} with 95 % certainty"
        return f"{self.treatment} of {self.arm}: {self.measure} {self.value:.3g}{upper}; wanted {self.least:g}"


def deliveries(
    written: Sequence[Mapping[str, WrittenArm]],
    rows: Sequence[Sequence[RowPlan]],
    blocks: Mapping[str, Mapping[str, "Blocks"]],
) -> list[TreatmentDelivery]:
    """Measure the treatments of all arms.

    Args:
        written: texts by arm, one mapping per seed.
        rows: planned rows per seed, which all arms share.
        blocks: values of blocks by arm and measure.

    """
    return [
        delivery
        for arm in written[0]
        for delivery in (
            persona_delivery(arm, blocks.get(arm, {}).get("persona_f")),
            _expression(arm, written, rows),
            _real_texts(arm, [seed[arm] for seed in written]),
        )
        if delivery is not None
    ]


def persona_delivery(arm: str, blocks: "Blocks | None") -> TreatmentDelivery | None:
    """Compare the variance between personas with that within; None: the arm has no personas, or no error is known."""
    from personagen.metrics.statistics.paired import estimate

    if blocks is None or arm.removesuffix(VERBALIZED) not in PERSONA_ARMS:
        return None
    trace = estimate(blocks.less(1))
    if trace.error is None:
        return None
    outcome, upper = _outcome(trace, LEAST_PERSONA_F - 1)
    value = 1 + trace.value
    return TreatmentDelivery(arm, PERSONA, "persona_f", value, 1 + upper, LEAST_PERSONA_F, outcome)


def _outcome(effect: "MeanEstimate", least: float) -> tuple[str, float]:
    """Return the outcome of an effect that is 0 without the treatment, and the upper end of its interval."""
    from scipy.stats import t

    if effect.error is None:  # all personas agree, or fewer than five differ from 0
        return (DELIVERED if effect.value >= least else NOT_DELIVERED), effect.value
    reach = float(t.isf(LEVEL, effect.freedom)) * effect.error
    if effect.value - reach > 0:
        return DELIVERED, effect.value + reach
    return (NOT_DELIVERED if effect.value + reach < least else UNCLEAR), effect.value + reach


def _expression(
    arm: str, written: Sequence[Mapping[str, WrittenArm]], rows: Sequence[Sequence[RowPlan]]
) -> TreatmentDelivery | None:
    """Compare how many texts of the full method and of its arm that only shows name or voice their emotion."""
    import numpy as np

    from personagen.metrics.statistics.paired import clustered

    if arm != SHOWN or FULL not in written[0]:
        return None
    values, groups = [], []
    for seed, (arms, planned) in enumerate(zip(written, rows, strict=True)):
        full, shown = ({text.id: text for text in arms[name].texts} for name in (FULL, SHOWN))
        for row in planned:
            if row.id in full and row.id in shown:
                opens = [expression_of(texts[row.id].text, row.emotion) != "shown" for texts in (full, shown)]
                values.append(float(opens[0]) - float(opens[1]))
                groups.append((seed, row.persona))
    if not values:
        return None
    numbers = np.unique(np.array(groups), axis=0, return_inverse=True)[1].reshape(-1)
    effect = clustered(np.array(values), numbers)
    outcome, upper = _outcome(effect, LEAST_OPEN_DIFFERENCE)
    measure = f"difference of open texts to {FULL}"
    return TreatmentDelivery(arm, EXPRESSION, measure, effect.value, upper, LEAST_OPEN_DIFFERENCE, outcome)


def _real_texts(arm: str, parts: Sequence[WrittenArm]) -> TreatmentDelivery | None:
    """Count the texts whose prompts show real texts; None: the arm has none to show."""
    if arm.removesuffix(VERBALIZED) not in REAL_ARMS:
        return None
    seen = [text.real_texts is not None for part in parts for text in part.texts]
    fraction = sum(seen) / max(1, len(seen))
    outcome = DELIVERED if fraction >= LEAST_SHOWN_FRACTION else NOT_DELIVERED
    return TreatmentDelivery(arm, REAL_TEXTS, "texts after real ones", fraction, None, LEAST_SHOWN_FRACTION, outcome)


def needed(arm: str, against: str | None, measure: str) -> Iterator[tuple[str, str]]:
    """Yield arm and treatment of each delivery that a claim presupposes.

    Args:
        arm: arm of the claim.
        against: arm that it is compared against; None: none.
        measure: its measure; the trace of a persona is a claim of its own and presupposes none.

    """
    layers = ("demographic", "sociocultural", FULL)
    has_less = against in WITHOUT_PERSONA or (arm, against) == ("sociocultural", "demographic")
    if arm in layers and has_less and measure != "persona_f":
        yield arm, PERSONA
    if {arm, against} == {FULL, SHOWN}:
        yield SHOWN, EXPRESSION
    for name in (arm, against):
        if name in REAL_ARMS:
            yield name, REAL_TEXTS
