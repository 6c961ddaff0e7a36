"""Controls: texts made from real ones that a judge must rate lower, hidden among the others."""

import random
from collections.abc import Mapping, Sequence

TEMPLATES = (
    "I am feeling a lot of emotions about {word} right now.",
    "Today I experienced {word} and it made me reflect on my feelings.",
    "It is important to remember that {word} is a part of life.",
    "{word} is something that many people can relate to.",
    "In conclusion, {word} has taught me a valuable lesson.",
)

KEPT_FRACTION = 0.4
"""Fraction of a truncated text that is kept."""


def controls(real: Sequence[str], count: int, seed: int) -> Mapping[str, list[str]]:
    """Make controls of three kinds.

    Args:
        real: real texts, one or more; texts of four words or more are preferred.
        count: number of controls per kind.
        seed: seed of the draws.

    Returns:
        `shuffled`: the words of a text in random order. `template`: a fixed sentence with one word of a text.
        `truncated`: the beginning of a text, cut within a word.

    """
    generator = random.Random(f"controls {seed}")
    usable = [text for text in real if len(text.split()) >= 4] or list(real)
    drawn = [generator.choice(usable) for _ in range(count)]
    return {
        "shuffled": [_shuffled(text, generator) for text in drawn],
        "template": [
            TEMPLATES[number % len(TEMPLATES)].format(word=max(text.split() or ["it"], key=len))
            for number, text in enumerate(drawn)
        ],
        "truncated": [text[: max(1, int(len(text) * KEPT_FRACTION))].rstrip() for text in drawn],
    }


def _shuffled(text: str, generator: random.Random) -> str:
    words = text.split()
    generator.shuffle(words)
    return " ".join(words)
