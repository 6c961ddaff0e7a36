"""Divide a corpus of real texts into disjoint parts: texts for prompts, for measures, and for testing classifiers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from personagen.metrics.texts.reference import Reference

SEED = 20
"""Seed of the division: equal for every comparison and every release, so that all have the same parts."""


def divide(reference: "Reference", emotions: Sequence[str]) -> tuple[list[int], list[int], list[int]]:
    """Return the rows of the pool, of the held texts and of the test texts, each in ascending order.

    The train part is halved into pool and held texts. A reference without a test part is divided 2 : 2 : 1.

    Args:
        reference: real texts with labels.
        emotions: labels to divide; the rows of an emotion depend on the emotions before it.

    Returns:
        Positions in the texts of the reference; those of its test part follow all others.

    """
    import numpy as np

    from personagen.metrics.texts.inputs import rows_by_label

    has_test = has_test_part(reference)
    generator = np.random.default_rng(SEED)
    by_label = rows_by_label(reference.labels or [])
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for emotion in emotions:
        rows = generator.permutation(by_label.get(emotion, [])).astype(int).tolist()
        first, second = (len(rows) // 2, len(rows)) if has_test else (2 * len(rows) // 5, 4 * len(rows) // 5)
        for part, selected in zip(parts, (rows[:first], rows[first:second], rows[second:]), strict=True):
            part.extend(selected)
    if has_test:
        labels = reference.test_labels or []
        parts[2].extend(len(reference.texts) + row for row, label in enumerate(labels) if label in emotions)
    return sorted(parts[0]), sorted(parts[1]), sorted(parts[2])


def has_test_part(reference: "Reference") -> bool:
    """Return whether a reference has a test part with labels."""
    return bool(reference.test_texts and reference.test_labels)
