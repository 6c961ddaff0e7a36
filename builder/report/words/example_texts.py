"""Some texts in full, with their personas in a line, for the top of the page."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from personagen.builder.report.text_groups import ReportText, TextGroup

EXAMPLES = 3
"""Texts shown at the top of the page."""

MAX_CHARACTERS = 600
"""Characters of such a text."""


class ExampleText(NamedTuple):
    """A text and its caption: emotion, persona and situation."""

    text: str
    caption: str


def example_texts(groups: Sequence[TextGroup]) -> list[ExampleText]:
    """Return texts from equal distances in the first group that a model wrote, of different emotions if there are any.

    A group that the page shows from the start, and whose texts have personas, is preferred.
    """
    ours = [group for group in groups if not group.real and group.texts]
    if not ours:
        return []
    group = max(ours, key=lambda group: (any(text.persona for text in group.texts), group.visible))
    emotions = list(dict.fromkeys(text.label for text in group.texts))
    step = max(len(emotions) // EXAMPLES, 1)
    picked: dict[str, ReportText] = {}
    for number in range(EXAMPLES):
        texts = [text for text in group.texts if text.label == emotions[number * step % len(emotions)]]
        text = texts[(2 * number + 1) * len(texts) // (2 * EXAMPLES)]
        picked[text.text] = text
    return [ExampleText(_shortened(text.text), caption_of(text)) for text in picked.values()]


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} … (cut)"


def caption_of(text: ReportText) -> str:
    """Return the emotion of a text and its persona in a line."""
    layers = text.persona or {}
    person, background = layers.get("demographic", {}), layers.get("sociocultural", {})
    situation = layers.get("situational", {})
    parts = [
        text.label or "no label",
        _joined(person, ("gender", "age", "occupation"), ", "),
        _joined(background, ("settlement", "country"), " in "),
        _joined(situation, ("event",), " "),
        _joined(situation, ("channel",), " "),
    ]
    return "; ".join(part for part in parts if part)


def _joined(layer: Mapping[str, Any], names: Sequence[str], between: str) -> str:
    return between.join(str(layer[name]) for name in names if layer.get(name) is not None)
