"""What is claimed for conditioning on personas, and what a comparison says of each claim.

A claim is one paired difference between two arms; all that can be tested in a comparison are corrected together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from personagen.metrics.statistics.paired import Blocks

LEVEL = 0.05
MARGIN = 0.02
"""Macro-F1 that counts as no loss where texts are to take the place of real ones."""

SUPPORTED, REFUTED, UNDECIDED = "supported", "not supported", "undecided"


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement that a difference decides.

    Attributes:
        says: the statement.
        measure: what is compared.
        arm: the arm that should be better.
        against: the arm that it is compared with; None where the value itself is compared with `null`.
        better: "higher" or "lower".
        null: the difference at which the statement begins to be false.

    """

    says: str
    measure: str
    arm: str
    against: str | None
    better: str = "higher"
    null: float = 0.0


FULL = "situational"
MATCHED = "none-lengthmatched"

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
    Claim("Texts are harder to tell from real ones than without a persona", "c2st_auc", FULL, MATCHED, "lower"),
    Claim("A persona leaves its trace in its texts", "persona_f", FULL, None, null=1.0),
    Claim("A classifier learns more than from texts without a persona", "masked_tstr_macro_f1", FULL, MATCHED),
    Claim("A classifier learns more than from texts after real examples", "masked_tstr_macro_f1", FULL, "few-shot"),
    Claim("A classifier learns more than from paraphrases of real texts", "masked_tstr_macro_f1", FULL, "paraphrase"),
    Claim("A classifier learns more than from retrieved real texts", "masked_tstr_macro_f1", FULL, "retrieval"),
    Claim("The texts can take the place of as many real ones", "tstr_macro_f1", FULL, "real", null=-MARGIN),
    Claim("Added to 100 real texts, they make a better classifier", "gain_macro_f1", FULL, None),
    Claim("Real examples bring the full method closer to real texts", "mmd2", "full+real", FULL, "lower"),
    Claim("Real examples make the full method's labels truer", "label_agreement", "full+real", FULL),
    Claim("Real examples make the full method more useful", "masked_tstr_macro_f1", "full+real", FULL),
)


def judged(arms: Mapping[str, Mapping[str, "Blocks"]]) -> list[dict[str, Any]]:
    """Judge every claim whose arms and measure are there.

    Returns:
        The claim's fields, the difference with its 95 % interval, p and corrected p (None where nothing tells them),
        and the verdict: "supported", "not supported" (the opposite is), or "undecided".

    """
    from personagen.metrics.statistics.paired import estimate, holm

    tested = [(claim, apart) for claim in CLAIMS if (apart := difference(claim, arms)) is not None]
    estimates = [estimate(apart) for _, apart in tested]
    chances = [each.p for each in estimates]
    corrected = iter(holm([chance for chance in chances if chance is not None]))
    results = []
    for (claim, _), found in zip(tested, estimates, strict=True):
        chance = None if found.p is None else next(corrected)
        shift = claim.null
        results.append(
            {
                **asdict(claim),
                "difference": found.value + shift,
                "low": None if found.low is None else found.low + shift,
                "high": None if found.high is None else found.high + shift,
                "p": found.p,
                "p_corrected": chance,
                "verdict": verdict(claim, found.value, chance),
            }
        )
    return results


def difference(claim: Claim, arms: Mapping[str, Mapping[str, "Blocks"]]) -> "Blocks | None":
    """Take the difference that a claim is about, less its null; None where an arm or the measure is missing."""
    from personagen.metrics.statistics.paired import Blocks

    own = arms.get(claim.arm, {}).get(claim.measure)
    other = None if claim.against is None else arms.get(claim.against, {}).get(claim.measure)
    if own is None or (claim.against is not None and other is None):
        return None
    if other is not None and other.halves.shape != own.halves.shape:
        own, other = (Blocks(side.wholes, side.halves[:, :0]) for side in (own, other))
    found = own if other is None else own.minus(other)
    return Blocks(found.wholes - claim.null, found.halves - claim.null)


def verdict(claim: Claim, value: float, chance: float | None) -> str:
    """Say what a difference (less its null) with a corrected p means for a claim."""
    if chance is None or chance >= LEVEL:
        return UNDECIDED
    return SUPPORTED if (value > 0) == (claim.better == "higher") else REFUTED


def counts(results: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count the verdicts."""
    return {name: sum(each["verdict"] == name for each in results) for name in (SUPPORTED, REFUTED, UNDECIDED)}
