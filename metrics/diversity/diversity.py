"""The `evaluate` measurement of diversity; what it computes is in `measure.py`."""

from collections.abc import Iterable
from typing import Any

import datasets
import evaluate

from personagen.metrics.diversity.measure import diversity
from personagen.metrics.diversity.personas import validate_personas
from personagen.metrics.shell import own_arguments
from personagen.metrics.texts.corpus import read_corpora, read_corpus
from personagen.metrics.texts.inputs import validate_integer, validate_texts

DESCRIPTION = """
Diversity of a corpus of texts, without references: repeated texts and phrases, richness of words, and the effective
number of different texts, each at a stated number of texts and with an interval; beside real texts, if given.
"""

INPUTS = """
Args:
    data (list of str): the texts, one or more, in any order.
    reference_data (list of str, optional): real texts to set beside, measured at the same number of texts.
    labels (list of str or int, optional): one per text, for values per label.
    personas (list of dict, optional): attributes of the persona behind each text, names and values strings.
    embeddings, reference_embeddings (str or array, optional): name of a sentence-transformers model, or vectors of
        shape (n, d) with rows of length 1; all-MiniLM-L6-v2 where nothing is given.
    sample_size (int, optional): number of texts at which to measure; 1,000 where there are so many.
    vocabulary (int, optional): number of words that the writer might have used; wanted for `ead_1`.
    seed (int, optional): of all draws, 0 where nothing is said.

Returns:
    A flat dictionary; the card lists its keys. `x_ci` is the 95 % interval of `x`, `x_reference` what the real texts
    get, `x_by_label` the value of each label alone.

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

OWN = (
    "data", "reference_data", "labels", "personas", "embeddings", "reference_embeddings", "sample_size", "vocabulary",
    "seed",
)  # fmt: skip


class Diversity(evaluate.Measurement):
    """Measures a corpus: `compute(data=texts)`."""

    def _info(self) -> evaluate.MeasurementInfo:
        return evaluate.MeasurementInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"data": datasets.Value("string")}),
            reference_urls=["https://arxiv.org/abs/2210.02410", "https://arxiv.org/abs/1802.01886"],
        )

    def add(self, *, data: Any, **more: Any) -> None:
        """Add one text; `evaluate` would turn what is no string into one."""
        super().add(data=validate_texts([data])[0], **more)

    def add_batch(self, *, data: Iterable[Any], **more: Any) -> None:
        """Add texts; `evaluate` would turn what is no string into one, and one string into its letters."""
        super().add_batch(data=validate_texts(data), **more)

    def compute(self, **arguments: Any) -> Any:
        """Measure the texts of `data`, or those added before; None in all processes but the first."""
        given = own_arguments(arguments, OWN)
        texts = given.pop("data", None)
        return super().compute(data=None if texts is None else validate_texts(texts), **given)

    def _compute(self, data: Iterable[str], **given: Any) -> dict[str, Any]:
        seed = validate_integer(given.get("seed", 0), "seed", 0)
        sample_size = given.get("sample_size")
        reference = None
        if "reference_data" in given:
            corpus, reference = read_corpora(list(data), given["reference_data"], given)
        else:
            corpus = read_corpus(list(data), given.get("labels"), given.get("embeddings"))
        personas = given.get("personas")
        return diversity(
            corpus,
            reference,
            seed=seed,
            sample_size=None if sample_size is None else validate_integer(sample_size, "sample_size", 1),
            personas=None if personas is None else validate_personas(personas, len(corpus)),
            vocabulary=given.get("vocabulary"),
        )
