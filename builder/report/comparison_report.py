"""Report on a comparison: verdicts on the claims, costs and figures of the arms, and the texts of all arms."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from personagen.builder.core.progress import Progress
from personagen.builder.evaluation.arms.delivery import FULL
from personagen.builder.evaluation.claims import REFUTED, SUPPORTED, UNDECIDED, VOID, JudgedClaim, count_verdicts
from personagen.builder.evaluation.comparison import (
    ArmCost,
    ComparedText,
    ComparisonResults,
    read_comparison,
)
from personagen.builder.evaluation.comparison_tables import MAIN, classifier_line, cost_cells, lexicon_note
from personagen.builder.release.measuring import accuracy_line, accuracy_of
from personagen.builder.report.charts import NOT_SIGNIFICANT, Chart, ValueWithInterval, interval_chart
from personagen.builder.report.persona_coverage import CountedPersonas, count_personas, package_tables
from personagen.builder.report.rejected_replies import RejectedReply, draw_examples
from personagen.builder.report.sections import (
    Cell,
    Section,
    SectionTable,
    persona_sections,
    rejects_section,
    text_sections,
)
from personagen.builder.report.text_groups import (
    COLOURS,
    MAX_TEXTS,
    REAL_COLOUR,
    Point,
    ReportText,
    TextGroup,
    project_texts,
    sample,
)
from personagen.builder.report.words.measure_ranges import cut
from personagen.builder.report.words.of_comparisons import claim_sentences, comparison_concerns, extremes_sentence

REAL_ARM = "real"
"""Arm whose texts people wrote."""

BARE_ARM = "none"
"""Arm without a persona, which charts show from the start as the baseline."""

VERDICT_COLOURS = {SUPPORTED: "#2f9e4f", REFUTED: "#d9480f"}
"""Colours of decided claims."""

VERDICT_STYLES = {SUPPORTED: "supported", REFUTED: "refuted"}


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonReport:
    """Content of the page of a comparison.

    Attributes:
        title: heading of the page.
        facts: facts at its top, by name.
        verdicts: sentences on the claims.
        concerns: reasons for caution.
        notes: reasons why a part is not shown; none.
        emotions: labels in order.
        groups: a sample of the texts of each arm.
        points: position of every text on the map, group by group.
        main: the arm of the full method, or else the first one that a model wrote.
        personas: counts over all personas of that arm.
        examples: rejected replies by reason.
        comparison: results of the comparison.

    """

    title: str
    facts: Mapping[str, str]
    verdicts: Sequence[str]
    concerns: Sequence[str]
    notes: Sequence[str]
    emotions: Sequence[str]
    groups: Sequence[TextGroup]
    points: Sequence[Point]
    main: str
    personas: CountedPersonas
    examples: Mapping[str, Sequence[RejectedReply]]
    comparison: ComparisonResults

    @property
    def accuracy_note(self) -> str:
        """How often the predictions in the table of texts are right."""
        return accuracy_line(accuracy_of(self.comparison.facts.classifier))

    @property
    def measures_sample(self) -> bool:
        """Whether scores are those of a part of the texts: never."""
        return False

    def sections(self) -> Iterator[Section]:
        """Yield the sections of the page in order."""
        arms = self.comparison.arms
        yield _verdicts_section(self.comparison.claims)
        yield _costs_section(arms)
        yield _arms_section(self.comparison)
        yield from text_sections(
            self.groups, self.points, self.emotions, self.main, accuracy_of(self.comparison.facts.classifier)
        )
        yield from persona_sections(self.personas, package_tables())
        colours = {group.name: group.colour for group in self.groups}
        yield rejects_section({cost.arm: cost.rejects for cost in arms}, colours, self.examples)


def read_comparison_report(folder: Path, seed: int, progress: Progress) -> ComparisonReport:
    """Read the report of a comparison.

    Args:
        folder: the comparison.
        seed: seed of the sample and the map.
        progress: receiver of the steps.

    Raises:
        ReleaseError: a file is missing or damaged.
        BackendError: the embedding model cannot be loaded.

    """
    report = _read(folder, seed)
    progress.step(f"computing the map of {sum(len(group.texts) for group in report.groups)} texts")
    return replace(report, points=project_texts(report.groups, report.comparison.facts.embeddings, seed))


def _read(folder: Path, seed: int) -> ComparisonReport:
    """Read the report without the positions of its texts."""
    comparison = read_comparison(folder)
    arms = [cost.arm for cost in comparison.arms]
    texts = {arm: [text for text in comparison.texts if text.arm == arm] for arm in arms}
    main = FULL if FULL in arms else next((arm for arm in arms if arm != REAL_ARM), arms[0])
    personas = {(text.seed, text.persona_id): text.persona for text in texts[main] if text.persona}
    return ComparisonReport(
        title="Does conditioning on personas help?",
        facts=_facts_of_comparison(comparison),
        verdicts=list(claim_sentences(comparison.claims)),
        concerns=list(comparison_concerns(comparison)),
        notes=[],
        emotions=comparison.facts.emotions,
        groups=[
            TextGroup(
                arm,
                [_arm_text(texts[arm][row]) for row in sample(len(texts[arm]), MAX_TEXTS // len(arms), seed)],
                len(texts[arm]),
                REAL_COLOUR if arm == REAL_ARM else COLOURS[number % len(COLOURS)],
                real=arm == REAL_ARM,
                visible=arm in (main, REAL_ARM, BARE_ARM),
            )
            for number, arm in enumerate(arms)
        ],
        points=[],
        main=main,
        personas=count_personas(personas.values()),
        examples=draw_examples(lambda: comparison.rejects, seed),
        comparison=comparison,
    )


def _arm_text(text: ComparedText) -> ReportText:
    ids = {"seed": text.seed} | ({"persona_id": text.persona_id} if text.persona_id is not None else {})
    return ReportText(text.arm, text.id, text.text, text.label, text.prediction, text.confidence, text.persona, ids)


def _facts_of_comparison(comparison: ComparisonResults) -> dict[str, str]:
    facts = comparison.facts
    return {
        "verdicts": ", ".join(f"{count} {verdict}" for verdict, count in count_verdicts(comparison.claims).items()),
        "texts per arm": f"{facts.rows:,} in {facts.seeds} seeds",
        "model": f"{facts.model['name']} ({facts.model['backend']})",
        "real texts": facts.reference["name"],
        **({"command": facts.command} if facts.command else {}),
        "emotion classifier": classifier_line(facts.classifier),
        **({"best arm": f"{comparison.best} (best.yaml)"} if comparison.best else {}),
    }


def _verdicts_section(claims: Sequence[JudgedClaim]) -> Section:
    rows = [
        [
            Cell(claim.statement),
            Cell(claim.verdict, VERDICT_STYLES.get(claim.verdict, "")),
            Cell(f"{claim.measure}: {claim.arm}" + (f" against {claim.against}" if claim.against else "")),
            Cell(f"{claim.difference:+.3g}", "number"),
            Cell("" if claim.low is None else f"{claim.low:+.3g} to {claim.high:+.3g}", "number"),
            Cell("" if claim.p_corrected is None else f"{claim.p_corrected:.2g}", "number"),
            Cell("" if claim.detectable is None else f"{claim.detectable:.3g}", "number"),
        ]
        for claim in claims
    ]
    return Section(
        "verdicts",
        "Verdicts",
        "p is corrected for the number of claims (Holm). Not supported: the opposite is significant. Undecided is no "
        "evidence of equality: of differences of the size in the last column, 80 % would have been found. Void: the "
        "texts do not show the treatment that the claim is about.",
        _paired_sentence(claims),
        table=SectionTable(["claim", "verdict", "comparison", "difference", "95 % interval", "p", "detectable"], rows),
        lines=[f"Void: {reason}." for reason in dict.fromkeys(claim.void for claim in claims if claim.void)],
        chart=claims_chart(claims),
    )


def _paired_sentence(claims: Sequence[JudgedClaim]) -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in count_verdicts(claims).items())
    return f"Of {len(claims)} claims, {counts}." if claims else ""


def claims_chart(claims: Sequence[JudgedClaim]) -> Chart | None:
    """Draw the paired difference of each claim beyond its null, by measure; only decided claims are coloured."""
    estimates: dict[str, dict[str, ValueWithInterval]] = {}
    for claim in sorted(claims, key=lambda claim: claim.verdict in (UNDECIDED, VOID)):  # decided ones are seen first
        against = f" less {claim.against}" if claim.against else ""
        beyond = f", beyond {claim.null:g}" if claim.null else ""
        estimates.setdefault(claim.measure, {})[f"{claim.arm}{against}{beyond}"] = ValueWithInterval(
            claim.difference - claim.null,
            None if claim.low is None else claim.low - claim.null,
            None if claim.high is None else claim.high - claim.null,
            VERDICT_COLOURS.get(claim.verdict, NOT_SIGNIFICANT),
        )
    return interval_chart(estimates, null=0.0)


def _costs_section(arms: Sequence[ArmCost]) -> Section:
    rows = list(cost_cells(arms))
    columns = list(rows[0])
    styles = {name: "" if name in (columns[0], columns[-1]) else "number" for name in columns}
    cells = [[Cell(row[name], styles[name]) for name in columns] for row in rows]
    return Section("costs", "Cost", table=SectionTable(columns, cells))


def _arms_section(comparison: ComparisonResults) -> Section:
    estimates: dict[str, dict[str, ValueWithInterval]] = {name: {} for name in MAIN}
    note = lexicon_note(comparison)
    for figure in comparison.figures:
        by_arm = estimates.setdefault(figure.measure, {})
        ends = cut(figure.low, figure.measure), cut(figure.high, figure.measure)
        by_arm[figure.arm] = ValueWithInterval(figure.value, *ends, REAL_COLOUR if figure.arm == REAL_ARM else None)
    estimates = {name: by_arm for name, by_arm in estimates.items() if by_arm}
    return Section(
        "arms",
        "Arms",
        "Value over all seeds with its 95 % interval. Intervals of two arms may overlap although their paired "
        "difference is significant: see the verdicts.",
        extremes_sentence(estimates),
        chart=interval_chart(estimates),
        lines=[note] if note else [],
    )
