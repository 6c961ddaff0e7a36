"""Plain sentences, three per label: what a classifier learns from them is the floor of useful training texts.

They were written for this project, and no text is generated from them.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

import numpy as np

from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.embeddings import GIVEN, embed
from personagen.metrics.texts.language import is_mostly_in_other_language

LANGUAGE = "en"
"""ISO 639-1 code of the language of the plain sentences."""


@cache
def plain_sentences() -> Mapping[str, tuple[str, ...]]:
    """Return the plain sentences by label: those of all named taxonomies."""
    table = (files("personagen.metrics") / "data" / "plain_sentences.tsv").read_text(encoding="utf-8")
    sentences: dict[str, tuple[str, ...]] = {}
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        sentences[row["label"]] = (*sentences.get(row["label"], ()), row["text"])
    return sentences


def read_plain(labels: Iterable[str], model: str) -> Corpus | None:
    """Encode the plain sentences of labels.

    Args:
        labels: labels of the measured texts; those without plain sentences are left out.
        model: name of a sentence-transformers model. "given": the sentences get vectors of width 0, which no classifier
            of vectors can be trained on.

    Returns:
        None: no label has plain sentences.

    Raises:
        ValueError, ImportError: the model cannot be loaded.

    """
    sentences = plain_sentences()
    pairs = [(text, label) for label in sorted(set(labels)) for text in sentences.get(label, ())]
    if not pairs:
        return None
    texts = [text for text, _ in pairs]
    vectors = np.zeros((len(texts), 0), dtype=np.float32) if model == GIVEN else embed(texts, model).vectors
    return Corpus(texts, [label for _, label in pairs], vectors, model)


def floor_problem(plain: Corpus | None, test: Corpus, classes: Iterable[str]) -> str | None:
    """Return why plain sentences cannot train a classifier of test texts; None: they can."""
    missing = sorted(set(classes) - set((plain and plain.labels) or ()))
    if missing:
        return f"there are no plain sentences for {', '.join(missing):.200}"
    if is_mostly_in_other_language(test.texts, LANGUAGE):
        return "the plain sentences are in English, and most of the real texts are not"
    return None
