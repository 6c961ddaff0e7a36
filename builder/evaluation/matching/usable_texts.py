"""Load a reference, and keep the texts that a match can use: short, in English, with emotions of the recipe."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from personagen.builder.core.errors import BackendError, RecipeError, raise_as
from personagen.builder.evaluation.matching.labels import emotions_of_labels
from personagen.builder.planning.quotas import split_quota
from personagen.builder.planning.recipe import Recipe
from personagen.metrics.texts.language import is_in_other_language
from personagen.metrics.texts.words import count_words

if TYPE_CHECKING:
    from personagen.metrics.texts.reference import Reference

MIN_TEXTS = 50
"""Least usable texts of a reference."""

MIN_LABEL_TEXTS = 10
"""Texts below which a label is left out: the test part would have fewer than three of them."""

MAX_TEXT_WORDS = 300
"""Words above which a text is left out: the models write texts of a paragraph or two."""

MAX_TEXTS = 4_000
"""Upper bound on the texts of a reference that are used: encoding them takes a minute on two cores."""

LANGUAGE_SAMPLE = 500
"""Texts whose language is identified."""

MAX_OTHER_LANGUAGE = 0.2
"""Fraction of texts in another language from which a reference is refused: the measures of style are English."""


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text of a reference: its emotion (None: no labels), and whether it is in the reference's own test split."""

    text: str
    emotion: str | None
    is_test: bool


@dataclass(frozen=True, slots=True)
class UsableTexts:
    """Texts of a reference that a match uses.

    Attributes:
        name: name of the reference.
        is_own: whether it is a file or a folder of the user.
        texts: the texts, those of the reference's test split last.
        mapped: emotion by label, for labels that are not the name of their emotion.
        left_out: texts that are not used, by reason.

    """

    name: str
    is_own: bool
    texts: Sequence[LabelledText]
    mapped: Mapping[str, str]
    left_out: Mapping[str, int]

    @property
    def is_labelled(self) -> bool:
        """Whether the texts have emotions."""
        return self.texts[0].emotion is not None

    def counts(self) -> dict[str, int]:
        """Return the number of texts per emotion; empty without labels."""
        return dict(sorted(Counter(text.emotion for text in self.texts if text.emotion is not None).items()))


def load_usable_texts(source: str, recipe: Recipe) -> UsableTexts:
    """Load a reference, and keep what a match can use.

    Args:
        source: see `load_reference`.
        recipe: its taxonomy and emotions decide which labels count; its seed draws the texts of a large reference.

    Raises:
        BackendError: the reference cannot be loaded.
        RecipeError: it has too few texts, texts that are too long, texts in another language, or unknown labels.

    """
    from personagen.metrics.texts.reference import load_reference

    with raise_as(BackendError):
        reference = load_reference(source)
    _require_short(reference)
    texts, mapped = _labelled(reference, recipe)
    kept = [text for text in texts if 0 < count_words(text.text) <= MAX_TEXT_WORDS]
    left_out = Counter({"emotion": len(reference.texts) + len(reference.test_texts) - len(texts)})
    left_out["length"] = len(texts) - len(kept)
    _require_english(reference.name, kept, recipe.seed)
    if reference.labels is not None:
        frequent = _of_frequent_labels(kept)
        left_out["rare label"], kept = len(kept) - len(frequent), frequent
    _require_enough(reference.name, kept)
    drawn = _drawn(kept, recipe.seed)
    left_out["above maximum"] = len(kept) - len(drawn)
    is_own = Path(source).exists()
    return UsableTexts(
        reference.name, is_own, drawn, mapped, {name: count for name, count in left_out.items() if count}
    )


def _labelled(reference: "Reference", recipe: Recipe) -> tuple[list[LabelledText], dict[str, str]]:
    """Return the texts with the recipe's emotions, and the labels that are not the name of their emotion."""
    parts = ((reference.texts, reference.labels, False), (reference.test_texts, reference.test_labels, True))
    if reference.labels is None:
        return [LabelledText(text, None, is_test) for texts, _, is_test in parts for text in texts], {}
    emotions = emotions_of_labels({*reference.labels, *(reference.test_labels or ())}, recipe, reference.name)
    texts = [
        LabelledText(text, emotions[label], is_test)
        for part, labels, is_test in parts
        for text, label in zip(part, labels or (), strict=True)
        if label in emotions
    ]
    return texts, {label: emotion for label, emotion in emotions.items() if label != emotion}


def _require_short(reference: "Reference") -> None:
    words = median(map(count_words, reference.texts))
    if words > MAX_TEXT_WORDS:
        raise RecipeError(
            f"reference {reference.name} has texts of {words:,.0f} words (median), wanted {MAX_TEXT_WORDS} or fewer; "
            "split them into paragraphs or sentences"
        )


def _require_english(name: str, texts: Sequence[LabelledText], seed: int) -> None:
    sample = random.Random(f"language:{seed}").sample(list(texts), min(LANGUAGE_SAMPLE, len(texts)))
    other = sum(is_in_other_language(text.text, "en") for text in sample)
    if other > MAX_OTHER_LANGUAGE * len(sample):
        raise RecipeError(
            f"reference {name}: {other / len(sample):.0%} of {len(sample)} texts are not in English, wanted at most "
            f"{MAX_OTHER_LANGUAGE:.0%}: styles are measured in English; name a reference in English"
        )


def _of_frequent_labels(texts: Sequence[LabelledText]) -> list[LabelledText]:
    counts = Counter(text.emotion for text in texts)
    return [text for text in texts if counts[text.emotion] >= MIN_LABEL_TEXTS]


def _require_enough(name: str, texts: Sequence[LabelledText]) -> None:
    if len(texts) < MIN_TEXTS:
        raise RecipeError(
            f"reference {name} has {len(texts)} usable texts (of {MIN_LABEL_TEXTS} or more per label, up to "
            f"{MAX_TEXT_WORDS} words), wanted {MIN_TEXTS} or more; add texts"
        )
    emotions = {text.emotion for text in texts}
    if len(emotions) == 1 and None not in emotions:
        raise RecipeError(
            f"reference {name} has one label with {MIN_LABEL_TEXTS} or more texts, {emotions.pop()}, wanted two or "
            "more for a classifier; add texts of other labels, or remove the column of labels"
        )


def _drawn(texts: Sequence[LabelledText], seed: int) -> list[LabelledText]:
    """Draw at most MAX_TEXTS texts, in proportion per emotion and split; the order stays."""
    if len(texts) <= MAX_TEXTS:
        return list(texts)
    groups: dict[str, list[int]] = {}
    for position, text in enumerate(texts):
        groups.setdefault(f"{text.emotion}:{text.is_test}", []).append(position)
    quota = split_quota(MAX_TEXTS, {name: len(rows) / len(texts) for name, rows in groups.items()})
    chosen: list[int] = []
    for name, rows in groups.items():
        chosen += random.Random(f"match:{seed}:{name}").sample(rows, quota[name])
    return [texts[position] for position in sorted(chosen)]


def require_rows(rows: int, labels: int, least: int) -> None:
    """Raise RecipeError if there are fewer than `least` rows per label."""
    if rows < least * labels:
        raise RecipeError(
            f"--rows {rows} gives fewer than {least} texts per label for {labels} labels, wanted "
            f"{least * labels} or more; raise --rows, or name fewer --emotions"
        )


def in_proportion(counts: Mapping[str, int], rows: int, least: int) -> dict[str, int]:
    """Divide rows among labels in proportion to their counts, with at least `least` rows each.

    Raises:
        RecipeError: there are too few rows.

    """
    require_rows(rows, len(counts), least)
    quota: dict[str, int] = {}
    open_counts = dict(counts)
    while open_counts:
        total = sum(open_counts.values())
        shares = split_quota(rows - sum(quota.values()), {name: count / total for name, count in open_counts.items()})
        low = [name for name, share in shares.items() if share < least]
        if not low:
            quota |= shares
            break
        for name in low:
            quota[name] = least
            del open_counts[name]
    return {name: quota[name] for name in counts}
