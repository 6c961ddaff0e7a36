"""What is seen in charts, in sentences and tables made from their data; and the size of a page of many texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from personagen.builder.evaluation.claims import JudgedClaim
from personagen.builder.report.charts import ValueWithInterval, interval_chart
from personagen.builder.report.page import render_page
from personagen.builder.report.persona_charts import pairs_chart
from personagen.builder.report.sections import Section, text_sections
from personagen.builder.report.text_charts import growth_chart, length_chart
from personagen.builder.report.text_groups import ReportText, TextGroup
from personagen.builder.report.words.chart_tables import chart_table
from personagen.builder.report.words.example_texts import example_texts
from personagen.builder.report.words.measure_ranges import cut
from personagen.builder.report.words.of_comparisons import claim_sentences, extremes_sentence
from personagen.builder.report.words.of_personas import pairs_sentence, rejects_sentence, values_sentence
from personagen.builder.report.words.of_texts import (
    confusion_sentence,
    growth_sentence,
    length_sentence,
    map_sentence,
)
from tests.helpers.real_texts import real
from tests.report.test_charts import EMOTIONS, REAL, TWO, group_of
from tests.report.test_hostile_results import PERSONA
from tests.report.test_odd_comparisons import CLAIM

MANY = group_of("synthetic", *[(f"glad {row}", "joy", "joy") for row in range(40)])
MANY_REAL = group_of("real", *[(f"nice {row}", None, None) for row in range(60)], real=True)


def test_the_map_states_whether_texts_lie_among_the_real_ones() -> None:
    line = [(float(row), 0.0) for row in range(40)]
    apart = map_sentence([MANY, MANY_REAL], [*line, *((float(row), 900.0) for row in range(60))], "synthetic")
    assert "lie apart from the real ones" in apart and "of 100 of 100 synthetic texts" in apart
    beside = map_sentence([MANY, MANY_REAL], [*line, *((row % 40 + 0.1, 0.0) for row in range(60))], "synthetic")
    assert "lie among the real ones" in beside
    assert map_sentence([TWO, REAL], [(0.0, 0.0)] * 3, "synthetic") == "", "too few texts"
    assert map_sentence([MANY], line, "synthetic") == "", "no real texts"


def test_sentences_on_texts_state_their_figures() -> None:
    assert confusion_sentence([TWO, REAL], "synthetic") == (
        "The classifier predicts the intended emotion of 50% of 2 texts; its most frequent confusion is joy as fear "
        "(1 text)."
    )
    assert confusion_sentence([MANY], "synthetic").startswith("The classifier predicts the intended emotion of all 40")
    assert confusion_sentence([REAL], "synthetic") == ""
    assert length_sentence([TWO, REAL], "synthetic") == (
        "The median length of a synthetic text is 3 words, that of a real one 2."
    )
    groups = [MANY, MANY_REAL]
    assert growth_sentence(growth_chart(groups), groups, "synthetic") == (
        "In about 80 tokens, the synthetic texts have 41 different ones and the real texts 41."
    )
    assert growth_sentence(growth_chart([MANY]), [MANY], "synthetic") == ""


def test_sentences_on_personas_state_the_extremes() -> None:
    observed, expected = {"age": {"20-29": 0.75, "30-39": 0.25}}, {"age": {"20-29": 0.5, "30-39": 0.4, "40-49": 0.1}}
    assert values_sentence(observed, expected) == (
        "The largest difference from the attribute tables is that of age 20-29: 75% of the personas, expected 50%."
    )
    assert pairs_sentence({("a", "b"): (1, 4), ("a", "c"): (4, 4)}) == (
        "62% of all pairs of values occur; the fewest are those of a and b (1 of 4)."
    )
    assert rejects_sentence({"x": {"leak": 2, "length": 1}, "y": {"leak": 3}}) == (
        "6 replies were rejected, most often for leak (5)."
    )
    assert values_sentence({}, {}) == pairs_sentence({}) == rejects_sentence({"x": {}}) == ""


def test_decided_claims_have_a_sentence_each_and_undecided_ones_one_together() -> None:
    claims = [JudgedClaim(**CLAIM), *[JudgedClaim(**CLAIM | {"verdict": "undecided"})] * 2]  # type: ignore[arg-type]
    assert list(claim_sentences(claims)) == [
        "“Personas <i>help</i>” is supported (vendi_score of demographic against none: +0.125, 95 % interval +0.1 to "
        "+0.15).",
        "2 of 3 claims are undecided: their effect is smaller than this comparison can find, or there is none.",
    ]
    one, two = ValueWithInterval(1.0, None, None), ValueWithInterval(2.0, None, None)
    assert extremes_sentence({"F1": {"a": one, "b": two}}) == "The F1 is highest for b (2) and lowest for a (1)."
    assert extremes_sentence({}) == extremes_sentence({"F1": {"a": one}}) == ""


def test_tables_have_the_data_of_every_option() -> None:
    chart = interval_chart(
        {"f": {"a<b": ValueWithInterval(1.0, 0.5, 2.0)}, "g": {"c": ValueWithInterval(3.0, None, None)}}
    )
    table = chart_table(chart or {})
    assert table is not None and list(table.columns) == ["figure", "label", "value", "95 %"]
    assert [list(row) for row in table.rows] == [
        ["f", "a&lt;b".replace("&lt;", "<"), "1", "0.5 to 2"],
        ["g", "c", "3", ""],
    ]
    pairs = chart_table(pairs_chart(["a", "b"], {("a", "b"): (3, 12)}) or {})
    assert pairs is not None and ["a", "b", "3 of 12"] in [list(row) for row in pairs.rows]
    lengths = chart_table(length_chart([TWO, REAL], EMOTIONS))
    assert lengths is not None and ["synthetic", "joy", "1", "3", "3", "3", "3", "3"] in [
        list(row) for row in lengths.rows
    ]


def test_intervals_are_cut_to_the_range_of_their_measure() -> None:
    assert cut(-1.9, "c2st_auc") == 0.0 and cut(2.9, "masked_tstr_macro_f1") == 1.0 and cut(0.4, "recall") == 0.4
    assert cut(-0.1, "mmd2") == -0.1 and cut(-3.0, "vendi_score") == 0.0 and cut(-0.2, "gain_macro_f1") == -0.2
    assert cut(6.0, "human_likeness") == 5.0 and cut(None, "c2st_auc") is None


def test_examples_are_of_three_emotions_and_name_the_persona() -> None:
    texts = [ReportText("s", str(row), f"text {row}", f"e{row % 5}", persona=PERSONA) for row in range(50)]
    shown = example_texts([TextGroup("r", texts, 50, "#000000", real=True), TextGroup("s", texts, 50, "#ffffff")])
    assert [example.caption for example in shown] == [
        f"{emotion}; woman, 31, cook; town in France" for emotion in ("e0", "e1", "e2")
    ]
    assert len(example_texts([TextGroup("s", texts[::5], 10, "#ffffff")])) == 3, "one emotion"
    assert len(example_texts([TextGroup("s", texts[:1], 1, "#ffffff")])) == 1
    assert example_texts([TextGroup("s", [], 0, "#ffffff")]) == []


@dataclass(frozen=True)
class LargeReport:
    """A report on as many texts as a page shows at most."""

    groups: Sequence[TextGroup]
    title: str = "large"
    facts: Mapping[str, str] = field(default_factory=dict)
    verdicts: Sequence[str] = ()
    concerns: Sequence[str] = ()
    accuracy_note: str = ""
    notes: Sequence[str] = ()
    emotions: Sequence[str] = tuple(EMOTIONS)

    @property
    def measures_sample(self) -> bool:
        return False

    def sections(self) -> Iterator[Section]:
        points = [(float(row), 0.0) for group in self.groups for row in range(len(group.texts))]
        return text_sections(self.groups, points, self.emotions, "synthetic")


def test_a_page_of_the_most_texts_is_below_3_mb_and_says_how_many_were_drawn() -> None:
    corpus = list(real(3000).texts)
    ours = [
        ReportText(
            "synthetic", f"joy-{row:06d}", text, EMOTIONS[row % 2], "joy", row / 1500, PERSONA, {"seed": 7919 * row}
        )
        for row, text in enumerate(corpus[:1500])
    ]
    theirs = [ReportText("real", "", text, "joy") for text in corpus[1500:]]
    groups = [
        TextGroup("synthetic", ours, 100_000, "#4269d0"),
        TextGroup("real", theirs, len(theirs), "#8b93a3", real=True),
    ]
    page = render_page(LargeReport(groups))
    assert len(corpus) == 3000 and len(page) < 3_000_000
    assert "synthetic (1,500 of 100,000, drawn at random)" in page
