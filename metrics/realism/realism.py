"""The `evaluate` metric of realism; what it computes is in `measure.py`."""

from collections.abc import Iterable
from typing import Any

import datasets
import evaluate

from personagen.metrics.realism.measure import realism
from personagen.metrics.shell import both_sides, own_arguments, unpadded
from personagen.metrics.texts.corpus import read_corpora
from personagen.metrics.texts.inputs import validate_integer

DESCRIPTION = """
Realism of texts against real ones, which may be more or fewer: distances of their vectors, whether a classifier can
tell them apart, whether they are copies, and whether labels mean the same. Every value stands beside what real texts
get against other real texts at the same number of texts.
"""

INPUTS = """
Args:
    predictions (list of str): the texts.
    references (list of str): real texts; twice as many as the texts, or more, for a null of the same size.
    labels, reference_labels (lists of str or int, optional): one per text, for the keys in which labels count.
    embeddings, reference_embeddings (str or array, optional): name of a sentence-transformers model, or vectors of
        shape (n, d) with rows of length 1; all-MiniLM-L6-v2 where nothing is given.
    sample_size (int, optional): texts a side at which to measure; 1,000 where there are so many.
    seed (int, optional): of all draws, 0 where nothing is said.

Returns:
    A flat dictionary; the card lists its keys. `x_ci` is the 95 % interval of `x`, `x_null` what real texts get against
    real ones, `x_null_ci` where 95 % of such values lie.

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

OWN = (
    "data", "reference_data", "labels", "reference_labels", "embeddings", "reference_embeddings", "sample_size", "seed",
)  # fmt: skip


class Realism(evaluate.Metric):
    """Measures texts against real ones: `compute(predictions=texts, references=real_texts)`."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://arxiv.org/abs/2102.01454", "https://arxiv.org/abs/2002.09797"],
        )

    def add_batch(self, *, predictions: Iterable[Any], references: Iterable[Any], **more: Any) -> None:
        """Add texts and real texts, which may be more or fewer; either may be empty."""
        columns = both_sides(predictions, references)
        super().add_batch(predictions=columns[0], references=columns[1], **more)

    def compute(self, **arguments: Any) -> Any:
        """Measure `predictions` against `references`, or what was added before; None in all processes but the first."""
        given = own_arguments(arguments, OWN)
        texts, real = given.pop("data", None), given.pop("reference_data", None)
        if texts is not None or real is not None:
            self.add_batch(predictions=texts, references=real)
        return super().compute(**given)

    def _compute(
        self, predictions: Iterable[str | None], references: Iterable[str | None], **given: Any
    ) -> dict[str, Any]:
        seed = validate_integer(given.get("seed", 0), "seed", 0)
        sample_size = given.get("sample_size")
        corpus, reference = read_corpora(unpadded(predictions), unpadded(references), given)
        return realism(
            corpus,
            reference,
            seed=seed,
            sample_size=None if sample_size is None else validate_integer(sample_size, "sample_size", 2),
        )
