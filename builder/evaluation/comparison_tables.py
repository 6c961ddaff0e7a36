"""Render a comparison as Markdown: verdicts, tables of figures with their intervals, costs, ratings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from personagen.builder.evaluation.claims import SUPPORTED, JudgedClaim, count_verdicts
from personagen.builder.evaluation.comparison import ArmCost, ArmFigure, ArmRating, ComparisonFacts, ComparisonResults
from personagen.builder.evaluation.scores import format_number
from personagen.metrics.statistics.crossed import MIN_WORDINGS

MAIN: Mapping[str, str] = {
    "vendi_score": "Vendi score",
    "self_bleu": "self-BLEU",
    "mmd2": "MMD²",
    "c2st_auc": "C2ST AUC",
    "label_agreement": "label agreement",
    "leak_rate": "leak rate",
    "tstr_macro_f1": "TSTR F1",
    "masked_tstr_macro_f1": "TSTR F1, masked",
    "gain_macro_f1": "gain on 100 real",
}
"""Measures of the first table, with their headings; tables of all others follow."""

MAX_COLUMNS = 8
"""Measures per further table."""


def comparison_markdown(comparison: ComparisonResults) -> str:
    """Return the content of `results.md`."""
    return "\n".join(_lines(comparison)) + "\n"


def _lines(comparison: ComparisonResults) -> Iterator[str]:
    facts = comparison.facts
    yield "# Does conditioning on personas help?"
    yield ""
    yield (
        f"{facts.rows} texts per arm in {facts.seeds} seeds by {facts.model['name']} ({facts.model['backend']}), "
        f"against {facts.reference['name']}. Intervals are 95 %{_over_wordings(facts)}; {_made_by(facts)}."
    )
    yield ""
    yield "## Verdicts"
    yield ""
    yield f"Of {len(comparison.claims)} claims: {_verdict_counts(comparison.claims)}."
    yield (
        "p is corrected for their number (Holm). *Not supported*: the opposite is significant. *Undecided* is no "
        "evidence of equality: of differences of the size in the last column, 80 % would have been found. *Void*: the "
        "texts do not show the treatment that the claim is about, whatever their difference."
    )
    yield ""
    yield from claims_table(comparison.claims)
    yield ""
    yield from _treatments(comparison)
    yield "## Arms"
    yield ""
    yield from figures_table(comparison, MAIN)
    if note := lexicon_note(comparison):
        yield ""
        yield note
    yield ""
    yield "## Cost"
    yield ""
    yield from markdown_table(
        [*next(cost_cells(comparison.arms))], [[*row.values()] for row in cost_cells(comparison.arms)], "l"
    )
    yield from _ratings(comparison.ratings)
    yield ""
    yield "## Label classifier"
    yield ""
    yield classifier_line(facts.classifier)
    others = [name for name in dict.fromkeys(figure.measure for figure in comparison.figures) if name not in MAIN]
    for start in range(0, len(others), MAX_COLUMNS):
        yield ""
        yield "## All figures" if start == 0 else ""
        yield ""
        yield from figures_table(comparison, {name: f"`{name}`" for name in others[start : start + MAX_COLUMNS]})


def _over_wordings(facts: ComparisonFacts) -> str:
    """Return what a sentence about intervals adds on wordings of the prompt; "": it has one."""
    if not facts.wordings:
        return ""
    names = f"over seeds and over wordings of the prompt ({', '.join(facts.wordings)})"
    if len(facts.wordings) < MIN_WORDINGS:
        return f" {names}, and left out: {MIN_WORDINGS} wordings or more show how much wordings differ"
    return f", {names}"


def _made_by(facts: ComparisonFacts) -> str:
    command = f"`{facts.command}`, " if facts.command else ""
    return f"{command}PersonaGen {facts.personagen}"


def _verdict_counts(claims: Iterable[JudgedClaim]) -> str:
    return ", ".join(f"{count} {name}" for name, count in count_verdicts(claims).items())


def verdict_lines(claims: Sequence[JudgedClaim]) -> Iterator[str]:
    """Yield one line per claim for the terminal, then the number of claims per verdict."""
    for claim in claims:
        interval = "" if claim.low is None else f" [{signed(claim.low)}, {signed(claim.high)}]"
        p = "" if claim.p_corrected is None else f", p {claim.p_corrected:.2g}"
        against = f" - {claim.against}" if claim.against else ""
        yield (
            f"{claim.verdict}: {claim.statement} ({claim.measure}, {claim.arm}{against}: "
            f"{signed(claim.difference)}{interval}{p}{_power(claim)})"
        )
    yield _verdict_counts(claims)


def claims_table(claims: Iterable[JudgedClaim]) -> Iterator[str]:
    """Yield a Markdown table with one row per claim."""
    rows = []
    for claim in claims:
        against = claim.against or format_number(claim.null)
        interval = "" if claim.low is None else f"{signed(claim.low)} to {signed(claim.high)}"
        p = "" if claim.p_corrected is None else f"{claim.p_corrected:.2g}"
        compared = f"{claim.measure}: {claim.arm} against {against}"
        power = "" if claim.detectable is None else format_number(claim.detectable)
        rows.append([claim.statement, f"**{claim.verdict}**", compared, signed(claim.difference), interval, p, power])
    yield from markdown_table(["claim", "verdict", "compared", "difference", "95 %", "p", "detectable"], rows, "lll")


def _treatments(comparison: ComparisonResults) -> Iterator[str]:
    """Yield whether the texts of each arm show its treatment, and the best arm with its recipe."""
    if comparison.treatments:
        yield "## Treatments"
        yield ""
        yield (
            "A treatment is *not delivered* if its effect is below the least one that counts (one-sided 95 %) and not "
            "significantly above none; claims that presuppose it are void."
        )
        yield ""
        rows = [
            [part.arm, part.treatment, part.measure, f"**{part.outcome}**", format_number(part.value),
             "" if part.upper is None else format_number(part.upper), format_number(part.least)]
            for part in comparison.treatments
        ]  # fmt: skip
        yield from markdown_table(
            ["arm", "treatment", "measure", "outcome", "value", "at most", "least that counts"], rows, "llll"
        )
        yield ""
    if comparison.best is not None:
        yield (
            f"Best arm: {comparison.best}, by the macro-F1 of a classifier that its texts train (of equal arms the one "
            "with fewest tokens; arms without a recipe and arms that do not show their treatment are left out). Its "
            "recipe is `best.yaml`; `recipes` has those of all arms."
        )
        yield ""


def _power(claim: JudgedClaim) -> str:
    """Return the detectable difference of a claim that is not supported, or why it has no interval or is void."""
    if claim.void is not None:
        return f"; {claim.void}"
    if claim.verdict == SUPPORTED:
        return ""
    if claim.detectable is None:
        return f"; no interval: {claim.reason}"
    return f"; detectable: {format_number(claim.detectable)}"


def figures_table(comparison: ComparisonResults, measures: Mapping[str, str]) -> Iterator[str]:
    """Yield a Markdown table with one row per arm and one column per measure.

    Args:
        comparison: the results.
        measures: headings by measure.

    """
    figures = {(figure.arm, figure.measure): figure for figure in comparison.figures}
    rows = [[cost.arm, *(_cell(figures.get((cost.arm, measure))) for measure in measures)] for cost in comparison.arms]
    yield from markdown_table(["arm", *measures.values()], rows, "l")


def lexicon_note(comparison: ComparisonResults) -> str | None:
    """Return the reason why arms have no leak rate; None: all have one."""
    having = {figure.arm for figure in comparison.figures if figure.measure == "leak_rate"}
    missing = list(dict.fromkeys(figure.arm for figure in comparison.figures if figure.arm not in having))
    if not missing:
        return None
    return (
        f"Leak rate of {', '.join(missing)}: not checked, since most texts are not in English and the lexicon of "
        "emotion words is. Masking finds no words there either."
    )


def cost_cells(arms: Iterable[ArmCost]) -> Iterator[dict[str, str]]:
    """Yield the cells of the table of costs, one row per arm, by heading."""
    for cost in arms:
        yield {
            "arm": cost.arm,
            "texts": str(cost.texts),
            "missing": str(cost.missing or ""),
            "tokens per text": format_number(cost.tokens_per_text),
            "cost per text": "" if cost.cost_per_text is None else f"{cost.cost_per_text:.3g}",
            "rejects per text": format_number(cost.rejects_per_text),
            "reasons": ", ".join(f"{reason} {count}" for reason, count in cost.rejects.items()),
        }


def classifier_line(classifier: Mapping[str, Any]) -> str:
    """Return the training and the test results of the emotion classifier in one line."""
    return (
        f"Logistic regression on {classifier['model']}, trained on {classifier['trained_on']} texts of "
        f"{classifier['reference']} (version {classifier['version']}). On {classifier['tested_on']} held-out texts: "
        f"accuracy {classifier['accuracy']:.3f}, balanced accuracy {classifier['balanced_accuracy']:.3f}, "
        f"macro-F1 {classifier['macro_f1']:.3f}, calibration error {classifier['calibration_error']:.3f}."
        f"{_elsewhere(classifier)}"
    )


def _elsewhere(classifier: Mapping[str, Any]) -> str:
    """Return the test results outside the reference; "": it was not tested there."""
    if not classifier.get("other_reference"):
        return " Its accuracy on texts of other kinds, as these are, is unknown."
    return (
        f" On {classifier['other_tested_on']} texts of other corpora ({classifier['other_reference']}): accuracy "
        f"{classifier['other_accuracy']:.3f}, balanced accuracy {classifier['other_balanced_accuracy']:.3f}, "
        f"calibration error {classifier['other_calibration_error']:.3f}. Its confidence is calibrated on "
        f"other texts of {classifier['calibrated_on']}."
    )


def _ratings(ratings: Sequence[ArmRating]) -> Iterator[str]:
    if not ratings:
        return
    yield ""
    yield "## Human-likeness"
    yield ""
    doubt = next((rating.reason for rating in ratings if rating.rating is not None and rating.reason), None)
    if doubt:
        yield f"Not validated: {doubt}"
        yield ""
    rows = [
        [rating.arm, rating.reason or "", "", ""]
        if rating.rating is None
        else [rating.arm, *map(format_number, (rating.rating, rating.gap, rating.auc))]
        for rating in ratings
    ]
    yield from markdown_table(["arm", "rating", "above real", "AUC against real"], rows, "l")


def _cell(figure: ArmFigure | None) -> str:
    if figure is None:
        return ""
    if figure.low is None or figure.high is None:
        return format_number(figure.value)
    return f"{format_number(figure.value)} ± {(figure.high - figure.low) / 2:.2g}"


def signed(value: float | None) -> str:
    """Format a difference with its sign; None: empty."""
    return "" if value is None else f"{'+' if value > 0 else ''}{format_number(value)}"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], left: str) -> Iterator[str]:
    """Yield a Markdown table; the first `len(left)` columns are aligned left, the others are numbers."""
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" if column < len(left) else "---:" for column in range(len(head))) + " |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
