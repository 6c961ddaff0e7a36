"""The `evaluate` measurement of diversity; what it computes is in `lexical.py`."""

from collections.abc import Iterable
from typing import Any

import datasets
import evaluate

from personagen.metrics.diversity.lexical import LexicalDiversity, checked_vocabulary, lexical_diversity
from personagen.metrics.inputs import checked_texts

DESCRIPTION = """
Diversity of a corpus of texts, without references: the share of repeated texts, distinct n-grams, and distinct words
against the number that chance would give (EAD).
"""

INPUTS = """
Args:
    data (list of str): the texts, one or more, in any order.
    vocabulary (int, optional): number of words that the writer might have used; wanted for `ead_1`. Give the same to
        all corpora that are compared.

Returns:
    texts: number of texts.
    mean_words: their mean length in words.
    duplicate_share: share of texts that repeat an earlier one but for case and white space.
    distinct_1, distinct_2, distinct_3: different n-grams over all n-grams; None if no text has n words.
    ead_1: different words over their expected number; None without `vocabulary`.
    ead_vocabulary: the vocabulary, as given.

Example:
    >>> diversity.compute(data=["So happy today", "so  happy today", "The bus was late"])["duplicate_share"]
    0.3333333333333333
"""

CITATION = """
@inproceedings{li-etal-2016-diversity,
  title = {A Diversity-Promoting Objective Function for Neural Conversation Models},
  author = {Li, Jiwei and Galley, Michel and Brockett, Chris and Gao, Jianfeng and Dolan, Bill},
  booktitle = {Proceedings of NAACL-HLT 2016},
  year = {2016},
  url = {https://aclanthology.org/N16-1014}
}
@inproceedings{liu-etal-2022-rethinking,
  title = {Rethinking and Refining the Distinct Metric},
  author = {Liu, Siyang and Sabour, Sahand and Zheng, Yinhe and Ke, Pei and Zhu, Xiaoyan and Huang, Minlie},
  booktitle = {Proceedings of ACL 2022 (Volume 2: Short Papers)},
  year = {2022},
  url = {https://aclanthology.org/2022.acl-short.86}
}
"""


class Diversity(evaluate.Measurement):
    """Measures a corpus: `compute(data=texts, vocabulary=None)`."""

    def _info(self) -> evaluate.MeasurementInfo:
        return evaluate.MeasurementInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"data": datasets.Value("string")}),
            reference_urls=["https://arxiv.org/abs/1510.03055", "https://arxiv.org/abs/2202.13587"],
        )

    def add(self, *, data: Any, **more: Any) -> None:
        """Add one text; `evaluate` would turn what is no string into one."""
        super().add(data=checked_texts([data])[0], **more)

    def add_batch(self, *, data: Iterable[Any], **more: Any) -> None:
        """Add texts; `evaluate` would turn what is no string into one, and one string into its letters."""
        super().add_batch(data=checked_texts(data), **more)

    def compute(self, *, data: Iterable[Any] | None = None, vocabulary: Any = None, **more: Any) -> Any:
        """Measure the texts of `data`, or those added before; None in all processes but the first."""
        unknown = [name for name, value in more.items() if value is not None]
        if unknown:  # `references` would be left out without a word
            raise TypeError(f"compute got {', '.join(unknown)}, wanted no more than data and vocabulary")
        if vocabulary is not None:  # refused before `evaluate` holds files that it would not let go
            vocabulary = checked_vocabulary(vocabulary)
        return super().compute(data=data, vocabulary=vocabulary)

    def _compute(self, data: Iterable[str], vocabulary: int | None = None) -> LexicalDiversity:
        return lexical_diversity(data, vocabulary)
