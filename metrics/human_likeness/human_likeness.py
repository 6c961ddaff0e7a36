"""The `evaluate` measurement of human-likeness; what it computes is in `measure.py`."""

from collections.abc import Iterable, Sequence
from typing import Any

import datasets
import evaluate

from personagen.metrics.diversity.personas import validate_personas
from personagen.metrics.human_likeness.judge import Judge
from personagen.metrics.human_likeness.measure import human_likeness
from personagen.metrics.shell import own_arguments
from personagen.metrics.texts.inputs import brief, validate_integer, validate_texts

DESCRIPTION = """
Human-likeness of texts as language models judge it: several questions with a scale in words, expected ratings, real
texts and controls judged blind in the same batch, agreement of judges, and whether the ratings can be believed.
"""

INPUTS = """
Args:
    data (list of str): the texts.
    reference_data (list of str): real texts.
    judge (str, Judge, or list of those, optional): "embedded" (where nothing is said), "openai:MODEL",
        "transformers:MODEL", or anything that answers questions; two judges or more show whether they agree.
    personas (list of dict, optional): attributes of the persona behind each text, for `persona_fit`.
    sample_size (int, optional): texts of each side that are judged; 100 where there are so many, 10 where the
        embedded model judges alone.
    seed (int, optional): of draws and questions, 0 where nothing is said.

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

OWN = ("data", "reference_data", "judge", "personas", "sample_size", "seed")


class HumanLikeness(evaluate.Measurement):
    """Has texts judged: `compute(data=texts, reference_data=real_texts, judge="openai:MODEL")`."""

    def _info(self) -> evaluate.MeasurementInfo:
        return evaluate.MeasurementInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"data": datasets.Value("string")}),
            reference_urls=["https://arxiv.org/abs/2303.16634"],
        )

    def add(self, *, data: Any, **more: Any) -> None:
        """Add one text; `evaluate` would turn what is no string into one."""
        super().add(data=validate_texts([data])[0], **more)

    def add_batch(self, *, data: Iterable[Any], **more: Any) -> None:
        """Add texts; `evaluate` would turn what is no string into one, and one string into its letters."""
        super().add_batch(data=validate_texts(data), **more)

    def compute(self, **arguments: Any) -> Any:
        """Judge the texts of `data`, or those added before; None in all processes but the first."""
        given = own_arguments(arguments, OWN)
        texts = given.pop("data", None)
        return super().compute(data=None if texts is None else validate_texts(texts), **given)

    def _compute(self, data: Iterable[str], **given: Any) -> dict[str, Any]:
        texts = validate_texts(list(data))
        if "reference_data" not in given:
            raise TypeError("reference_data is missing, wanted real texts: ratings mean nothing without theirs")
        personas, sample_size = given.get("personas"), given.get("sample_size")
        return human_likeness(
            texts,
            validate_texts(given["reference_data"], "reference_data"),
            read_judges(given.get("judge", "embedded")),
            personas=None if personas is None else validate_personas(personas, len(texts)),
            seed=validate_integer(given.get("seed", 0), "seed", 0),
            sample_size=None if sample_size is None else validate_integer(sample_size, "sample_size", 2),
        )


def read_judges(given: object) -> list[Judge]:
    """Find the judges that are meant; names stand for models behind PersonaGen's backends.

    Raises:
        TypeError: one is neither a name nor a judge.

    """
    chosen = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    judges: list[Judge] = []
    for each in chosen:
        if isinstance(each, str):
            judges.append(_model(each))
        elif callable(each) and isinstance(getattr(each, "name", None), str):
            judges.append(each)
        else:
            raise TypeError(f"judge is {brief(each)}, wanted a name such as openai:MODEL, or a judge")
    return judges


def _model(spec: str) -> Judge:
    """Reach a model by the backends of PersonaGen: the one thing here that a Space does not carry."""
    try:
        from personagen.builder.evaluation.judges import connect_judge
    except ImportError:
        raise ImportError(f"judge {brief(spec)} needs PersonaGen itself; install it, or give a judge") from None
    return connect_judge(spec)
