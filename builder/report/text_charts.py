"""Charts of texts: map, confusion of emotions, lengths, words."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from personagen.builder.report.charts import Chart, escape_markup, menu, restyle_button, selection_menu
from personagen.builder.report.text_groups import COLOURS, Point, ReportText, TextGroup

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_WORDS_PER_SIDE = 15
"""Words that the chart of distinctive words shows on either side."""

HOVER_LINE_CHARACTERS = 90
"""Characters per line of the text that a point of the map shows."""

MAX_HOVER_LINES = 4
"""Lines of the text that a point of the map shows."""

MAX_CURVE_POINTS = 100
"""Points of a curve, about: more cannot be seen."""


def map_chart(groups: Sequence[TextGroup], points: Sequence[Point], emotions: Sequence[str], main: str) -> Chart:
    """Draw the texts at their positions, coloured by emotion (the main group and the real one) or by group.

    Args:
        groups: groups of texts.
        points: position of every text, group by group.
        emotions: emotions in order.
        main: name of the group that the page is about.

    """
    indexed: dict[str, list[tuple[int, ReportText]]] = {group.name: [] for group in groups}
    for index, (name, text) in enumerate((group.name, text) for group in groups for text in group.texts):
        indexed[name].append((index, text))

    def dots(group: TextGroup, name: str, colour: str, label: str | None) -> dict[str, Any]:
        shown = [(index, text) for index, text in indexed[group.name] if label is None or text.label == label]
        return {
            "type": "scatter",
            "mode": "markers",
            "name": escape_markup(name),
            "x": [points[index][0] for index, _ in shown],
            "y": [points[index][1] for index, _ in shown],
            "customdata": [index for index, _ in shown],
            "text": [_hover_text(text) for _, text in shown],
            "hoverinfo": "text",
            "marker": {
                "color": colour,
                "size": 6,
                "symbol": "diamond-open" if group.real else "circle",
                "opacity": 0.8,
            },
        }

    compared = [group for group in groups if group.real or group.name == main]
    by_emotion = [
        dots(group, f"{emotion} ({group.name})", COLOURS[number % len(COLOURS)], emotion)
        for number, emotion in enumerate(emotions)
        for group in compared
    ]
    by_group = [dots(group, group.name, group.colour, None) | {"visible": False} for group in groups]
    buttons = [
        restyle_button("by emotion", {"visible": [True] * len(by_emotion) + [False] * len(by_group)}),
        restyle_button("by group", {"visible": [False] * len(by_emotion) + [_visibility(group) for group in groups]}),
    ]
    axis = {"showticklabels": False, "zeroline": False, "title": ""}
    layout = {"height": 620, "xaxis": axis, "yaxis": axis, "updatemenus": [menu(buttons, "buttons")]}
    return {"data": by_emotion + by_group, "layout": layout}


def _hover_text(text: ReportText) -> str:
    flat = " ".join(text.text.split())
    lines = [flat[start : start + HOVER_LINE_CHARACTERS] for start in range(0, len(flat), HOVER_LINE_CHARACTERS)]
    head = f"<b>{escape_markup(text.source)}, {escape_markup(text.label or 'no label')}</b>"
    ellipsis = "…" if len(lines) > MAX_HOVER_LINES else ""
    return "<br>".join([head, *map(escape_markup, lines[:MAX_HOVER_LINES])]) + ellipsis


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
                "colorscale": "Blues",
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
    return {"data": traces, "layout": layout | selection_menu(names, selected)}


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
            "visible": _visibility(group),
        }
        for group in groups
    ]
    order = {"categoryorder": "array", "categoryarray": list(map(escape_markup, emotions))}
    axes = {"xaxis": order, "yaxis": {"title": {"text": "words per text"}}}
    return {"data": traces, "layout": {"boxmode": "group", "height": 420, **axes}}


def vocabulary_chart(groups: Sequence[TextGroup], main: str) -> Chart | None:
    """Draw the words that each group uses most distinctly more, and less, often than the real texts (log odds)."""
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
        "xaxis": {"title": {"text": "← more often in real texts      z      more often in these texts →"}},
    }
    return {"data": traces, "layout": layout | selection_menu(names, selected)}


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
    return {
        "type": "bar",
        "orientation": "h",
        "x": [round(float(z[column]), 2) for column in order],
        "y": [escape_markup(words[column]) for column in order],
        "customdata": [[f"{side[column]:.1%}" for side in fractions] for column in order],
        "hovertemplate": "%{y}: in %{customdata[0]} of these, in %{customdata[1]} of real texts<extra></extra>",
        "marker": {"color": [colours[0] if z[column] > 0 else colours[1] for column in order]},
    }


def growth_chart(groups: Sequence[TextGroup]) -> Chart:
    """Draw the number of different tokens over the number of tokens read, one curve per group."""
    traces = []
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
                "visible": _visibility(group),
            }
        )
    axes = {"xaxis": {"title": {"text": "tokens read"}}, "yaxis": {"title": {"text": "different tokens"}}}
    return {"data": traces, "layout": {"height": 380, **axes}}


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


def _visibility(group: TextGroup) -> bool | str:
    return group.visible or "legendonly"
