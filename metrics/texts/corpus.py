"""Texts with what is known of them: labels and vectors. What every metric takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.embeddings import embed
from personagen.metrics.texts.inputs import Vectors, checked_labels, checked_texts


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Texts, one or more.

    Attributes:
        texts: n strings.
        labels: n strings; None where there are none.
        vectors: shape (n, d), every row of length 1.
        model: what made the vectors; "given" where the caller gave them.

    """

    texts: Sequence[str]
    labels: Sequence[str] | None
    vectors: Vectors
    model: str

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.intp] | Sequence[int]) -> "Corpus":
        """Pick some rows, in the order given."""
        texts = [self.texts[row] for row in rows]
        labels = None if self.labels is None else [self.labels[row] for row in rows]
        return Corpus(texts, labels, self.vectors[rows], self.model)


def read_corpus(texts: object, labels: object = None, embeddings: Any = None, prefix: str = "") -> Corpus:
    """Check texts, labels and embeddings, and encode the texts where no vectors are given.

    Args:
        texts: list of strings, one or more.
        labels: one a text; None for none.
        embeddings: see `embed`.
        prefix: what stands before the names in messages: "reference_", say.

    Raises:
        TypeError, ValueError: one of them is not what it should be.

    """
    found = checked_texts(texts, f"{prefix}data")
    named = None if labels is None else checked_labels(labels, len(found), f"{prefix}labels")
    embedded = embed(found, embeddings, f"{prefix}embeddings")
    return Corpus(found, named, embedded.vectors, embedded.model)


def read_corpora(texts: object, real: object, given: Mapping[str, Any]) -> tuple[Corpus, Corpus]:
    """Read texts and real texts from the arguments of a module.

    Args:
        texts: the texts that are measured.
        real: the real texts.
        given: `labels`, `reference_labels`, `embeddings` and `reference_embeddings`, where given; a model for
            the texts is the model for the real texts too.

    Raises:
        TypeError, ValueError: one of them is not what it should be.

    """
    embeddings = given.get("embeddings")
    shared = embeddings if isinstance(embeddings, str) else None
    return (
        read_corpus(texts, given.get("labels"), embeddings),
        read_corpus(real, given.get("reference_labels"), given.get("reference_embeddings", shared), "reference_"),
    )
