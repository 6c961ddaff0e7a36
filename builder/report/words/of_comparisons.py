"""Sentences on a comparison: its claims by verdict, and reasons for caution."""

from collections.abc import Iterator, Mapping, Sequence

from personagen.builder.evaluation.claims import REFUTED, SUPPORTED, UNDECIDED, VOID, JudgedClaim
from personagen.builder.evaluation.comparison import ComparisonResults
from personagen.builder.release.measuring import accuracy_of
from personagen.builder.report.charts import ValueWithInterval

MIN_SEEDS = 3
"""Seeds below which intervals are called rough."""

MIN_CLASSIFIER_ACCURACY = 0.6
"""Accuracy on other corpora below which predictions are called weak evidence."""

MEANINGS = {
    SUPPORTED: "is supported",
    REFUTED: "is not supported: the opposite is significant",
    UNDECIDED: "is undecided",
    VOID: "is void: the texts do not show its treatment",
}
"""Verdicts in sentences."""


def claim_sentences(claims: Sequence[JudgedClaim]) -> Iterator[str]:
    """Yield one sentence per decided claim, supported ones first, then one on the undecided claims."""
    for verdict in (SUPPORTED, REFUTED):
        for claim in claims:
            if claim.verdict == verdict:
                against = f" against {claim.against}" if claim.against else ""
                interval = "" if claim.low is None else f", 95 % interval {claim.low:+.3g} to {claim.high:+.3g}"
                yield (
                    f"“{claim.statement}” {MEANINGS[verdict]} ({claim.measure} of {claim.arm}{against}: "
                    f"{claim.difference:+.3g}{interval})."
                )
    for reason in dict.fromkeys(claim.void for claim in claims if claim.void is not None):
        count = sum(claim.void == reason for claim in claims)
        yield (
            f"{count} of {len(claims)} claims {'are' if count > 1 else 'is'} void: the texts do not show the treatment "
            f"({reason})."
        )
    undecided = sum(claim.verdict == UNDECIDED for claim in claims)
    if undecided:
        yield (
            f"{undecided} of {len(claims)} claims {'are' if undecided > 1 else 'is'} undecided: their effect is "
            "smaller than this comparison can find, or there is none."
        )


def comparison_concerns(comparison: ComparisonResults) -> Iterator[str]:
    """Yield reasons for caution about a comparison."""
    facts = comparison.facts
    if facts.seeds < MIN_SEEDS:
        yield f"With {facts.seeds} seed{'s' if facts.seeds > 1 else ''}, intervals are rough or missing."
    missing = {cost.arm: cost.missing for cost in comparison.arms if cost.missing}
    if missing:
        listed = ", ".join(f"{arm} {count:,}" for arm, count in missing.items())
        yield f"Texts are missing, which may favour the arms that lack them: {listed}."
    accuracy = accuracy_of(facts.classifier)
    if accuracy is None or accuracy.other_accuracy is None:
        yield "How often the emotion classifier is right on texts like these is unknown."
    elif accuracy.other_accuracy < MIN_CLASSIFIER_ACCURACY:
        yield (
            f"Label agreement is weak evidence: the emotion classifier is right on {accuracy.other_accuracy:.0%} of "
            f"the texts of other corpora ({accuracy.other_reference})."
        )
    if any(rating.reason for rating in comparison.ratings):
        yield "Some arms have no rating by judges, or one that is not validated."


def extremes_sentence(estimates: Mapping[str, Mapping[str, ValueWithInterval]]) -> str:
    """Return the highest and the lowest value of the first figure; "": fewer than two values."""
    figure, values = next(iter(estimates.items()), ("", {}))
    if len(values) < 2:
        return ""
    high, low = (choose(values, key=lambda name: values[name].value) for choose in (max, min))
    return (
        f"The {figure} is highest for {high} ({values[high].value:.3g}) and lowest for {low} ({values[low].value:.3g})."
    )
