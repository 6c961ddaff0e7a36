"""Divide the real texts of a comparison into three disjoint parts: for arms, for measures, for testing classifiers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personagen.builder.core.errors import BackendError, RecipeError, raise_as
from personagen.builder.evaluation.arms.conditions import max_rows
from personagen.builder.planning.real_texts import divide, open_source
from personagen.builder.planning.real_texts.division import has_test_part

if TYPE_CHECKING:
    from personagen.metrics.texts.corpus import Corpus

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

    with raise_as(BackendError):
        reference = open_source(source).reference
        if reference.labels is None:
            raise RecipeError(
                f"reference {reference.name} has no labels, wanted one per text; name another --reference"
            )
        has_test = has_test_part(reference)
        whole = read_corpus(
            reference.texts + (reference.test_texts if has_test else []),
            reference.labels + ((reference.test_labels or []) if has_test else []),
            embeddings,
            "reference_",
        )
    pool, held, test = divide(reference, list(quota))
    parts = ReferenceParts(reference.name, whole.take(pool), whole.take(held), whole.take(test))
    for emotion, wanted in quota.items():
        _require_texts(parts, emotion, max(wanted, MIN_POOL_TEXTS))
    return parts


def _require_texts(parts: ReferenceParts, emotion: str, wanted: int) -> None:
    """Raise RecipeError if the pool has too few texts of an emotion, or the test part has none."""
    available = max_rows(parts.pool, emotion)
    if available < wanted or emotion not in (parts.test.labels or ()):
        raise RecipeError(
            f"reference {parts.name} has {available} texts of {emotion!r} for the arms that take real texts, wanted "
            f"{wanted} and some to test on; lower --rows, raise --seeds, name another --reference or leave the emotion "
            "out with --emotions"
        )
