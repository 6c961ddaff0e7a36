"""Style profiles: the joint distribution of the features of a genre of text, as a sample of texts' features."""

import csv
import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from typing import Any

from personagen.metrics.style.expressions import EXPRESSIONS, Expression, family_of
from personagen.metrics.style.features import FEATURES, StyleFeatures, style_features

COLUMNS = ("label", *FEATURES)
"""Columns of the table of a profile."""

UNLABELLED = ""
"""Label of the texts of a corpus without labels."""

MAX_COUNT = 10_000
"""Upper bound on the words of a text, and on every other count in a profile: token limits of requests follow it."""


@dataclass(frozen=True, slots=True)
class StyleProfile:
    """Features of a sample of real texts of one genre: figures, and no text.

    Attributes:
        name: name of the genre.
        form: what a text of the genre is called in a prompt, with its article.
        texts: features by basic emotion, "neutral" or UNLABELLED.

    """

    name: str
    form: str
    texts: Mapping[str, tuple[StyleFeatures, ...]]

    def of(self, emotion: str) -> tuple[StyleFeatures, ...]:
        """Return the features of the texts of an emotion; those of all texts if the profile has none of it."""
        return self.texts.get(family_of(emotion)) or tuple(one for texts in self.texts.values() for one in texts)

    def shares(self, emotion: str) -> dict[Expression, float]:
        """Return the fraction of each expression among the texts of an emotion; they sum to 1."""
        texts = self.of(emotion)
        return {name: sum(one.expression == name for one in texts) / len(texts) for name in EXPRESSIONS}

    def words(self) -> tuple[int, int]:
        """Return the words of the shortest and of the longest text."""
        lengths = [one.words for texts in self.texts.values() for one in texts]
        return min(lengths), max(lengths)


def measure_profile(
    name: str, form: str, texts: Sequence[str], labels: Sequence[str] | None, *, per_label: int, seed: int = 0
) -> StyleProfile:
    """Measure a profile over real texts.

    Args:
        name: name of the genre.
        form: what a text of the genre is called, with its article.
        texts: real texts, in English; those without a word, or with a count above MAX_COUNT, are left out.
        labels: one per text; labels of GoEmotions count as their basic emotion. None: no labels.
        per_label: maximum texts per label, drawn by seed.
        seed: seed of the draw.

    """
    by_label: dict[str, list[StyleFeatures]] = {}
    for position, text in enumerate(texts):
        emotion = None if labels is None else labels[position]
        features = style_features(text, emotion)
        if features.words and all(count <= MAX_COUNT for count in astuple(features) if isinstance(count, int)):
            by_label.setdefault(UNLABELLED if emotion is None else family_of(emotion), []).append(features)
    rng = random.Random(f"profile:{seed}")
    return StyleProfile(
        name, form, {label: tuple(rng.sample(own, min(per_label, len(own)))) for label, own in sorted(by_label.items())}
    )


def write_profile(profile: StyleProfile) -> str:
    """Return the table of a profile as tab-separated text, truth values as 0 and 1."""
    lines = io.StringIO()
    writer = csv.writer(lines, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for label, texts in profile.texts.items():
        for one in texts:
            values = [int(value) if isinstance(value, bool) else value for value in asdict(one).values()]
            writer.writerow([label, *values])
    return lines.getvalue()


def parse_profile(name: str, form: str, table: str) -> StyleProfile:
    """Parse the table of a profile.

    Raises:
        ValueError: a column is missing, a value is no figure of its column, or there is no row.

    """
    texts: dict[str, list[StyleFeatures]] = {}
    try:
        reader = csv.DictReader(io.StringIO(table), delimiter="\t")
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"style {name}: the table has no column {missing[0]!r}, wanted {', '.join(COLUMNS)}")
        for number, row in enumerate(reader, 2):
            texts.setdefault(row["label"], []).append(_parse_row(name, number, row))
    except csv.Error as error:
        raise ValueError(f"style {name}: the table cannot be read ({error}); run personagen match") from None
    if not texts:
        raise ValueError(f"style {name}: the table has no row, wanted one per text")
    return StyleProfile(name, form, {label: tuple(own) for label, own in texts.items()})


def _parse_row(name: str, number: int, row: Mapping[str, str]) -> StyleFeatures:
    values: dict[str, Any] = {}
    for field in fields(StyleFeatures):
        text = row[field.name] or ""
        if field.name == "expression":
            if text not in EXPRESSIONS:
                raise ValueError(
                    f"style {name}: line {number} has the expression {text!r:.40}, wanted named, voiced or shown"
                )
            values[field.name] = text
            continue
        if not text.isascii() or not text.isdigit():
            raise ValueError(f"style {name}: line {number} has {field.name} {text!r:.40}, wanted a count")
        if len(text) > len(str(MAX_COUNT)) or int(text) > MAX_COUNT:
            raise ValueError(
                f"style {name}: line {number} has {field.name} {text:.40}, wanted {MAX_COUNT} or fewer; leave long "
                "texts out of the profile"
            )
        if field.type is bool and text not in ("0", "1"):
            raise ValueError(f"style {name}: line {number} has {field.name} {text!r}, wanted 0 or 1")
        values[field.name] = bool(int(text)) if field.type is bool else int(text)
    if not values["words"]:
        raise ValueError(f"style {name}: line {number} has words {row['words']!r}, wanted 1 or more")
    return StyleFeatures(**values)
