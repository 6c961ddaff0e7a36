"""A small hand-made corpus for tests of `match`: texts of three emotions, each with words of its own."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

WORDS = {
    "joy": ("so happy", "best day ever", "love this song", "my sister got the job", "we danced all night"),
    "anger": ("makes me furious", "they lied again", "hate this queue", "what a rude idiot", "he broke my bike"),
    "fear": ("scared of the dark", "my hands shake", "afraid to open the letter", "that noise again", "the lift stuck"),
}
"""Phrases by emotion."""

PLACES = ("at work", "in the kitchen", "on the bus", "after school", "in town", "at the station", "on my street")
TIMES = ("today", "last night", "this morning", "again on Monday", "just now", "since Friday", "all week", "at noon")
ENDS = (".", "!", "...", "", "!!", "?")


def sentences(emotion: str, count: int, seed: int = 0) -> list[str]:
    """Write different short texts of an emotion."""
    rng = random.Random(f"{emotion}:{seed}")
    texts: dict[str, None] = {}
    while len(texts) < count:
        texts[" ".join(_sentence(rng, emotion) for _ in range(rng.randint(1, 3)))] = None
    return list(texts)


def _sentence(rng: random.Random, emotion: str) -> str:
    names = rng.sample(("Ana", "Ben", "my boss", "the neighbour", "our teacher", "Tom", "grandma", "a stranger"), 2)
    first, second = rng.sample(WORDS[emotion], 2)
    text = f"{first} {rng.choice(PLACES)} with {names[0]} {rng.choice(TIMES)}, {second}, said {names[1]}"
    return text + rng.choice(ENDS)


def corpus(per_label: int, emotions: Sequence[str] = ("joy", "anger", "fear")) -> list[dict[str, str]]:
    """Write labelled texts, all emotions in turn."""
    columns = [[{"text": text, "label": emotion} for text in sentences(emotion, per_label)] for emotion in emotions]
    return [row for rows in zip(*columns, strict=True) for row in rows]


def write_reference(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path
