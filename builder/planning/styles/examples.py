"""What prompts take from real texts: whole texts as a model for the style, and words that carry the label.

Both are files of a recipe, of which each row draws some.
"""

import csv
import io
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from personagen.builder.core.errors import RecipeError, raise_as
from personagen.builder.planning.styles.library import file_id
from personagen.metrics.style import EXPRESSIONS, expression_of
from personagen.metrics.texts.words import count_words

EXAMPLES = 4
"""Real texts per prompt."""

MAX_EXAMPLE_WORDS = 40
"""Upper bound on the words of a real text in a prompt: a small model has little room, and every token is paid for."""

LABEL_WORDS = 3
"""Words that carry the label per prompt."""

EXAMPLE_COLUMNS = ("label", "text")
"""Columns of both files: tab-separated, without quotes."""

EXAMPLE_KEYS = ("examples", "label_words")
"""Keys of `text` that name such a file."""


def load_examples(path: str, key: str = "text.examples") -> Mapping[str, tuple[str, ...]]:
    """Load the texts or words of a file, by label.

    Args:
        path: the file.
        key: key of the recipe that names it.

    Raises:
        ValueError: the file cannot be read, or lacks a column or texts.

    """
    return _parsed_examples(Path(path).name, key, _content_of(path, key))


def require_examples(path: str, key: str, emotions: Collection[str]) -> None:
    """Raise ValueError if a file has no text or word of any of the emotions; see `load_examples`."""
    labels = load_examples(path, key)
    if not set(labels) & set(emotions):
        named = ", ".join(sorted(labels))
        raise ValueError(
            f"{key}: {Path(path).name} has the labels {named!r:.200}, none of which is an emotion of the recipe; name "
            f"them as there ({', '.join(emotions):.200})"
        )


def _content_of(path: str, key: str) -> bytes:
    """Read a file of examples."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        raise _unreadable(path, key, getattr(error, "strerror", None) or str(error)) from None


def _unreadable(path: str, key: str, reason: str) -> ValueError:
    return ValueError(f"{key}: cannot read {path!r} ({reason}); run personagen match")


@lru_cache(maxsize=16)
def _parsed_examples(name: str, key: str, content: bytes) -> Mapping[str, tuple[str, ...]]:
    try:
        text = content.decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE))
    except (UnicodeDecodeError, csv.Error) as error:
        reason = "no text in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise _unreadable(name, key, reason) from None
    by_label: dict[str, list[str]] = {}
    for row in rows:
        if any(row.get(column) is None for column in EXAMPLE_COLUMNS):
            raise ValueError(f"{key}: {name} lacks the column label or text; run personagen match")
        by_label.setdefault(row["label"], []).append(row["text"])
    if not by_label:
        raise ValueError(f"{key}: {name} has no text, wanted one or more; run personagen match")
    return {label: tuple(texts) for label, texts in by_label.items()}


def write_examples(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the file of pairs of label and text; texts that are too long for a prompt are left out."""
    lines = ["\t".join(EXAMPLE_COLUMNS)]
    lines += [f"{label}\t{as_line(text)}" for label, text in pairs if count_words(text) <= MAX_EXAMPLE_WORDS]
    return "\n".join(lines) + "\n"


def draw_examples(texts: Sequence[str], seed: int, row_id: str) -> tuple[str, ...]:
    """Draw the examples of a row, each on one line."""
    rng = random.Random(f"examples:{seed}:{row_id}")
    short = [text for text in texts if count_words(text) <= MAX_EXAMPLE_WORDS]
    return tuple(map(as_line, rng.sample(short, min(EXAMPLES, len(short)))))


def draw_label_words(words: Sequence[str], seed: int, row_id: str, emotion: str, expression: str) -> tuple[str, ...]:
    """Draw the words of a row that carry its label; none is more open than the text is to be.

    Args:
        words: words of the emotion.
        seed: seed of the recipe.
        row_id: id of the row.
        emotion: label of the row.
        expression: how the text is to express it: "named", "voiced" or "shown".

    """
    rank: dict[str, int] = {name: number for number, name in enumerate(EXPRESSIONS)}
    fitting = [word for word in words if rank[expression_of(word, emotion)] >= rank[expression]]
    return tuple(random.Random(f"label words:{seed}:{row_id}").sample(fitting, min(LABEL_WORDS, len(fitting))))


def examples_id(path: str, key: str) -> str:
    """Return how the file is recorded: its name and digest.

    Args:
        path: the file.
        key: key of `text` that names it.

    Raises:
        RecipeError: the file cannot be read any more.

    """
    with raise_as(RecipeError):
        return file_id(path, _content_of(path, f"text.{key}"))


def as_line(text: str) -> str:
    """Return a text on one line: a line break in a prompt would begin a new item."""
    return " ".join(text.split())
