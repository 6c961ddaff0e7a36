"""Texts with their labels and vectors: the input of every metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.embeddings import embed
from personagen.metrics.texts.inputs import Vectors, validate_labels, validate_texts


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """One or more texts.

    Attributes:
        texts: n strings.
        labels: n strings; None: no labels.
        vectors: shape (n, d), every row of length 1.
        model: embedding model; "given" if the caller passed the vectors.

    """

    texts: Sequence[str]
    labels: Sequence[str] | None
    vectors: Vectors
    model: str

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.intp] | Sequence[int]) -> "Corpus":
        """Return the given rows, in the given order."""
        texts = [self.texts[row] for row in rows]
        labels = None if self.labels is None else [self.labels[row] for row in rows]
        return Corpus(texts, labels, self.vectors[rows], self.model)


def read_corpus(texts: object, labels: object = None, embeddings: Any = None, prefix: str = "") -> Corpus:
    """Validate texts, labels and embeddings, and encode the texts unless vectors are given.

    Args:
        texts: list of strings, one or more.
        labels: one per text; None: no labels.
        embeddings: see `embed`.
        prefix: prefix of the argument names in messages, such as "reference_".

    Raises:
        TypeError, ValueError: an argument is invalid.

    """
    strings = validate_texts(texts, f"{prefix}data")
    names = None if labels is None else validate_labels(labels, len(strings), f"{prefix}labels")
    embedded = embed(strings, embeddings, f"{prefix}embeddings")
    return Corpus(strings, names, embedded.vectors, embedded.model)


def to_corpus(texts: Corpus | Sequence[str], prefix: str = "") -> Corpus:
    """Return a corpus; texts alone are encoded by the default model, and have no labels.

    Raises:
        TypeError, ValueError: `texts` is neither a corpus nor a list of strings, or is empty.

    """
    return texts if isinstance(texts, Corpus) else read_corpus(texts, prefix=prefix)


def read_corpora(texts: object, real: object, arguments: Mapping[str, Any]) -> tuple[Corpus, Corpus]:
    """Read the measured texts and the real texts from the arguments of a module.

    Args:
        texts: measured texts.
        real: real texts.
        arguments: `labels`, `reference_labels`, `embeddings` and `reference_embeddings`, all optional. A model named
            by `embeddings` encodes the real texts as well.

    Raises:
        TypeError, ValueError: an argument is invalid.

    """
    embeddings = arguments.get("embeddings")
    shared = embeddings if isinstance(embeddings, str) else None
    reference_embeddings = arguments.get("reference_embeddings", shared)
    return (
        read_corpus(texts, arguments.get("labels"), embeddings),
        read_corpus(real, arguments.get("reference_labels"), reference_embeddings, "reference_"),
    )
