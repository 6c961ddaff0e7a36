"""The `evaluate` measurement of human-likeness; its functions are in `measure.py`."""

from collections.abc import Iterable
from typing import Any

import datasets
import evaluate

from personagen.metrics.diversity.personas import validate_personas
from personagen.metrics.human_likeness.judge import to_judges
from personagen.metrics.human_likeness.measure import human_likeness
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

DESCRIPTION = """
Human-likeness of texts as rated by language models: several questions with a verbal scale, expected ratings, real texts
and controls rated blind in the same batch, agreement of judges, and whether the ratings are valid.
"""

INPUTS = """
Args:
    data (list of str): texts.
    reference_data (list of str): real texts.
    judge (str, Judge, or list of those, optional): "openai:MODEL", "transformers:MODEL", "embedded" (the default), or
        any object that answers questions. Two judges or more show whether they agree.
    personas (list of dict, optional): attributes of the persona of each text, for `persona_fit`.
    sample_size (int, optional): texts rated per side. Defaults to 100, or 10 if the embedded model is the only judge.
    seed (int, optional): seed of draws and questions. Defaults to 0.

Returns:
    A flat dictionary; the card lists its keys.
"""

CITATION = """
@inproceedings{liu2023geval,
  title = {{G-Eval}: {NLG} Evaluation using {GPT-4} with Better Human Alignment},
  author = {Liu, Yang and Iter, Dan and Xu, Yichong and Wang, Shuohang and Xu, Ruochen and Zhu, Chenguang},
  booktitle = {Proceedings of EMNLP 2023},
  year = {2023},
  url = {https://arxiv.org/abs/2303.16634}
}
"""

ACCEPTED = ("data", "reference_data", "judge", "personas", "sample_size", "seed")


class HumanLikeness(evaluate.Measurement):
    """Measurement by judges: `compute(data=texts, reference_data=real_texts, judge="openai:MODEL")`."""

    def _info(self) -> evaluate.MeasurementInfo:
        text = datasets.Value("string")
        return evaluate.MeasurementInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://arxiv.org/abs/2303.16634"],
        )

    def add(self, **texts: Any) -> None:
        """Add one text, one real text, or both."""
        self.add_batch(**{side: [text] for side, text in added_sides("add", texts).items() if text is not None})

    def add_batch(self, **texts: Any) -> None:
        """Add texts and real texts, whose numbers may differ; all else are arguments of `compute`."""
        super().add_batch(**padded_sides(**added_sides("add_batch", texts), names=MEASUREMENT_NAMES))

    def compute(self, **arguments: Any) -> Any:
        """Rate `data`, or the texts added before; return None in all processes but the first."""
        return super().compute(**select_sides(arguments, ACCEPTED))

    def _compute(self, predictions: Iterable[str], references: Iterable[str], **given: Any) -> dict[str, Any]:
        texts, real = required_texts(predictions, "data"), unpadded(references)
        if not real:
            raise TypeError("reference_data is missing, wanted real texts: ratings mean nothing without theirs")
        personas = given.get("personas")
        return human_likeness(
            texts,
            real,
            to_judges(given.get("judge", "embedded")),
            personas=None if personas is None else validate_personas(personas, len(texts)),
            seed=seed_of(given),
            sample_size=sample_size_of(given, 2),
        )
