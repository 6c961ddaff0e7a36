"""Report on a match: its conclusions, its arms, and the best arm beside real training texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from personagen.builder.evaluation.comparison_tables import signed
from personagen.builder.evaluation.matching.match_results import (
    MatchedArm,
    MatchResults,
    Yardstick,
    read_match,
)
from personagen.builder.evaluation.scores import format_number
from personagen.builder.report.charts import ValueWithInterval, interval_chart
from personagen.builder.report.sections import Cell, Section, SectionTable
from personagen.builder.report.text_groups import TextGroup
from personagen.builder.report.words.measure_ranges import cut
from personagen.builder.report.words.of_comparisons import extremes_sentence


@dataclass(frozen=True, slots=True, eq=False)
class MatchReport:
    """Content of the page of a match, which has no texts.

    Attributes:
        title: heading of the page.
        facts: facts at its top, by name.
        match: results of the match.
        concerns: reasons for caution; none beyond the conclusions.
        accuracy_note: nothing: the page has no predictions.
        notes: reasons why a part is not shown.
        emotions: labels in order.
        groups: groups of texts; none.

    """

    title: str
    facts: Mapping[str, str]
    match: MatchResults
    notes: Sequence[str] = ()
    concerns: Sequence[str] = ()
    accuracy_note: str = ""
    emotions: Sequence[str] = ()
    groups: Sequence[TextGroup] = ()

    @property
    def verdicts(self) -> Sequence[str]:
        """Conclusions of the match."""
        return self.match.conclusions

    @property
    def measures_sample(self) -> bool:
        """Whether scores are those of a part of the texts: never."""
        return False

    def sections(self) -> Iterator[Section]:
        """Yield the sections of the page in order."""
        yield _match_arms_section(self.match)
        yield _yardsticks_section(self.match.yardsticks)


def read_match_report(folder: Path) -> MatchReport:
    """Read the report of a match.

    Raises:
        ReleaseError: `match.json` is missing, damaged, or of another version.

    """
    match = read_match(folder)
    facts = match.facts
    reference = facts.reference
    return MatchReport(
        title=f"Texts like those of {reference['name']}",
        facts={
            "best arm": match.best,
            **({"worth": match.test["worth"]["words"]} if match.test.get("worth") else {}),
            "texts per arm": f"{facts.rows:,}",
            "model": f"{facts.model['name']} ({facts.model['backend']})",
            "real texts": f"{reference['pool']:,} to work with, {reference['test']:,} to test on",
            "labels": ", ".join(f"{label} {count:,}" for label, count in reference["labels"].items()) or "none",
            **({"command": facts.command} if facts.command else {}),
        },
        match=match,
    )


def _match_arms_section(match: MatchResults) -> Section:
    measure = "macro-F1" if match.facts.labelled else "MMD²"
    explanation = (
        "Macro-F1 of a classifier trained on the texts of the arm, on real texts that its prompts have not shown."
        if match.facts.labelled
        else "Distance of the texts from the real ones (MMD²); less is better."
    )
    bounded = "macro_f1" if match.facts.labelled else "mmd2"
    scores = {
        arm.arm: ValueWithInterval(arm.score, cut(arm.low, bounded), cut(arm.high, bounded))
        for arm in match.arms
        if arm.score is not None
    }
    return Section(
        "arms",
        "Arms",
        f"{explanation} Intervals are 95 %.",
        extremes_sentence({measure: scores}),
        table=SectionTable(
            ["arm", measure, "95 %", "texts", "missing", "tokens", "about"],
            [_match_arm_cells(arm, match.best) for arm in match.arms],
        ),
        chart=interval_chart({measure: scores} if scores else {}),
        lines=[f"{arm.arm} has no score: {arm.reason}" for arm in match.arms if arm.reason],
    )


def _match_arm_cells(arm: MatchedArm, best: str) -> list[Cell]:
    return [
        Cell(arm.arm, "supported" if arm.arm == best else ""),
        Cell(format_number(arm.score), "number"),
        Cell(_range_text(arm.low, arm.high), "number"),
        Cell(f"{arm.texts:,}", "number"),
        Cell(f"{arm.missing:,}" if arm.missing else "", "number"),
        Cell(f"{arm.tokens:,}", "number"),
        Cell(arm.about),
    ]


def _yardsticks_section(yardsticks: Sequence[Yardstick]) -> Section:
    scores = {
        one.training: ValueWithInterval(one.macro_f1, cut(one.low, "macro_f1"), cut(one.high, "macro_f1"))
        for one in yardsticks
        if one.macro_f1 is not None
    }
    differences = {
        one.training: ValueWithInterval(one.difference, one.difference_low, one.difference_high)
        for one in yardsticks
        if one.difference is not None and one.difference_low is not None
    }
    figures = {"macro-F1": scores, "less that of the arm": differences}
    return Section(
        "yardsticks",
        "The best arm beside real texts",
        "Macro-F1 on the test part, which nothing else has seen, by what the classifier was trained on. Intervals are "
        "95 %.",
        extremes_sentence({"macro-F1": scores}),
        table=SectionTable(
            ["trained on", "texts", "macro-F1", "95 %", "less that of the arm", "95 %"],
            [_yardstick_row(one) for one in yardsticks if one.macro_f1 is not None],
        ),
        chart=interval_chart({name: by_training for name, by_training in figures.items() if by_training}),
        lines=[f"{one.training}: {one.reason}" for one in yardsticks if one.reason],
    )


def _yardstick_row(one: Yardstick) -> list[Cell]:
    return [
        Cell(one.training),
        Cell(f"{one.rows:,}" if one.rows else "", "number"),
        Cell(format_number(one.macro_f1), "number"),
        Cell(_range_text(one.low, one.high), "number"),
        Cell(signed(one.difference), "number"),
        Cell(_range_text(one.difference_low, one.difference_high, sign=True), "number"),
    ]


def _range_text(low: float | None, high: float | None, *, sign: bool = False) -> str:
    if low is None or high is None:
        return ""
    return f"{signed(low)} to {signed(high)}" if sign else f"{format_number(low)} to {format_number(high)}"
