"""The `evaluate` measurement of diversity; its functions are in `measure.py`."""

from collections.abc import Iterable
from typing import Any

import datasets
import evaluate

from personagen.metrics.diversity.measure import diversity
from personagen.metrics.diversity.personas import validate_personas
from personagen.metrics.space import (
    MEASUREMENT_NAMES,
    added_sides,
    padded_sides,
    required_texts,
    sample_size_of,
    seed_of,
    select_sides,
    unpadded,
)
from personagen.metrics.texts.corpus import read_corpora, read_corpus

DESCRIPTION = """
Diversity of a corpus of texts, without references: repeated texts and phrases, richness of the vocabulary, and the
effective number of different texts, each at a stated number of texts and with an interval; for comparison, the same of
real texts.
"""

INPUTS = """
Args:
    data (list of str): texts, one or more.
    reference_data (list of str, optional): real texts, measured at the same number of texts.
    labels (list of str or int, optional): one per text, for values per label.
    personas (list of dict, optional): attributes of the persona of each text; names and values are strings.
    embeddings, reference_embeddings (str or array, optional): name of a sentence-transformers model, or vectors of
        shape (n, d) with rows of length 1. Defaults to all-MiniLM-L6-v2.
    sample_size (int, optional): number of texts at which to measure. Defaults to 1,000, or fewer for smaller corpora.
    vocabulary (int, optional): number of tokens available to the writer; required for `ead_1`.
    seed (int, optional): seed of all draws. Defaults to 0.

Returns:
    A flat dictionary; the card lists its keys. `x_ci` is the 95 % interval of `x`, `x_reference` the value of the real
    texts, `x_by_label` the value per label.

Example:
    >>> import numpy as np
    >>> results = diversity.compute(data=["So happy", "so  happy", "The bus was late"], embeddings=np.eye(3))
    >>> results["duplicate_share"], round(results["vendi_score"], 9)
    (0.3333333333333333, 3.0)
"""

CITATION = """
@inproceedings{friedman2023vendi,
  title = {The Vendi Score: A Diversity Evaluation Metric for Machine Learning},
  author = {Friedman, Dan and Dieng, Adji Bousso},
  booktitle = {Transactions on Machine Learning Research},
  year = {2023},
  url = {https://arxiv.org/abs/2210.02410}
}
@inproceedings{zhu2018texygen,
  title = {Texygen: A Benchmarking Platform for Text Generation Models},
  author = {Zhu, Yaoming and Lu, Sidi and Zheng, Lei and Guo, Jiaxian and Zhang, Weinan and Wang, Jun and Yu, Yong},
  booktitle = {Proceedings of SIGIR 2018},
  year = {2018},
  url = {https://arxiv.org/abs/1802.01886}
}
@inproceedings{li-etal-2016-diversity,
  title = {A Diversity-Promoting Objective Function for Neural Conversation Models},
  author = {Li, Jiwei and Galley, Michel and Brockett, Chris and Gao, Jianfeng and Dolan, Bill},
  booktitle = {Proceedings of NAACL-HLT 2016},
  year = {2016},
  url = {https://aclanthology.org/N16-1014}
}
"""

ACCEPTED = (
    "data", "reference_data", "labels", "personas", "embeddings", "reference_embeddings", "sample_size", "vocabulary",
    "seed",
)  # fmt: skip


class Diversity(evaluate.Measurement):
    """Measurement of a corpus: `compute(data=texts)`."""

    def _info(self) -> evaluate.MeasurementInfo:
        text = datasets.Value("string")
        return evaluate.MeasurementInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://arxiv.org/abs/2210.02410", "https://arxiv.org/abs/1802.01886"],
        )

    def add(self, **texts: Any) -> None:
        """Add one text, one real text, or both."""
        self.add_batch(**{side: [text] for side, text in added_sides("add", texts).items() if text is not None})

    def add_batch(self, **texts: Any) -> None:
        """Add texts and real texts, whose numbers may differ; all else are arguments of `compute`."""
        super().add_batch(**padded_sides(**added_sides("add_batch", texts), names=MEASUREMENT_NAMES))

    def compute(self, **arguments: Any) -> Any:
        """Measure `data`, or the texts added before; return None in all processes but the first."""
        return super().compute(**select_sides(arguments, ACCEPTED))

    def _compute(self, predictions: Iterable[str], references: Iterable[str], **given: Any) -> dict[str, Any]:
        texts, reference = required_texts(predictions, "data"), None
        if real := unpadded(references):
            corpus, reference = read_corpora(texts, real, given)
        else:
            corpus = read_corpus(texts, given.get("labels"), given.get("embeddings"))
        personas = given.get("personas")
        return diversity(
            corpus,
            reference,
            seed=seed_of(given),
            sample_size=sample_size_of(given, 1),
            personas=None if personas is None else validate_personas(personas, len(corpus)),
            vocabulary=given.get("vocabulary"),
        )
