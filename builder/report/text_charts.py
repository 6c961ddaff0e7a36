"""Charts of texts: map, confusion of emotions, lengths, words."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from personagen.builder.report.charts import BLUE_SCALE, Chart, escape_markup, option, selection
from personagen.builder.report.text_groups import COLOURS, REAL_COLOUR, Point, ReportText, TextGroup

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_WORDS_PER_SIDE = 15
"""Words that the chart of distinctive words shows on either side."""

LEVEL = 0.05
"""Level of significance of the words of a chart, all together."""

MAX_REAL_LENGTH = 1.5
"""Tokens of real texts that the chart of growth shows, as a multiple of those of the longest other group."""

MAX_CURVE_POINTS = 100
"""Points of a curve, about: more cannot be seen."""


def map_chart(groups: Sequence[TextGroup], points: Sequence[Point], emotions: Sequence[str], main: str) -> Chart:
    """Draw the texts at their positions: the real ones in grey, above them one group coloured by emotion.

    `customdata` is the index of each text in the page, which has the text for the hover label.

    Args:
        groups: groups of texts.
        points: position of every text, group by group.
        emotions: emotions in order.
        main: name of the group that the page is about.

    """
    indexed: dict[str, list[tuple[int, ReportText]]] = {group.name: [] for group in groups}
    for index, (name, text) in enumerate((group.name, text) for group in groups for text in group.texts):
        indexed[name].append((index, text))
    layers: list[tuple[TextGroup, str | None]] = [(group, None) for group in groups if group.real]
    layers += [(group, emotion) for group in groups if not group.real for emotion in emotions]
    others = [group.name for group in groups if not group.real]
    shown = main if main in others else next(iter(others), "")
    traces = [
        _dots(
            [(points[index], index) for index, text in indexed[group.name] if emotion in (None, text.label)],
            group,
            emotion,
            REAL_COLOUR if emotion is None else COLOURS[emotions.index(emotion) % len(COLOURS)],
        )
        | {"visible": group.real or group.name == shown}
        for group, emotion in layers
    ]
    axis = {"showticklabels": False, "showgrid": False, "zeroline": False, "title": ""}
    chart = {"data": traces, "layout": {"height": 620, "xaxis": axis, "yaxis": axis}}
    return chart | (_map_choice(layers, groups, shown) if len(others) > 1 else {})


def _dots(texts: Sequence[tuple[Point, int]], group: TextGroup, emotion: str | None, colour: str) -> dict[str, Any]:
    marker: dict[str, Any] = {"color": colour, "size": 8, "line": {"width": 1, "color": "#ffffff"}}
    if group.real:
        marker = {"color": colour, "size": 4, "opacity": 0.35}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape_markup(group.name if emotion is None else f"{emotion} ({group.name})"),
        "x": [point[0] for point, _ in texts],
        "y": [point[1] for point, _ in texts],
        "customdata": [index for _, index in texts],
        "hoverinfo": "text",
        "marker": marker,
    }


def _map_choice(
    layers: Sequence[tuple[TextGroup, str | None]], groups: Sequence[TextGroup], shown: str
) -> dict[str, Any]:
    """Return the choice of the group that is coloured by emotion."""
    names = [group.name for group in groups if not group.real]
    options = [option(name, {"visible": [group.real or group.name == name for group, _ in layers]}) for name in names]
    return {"choice": {"label": "texts of", "options": options, "selected": names.index(shown)}}


def confusion_chart(groups: Sequence[TextGroup], emotions: Sequence[str], main: str) -> Chart | None:
    """Draw the fraction of the texts of each emotion that the classifier assigns to each emotion, per group."""
    classified = [group for group in groups if any(text.prediction for text in group.texts)]
    if not classified:
        return None
    names = [group.name for group in classified]
    selected = main if main in names else names[0]
    labels = list(map(escape_markup, emotions))
    traces = []
    for group in classified:
        counts = Counter((text.label, text.prediction) for text in group.texts)
        totals = Counter(text.label for text in group.texts)
        fractions = [[counts[row, column] / max(totals[row], 1) for column in emotions] for row in emotions]
        traces.append(
            {
                "type": "heatmap",
                "x": labels,
                "y": labels,
                "z": fractions,
                "text": [[f"{value:.0%}" if value >= 0.005 else "" for value in row] for row in fractions],
                "texttemplate": "%{text}",
                "hovertemplate": "intended %{y}, predicted %{x}: %{z:.1%}<extra></extra>",
                "colorscale": BLUE_SCALE,
                "zmin": 0,
                "zmax": 1,
                "visible": group.name == selected,
                "showscale": False,
            }
        )
    layout = {
        "xaxis": {"title": {"text": "predicted emotion"}},
        "yaxis": {"title": {"text": "intended emotion"}, "autorange": "reversed"},
        "height": 140 + 44 * len(labels),
    }
    return {"data": traces, "layout": layout, **selection("texts of", names, selected)}


def length_chart(groups: Sequence[TextGroup], emotions: Sequence[str]) -> Chart:
    """Draw the distribution of the number of words per text, by emotion and group."""
    from personagen.metrics.texts.words import count_words

    traces = [
        {
            "type": "box",
            "name": escape_markup(group.name),
            "x": [escape_markup(text.label or "no label") for text in group.texts],
            "y": [count_words(text.text) for text in group.texts],
            "marker": {"color": group.colour, "size": 3},
            "line": {"width": 1},
            "visible": group.visible,
        }
        for group in groups
    ]
    order = {"categoryorder": "array", "categoryarray": list(map(escape_markup, emotions))}
    axes = {"xaxis": order, "yaxis": {"title": {"text": "words per text"}}}
    layout = {"boxmode": "group", "height": 420, **axes}
    return {"data": traces, "layout": layout, **_group_choice(groups)}


def vocabulary_chart(groups: Sequence[TextGroup], main: str) -> Chart | None:
    """Draw the words that each group uses most distinctly more, and less, often than the real texts (log odds).

    Only words whose z is significant among all words of the vocabulary are coloured (Bonferroni).
    """
    from personagen.metrics.statistics.distinctive_words import vocabulary

    real = next((group for group in groups if group.real), None)
    others = [group for group in groups if not group.real]
    words, table = vocabulary([text.text for group in groups for text in group.texts])
    if real is None or not others or len(words) < 2:  # log odds compare one word with the others
        return None
    ends = accumulate(len(group.texts) for group in groups)
    rows = {
        group.name: table[end - len(group.texts) : end].astype(float) for group, end in zip(groups, ends, strict=True)
    }
    names = [group.name for group in others]
    selected = main if main in names else names[0]
    traces = [
        _word_bars(words, rows[group.name], rows[real.name], (group.colour, real.colour))
        | {"visible": group.name == selected}
        for group in others
    ]
    layout = {
        "height": 640,
        "yaxis": {"dtick": 1},
        "xaxis": {"title": {"text": "z: below 0 more often in real texts,<br>above 0 more often in these"}},
    }
    return {"data": traces, "layout": layout, **selection("texts of", names, selected)}


def _word_bars(
    words: Sequence[str], rows: "NDArray[np.float64]", real_rows: "NDArray[np.float64]", colours: tuple[str, str]
) -> dict[str, Any]:
    """Return the bars of the words with the highest and the lowest z.

    Args:
        words: the vocabulary.
        rows: which word is in which text of the group, shape (texts, words).
        real_rows: the same of the real texts.
        colours: colour of words that the group uses more often, and of those that real texts use more often.

    """
    import numpy as np

    from personagen.metrics.statistics.distinctive_words import log_odds

    z = log_odds(np.array([rows.sum(axis=0), real_rows.sum(axis=0)]))[0]
    order = np.argsort(z, kind="stable")
    if len(order) > 2 * MAX_WORDS_PER_SIDE:
        order = np.concatenate([order[:MAX_WORDS_PER_SIDE], order[-MAX_WORDS_PER_SIDE:]])
    fractions = [side.mean(axis=0) if len(side) else side.sum(axis=0) for side in (rows, real_rows)]
    limit = significant_z(len(words))
    sides = [colours[0] if z[column] > 0 else colours[1] for column in order]
    is_significant = [abs(z[column]) > limit for column in order]
    return {
        "type": "bar",
        "orientation": "h",
        "x": [round(float(z[column]), 2) for column in order],
        "y": [escape_markup(words[column]) for column in order],
        "customdata": [[f"{side[column]:.1%}" for side in fractions] for column in order],
        "hovertemplate": "%{y}: in %{customdata[0]} of these, in %{customdata[1]} of real texts<extra></extra>",
        "marker": {
            "color": [
                colour if significant else "rgba(0, 0, 0, 0)"
                for colour, significant in zip(sides, is_significant, strict=True)
            ],
            "line": {"color": sides, "width": 1},
        },
    }


def significant_z(tests: int) -> float:
    """Return the absolute z that is significant at 5 % in a number of two-sided tests (Bonferroni)."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(1 - LEVEL / (2 * max(tests, 1)))


def growth_chart(groups: Sequence[TextGroup]) -> Chart:
    """Draw the number of different tokens over the number of tokens read, one curve per group."""
    traces: list[dict[str, Any]] = []
    for group in groups:
        curve = _vocabulary_curve(group)
        points = curve[:: max(len(curve) // MAX_CURVE_POINTS, 1)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": escape_markup(group.name),
                "x": [read for read, _ in points],
                "y": [different for _, different in points],
                "line": {"color": group.colour, "dash": "dash" if group.real else "solid"},
                "visible": group.visible,
            }
        )
    axes: dict[str, Any] = {"xaxis": {"title": {"text": "tokens read"}}}
    axes["yaxis"] = {"title": {"text": "different tokens"}}
    written = [trace["x"][-1] for group, trace in zip(groups, traces, strict=True) if trace["x"] and not group.real]
    if written:
        end = MAX_REAL_LENGTH * max(written)
        shown = [y for trace in traces for x, y in zip(trace["x"], trace["y"], strict=True) if x <= end]
        axes["xaxis"]["range"], axes["yaxis"]["range"] = [0, end], [0, 1.05 * max(shown)]
    return {"data": traces, "layout": {"height": 380, **axes}, **_group_choice(groups)}


def _vocabulary_curve(group: TextGroup) -> list[tuple[int, int]]:
    """Return the numbers of tokens and of different tokens after each text."""
    from personagen.metrics.texts.words import tokenise

    seen: set[str] = set()
    count = 0
    curve = []
    for text in group.texts:
        tokens = tokenise(text.text)
        seen.update(tokens)
        count += len(tokens)
        curve.append((count, len(seen)))
    return curve


def _group_choice(groups: Sequence[TextGroup]) -> dict[str, Any]:
    """Return the choice of the groups that a chart shows; empty if it shows all of them when the page opens."""
    if all(group.visible for group in groups):
        return {}
    first = [group.visible for group in groups]
    options = [option("main groups", {"visible": first}), option("all groups", {"visible": [True] * len(groups)})]
    options += [
        option(group.name, {"visible": [group is other or other.real for other in groups]})
        for group in groups
        if not group.real
    ]
    return {"choice": {"label": "texts of", "options": options, "selected": 0}}
