"""The `evaluate` metric of utility; its functions are in `measure.py`."""

from collections.abc import Iterable, Mapping
from typing import Any

import datasets
import evaluate

from personagen.metrics.space import added_sides, padded_sides, required_texts, sample_size_of, seed_of, select_sides
from personagen.metrics.texts.corpus import Corpus, read_corpora, read_corpus
from personagen.metrics.texts.inputs import brief
from personagen.metrics.utility.floor import read_plain
from personagen.metrics.utility.leakage import requested_mask
from personagen.metrics.utility.measure import masked, utility

DESCRIPTION = """
Utility of labelled texts for training: how well a classifier trained on them predicts the labels of real texts,
compared with one trained on as many real texts; the gain they add to few real ones; floors and ceiling; intervals
paired by test text.
"""

INPUTS = """
Args:
    predictions (list of str): texts.
    references (list of str): real texts for training.
    labels, reference_labels (lists of str or int): one per text.
    test_data, test_labels (lists, optional): real texts for testing, with their labels. Defaults to 30 % of the
        references.
    embeddings, reference_embeddings, test_embeddings (str or array, optional): name of a sentence-transformers model,
        or vectors of shape (n, d) with rows of length 1. Defaults to all-MiniLM-L6-v2.
    sample_size (int, optional): training texts per side. Defaults to the largest number that both sides have of every
        label.
    model (str, optional): encoder to fine-tune in addition: its name on the Hub or its folder.
    mask_words (bool or dict, optional): True masks the words that name an emotion in all texts; a dict gives the words
        of each label.
    seed (int, optional): seed of all draws. Defaults to 0.

Returns:
    A flat dictionary; the card lists its keys.

Example:
    >>> import numpy as np
    >>> labels = ["joy", "fear"] * 30
    >>> vectors = np.random.default_rng(0).normal(size=(60, 32)) + np.eye(32)[[0, 1] * 30] * 8
    >>> vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    >>> texts = [f"text {number}" for number in range(60)]
    >>> results = utility.compute(
    ...     predictions=texts[:20], labels=labels[:20], embeddings=vectors[:20],
    ...     references=texts[20:40], reference_labels=labels[20:40], reference_embeddings=vectors[20:40],
    ...     test_data=texts[40:], test_labels=labels[40:], test_embeddings=vectors[40:])
    >>> results["tstr_macro_f1"], results["n_train"]
    (1.0, 20)
"""

CITATION = """
@inproceedings{esteban2017real,
  title = {Real-valued (Medical) Time Series Generation with Recurrent Conditional {GAN}s},
  author = {Esteban, Crist{\\'o}bal and Hyland, Stephanie L. and R{\\"a}tsch, Gunnar},
  year = {2017},
  url = {https://arxiv.org/abs/1706.02633}
}
"""

ACCEPTED = (
    "data", "reference_data", "labels", "reference_labels", "embeddings", "reference_embeddings", "test_data",
    "test_labels", "test_embeddings", "sample_size", "model", "mask_words", "seed",
)  # fmt: skip


class Utility(evaluate.Metric):
    """Metric of labelled texts as training data: `compute(predictions=texts, labels=..., references=...)`."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://arxiv.org/abs/1706.02633"],
        )

    def add(self, **texts: Any) -> None:
        """Add one text, one real text, or both."""
        self.add_batch(**{side: [text] for side, text in added_sides("add", texts).items() if text is not None})

    def add_batch(self, **texts: Any) -> None:
        """Add texts and real texts, whose numbers may differ; their labels are arguments of `compute`."""
        super().add_batch(**padded_sides(**added_sides("add_batch", texts)))

    def compute(self, **arguments: Any) -> Any:
        """Measure `predictions` with `references`, or the texts added before; None in all processes but the first."""
        return super().compute(**select_sides(arguments, ACCEPTED))

    def _compute(self, predictions: Iterable[str], references: Iterable[str], **given: Any) -> dict[str, Any]:
        seed, sample_size, model = seed_of(given), sample_size_of(given, 1), given.get("model")
        if model is not None and not isinstance(model, str):
            raise TypeError(f"model is {brief(model)}, wanted the name of an encoder")
        texts, real = required_texts(predictions, "predictions"), required_texts(references, "references")
        parts = [*read_corpora(texts, real, given), *_test_part(given)]
        plain = read_plain(parts[0].labels or [], parts[0].model)
        if given.get("mask_words", False) is not False:
            labels = sorted({label for part in parts for label in part.labels or []})
            pattern = requested_mask(given["mask_words"], labels)
            parts = [masked(part, pattern) for part in parts]
            plain = plain and masked(plain, pattern)
        return utility(*parts, seed=seed, sample_size=sample_size, model=model, plain=plain)


def _test_part(given: Mapping[str, Any]) -> list[Corpus]:
    """Return the test part, if it is given."""
    if "test_data" not in given:
        return []
    embeddings = given.get("embeddings")
    shared = embeddings if isinstance(embeddings, str) else None
    return [read_corpus(given["test_data"], given.get("test_labels"), given.get("test_embeddings", shared), "test_")]
