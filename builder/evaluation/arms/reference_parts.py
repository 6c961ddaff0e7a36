"""Divide the real texts of a comparison into three disjoint parts: for arms, for measures, for testing classifiers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personagen.builder.core.errors import BackendError, RecipeError, raise_as
from personagen.builder.evaluation.arms.conditions import max_rows

if TYPE_CHECKING:
    from personagen.metrics.texts.corpus import Corpus
    from personagen.metrics.texts.reference import Reference

SEED = 20
"""Seed of the division: equal for every seed of a comparison."""

MIN_POOL_TEXTS = 10
"""Least texts per emotion in the pool: examples and neighbours are drawn from them."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceParts:
    """Real texts in three disjoint parts.

    Attributes:
        name: name of the reference.
        pool: texts that arms may use.
        held: texts that arms are compared against; they train the emotion classifier too.
        test: texts on which classifiers are tested.

    """

    name: str
    pool: "Corpus"
    held: "Corpus"
    test: "Corpus"

    def sizes(self) -> dict[str, int]:
        """Return the number of texts per part."""
        return {"pool": len(self.pool), "held": len(self.held), "test": len(self.test)}


def read_parts(source: str, embeddings: str | None, quota: Mapping[str, int]) -> ReferenceParts:
    """Load a reference and divide its texts of the compared emotions.

    The train part is halved into pool and held. A reference without a test part is divided 2 : 2 : 1.

    Args:
        source: see `load_reference`.
        embeddings: name of a sentence-transformers model; None: the default model.
        quota: upper bound on the texts per emotion that an arm takes from the pool.

    Raises:
        RecipeError: the reference has no labels, or too few texts of an emotion.
        BackendError: the reference or the embedding model cannot be loaded.

    """
    from personagen.metrics.texts.corpus import read_corpus
    from personagen.metrics.texts.reference import load_reference

    with raise_as(BackendError):
        reference = load_reference(source)
        if reference.labels is None:
            raise RecipeError(
                f"reference {reference.name} has no labels, wanted one per text; name another --reference"
            )
        has_test = bool(reference.test_texts and reference.test_labels)
        whole = read_corpus(
            reference.texts + (reference.test_texts if has_test else []),
            reference.labels + ((reference.test_labels or []) if has_test else []),
            embeddings,
            "reference_",
        )
    pool, held, test = _divide(reference, list(quota), has_test=has_test)
    parts = ReferenceParts(reference.name, whole.take(pool), whole.take(held), whole.take(test))
    for emotion, wanted in quota.items():
        _require_texts(parts, emotion, max(wanted, MIN_POOL_TEXTS))
    return parts


def _divide(reference: "Reference", emotions: Sequence[str], *, has_test: bool) -> tuple[list[int], ...]:
    """Return the rows of the three parts; rows of the reference's test part follow all others."""
    import numpy as np

    from personagen.metrics.texts.inputs import rows_by_label

    generator = np.random.default_rng(SEED)
    by_label = rows_by_label(reference.labels or [])
    parts: tuple[list[int], ...] = ([], [], [])
    for emotion in emotions:
        rows = generator.permutation(by_label.get(emotion, [])).astype(int).tolist()
        first, second = (len(rows) // 2, len(rows)) if has_test else (2 * len(rows) // 5, 4 * len(rows) // 5)
        for part, selected in zip(parts, (rows[:first], rows[first:second], rows[second:]), strict=True):
            part.extend(selected)
    if has_test:
        labels = reference.test_labels or []
        parts[2].extend(len(reference.texts) + row for row, label in enumerate(labels) if label in emotions)
    return tuple(sorted(part) for part in parts)


def _require_texts(parts: ReferenceParts, emotion: str, wanted: int) -> None:
    """Raise RecipeError if the pool has too few texts of an emotion, or the test part has none."""
    available = max_rows(parts.pool, emotion)
    if available < wanted or emotion not in (parts.test.labels or ()):
        raise RecipeError(
            f"reference {parts.name} has {available} texts of {emotion!r} for the arms that take real texts, wanted "
            f"{wanted} and some to test on; lower --rows, raise --seeds, name another --reference or leave the emotion "
            "out with --emotions"
        )
