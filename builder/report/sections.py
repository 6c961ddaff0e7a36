"""Sections of a report's page, and those that releases and comparisons share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from personagen.builder.release.measuring import ClassifierAccuracy, accuracy_line
from personagen.builder.release.verdicts.reject_reasons import reasons_line
from personagen.builder.report.charts import Chart, rejects_chart
from personagen.builder.report.persona_charts import pairs_chart, values_chart
from personagen.builder.report.persona_coverage import (
    ConditionedTables,
    CountedPersonas,
    expected_fractions,
    observed_fractions,
    pair_coverage,
)
from personagen.builder.report.rejected_replies import RejectedReply
from personagen.builder.report.text_charts import (
    confusion_chart,
    growth_chart,
    length_chart,
    map_chart,
    vocabulary_chart,
)
from personagen.builder.report.text_groups import Point, TextGroup
from personagen.builder.report.words.of_personas import pairs_sentence, rejects_sentence, values_sentence
from personagen.builder.report.words.of_texts import (
    confusion_sentence,
    growth_sentence,
    length_sentence,
    map_sentence,
    vocabulary_sentence,
)


class Cell(NamedTuple):
    """Cell of a table: its text, and its style ("number", "supported", "refuted", or "" for plain text)."""

    text: str
    style: str = ""


class SectionTable(NamedTuple):
    """Table of a section."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page; parts that are empty are left out.

    Attributes:
        id: identifier of the section in the page.
        heading: its heading.
        explanation: a sentence or two on how to read it.
        seen: the result in one sentence, made from the data of the chart or the table.
        table: a table.
        chart: a chart.
        lines: a list of lines.
        examples: rejected replies by reason.

    """

    id: str
    heading: str
    explanation: str = ""
    seen: str = ""
    table: SectionTable | None = None
    chart: Chart | None = None
    lines: Sequence[str] = ()
    examples: Mapping[str, Sequence[RejectedReply]] = field(default_factory=dict)

    @property
    def has_content(self) -> bool:
        """Whether there is a table, a chart, a line or an example to show."""
        return bool((self.table and self.table.rows) or self.chart or self.lines or self.examples)


def text_sections(
    groups: Sequence[TextGroup],
    points: Sequence[Point],
    emotions: Sequence[str],
    main: str,
    accuracy: ClassifierAccuracy | None = None,
) -> Iterator[Section]:
    """Yield the sections on the texts: map, predicted emotions, lengths, words.

    Args:
        groups: groups of texts.
        points: position of every text on the map, group by group.
        emotions: emotions in order.
        main: name of the group that the page is about.
        accuracy: how often the emotion classifier is right; None: unknown.

    """
    yield Section(
        "map",
        "Map of the texts",
        "Texts with similar meaning lie close together (t-SNE of sentence embeddings). The size of a cluster and the "
        "distance between clusters have no meaning. Hover over a point to read its text; click on it to find the text "
        "in the table below.",
        map_sentence(groups, points, main),
        chart=map_chart(groups, points, emotions, main),
    )
    yield Section(
        "confusion",
        "Intended and predicted emotion",
        "Fraction of the texts of each intended emotion to which a classifier of real texts assigns each emotion. "
        f"{accuracy_line(accuracy)}",
        confusion_sentence(groups, main),
        chart=confusion_chart(groups, emotions, main),
    )
    yield from _word_sections(groups, emotions, main)


def _word_sections(groups: Sequence[TextGroup], emotions: Sequence[str], main: str) -> Iterator[Section]:
    vocabulary, growth = vocabulary_chart(groups, main), growth_chart(groups)
    yield Section(
        "lengths",
        "Text length",
        "Words per text, by emotion and group of texts.",
        length_sentence(groups, main),
        chart=length_chart(groups, emotions),
    )
    yield Section(
        "vocabulary",
        "Distinctive words",
        "Words that occur in more, or in fewer, of these texts than of the real texts: z-score of the log odds with an "
        "informative prior (Monroe et al., 2008). Filled bars are significant among all words (Bonferroni).",
        vocabulary_sentence(vocabulary),
        chart=vocabulary,
    )
    yield Section(
        "growth",
        "Vocabulary growth",
        "Number of different tokens over the number of tokens read.",
        growth_sentence(growth, groups, main),
        chart=growth,
    )


def persona_sections(personas: CountedPersonas, conditioned: ConditionedTables) -> Iterator[Section]:
    """Yield the sections on the personas of the main group: their attributes, and the pairs of values that occur."""
    observed, expected = observed_fractions(personas), expected_fractions(personas.drawn, conditioned)
    coverage = pair_coverage(personas, conditioned)
    drawn = len(personas.drawn)
    sampled = f" They are those of {drawn:,} of {personas.total:,} personas, drawn at random."
    given = "" if conditioned.constraints is None else ", given the conditions of the recipe"
    yield Section(
        "values",
        "Persona attributes",
        "Fraction of the personas that have each value. The marks show the fraction that the attribute tables give"
        f"{given}.{sampled if drawn < personas.total else ''}",
        values_sentence(observed, expected),
        chart=values_chart(observed, expected),
    )
    yield Section(
        "pairs",
        "Coverage of attribute pairs",
        "Fraction of the pairs of values of two attributes that at least one persona has, of all that the attribute "
        f"tables have{given}. Implausible pairs are never drawn, so some cells cannot reach 100 %.",
        pairs_sentence(coverage),
        chart=pairs_chart(list(observed), coverage),
    )


def rejects_section(
    counts: Mapping[str, Mapping[str, int]],
    colours: Mapping[str, str],
    examples: Mapping[str, Sequence[RejectedReply]],
) -> Section:
    """Return the section on rejected replies.

    Args:
        counts: replies by group and reason.
        colours: colour of each group.
        examples: some replies by reason.

    """
    return Section(
        "rejects",
        "Rejected replies",
        "Replies that a check rejected, by reason. "
        f"{reasons_line(dict.fromkeys(reason for reasons in counts.values() for reason in reasons))}",
        rejects_sentence(counts),
        chart=rejects_chart(counts, colours),
        examples=examples,
    )
