"""What is seen in the charts of texts, in one sentence each; "": nothing can be stated."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from personagen.builder.release.verdicts.content import counted
from personagen.builder.report.charts import Chart
from personagen.builder.report.text_groups import Point, TextGroup, sample

MAX_WORDS_NAMED = 5
"""Distinctive words per side in a sentence."""


def map_sentence(groups: Sequence[TextGroup], points: Sequence[Point], main: str) -> str:
    """Return how often the nearest text on the map of a text of the main group is one of that group.

    The real texts are the others; each group is cut to the size of the smaller one, so that chance is 50 of 100.
    """
    import numpy as np

    start, positions = 0, {}
    for group in groups:
        positions[group.name] = np.array(points[start : start + len(group.texts)], dtype=float).reshape(-1, 2)
        start += len(group.texts)
    real = next((group.name for group in groups if group.real), None)
    if real is None or main not in positions or main == real:
        return ""
    size = min(len(positions[main]), len(positions[real]), 1000)
    if size < 10:
        return ""
    ours, theirs = (positions[name][sample(len(positions[name]), size, 0)] for name in (main, real))

    own, other = (((ours[:, None, :] - side[None, :, :]) ** 2).sum(axis=2) for side in (ours, theirs))
    np.fill_diagonal(own, np.inf)
    alone = round(100 * float((own.min(axis=1) < other.min(axis=1)).mean()))
    position = "apart from" if alone >= 75 else "among" if alone <= 60 else "partly among"
    return (
        f"The {main} texts lie {position} the real ones: among as many of both, the nearest neighbour of {alone} of "
        f"100 {main} texts is {main} (mixed: 50)."
    )


def confusion_sentence(groups: Sequence[TextGroup], main: str) -> str:
    """Return how often the prediction is the intended emotion, and the most frequent confusion."""
    group = next((group for group in groups if group.name == main), None)
    predicted = [(text.label, text.prediction) for text in (group.texts if group else ()) if text.prediction]
    if not predicted:
        return ""
    right = sum(label == prediction for label, prediction in predicted)
    errors = Counter(pair for pair in predicted if pair[0] != pair[1])
    if not errors:
        return f"The classifier predicts the intended emotion of all {len(predicted):,} texts."
    (label, prediction), count = errors.most_common(1)[0]
    return (
        f"The classifier predicts the intended emotion of {right / len(predicted):.0%} of "
        f"{counted(len(predicted), 'text')}; "
        f"its most frequent confusion is {label} as {prediction} ({counted(count, 'text')})."
    )


def length_sentence(groups: Sequence[TextGroup], main: str) -> str:
    """Return the median length of the main group beside that of the real texts."""
    from personagen.metrics.texts.words import count_words

    medians = {
        group.name: median(count_words(text.text) for text in group.texts)
        for group in groups
        if group.texts and (group.real or group.name == main)
    }
    real = next((group.name for group in groups if group.real), None)
    if main not in medians:
        return ""
    beside = f", that of a real one {medians[real]:g}" if real in medians and real != main else ""
    return f"The median length of a {main} text is {medians[main]:g} words{beside}."


def vocabulary_sentence(chart: Chart | None) -> str:
    """Return the significant words of both sides of the selected group."""
    if chart is None:
        return ""
    trace = next(trace for trace in chart["data"] if trace["visible"])
    bars = list(zip(trace["y"], trace["x"], trace["marker"]["color"], strict=True))
    marked = [(word, z) for word, z, colour in bars if not colour.startswith("rgba")]
    more = [word for word, z in reversed(marked) if z > 0][:MAX_WORDS_NAMED]
    less = [word for word, z in marked if z < 0][:MAX_WORDS_NAMED]
    if not marked:
        return "No word is significantly more frequent on one side."
    sides = [f"these texts: {', '.join(more)}"] if more else []
    sides += [f"real texts: {', '.join(less)}"] if less else []
    return f"The most distinctive words of {'; of '.join(sides)}."


def growth_sentence(chart: Chart, groups: Sequence[TextGroup], main: str) -> str:
    """Return the number of different tokens of the main group and of the real texts at equal length."""
    curves = {group.name: trace for group, trace in zip(groups, chart["data"], strict=True) if trace["x"]}
    real = next((group.name for group in groups if group.real), None)
    if main not in curves or real not in curves or main == real:
        return ""
    length = min(curves[name]["x"][-1] for name in (main, real))
    ours, theirs = (
        max((y for x, y in zip(curve["x"], curve["y"], strict=True) if x <= length), default=0)
        for curve in (curves[main], curves[real])
    )
    return f"In about {length:,} tokens, the {main} texts have {ours:,} different ones and the real texts {theirs:,}."
