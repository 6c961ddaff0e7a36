"""Claims about conditioning on personas, and the verdict of a comparison on each.

A claim is one paired difference between two arms. The p values of all claims of a comparison are corrected together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from personagen.builder.evaluation.arms.delivery import FULL, NOT_DELIVERED, SHOWN, TreatmentDelivery, needed

if TYPE_CHECKING:
    from personagen.metrics.statistics.paired import Blocks

LEVEL = 0.05
"""Significance level of every test."""

MARGIN = 0.02
"""Loss of macro-F1 that counts as none if texts take the place of real ones."""

SUPPORTED, REFUTED, UNDECIDED, VOID = "supported", "not supported", "undecided", "void"

MATCHED = "none-lengthmatched"
"""Arm without personas, at the lengths of the full method."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Statement that the sign of a difference decides.

    Attributes:
        statement: the statement.
        measure: measure that is compared.
        arm: arm that is claimed to be better.
        against: arm that it is compared against; None: the value itself is compared against `null`.
        better: "higher" or "lower".
        null: difference at which the statement begins to be false.

    """

    statement: str
    measure: str
    arm: str
    against: str | None
    better: str = "higher"
    null: float = 0.0


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """Claim with its test and verdict.

    Attributes:
        statement: the statement.
        measure: measure that is compared.
        arm: arm that is claimed to be better.
        against: arm that it is compared against; None: the value itself is compared against `null`.
        better: "higher" or "lower".
        null: difference at which the statement begins to be false.
        difference: the difference, in the unit of the measure.
        low: lower end of the 95 % interval; None: its error is unknown.
        high: upper end.
        p: two-sided p that the difference is `null`; None: its error is unknown.
        p_corrected: `p` corrected for the number of claims (Holm).
        verdict: "supported", "not supported" (the opposite is), "undecided", or "void": its treatment was not
            delivered.
        detectable: distance from `null` that is found with a probability of 80 %; None: its error is unknown.
        reason: why the error is unknown; None: it is known.
        void: measurement by which the treatment was not delivered; None: it was, or that is unclear.

    """

    statement: str
    measure: str
    arm: str
    against: str | None
    better: str
    null: float
    difference: float
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    verdict: str
    detectable: float | None = None
    reason: str | None = None
    void: str | None = None


CLAIMS = (
    Claim("Personas and situations make texts more diverse than the bare emotion", "vendi_score", FULL, "none"),
    Claim("They do so at equal length", "vendi_score", FULL, MATCHED),
    Claim("They repeat each other's wording less, at equal length", "self_bleu", FULL, MATCHED, "lower"),
    Claim("The demographic layer adds diversity", "vendi_score", "demographic", "none"),
    Claim("The sociocultural layer adds diversity", "vendi_score", "sociocultural", "demographic"),
    Claim("The situation adds diversity", "vendi_score", FULL, "sociocultural"),
    Claim("Texts are more diverse than those after real examples", "vendi_score", FULL, "few-shot"),
    Claim("Labels are truer than without a persona", "label_agreement", FULL, MATCHED),
    Claim("Labels are truer than after real examples", "label_agreement", FULL, "few-shot"),
    Claim("Texts are closer to real ones than without a persona", "mmd2", FULL, MATCHED, "lower"),
    Claim("Texts are closer to real ones than those after real examples", "mmd2", FULL, "few-shot", "lower"),
    Claim("Texts are harder to distinguish from real ones than without a persona", "c2st_auc", FULL, MATCHED, "lower"),
    Claim("A persona leaves its trace in its texts", "persona_f", FULL, None, null=1.0),
    Claim("A classifier learns more than from texts without a persona", "masked_tstr_macro_f1", FULL, MATCHED),
    Claim("A classifier learns more than from as open texts without a persona", "tstr_macro_f1", FULL, MATCHED),
    Claim("A classifier learns more than from texts after real examples", "masked_tstr_macro_f1", FULL, "few-shot"),
    Claim("A classifier learns more than from paraphrases of real texts", "masked_tstr_macro_f1", FULL, "paraphrase"),
    Claim("A classifier learns more than from retrieved real texts", "masked_tstr_macro_f1", FULL, "retrieval"),
    Claim("A classifier learns more from open texts than from texts that only show", "tstr_macro_f1", FULL, SHOWN),
    Claim("Labels of open texts are truer than of texts that only show", "label_agreement", FULL, SHOWN),
    Claim("Open texts are closer to real ones than texts that only show", "mmd2", FULL, SHOWN, "lower"),
    Claim("The style brings texts closer to real ones", "mmd2", SHOWN, "unstyled", "lower"),
    Claim("A classifier learns more from texts in the style", "tstr_macro_f1", SHOWN, "unstyled"),
    Claim("The texts can take the place of as many real ones", "tstr_macro_f1", FULL, "real", null=-MARGIN),
    Claim("Added to 100 real texts, they make a better classifier", "gain_macro_f1", FULL, None),
    Claim("Real examples bring the full method closer to real texts", "mmd2", "full+real", FULL, "lower"),
    Claim("Real examples make the full method's labels truer", "label_agreement", "full+real", FULL),
    Claim("Real examples make the full method more useful", "masked_tstr_macro_f1", "full+real", FULL),
)


def judge_claims(
    arms: Mapping[str, Mapping[str, "Blocks"]], delivered: Sequence[TreatmentDelivery] = ()
) -> list[JudgedClaim]:
    """Judge every claim whose arms and measure were measured.

    A void claim keeps its figures, and counts in the correction of p like any other.

    Args:
        arms: values of blocks by arm and measure.
        delivered: whether the arms show their treatments; empty: not measured, and no claim is void.

    """
    from personagen.metrics.statistics.paired import estimate, holm

    tested = [(claim, blocks) for claim in CLAIMS if (blocks := difference(claim, arms)) is not None]
    estimates = [estimate(blocks) for _, blocks in tested]
    p_values = [change.p for change in estimates if change.p is not None]
    corrected = iter(holm(p_values))
    judged = []
    for (claim, _), change in zip(tested, estimates, strict=True):
        p_corrected = None if change.p is None else next(corrected)
        void = void_reason(claim, delivered)
        judged.append(
            JudgedClaim(
                claim.statement,
                claim.measure,
                claim.arm,
                claim.against,
                claim.better,
                claim.null,
                difference=change.value + claim.null,
                low=None if change.low is None else change.low + claim.null,
                high=None if change.high is None else change.high + claim.null,
                p=change.p,
                p_corrected=p_corrected,
                verdict=VOID if void else verdict(claim, change.value, p_corrected),
                detectable=change.detectable(len(p_values)),
                reason=change.reason,
                void=void,
            )
        )
    return judged


def void_reason(claim: Claim, delivered: Sequence[TreatmentDelivery]) -> str | None:
    """Return the measurements by which a treatment of a claim was not delivered; None: there is none."""
    presupposed = set(needed(claim.arm, claim.against, claim.measure))
    failed = [part for part in delivered if part.outcome == NOT_DELIVERED and (part.arm, part.treatment) in presupposed]
    return "; ".join(delivery.sentence() for delivery in failed) or None


def difference(claim: Claim, arms: Mapping[str, Mapping[str, "Blocks"]]) -> "Blocks | None":
    """Return the difference of a claim less its null, per block; None: an arm or the measure is missing."""
    arm = arms.get(claim.arm, {}).get(claim.measure)
    other = None if claim.against is None else arms.get(claim.against, {}).get(claim.measure)
    if arm is None or (claim.against is not None and other is None):
        return None
    if other is not None and other.halves.shape != arm.halves.shape:
        arm, other = (replace(side, halves=side.halves[:, :0]) for side in (arm, other))
    change = arm if other is None else arm.minus(other)
    return change.less(claim.null)


def verdict(claim: Claim, value: float, p_corrected: float | None) -> str:
    """Return the verdict on a claim from its difference (less its null) and the corrected p."""
    if p_corrected is None or p_corrected >= LEVEL:
        return UNDECIDED
    return SUPPORTED if (value > 0) == (claim.better == "higher") else REFUTED


def count_verdicts(claims: Iterable[JudgedClaim]) -> dict[str, int]:
    """Count the claims by verdict."""
    verdicts = [claim.verdict for claim in claims]
    return {name: verdicts.count(name) for name in (SUPPORTED, REFUTED, UNDECIDED, VOID)}
