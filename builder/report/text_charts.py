"""The figures of a report that are made of texts: map, confusion, lengths, words."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from personagen.builder.report.charts import COLOURS, Figure, button, choice, colour_of, compared, menu, opened, plain
from personagen.builder.report.content import Material, Shown

WORDS = 15
"""Words of each end that a profile shows."""

WIDTH = 90
"""Characters of a line of a text that is pointed at, and LINES of them at most."""
LINES = 4


def map_figure(material: Material, points: Sequence[Sequence[float]]) -> Figure:
    """Put texts on their places: by emotion (the main kind and the real one), or by kind."""
    by_emotion = [
        _dots(material, points, label, source, COLOURS[place % len(COLOURS)], source == material.real)
        for place, label in enumerate(material.emotions)
        for source in compared(material)
    ]
    by_kind = [
        _dots(material, points, None, source, colour_of(material, source), source == material.real)
        | {"visible": False, "name": source}
        for source in material.counts
    ]
    shown = [True] * len(by_emotion) + [False] * len(by_kind)
    some = [False] * len(by_emotion) + [opened(material, source) for source in material.counts]
    buttons = [button("by emotion", {"visible": shown}), button("by kind of text", {"visible": some})]
    axis = {"showticklabels": False, "zeroline": False, "title": ""}
    return {
        "data": by_emotion + by_kind,
        "layout": {"height": 620, "xaxis": axis, "yaxis": axis, "updatemenus": [menu(buttons, "buttons")]},
    }


def _dots(
    material: Material, points: Sequence[Sequence[float]], label: str | None, source: str, colour: str, real: bool
) -> dict[str, Any]:
    rows = [
        row
        for row, text in enumerate(material.texts)
        if text.source == source and (label is None or text.label == label)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{label} ({source})",
        "x": [points[row][0] for row in rows],
        "y": [points[row][1] for row in rows],
        "customdata": rows,
        "text": [_pointed(material.texts[row]) for row in rows],
        "hoverinfo": "text",
        "marker": {"color": colour, "size": 6, "symbol": "diamond-open" if real else "circle", "opacity": 0.8},
    }


def _pointed(text: Shown) -> str:
    words = " ".join(text.text.split())
    lines = [words[start : start + WIDTH] for start in range(0, len(words), WIDTH)]
    more = "…" if len(lines) > LINES else ""
    return "<br>".join([f"<b>{plain(text.source)}, {plain(text.label or '')}</b>", *map(plain, lines[:LINES])]) + more


def confusion_figure(material: Material) -> Figure | None:
    """Count what the classifier reads in the texts of each emotion; None where nothing was read."""
    kinds = [source for source in material.counts if any(text.reading for text in _of(material, source))]
    if not kinds:
        return None
    chosen = material.main if material.main in kinds else kinds[0]
    labels = list(material.emotions)
    traces = []
    for source in kinds:
        counts = Counter((text.label, text.reading) for text in _of(material, source))
        totals = Counter(text.label for text in _of(material, source))
        shares = [[counts[own, read] / max(totals[own], 1) for read in labels] for own in labels]
        traces.append(
            {
                "type": "heatmap",
                "x": labels,
                "y": labels,
                "z": shares,
                "text": [[f"{share:.0%}" if share >= 0.005 else "" for share in row] for row in shares],
                "texttemplate": "%{text}",
                "hovertemplate": "asked for %{y}, read as %{x}: %{z:.1%}<extra></extra>",
                "colorscale": "Blues",
                "zmin": 0,
                "zmax": 1,
                "visible": source == chosen,
                "showscale": False,
            }
        )
    layout = {
        "xaxis": {"title": {"text": "read by the classifier"}},
        "yaxis": {"title": {"text": "asked for"}, "autorange": "reversed"},
        "height": 140 + 44 * len(labels),
    }
    return {"data": traces, "layout": layout | choice(kinds, chosen)}


def length_figure(material: Material) -> Figure:
    """Show how many words texts have, by emotion and kind."""
    from personagen.metrics.statistics.association import lengths

    traces = []
    for source in material.counts:
        texts = _of(material, source)
        traces.append(
            {
                "type": "box",
                "name": source,
                "x": [text.label or "no label" for text in texts],
                "y": lengths([text.text for text in texts])[:, 0].astype(int).tolist(),
                "marker": {"color": colour_of(material, source), "size": 3},
                "line": {"width": 1},
                "visible": opened(material, source),
            }
        )
    order = {"categoryorder": "array", "categoryarray": list(material.emotions)}
    return {
        "data": traces,
        "layout": {"boxmode": "group", "height": 420, "xaxis": order, "yaxis": {"title": {"text": "words of a text"}}},
    }


def vocabulary_figure(material: Material) -> Figure | None:
    """Show the words that each kind of texts has most surely more and less often than real ones have."""
    import numpy as np

    from personagen.metrics.statistics.association import log_odds, vocabulary

    if material.real is None:
        return None
    words, table = vocabulary([text.text for text in material.texts])
    sources = np.array([text.source for text in material.texts])
    kinds = [source for source in material.counts if source != material.real]
    if len(words) < 2:  # log odds are of one word against others
        return None
    traces = []
    for source in kinds:
        sides = [table[sources == side].astype(float) for side in (source, material.real)]
        z = log_odds(np.array([side.sum(axis=0) for side in sides]))[0]
        order = np.argsort(z, kind="stable")
        ends = order if len(order) <= 2 * WORDS else np.concatenate([order[:WORDS], order[-WORDS:]])
        shares = [side.mean(axis=0) if len(side) else side.sum(axis=0) for side in sides]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "x": [round(float(z[column]), 2) for column in ends],
                "y": [plain(words[column]) for column in ends],
                "customdata": [[f"{share[column]:.1%}" for share in shares] for column in ends],
                "hovertemplate": "%{y}: in %{customdata[0]} of these, in %{customdata[1]} of real texts<extra></extra>",
                "marker": {"color": [colour_of(material, source if z[each] > 0 else material.real) for each in ends]},
                "visible": source == material.main,
            }
        )
    layout = {
        "height": 640,
        "yaxis": {"dtick": 1},
        "xaxis": {"title": {"text": "← more often in real texts      z      more often here →"}},
    }
    return {"data": traces, "layout": layout | choice(kinds, material.main)}


def growth_figure(material: Material) -> Figure:
    """Show how many different words there are in so many words of text."""
    from personagen.metrics.texts.words import tokenise

    traces = []
    for source in material.counts:
        seen: set[str] = set()
        curve: list[tuple[int, int]] = []
        read = 0
        for text in _of(material, source):
            words = tokenise(text.text)
            seen.update(words)
            read += len(words)
            curve.append((read, len(seen)))
        kept = curve[:: max(len(curve) // 100, 1)]
        colour = {"color": colour_of(material, source), "dash": "dash" if source == material.real else "solid"}
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": source,
                "x": [point[0] for point in kept],
                "y": [point[1] for point in kept],
                "line": colour,
                "visible": opened(material, source),
            }
        )
    axes = {"xaxis": {"title": {"text": "words read"}}, "yaxis": {"title": {"text": "different words"}}}
    return {"data": traces, "layout": {"height": 380, **axes}}


def _of(material: Material, source: str) -> list[Shown]:
    return [text for text in material.texts if text.source == source]
