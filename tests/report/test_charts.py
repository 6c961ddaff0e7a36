"""Charts of plain values, also of very few."""

from typing import Any

import pytest

from personagen.builder.report.charts import (
    AssociationCell,
    Chart,
    ValueWithInterval,
    association_chart,
    interval_chart,
    rejects_chart,
)
from personagen.builder.report.persona_charts import pairs_chart, values_chart
from personagen.builder.report.text_charts import (
    confusion_chart,
    growth_chart,
    length_chart,
    map_chart,
    significant_z,
    vocabulary_chart,
)
from personagen.builder.report.text_groups import REAL_COLOUR, ReportText, TextGroup
from personagen.builder.report.words.of_texts import vocabulary_sentence

EMOTIONS = ["joy", "fear"]


def group_of(name: str, *texts: tuple[str, str | None, str | None], real: bool = False) -> TextGroup:
    """Return a group of texts, each given as text, label and prediction."""
    members = [ReportText(name, f"{name}-{row}", *text) for row, text in enumerate(texts)]
    return TextGroup(name, members, len(members), "#000000" if real else "#ffffff", real=real, visible=name != "other")


EMPTY = group_of("synthetic")
ONE = group_of("synthetic", ("So glad today", "joy", "joy"))
TWO = group_of("synthetic", ("So glad today", "joy", "fear"), ("I ran away", "fear", "fear"))
OTHER = group_of("other", ("Run", "fear", None))
REAL = group_of("real", ("Nice one", None, None), real=True)


def traces(chart: Chart | None) -> list[dict[str, Any]]:
    """Return the traces of a chart, after plotly has validated it."""
    import plotly.graph_objects as go

    assert chart is not None
    go.Figure(chart)
    return list(chart["data"])


@pytest.mark.parametrize(
    "groups",
    [[EMPTY], [ONE], [EMPTY, REAL], [ONE, REAL], [TWO, OTHER, REAL]],
    ids=lambda groups: f"{len(groups)} groups",
)
def test_charts_of_few_texts_are_valid(groups: list[TextGroup]) -> None:
    points = [(0.0, 1.0) for group in groups for _ in group.texts]
    for chart in (
        map_chart(groups, points, EMOTIONS, "synthetic"),
        length_chart(groups, EMOTIONS),
        growth_chart(groups),
    ):
        assert len(traces(chart)) >= len(groups)


def test_every_text_of_a_group_is_on_the_map_under_its_own_index() -> None:
    data = traces(map_chart([TWO, REAL], [(0.0, 0.5), (1.0, 1.5), (2.0, 2.5)], EMOTIONS, "synthetic"))
    by_name = {trace["name"]: trace for trace in data}
    assert by_name["fear (synthetic)"]["customdata"] == [1] and by_name["fear (synthetic)"]["x"] == [1.0]
    assert by_name["real"]["customdata"] == [2] and by_name["real"]["y"] == [2.5]


def test_real_texts_are_the_grey_ground_below_the_others() -> None:
    real, *others = traces(map_chart([TWO, REAL], [(0.0, 0.0)] * 3, EMOTIONS, "synthetic"))
    assert real["name"] == "real" and real["marker"]["color"] == REAL_COLOUR
    assert all(other["marker"]["size"] > real["marker"]["size"] for other in others)


def test_the_map_of_several_groups_has_a_choice_of_the_coloured_one() -> None:
    chart = map_chart([TWO, OTHER, REAL], [(0.0, 0.0)] * 4, EMOTIONS, "synthetic")
    assert [trace["visible"] for trace in traces(chart)] == [True, True, True, False, False]
    assert [one["label"] for one in chart["choice"]["options"]] == ["synthetic", "other"]
    assert chart["choice"]["options"][1]["changes"] == {"visible": [True, False, False, True, True]}
    assert "choice" not in map_chart([TWO, REAL], [(0.0, 0.0)] * 3, EMOTIONS, "synthetic")


def test_confusions_are_fractions_of_the_intended_emotion() -> None:
    (heatmap,) = traces(confusion_chart([TWO, REAL], EMOTIONS, "synthetic"))
    assert heatmap["z"] == [[0.0, 1.0], [0.0, 1.0]] and heatmap["text"][0] == ["", "100%"]


def test_an_emotion_without_texts_has_an_empty_row() -> None:
    (heatmap,) = traces(confusion_chart([ONE, REAL], EMOTIONS, "synthetic"))
    assert heatmap["y"] == EMOTIONS and heatmap["z"][1] == [0.0, 0.0]
    assert [trace["x"] for trace in traces(length_chart([ONE], EMOTIONS))] == [["joy"]]


def test_texts_without_predictions_have_no_confusions() -> None:
    assert confusion_chart([OTHER, REAL], EMOTIONS, "synthetic") is None


@pytest.mark.parametrize(
    "groups", [[EMPTY], [TWO], [REAL], [EMPTY, REAL], [TWO, REAL]], ids=lambda groups: f"{len(groups)} groups"
)
def test_words_are_not_compared_without_real_texts_or_with_too_few_words(groups: list[TextGroup]) -> None:
    assert vocabulary_chart(groups, "synthetic") is None


def test_words_are_compared_with_the_real_texts() -> None:
    many = [(f"{'ran' if row % 2 else 'glad'} away", "joy", None) for row in range(20)]
    real = [(f"{'nice' if row % 3 else 'glad'} away", None, None) for row in range(20)]
    (bars,) = traces(vocabulary_chart([group_of("synthetic", *many), group_of("real", *real, real=True)], "synthetic"))
    z = dict(zip(bars["y"], bars["x"], strict=True))
    assert z["ran"] > 0 > z["nice"] and list(z.values()) == sorted(z.values())
    assert bars["customdata"][bars["y"].index("ran")] == ["50.0%", "0.0%"]


def test_groups_beyond_the_compared_ones_can_be_chosen() -> None:
    chart = length_chart([TWO, OTHER, REAL], EMOTIONS)
    assert [trace["visible"] for trace in traces(chart)] == [True, False, True]
    shown = {one["label"]: one["changes"]["visible"] for one in chart["choice"]["options"]}
    assert shown["main groups"] == [True, False, True] and shown["all groups"] == [True, True, True]
    assert shown["synthetic"] == [True, False, True] and shown["other"] == [False, True, True]


def test_an_interval_that_ends_at_zero_is_drawn_and_a_missing_one_is_not() -> None:
    estimates = {"none": ValueWithInterval(0.02, 0.0, 0.05), "real": ValueWithInterval(0.02, None, None)}
    (points,) = traces(interval_chart({"leak_rate": estimates}))
    assert points["error_x"]["arrayminus"] == [0.02, 0.0]
    assert points["error_x"]["array"] == pytest.approx([0.03, 0.0])


def test_the_choice_shows_one_figure_at_a_time() -> None:
    one, two = ValueWithInterval(1.0, 0.5, 2.0), ValueWithInterval(3.0, None, None)
    chart = interval_chart({"vendi": {"none": one}, "mmd2": {"none": two, "real": one}})
    assert [trace["visible"] for trace in traces(chart)] == [True, False]
    shown = [one["changes"]["visible"] for one in (chart or {})["choice"]["options"]]
    assert shown == [[True, False], [False, True]]


def test_only_significant_associations_are_coloured() -> None:
    cells = [[AssociationCell(0.25, significant=True), AssociationCell(0.5, significant=False)]]
    (heatmap,) = traces(association_chart(["gender"], ["length", "label"], cells))
    assert heatmap["z"] == [[0.25, 0.0]] and heatmap["text"] == [["25.0%*", "50.0%"]]


def test_only_words_that_are_significant_among_all_are_filled() -> None:
    many = [(f"{'ran' if row % 2 else 'glad'} away {'x' if row % 4 else 'now'}", "joy", None) for row in range(400)]
    real = [(f"nice away {'x' if row % 4 else 'now'}", None, None) for row in range(400)]
    groups = [group_of("synthetic", *many), group_of("real", *real, real=True)]
    chart = vocabulary_chart(groups, "synthetic")
    (bars,) = traces(chart)
    filled = {word for word, colour in zip(bars["y"], bars["marker"]["color"], strict=True) if colour[0] == "#"}
    assert filled == {"ran", "glad", "nice"} and {"x", "now"} <= set(bars["y"])
    limit = significant_z(len(bars["y"]))
    assert filled == {word for word, z in zip(bars["y"], bars["x"], strict=True) if abs(z) > limit}
    assert vocabulary_sentence(chart) in (
        "The most distinctive words of these texts: ran, glad; of real texts: nice.",
        "The most distinctive words of these texts: glad, ran; of real texts: nice.",
    )


def test_one_attribute_with_an_unmeasured_outcome_has_a_chart() -> None:
    cells = [[AssociationCell(0.25, significant=True), None]]
    (heatmap,) = traces(association_chart(["gender"], ["length", "label"], cells))
    assert heatmap["text"] == [["25.0%*", ""]] and heatmap["z"] == [[0.25, None]]


def test_charts_of_nothing_are_none() -> None:
    assert interval_chart({}) is None
    assert rejects_chart({"synthetic": {}}, {"synthetic": "#000000"}) is None
    assert association_chart([], ["length"], []) is None
    assert values_chart({}, {}) is None
    assert pairs_chart(["gender"], {}) is None


def test_rejects_are_stacked_by_group() -> None:
    data = traces(rejects_chart({"a": {"words": 2}, "b": {}, "c": {"leak": 1}}, dict.fromkeys("abc", "#000000")))
    assert [(trace["name"], trace["y"], trace["x"]) for trace in data] == [
        ("a", ["leak", "words"], [0, 2]),
        ("c", ["leak", "words"], [1, 0]),
    ]


def test_values_without_an_expectation_have_no_marks() -> None:
    observed = {"age": {"30-39": 0.25, "18-29": 0.75}, "mood": {"odd": 1.0}}
    data = traces(values_chart(observed, {"age": {"18-29": 0.5, "40-49": 0.5}}))
    assert [trace["x"] for trace in data] == [["18-29", "30-39", "40-49"]] * 2 + [["odd"], []]
    assert data[0]["y"] == [0.75, 0.25, 0.0] and data[1]["y"] == [0.5, 0.0, 0.5]


def test_pairs_are_drawn_in_both_orders() -> None:
    (heatmap,) = traces(pairs_chart(["gender", "age"], {("gender", "age"): (3, 12)}))
    assert heatmap["z"] == [[None, 0.25], [0.25, None]] and heatmap["text"] == [["", "3 of 12"], ["3 of 12", ""]]


HOSTILE = "<b>%{x}</b>"


@pytest.mark.parametrize(
    "chart",
    [
        map_chart([group_of(HOSTILE, (HOSTILE, HOSTILE, None))], [(0.0, 0.0)], [HOSTILE], HOSTILE),
        confusion_chart([group_of(HOSTILE, (HOSTILE, HOSTILE, HOSTILE))], [HOSTILE], HOSTILE),
        length_chart([group_of(HOSTILE, (HOSTILE, HOSTILE, None))], [HOSTILE]),
        growth_chart([group_of(HOSTILE, (HOSTILE, HOSTILE, None))]),
        interval_chart({HOSTILE: {HOSTILE: ValueWithInterval(0.0, None, None)}, "b": {}}),
        rejects_chart({HOSTILE: {HOSTILE: 1}}, {HOSTILE: "#000000"}),
        association_chart([HOSTILE], [HOSTILE], [[None]]),
        values_chart({HOSTILE: {HOSTILE: 1.0}, "b": {}}, {HOSTILE: {HOSTILE: 1.0}}),
        pairs_chart([HOSTILE], {(HOSTILE, HOSTILE): (1, 1)}),
    ],
    ids=["map", "confusion", "lengths", "growth", "intervals", "rejects", "associations", "values", "pairs"],
)
def test_names_are_no_markup(chart: Chart | None) -> None:
    drawn = {name: part for name, part in (chart or {}).items() if name != "choice"}  # its labels are plain text
    assert HOSTILE not in str(drawn) and "&lt;b&gt;" in str(drawn)
