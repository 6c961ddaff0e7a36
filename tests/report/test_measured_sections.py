"""Sections on expressions, realism by label and utility: of manifests and scores, also of very few figures."""

from dataclasses import asdict
from typing import Any

import pytest

from personagen.builder.core.errors import ReleaseError
from personagen.builder.evaluation.score_tables.personas import trace_lines
from personagen.builder.evaluation.scores import Scores, read_saved_scores, read_scores
from personagen.builder.report.charts import ValueBesideReal, beside_real_chart
from personagen.builder.report.measured_sections import (
    expression_section,
    personas_section,
    realism_section,
    utility_section,
)
from personagen.builder.report.sections import Section
from personagen.metrics.persona import AttributeTrace
from personagen.metrics.realism.written_style import written_style
from tests.helpers.corpora.hand_made import sentences

TABLE = {"named": {"named": 9, "shown": 1}, "shown": {"voiced": 6, "shown": 1200, "unchecked": 2}}
SLICE = {
    "tstr_macro_f1": 0.4, "tstr_macro_f1_ci": [0.3, 0.5], "tstr_floor_gap_ci": [-0.3, -0.1], "floor_macro_f1": 0.6,
    "trtr_macro_f1": 0.8, "tfidf_tstr_macro_f1": 0.5, "tfidf_tstr_macro_f1_ci": None, "tfidf_tstr_floor_gap_ci": None,
    "tfidf_floor_macro_f1": 0.25, "tfidf_trtr_macro_f1": 0.5, "n_train": 70, "floor_reason": None,
}  # fmt: skip


def scores_of(results: dict[str, Any], slices: dict[str, Any]) -> Scores:
    """Return the scores of an evaluation with these results."""
    content = {"results": results, "problems": {}, "slices": slices, "reference": {"name": "r"}, "command": None}
    return read_scores(content)


def cells(section: Section) -> list[list[str]]:
    """Return the text of the cells of a section's table."""
    return [[cell.text for cell in row] for row in section.table.rows] if section.table else []


def test_expressions_are_counted_by_the_one_asked_for_and_the_one_found() -> None:
    section = expression_section({"expressions": TABLE})
    assert section.table is not None and not section.lines
    assert list(section.table.columns) == ["asked for", "named", "voiced", "shown", "unchecked"]
    assert cells(section) == [["named", "9", "", "1", ""], ["shown", "", "6", "1,200", "2"]]
    marked = [cell.text for row in section.table.rows for cell in row if cell.style == "number supported"]
    assert marked == ["9", "1,200"]


@pytest.mark.parametrize("manifest", [{}, {"expressions": {}}])
def test_a_recipe_without_expressions_has_no_section(manifest: dict[str, Any]) -> None:
    assert not expression_section(manifest).has_content


def test_values_by_label_stand_beside_those_of_real_texts_with_the_interval_of_the_difference() -> None:
    joys, fears = sentences("joy", 40), sentences("fear", 40)
    real = [*sentences("joy", 60, 1), *sentences("fear", 60, 1)]
    labels, real_labels = ["joy"] * 40 + ["fear"] * 40, ["joy"] * 60 + ["fear"] * 60
    doubled = [f"{text} and {text}" for text in joys]
    style = written_style([*doubled, *fears], labels, real, real_labels)
    section = realism_section(scores_of({"realism": style}, {}))
    assert section.chart is not None and len(section.chart["data"]) == 12
    menu = [one["label"] for one in section.chart["choice"]["options"]]
    beside, here = section.chart["data"][2 * menu.index("words per text") :][:2]
    assert here["y"] == beside["y"] == ["all emotions", "fear", "joy"]
    joy, value = here["y"].index("joy"), style["words_per_text_by_label"]["joy"]
    assert here["x"][joy] == value and beside["x"][joy] == style["words_per_text_null_by_label"]["joy"]
    low, high = style["words_per_text_difference_ci_by_label"]["joy"]
    assert value - here["error_x"]["arrayminus"][joy] == pytest.approx(beside["x"][joy] + low)
    assert value + here["error_x"]["array"][joy] == pytest.approx(beside["x"][joy] + high)
    (line,) = [line for line in section.lines if line.startswith("joy, outside the interval of as many real texts: ")]
    assert f"words per text {value:.3g} (real {beside['x'][joy]:.3g})" in line
    assert not [line for line in section.lines if line.startswith("fear") and "words per text" in line]


def test_scores_of_another_language_or_version_have_no_section_on_style() -> None:
    german = ["Heute ist ein schöner Tag, und ich freue mich sehr auf das Wochenende mit meiner Familie."] * 30
    for results in ({"realism": written_style(german, None, german, None)}, {"realism": {"mmd2": 0.1}}, {}):
        assert not realism_section(scores_of(results, {})).has_content


def test_what_the_texts_teach_stands_beside_the_floor_and_real_texts() -> None:
    unknown = {**SLICE, "floor_macro_f1": None, "tfidf_floor_macro_f1": None, "floor_reason": "no sentences for calm"}
    slices = {"comments": SLICE, "mine": unknown, "reports": {"problem": "labels are missing"}}
    section = utility_section(scores_of({}, slices))
    assert cells(section)[:3] == [
        ["comments", "embeddings", "0.4", "0.3 to 0.5", "0.6", "0.8", "0.50"],
        ["comments", "TF-IDF", "0.5", "", "0.25", "0.5", "1.00"],
        ["mine", "embeddings", "0.4", "0.3 to 0.5", "", "0.8", "0.50"],
    ]
    assert section.table is not None and section.table.rows[0][2].style == "number refuted"
    assert section.table.rows[1][2].style == "number"
    below, *reasons = section.lines
    assert below.startswith("below the plain sentences: comments 0.4") and reasons == [
        "mine: no sentences for calm",
        "reports: labels are missing",
    ]
    assert not utility_section(scores_of({}, {})).has_content


def test_a_chart_of_no_value_is_none_and_of_one_value_has_no_choice() -> None:
    assert beside_real_chart({}) is None and beside_real_chart({"figure": {}}) is None
    chart = beside_real_chart({"figure": {"<b>": ValueBesideReal(1.0, 2.0, None, None)}})
    assert chart is not None and "choice" not in chart
    beside, here = chart["data"]
    assert here["y"] == beside["y"] == ["&lt;b&gt;"] and (here["x"], beside["x"]) == ([1.0], [2.0])
    assert here["error_x"]["array"] == [0.0]


def test_what_texts_show_of_their_personas_stands_beside_chance() -> None:
    words = {"checked": 200, "texts": 50, "chance": 0.1, "attributes": {"country": {"texts": 40, "chance": 0.05}}}
    section = personas_section({"persona_words": words}, None)
    assert section.table is not None and len(section.table.columns) == 3
    assert cells(section) == [["country", "20%", "5%"]]
    assert section.seen.startswith("25 of 100 texts show their persona by words") and not section.lines

    country = AttributeTrace("country", 200, 90, 0.2, 0.05, 0.8, 0.1, 0.2, 0.001, None, 0.8, 0.5, 0.7, 0.9, 0.04)
    education = AttributeTrace("education", 200, 90, words_reason="no words", reader_reason="too few")
    scores = scores_of({}, {})
    measured = read_scores({**scores.content, "personas": [asdict(country), asdict(education)]})
    section = personas_section({"persona_words": words}, measured)
    assert cells(section) == [
        ["country", "20%", "5%", "80%", "0.8", "0.7 to 0.9", "0.5"],
        ["education", "", "", "", "", "", ""],
    ]
    assert section.table is not None
    assert [cell.style for cell in section.table.rows[0]][1] == "number supported"
    assert [cell.style for cell in section.table.rows[0]][4] == "number supported"
    assert section.lines == ["education, no figure of the reader: too few", "education, no figure by words: no words"]
    assert section.seen.endswith("Country can be read from the texts better than chance.")
    lines = list(trace_lines(measured.personas))
    assert lines[1].split() == ["country", "0.2", "0.05", "0.8", "0.001", "0.8", "0.5", "0.04"]
    assert lines[-1] == "  not measured: education: too few"


def test_a_release_without_personas_has_no_section_on_them() -> None:
    section = personas_section({}, None)
    assert not section.seen and section.table is None and not section.lines


@pytest.mark.parametrize("record", [{"attribute": "country"}, {"attribute": 1, "n": 1, "personas": 1}, 3])
def test_malformed_records_of_personas_are_refused(record: object) -> None:
    content = {**scores_of({}, {}).content, "personas": [record]}
    with pytest.raises(ReleaseError, match=r"scores\.json is malformed"):
        read_saved_scores(content)
