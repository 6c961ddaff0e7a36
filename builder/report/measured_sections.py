"""Sections on a release's expressions, its realism by label, and what its texts teach beside the yardsticks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personagen.builder.evaluation.samples.draws import sample_sentence
from personagen.builder.evaluation.scores import Score, Scores, displayed, format_number
from personagen.builder.evaluation.slice_scores import SliceScore, below_floor
from personagen.builder.release.verdicts.sentences import expression_sentence, utility_sentence
from personagen.builder.release.verdicts.shown_personas import ANY, LEVEL, attribute_name, persona_sentence
from personagen.builder.report.charts import ValueBesideReal, beside_real_chart
from personagen.builder.report.sections import Cell, Section, SectionTable
from personagen.builder.report.words.measure_ranges import cut
from personagen.metrics.persona.traces import AttributeTrace

ALL_LABELS = "all emotions"
"""Label of the values of all texts."""

STYLE_FIGURES = {
    "named_share": "texts that name their emotion",
    "voiced_share": "texts that voice it",
    "shown_share": "texts that only show it",
    "valenced_per_100": "words with a valence per 100",
    "polarity": "polarity",
    "words_per_text": "words per text",
}
"""Measures of `realism` that the page shows by label, with their names in the menu."""

KINDS = ("named", "voiced", "shown", "unchecked")
"""Expressions that a text can be found to have, in the order of the table."""


def expression_section(manifest: Mapping[str, Any]) -> Section:
    """Return the section on the expression asked for and found; without content if the recipe asks for none."""
    table: Mapping[str, Mapping[str, int]] = manifest.get("expressions") or {}
    kinds = [kind for kind in KINDS if any(kind in found for found in table.values())]
    rows = [
        [Cell(asked), *(_count_cell(found.get(kind, 0), is_asked=kind == asked) for kind in kinds)]
        for asked, found in table.items()
    ]
    return Section(
        "expression",
        "Expression",
        "Number of texts by the expression that the prompt asked for (row) and the one that word lists find (column).",
        expression_sentence(manifest) or "",
        table=SectionTable(["asked for", *kinds], rows),
    )


def _count_cell(count: int, *, is_asked: bool) -> Cell:
    return Cell(f"{count:,}" if count else "", "number supported" if is_asked else "number")


def realism_section(scores: Scores) -> Section:
    """Return the section on how texts of each label are written, beside real ones."""
    by_key = {(score.measure, score.label): score for score in scores.table if score.metric == "realism"}
    labels = list(dict.fromkeys(label for measure, label in by_key if measure in STYLE_FIGURES and label))
    values = {
        name: {
            label or ALL_LABELS: value
            for label in (None, *labels)
            if (value := _beside_real(by_key, measure, label)) is not None
        }
        for measure, name in STYLE_FIGURES.items()
    }
    return Section(
        "realism",
        "Expression and style by emotion",
        "Values of these texts (dots) and of real texts (diamonds). A bar is the 95 % interval of their difference. "
        "Dots of values that do not differ significantly are grey.",
        _style_sentence(values),
        chart=beside_real_chart({name: by_label for name, by_label in values.items() if by_label}),
        lines=list(_outside_null(by_key, labels)),
    )


def _style_sentence(values: Mapping[str, Mapping[str, ValueBesideReal]]) -> str:
    """Return the figures of all texts that differ from those of real texts; "": none was measured."""
    overall = {name: by_label[ALL_LABELS] for name, by_label in values.items() if ALL_LABELS in by_label}
    if not overall:
        return ""
    differing = [
        f"{name} ({format_number(value.value)}, real {format_number(value.real)})"
        for name, value in overall.items()
        if value.differs
    ]
    if not differing:
        return f"Over all emotions, none of {len(overall)} figures differs significantly from that of real texts."
    return (
        f"Over all emotions, {len(differing)} of {len(overall)} figures differ from real texts: {', '.join(differing)}."
    )


def _beside_real(
    by_key: Mapping[tuple[str, str | None], Score], measure: str, label: str | None
) -> ValueBesideReal | None:
    score, difference = by_key.get((measure, label)), by_key.get((f"{measure}_difference", label))
    if score is None or score.value is None or score.floor is None:
        return None
    ends = (None, None) if difference is None else (difference.low, difference.high)
    return ValueBesideReal(score.value, score.floor, *ends)


def _outside_null(by_key: Mapping[tuple[str, str | None], Score], labels: list[str]) -> Iterator[str]:
    """Yield per label the figures that as many real texts would not get."""
    for label in (None, *labels):
        names = [
            f"{name} {format_number(score.value)} (real {format_number(score.floor)})"
            for measure, name in STYLE_FIGURES.items()
            if (score := by_key.get((measure, label))) is not None and score.in_null is False
        ]
        if names:
            yield f"{label or ALL_LABELS}, outside the interval of as many real texts: {', '.join(names)}"


def personas_section(manifest: Mapping[str, Any], scores: Scores | None) -> Section:
    """Return the section on what the texts show of their personas; without content if it was not measured."""
    traces = [] if scores is None else scores.personas
    content = None if scores is None else scores.content
    shown: Mapping[str, Any] = (manifest.get("persona_words") or {}).get("attributes", {})
    checked = (manifest.get("persona_words") or {}).get("checked", 0)
    columns = ["attribute", "texts that show it by words", "with the personas of other texts"]
    if traces:
        columns += ["right among texts with such words", "AUC of the reader", "95 %", "by chance"]
        rows = [_trace_cells(trace) for trace in traces]
    else:
        rows = [
            [Cell(attribute_name(name)), _percent_cell(counts["texts"] / checked), _percent_cell(counts["chance"])]
            for name, counts in shown.items()
        ]
    return Section(
        "traces",
        "What the texts show of their personas",
        "By words: texts with words of an English list that go with the value of their persona, beside the same texts "
        "with the personas of other texts of the emotion. The reader predicts an attribute from the vectors of texts "
        "of other personas; an AUC of 0.5 is chance. Green: better than chance (p < 0.05, Holm-corrected).",
        persona_sentence(manifest, content) or "",
        table=SectionTable(columns, rows) if rows else None,
        lines=_missing_traces(traces),
    )


def _trace_cells(trace: AttributeTrace) -> list[Cell]:
    interval = "" if trace.auc_low is None else f"{format_number(trace.auc_low)} to {format_number(trace.auc_high)}"
    return [
        Cell(attribute_name(trace.attribute)),
        _percent_cell(trace.shown, is_significant=trace.shown_p is not None and trace.shown_p < LEVEL),
        _percent_cell(trace.shown_chance),
        _percent_cell(trace.precision),
        Cell(
            format_number(trace.auc),
            "number supported" if trace.auc_p is not None and trace.auc_p < LEVEL else "number",
        ),
        Cell(interval, "number"),
        Cell(format_number(trace.auc_chance), "number"),
    ]


def _percent_cell(fraction: float | None, *, is_significant: bool = False) -> Cell:
    style = "number supported" if is_significant else "number"
    return Cell("" if fraction is None else f"{fraction:.0%}", style)


def _missing_traces(traces: Sequence[AttributeTrace]) -> list[str]:
    """Return why attributes have no figures of a kind, one line per reason."""
    reasons: dict[str, list[str]] = {}
    for trace in traces:
        if trace.auc is None and trace.reader_reason and trace.attribute != ANY:
            reasons.setdefault(f"no figure of the reader: {trace.reader_reason}", []).append(trace.attribute)
        if trace.shown is None and trace.words_reason:
            reasons.setdefault(f"no figure by words: {trace.words_reason}", []).append(trace.attribute)
    return [f"{', '.join(map(attribute_name, names))}, {reason}" for reason, names in reasons.items()]


def utility_section(scores: Scores) -> Section:
    """Return the section on what the texts teach about each real corpus, beside plain sentences and real texts."""
    slices = scores.slices
    below = below_floor(slices)
    missing = {score.corpus: score.reason for score in slices if score.reason}
    return Section(
        "utility",
        "What the texts teach about real ones",
        "Macro-F1 of a classifier of real texts. It is trained on these texts, on three plain sentences per label (the "
        "floor), or on as many real texts.",
        utility_sentence(scores.content) or "",
        table=SectionTable(
            [
                "real texts",
                "features",
                "these texts",
                "95 %",
                "plain sentences",
                "as many real texts",
                "fraction of real",
            ],
            [_slice_cells(score) for score in slices if score.value is not None],
        ),
        lines=[
            *(f"below the plain sentences: {line}" for line in below),
            *(f"{corpus}: {reason}" for corpus, reason in missing.items()),
        ],
    )


def _slice_cells(score: SliceScore) -> list[Cell]:
    interval = "" if score.low is None else f"{format_number(score.low)} to {format_number(score.high)}"
    fraction = f"{score.value / score.real:.2f}" if score.value is not None and score.real else ""
    return [
        Cell(score.corpus),
        Cell(score.features),
        Cell(format_number(score.value), "number refuted" if score.is_below_floor() else "number"),
        Cell(interval, "number"),
        Cell(format_number(score.floor), "number"),
        Cell(format_number(score.real), "number"),
        Cell(fraction, "number"),
    ]


def scores_section(scores: Scores) -> Section:
    """Return the section with the table of all displayed scores."""
    records = list(displayed(scores))
    return Section(
        "scores",
        "Scores",
        "“Better” is the direction in which a value is better; “real”: as near to the value of real text as possible. "
        "Values of real text are those of the same measure at the same number of texts.",
        _inside_sentence(records),
        table=SectionTable(
            ["measure", "these texts", "95 %", "real text", "better"], [_score_cells(score) for score in records]
        ),
        lines=[
            *filter(None, [sample_sentence(scores.content)]),
            *(f"{metric}: {reason}" for metric, reason in scores.content["problems"].items()),
        ],
    )


def _inside_sentence(records: Sequence[Score]) -> str:
    """Return how many measures have a value that as many real texts could have; "": none was compared."""
    compared = [score for score in records if score.in_null is not None]
    outside = [score.measure for score in compared if score.in_null is False]
    if not compared:
        return ""
    return (
        f"{len(compared) - len(outside)} of {len(compared)} measures have a value in the range that holds 95 % of the "
        f"values of as many real texts{'; outside: ' if outside else ''}{', '.join(outside)}."
    )


def _score_cells(score: Score) -> list[Cell]:
    low, high = cut(score.low, score.measure), cut(score.high, score.measure)
    return [
        Cell(f"{score.metric}: {score.measure}" + (" (not validated)" if score.reason else "")),
        Cell(format_number(score.value), "number refuted" if score.in_null is False else "number"),
        Cell("" if low is None else f"{format_number(low)} to {format_number(high)}", "number"),
        Cell(format_number(score.floor), "number"),
        Cell(score.better or ""),
    ]
