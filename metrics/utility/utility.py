"""The `evaluate` metric of utility; what it computes is in `measure.py`."""

from collections.abc import Iterable
from typing import Any

import datasets
import evaluate

from personagen.metrics.shell import both_sides, own_arguments, unpadded
from personagen.metrics.texts.corpus import read_corpora, read_corpus
from personagen.metrics.texts.inputs import brief, validate_integer
from personagen.metrics.utility.leakage import requested_mask
from personagen.metrics.utility.measure import masked, utility

DESCRIPTION = """
Utility of labelled texts: how well a classifier that is trained on them reads the labels of real texts, beside one that
is trained on as many real texts; what they add to few real ones; floors and ceiling; intervals paired by test text.
"""

INPUTS = """
Args:
    predictions (list of str): the texts.
    references (list of str): real texts to train on.
    labels, reference_labels (lists of str or int): one per text.
    test_data, test_labels (lists, optional): real texts to test on, with their labels; 30 % of the references where
        nothing is given.
    embeddings, reference_embeddings, test_embeddings (str or array, optional): name of a sentence-transformers model,
        or vectors of shape (n, d) with rows of length 1; all-MiniLM-L6-v2 where nothing is given.
    sample_size (int, optional): training texts of each side; as many as both have of each label where nothing is said.
    model (str, optional): encoder that is fine-tuned besides, by its name on the Hub or its folder.
    mask_words (bool or dict, optional): True masks the words that name an emotion
        in all texts; a dict, its own words of each label.
    seed (int, optional): of all draws, 0 where nothing is said.

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

OWN = (
    "data", "reference_data", "labels", "reference_labels", "embeddings", "reference_embeddings", "test_data",
    "test_labels", "test_embeddings", "sample_size", "model", "mask_words", "seed",
)  # fmt: skip


class Utility(evaluate.Metric):
    """Measures labelled texts by what is learnt from them: `compute(predictions=texts, labels=..., references=...)`."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://arxiv.org/abs/1706.02633"],
        )

    def add_batch(self, *, predictions: Iterable[Any], references: Iterable[Any], **more: Any) -> None:
        """Add texts and real texts, which may be more or fewer; their labels go to `compute`."""
        columns = both_sides(predictions, references)
        super().add_batch(predictions=columns[0], references=columns[1], **more)

    def compute(self, **arguments: Any) -> Any:
        """Measure `predictions` with `references`, or what was added before; None in all processes but the first."""
        given = own_arguments(arguments, OWN)
        texts, real = given.pop("data", None), given.pop("reference_data", None)
        if texts is not None or real is not None:
            self.add_batch(predictions=texts, references=real)
        return super().compute(**given)

    def _compute(
        self, predictions: Iterable[str | None], references: Iterable[str | None], **given: Any
    ) -> dict[str, Any]:
        seed = validate_integer(given.get("seed", 0), "seed", 0)
        sample_size, model = given.get("sample_size"), given.get("model")
        if model is not None and not isinstance(model, str):
            raise TypeError(f"model is {brief(model)}, wanted the name of an encoder")
        corpus, reference = read_corpora(unpadded(predictions), unpadded(references), given)
        test = None
        if "test_data" in given:
            embeddings = given.get("embeddings")
            shared = embeddings if isinstance(embeddings, str) else None
            test = read_corpus(
                given["test_data"], given.get("test_labels"), given.get("test_embeddings", shared), "test_"
            )
        sides = [corpus, reference, *([test] if test else [])]
        if given.get("mask_words", False) is not False:
            labels = sorted({label for side in sides for label in side.labels or []})
            pattern = requested_mask(given["mask_words"], labels)
            sides = [masked(side, pattern) for side in sides]
        return utility(
            *sides,
            seed=seed,
            sample_size=None if sample_size is None else validate_integer(sample_size, "sample_size", 1),
            model=model,
        )
