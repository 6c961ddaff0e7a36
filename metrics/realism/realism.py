"""The `evaluate` metric of realism; its functions are in `measure.py`."""

from collections.abc import Iterable
from typing import Any

import datasets
import evaluate

from personagen.metrics.realism.measure import realism
from personagen.metrics.space import added_sides, padded_sides, required_texts, sample_size_of, seed_of, select_sides
from personagen.metrics.texts.corpus import read_corpora

DESCRIPTION = """
Realism of texts compared with real ones, whose number may differ: distances of their vectors, a classifier that
separates them, copies, and whether labels mean the same. Every value is reported with its null: the value of real texts
compared with other real texts at the same number of texts.
"""

INPUTS = """
Args:
    predictions (list of str): texts.
    references (list of str): real texts; at least twice as many as the texts, for a null of the same size.
    labels, reference_labels (lists of str or int, optional): one per text, for the keys about labels.
    embeddings, reference_embeddings (str or array, optional): name of a sentence-transformers model, or vectors of
        shape (n, d) with rows of length 1. Defaults to all-MiniLM-L6-v2.
    sample_size (int, optional): texts per side at which to measure. Defaults to 1,000, or fewer for smaller corpora.
    seed (int, optional): seed of all draws. Defaults to 0.

Returns:
    A flat dictionary; the card lists its keys. `x_ci` is the 95 % interval of `x`, `x_null` the value of real texts
    compared with real ones, `x_null_ci` the interval of 95 % of such values.

Example:
    >>> import numpy as np
    >>> texts = [f"text {number}" for number in range(40)]
    >>> results = realism.compute(predictions=texts[:10], references=texts[10:],
    ...                           embeddings=np.eye(40)[:10], reference_embeddings=np.eye(40)[10:])
    >>> results["sample_size"], results["copied_share"]
    (10, 0.0)
"""

CITATION = """
@article{gretton2012kernel,
  title = {A Kernel Two-Sample Test},
  author = {Gretton, Arthur and Borgwardt, Karsten M. and Rasch, Malte J. and Sch{\\"o}lkopf, Bernhard and
    Smola, Alexander},
  journal = {Journal of Machine Learning Research},
  volume = {13},
  year = {2012},
  url = {https://jmlr.org/papers/v13/gretton12a.html}
}
@inproceedings{pillutla2021mauve,
  title = {{MAUVE}: Measuring the Gap Between Neural Text and Human Text using Divergence Frontiers},
  author = {Pillutla, Krishna and Swayamdipta, Swabha and Zellers, Rowan and Thickstun, John and Welleck, Sean and
    Choi, Yejin and Harchaoui, Zaid},
  booktitle = {NeurIPS},
  year = {2021},
  url = {https://arxiv.org/abs/2102.01454}
}
@inproceedings{naeem2020reliable,
  title = {Reliable Fidelity and Diversity Metrics for Generative Models},
  author = {Naeem, Muhammad Ferjad and Oh, Seong Joon and Uh, Youngjung and Choi, Yunjey and Yoo, Jaejun},
  booktitle = {ICML},
  year = {2020},
  url = {https://arxiv.org/abs/2002.09797}
}
"""

ACCEPTED = (
    "data", "reference_data", "labels", "reference_labels", "embeddings", "reference_embeddings", "sample_size", "seed",
)  # fmt: skip


class Realism(evaluate.Metric):
    """Metric of texts and real texts: `compute(predictions=texts, references=real_texts)`."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://arxiv.org/abs/2102.01454", "https://arxiv.org/abs/2002.09797"],
        )

    def add(self, **texts: Any) -> None:
        """Add one text, one real text, or both."""
        self.add_batch(**{side: [text] for side, text in added_sides("add", texts).items() if text is not None})

    def add_batch(self, **texts: Any) -> None:
        """Add texts and real texts, whose numbers may differ; their labels are arguments of `compute`."""
        super().add_batch(**padded_sides(**added_sides("add_batch", texts)))

    def compute(self, **arguments: Any) -> Any:
        """Compare `predictions` with `references`, or the texts added before; None in all processes but the first."""
        return super().compute(**select_sides(arguments, ACCEPTED))

    def _compute(self, predictions: Iterable[str], references: Iterable[str], **given: Any) -> dict[str, Any]:
        texts, real = required_texts(predictions, "predictions"), required_texts(references, "references")
        corpus, reference = read_corpora(texts, real, given)
        return realism(corpus, reference, seed=seed_of(given), sample_size=sample_size_of(given, 2))
