"""The real texts of a comparison, in three parts that share none: for the arms, for measuring, for testing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personagen.builder.core.errors import BackendError, RecipeError
from personagen.builder.evaluation.arms import fewest

if TYPE_CHECKING:
    from personagen.metrics.texts.corpus import Corpus
    from personagen.metrics.texts.reference import Reference

SEED = 20
"""Of the division: the same for every seed of a comparison."""

FEWEST = 10
"""Texts of an emotion that the pool needs at least: examples and neighbours are drawn from them."""


@dataclass(frozen=True, slots=True, eq=False)
class RealTexts:
    """Real texts in three parts that share none.

    Attributes:
        name: of the reference.
        pool: what arms may use.
        held: what texts are measured against, and what the emotion classifier is trained on.
        test: what classifiers are tested on.

    """

    name: str
    pool: "Corpus"
    held: "Corpus"
    test: "Corpus"

    def sizes(self) -> dict[str, int]:
        """Count the texts of each part."""
        return {"pool": len(self.pool), "held": len(self.held), "test": len(self.test)}


def real_texts(source: str, embeddings: str | None, quota: Mapping[str, int]) -> RealTexts:
    """Read a reference, and divide its texts of the emotions that are compared.

    The train part is halved; a reference without a test part is divided into two fifths, two fifths and one.

    Args:
        source: see `load_reference`.
        embeddings: name of a sentence-transformers model; None for the default one.
        quota: texts of each emotion that an arm takes from the pool at most.

    Raises:
        RecipeError: the reference has no labels, or too few texts of an emotion.
        BackendError: it, or the model of the embeddings, cannot be loaded.

    """
    from personagen.metrics.texts.corpus import read_corpus
    from personagen.metrics.texts.reference import load_reference

    try:
        reference = load_reference(source)
        if reference.labels is None:
            raise RecipeError(
                f"reference {reference.name} has no labels, wanted one per text; name another --reference"
            )
        tested = bool(reference.test_texts and reference.test_labels)
        whole = read_corpus(
            reference.texts + (reference.test_texts if tested else []),
            reference.labels + ((reference.test_labels or []) if tested else []),
            embeddings,
            "reference_",
        )
    except (ValueError, ImportError) as error:
        raise BackendError(str(error)) from None
    pool, held, test = _divided(reference, list(quota), tested=tested)
    real = RealTexts(reference.name, whole.take(pool), whole.take(held), whole.take(test))
    for emotion, wanted in quota.items():
        _check(real, emotion, max(wanted, FEWEST))
    return real


def _divided(reference: "Reference", emotions: Sequence[str], *, tested: bool) -> tuple[list[int], ...]:
    """Number the rows of the three parts, those of the test part after all others."""
    import numpy as np

    from personagen.metrics.texts.inputs import rows_by_label

    generator = np.random.default_rng(SEED)
    by_label = rows_by_label(reference.labels or [])
    parts: tuple[list[int], ...] = ([], [], [])
    for emotion in emotions:
        rows = generator.permutation(by_label.get(emotion, [])).astype(int).tolist()
        first, second = (len(rows) // 2, len(rows)) if tested else (2 * len(rows) // 5, 4 * len(rows) // 5)
        for part, found in zip(parts, (rows[:first], rows[first:second], rows[second:]), strict=True):
            part.extend(found)
    if tested:
        labels = reference.test_labels or []
        parts[2].extend(len(reference.texts) + row for row, label in enumerate(labels) if label in emotions)
    return tuple(sorted(part) for part in parts)


def _check(real: RealTexts, emotion: str, wanted: int) -> None:
    has = fewest(real.pool, emotion)
    if has < wanted or emotion not in (real.test.labels or ()):
        raise RecipeError(
            f"reference {real.name} has {has} texts of {emotion!r} for the arms that take real texts, wanted {wanted} "
            "and some to test on; lower --rows, raise --seeds, name another --reference or leave the emotion out with "
            "--emotions"
        )
