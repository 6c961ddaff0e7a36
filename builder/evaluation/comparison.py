"""Results of a comparison: tables of records, and the folder that holds them.

results.json    every figure           texts/ARM.jsonl    texts of an arm
results.md      the same as tables     rejects.jsonl      rejected replies
best.yaml       recipe of the best arm recipes/ARM.yaml   recipe of an arm
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from personagen.builder.core.errors import FolderError, ReleaseError
from personagen.builder.core.file_names import ARM_RECIPES, ARM_TEXTS, REJECTS, RESULTS, TABLES, arm_texts_path
from personagen.builder.core.files import explain, make_folder, rounded, write_bytes, write_json, write_text
from personagen.builder.core.records import LAYERS, Demographic, Situational, Sociocultural
from personagen.builder.core.result_table import ResultTable
from personagen.builder.evaluation.arms.delivery import TreatmentDelivery
from personagen.builder.evaluation.arms.layers import SharedLayers
from personagen.builder.evaluation.claims import JudgedClaim, count_verdicts
from personagen.builder.release.formats.plain_json import as_records, read_json_lines, read_plain_json, validated
from personagen.builder.release.formats.results_model import ComparisonContent, require_content
from personagen.builder.version import __version__

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "personagen-comparison/3"
"""Version of the layout of `results.json`."""

READ_LINES = 2_000
"""Lines that are parsed at a time."""

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class ArmCost:
    """Number of texts of an arm and their cost.

    Attributes:
        arm: name of the arm.
        texts: accepted or drawn texts.
        missing: rows of the plan without a text.
        requests: distinct requests.
        prompt_tokens: their prompt tokens.
        completion_tokens: their completion tokens.
        tokens_per_text: tokens per accepted text.
        cost_per_text: cost per accepted text, in the currency of the recipe's prices; None: the recipe has no price.
        rejects_per_text: rejected replies per accepted text.
        rejects: rejected replies by reason.

    """

    arm: str
    texts: int
    missing: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    tokens_per_text: float
    cost_per_text: float | None
    rejects_per_text: float
    rejects: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ArmFigure:
    """One measure of one arm.

    Attributes:
        arm: name of the arm.
        measure: name of the measure.
        value: mean over blocks.
        low: lower end of the 95 % interval; None: its error is unknown.
        high: upper end.
        blocks: value per block: one per seed, and per 1,000 texts of a seed.

    """

    arm: str
    measure: str
    value: float
    low: float | None
    high: float | None
    blocks: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ArmRating:
    """Human-likeness of an arm as judges rate it.

    Attributes:
        arm: name of the arm.
        rating: mean rating, from 1 to 5; None: not rated, see `reason`.
        low: lower end of the 95 % interval.
        high: upper end.
        real: mean rating of real texts.
        gap: rating less that of real texts.
        auc: probability that a text is rated above a real one.
        reason: why there is no rating, or why it must not be trusted; None: neither.

    """

    arm: str
    rating: float | None
    low: float | None
    high: float | None
    real: float | None
    gap: float | None
    auc: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class PersonaLayers:
    """Layers of a persona; None: the text was not conditioned on it."""

    demographic: Demographic | None = None
    sociocultural: Sociocultural | None = None
    situational: Situational | None = None


@dataclass(frozen=True, slots=True)
class ComparedText:
    """One text of an arm.

    Attributes:
        arm: name of the arm.
        seed: number of the seed, from 0.
        id: emotion and number of the row: equal in every arm.
        text: the text.
        label: the requested emotion.
        prediction: emotion that the classifier predicts.
        confidence: its confidence, in [0, 1].
        persona_id: persona that wrote it; None: no persona, or a real text.
        persona: layers that the text was conditioned on, by name.

    """

    arm: str
    seed: int
    id: str
    text: str
    label: str
    prediction: str
    confidence: float
    persona_id: str | None
    persona: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ComparedReject:
    """One rejected reply of an arm; for the fields of the reply see `Reject`."""

    arm: str
    seed: int
    id: str
    stage: str
    reason: str
    attempt: int
    text: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class ComparisonFacts:
    """Inputs of a comparison.

    Attributes:
        command: how to repeat it; None: unknown.
        recipe: fingerprint of the recipe.
        model: "backend", "name" and "revision" of the model.
        prompts: hash of the prompt templates.
        reference: "name" and "digest" of the real texts, and the size of each part.
        embeddings: name of the embedding model; None: unknown.
        rows: texts per arm, over all seeds.
        seeds: number of seeds.
        emotions: the emotions.
        classifier: training and test results of the emotion classifier.
        personagen: version that measured.
        wordings: names of the wordings of the prompt, over which intervals are taken too; empty: it has one.

    """

    command: str | None
    recipe: str
    model: Mapping[str, Any]
    prompts: str
    reference: Mapping[str, Any]
    embeddings: str | None
    rows: int
    seeds: int
    emotions: tuple[str, ...]
    classifier: Mapping[str, Any]
    personagen: str = __version__
    wordings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class ComparisonResults:
    """Results of a comparison.

    Attributes:
        facts: inputs of the comparison.
        arms: one record per arm: texts and cost.
        figures: one record per arm and measure.
        claims: one record per claim.
        ratings: one record per arm; empty: no judge was asked.
        texts: one record per text.
        rejects: one record per rejected reply.
        human_likeness: complete results of the judges by arm; None: no judge was asked.
        treatments: one record per arm and treatment: whether its texts show it; empty: written by an earlier version.
        best: arm with the best recipe; see `best_arm`. None: no arm has one, or written by an earlier version.

    """

    facts: ComparisonFacts
    arms: ResultTable[ArmCost]
    figures: ResultTable[ArmFigure]
    claims: ResultTable[JudgedClaim]
    ratings: ResultTable[ArmRating]
    texts: ResultTable[ComparedText]
    rejects: ResultTable[ComparedReject]
    human_likeness: Mapping[str, Mapping[str, Any]] | None = field(default=None)
    treatments: ResultTable[TreatmentDelivery] = field(default=ResultTable(TreatmentDelivery, ()))
    best: str | None = None

    def to_pandas(self) -> "pd.DataFrame":
        """Return the claims as a data frame."""
        return self.claims.to_pandas()

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{count} {name}" for name, count in count_verdicts(self.claims).items())
        return f"<Comparison of {len(self.arms)} arms: {verdicts}>"

    def _repr_html_(self) -> str:
        """Render the claims as an HTML table."""
        return self.claims._repr_html_()

    def to_json(self) -> dict[str, Any]:
        """Return the content of `results.json`; texts and rejects are in files of their own."""
        facts = {name: value for name, value in asdict(self.facts).items() if name != "wordings" or value}
        return {
            "format": FORMAT,
            "personagen": facts.pop("personagen"),
            **facts,
            "arms": {cost.arm: self._arm(cost) for cost in self.arms},
            "claims": self.claims.to_dicts(),
            "treatments": self.treatments.to_dicts(),
            "best": self.best,
            "human_likeness": self.human_likeness,
        }

    def _arm(self, cost: ArmCost) -> dict[str, Any]:
        figures = {
            figure.measure: {name: getattr(figure, name) for name in ("value", "low", "high", "blocks")}
            for figure in self.figures
            if figure.arm == cost.arm
        }
        return {name: value for name, value in asdict(cost).items() if name != "arm"} | {"figures": figures}


def save_comparison(
    comparison: ComparisonResults, folder: Path, tables: str, recipes: Mapping[str, str] | None = None
) -> None:
    """Write texts, rejects and recipes, then the tables as Markdown, and `results.json` last.

    Args:
        comparison: the results.
        folder: folder of the comparison.
        tables: content of `results.md`.
        recipes: content of further files by their path in the folder; None: there is none.

    Raises:
        FolderError: a file cannot be written.

    """
    for name in (ARM_TEXTS, ARM_RECIPES):
        try:
            make_folder(folder / name)
        except OSError as error:
            raise FolderError(f"cannot make {folder / name}: {explain(error)}") from error
    for path, text in (recipes or {}).items():
        write_text(folder / path, text)
    for cost in comparison.arms:
        lines = (_without_arm(text) for text in comparison.texts if text.arm == cost.arm)
        _write_lines(folder / arm_texts_path(cost.arm), lines)
    _write_lines(folder / REJECTS, map(asdict, comparison.rejects))
    write_text(folder / TABLES, tables)
    write_json(folder / RESULTS, comparison.to_json())


def read_comparison(folder: str | Path) -> ComparisonResults:
    """Read the folder of a comparison.

    Raises:
        ReleaseError: the folder holds no comparison, a torn one, or one of another version of PersonaGen.

    """
    folder = Path(folder)
    if not (folder / RESULTS).is_file():
        raise ReleaseError(f"no comparison in {folder}: {RESULTS} is missing; name the folder that `compare` wrote")
    try:
        content = read_plain_json(folder, RESULTS)
        if content["format"] != FORMAT:
            raise ReleaseError(
                f"{folder} has the format {content['format']!r:.60}, wanted {FORMAT}; run `compare` again, which sends "
                "no request that its journal answers"
            )
        return _comparison(content, folder)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ReleaseError(f"cannot read the comparison {folder}: {error!r:.200}; run `compare` again") from None


def _comparison(content: Mapping[str, Any], folder: Path) -> ComparisonResults:
    require_content(ComparisonContent, content)
    arms = content["arms"]
    facts = {"wordings": [], **content}
    facts = {item.name: facts[item.name] for item in fields(ComparisonFacts)}
    costs = [{"arm": arm, **values} for arm, values in arms.items()]
    figures = [
        {"arm": arm, "measure": measure, **figure}
        for arm, values in arms.items()
        for measure, figure in values["figures"].items()
    ]
    texts = ({"arm": arm, **line} for arm in arms for line in read_json_lines(folder, arm_texts_path(arm)))
    return ComparisonResults(
        facts=validated(ComparisonFacts, facts),
        arms=ResultTable(ArmCost, as_records(ArmCost, costs)),
        figures=ResultTable(ArmFigure, as_records(ArmFigure, figures)),
        claims=ResultTable(JudgedClaim, as_records(JudgedClaim, content["claims"])),
        ratings=ratings_of(content["human_likeness"]),
        texts=ResultTable(ComparedText, tuple(_texts(texts))),
        rejects=ResultTable(ComparedReject, tuple(_records(ComparedReject, read_json_lines(folder, REJECTS)))),
        human_likeness=content["human_likeness"],
        treatments=ResultTable(TreatmentDelivery, as_records(TreatmentDelivery, content.get("treatments") or [])),
        best=content.get("best"),
    )


def _texts(lines: Iterable[dict[str, Any]]) -> Iterator[ComparedText]:
    """Yield texts with the layers and the attributes that this version has, each of its type and in memory once."""
    shared, rows = SharedLayers(), iter(lines)
    while part := list(islice(rows, READ_LINES)):
        personas = as_records(PersonaLayers, [line.get("persona") for line in part])
        for text, persona in zip(as_records(ComparedText, part), personas, strict=True):
            layers = {name: layer for name in LAYERS if (layer := getattr(persona, name)) is not None}
            yield replace(text, persona=shared.of(layers))


def ratings_of(human_likeness: Mapping[str, Mapping[str, Any]] | None) -> ResultTable[ArmRating]:
    """Return the main figures of the judges' results."""
    return ResultTable(ArmRating, tuple(_rating(arm, result) for arm, result in (human_likeness or {}).items()))


def _rating(arm: str, result: Mapping[str, Any]) -> ArmRating:
    low, high = result.get("human_likeness_ci") or (None, None)
    doubt = None if result.get("judge_validated", True) else result["judge_validation"]
    return ArmRating(
        arm,
        result.get("human_likeness"),
        low,
        high,
        result.get("human_likeness_real"),
        result.get("human_likeness_gap"),
        result.get("human_likeness_auc"),
        result.get("problem", doubt),
    )


def round_records(kind: type[Record], records: Iterator[Record] | list[Record]) -> ResultTable[Record]:
    """Build a table whose floats have six significant digits: beyond these, processors differ."""
    names = [item.name for item in fields(kind)]  # type: ignore[arg-type]  # a dataclass
    return ResultTable(
        kind, tuple(kind(**{name: rounded(getattr(record, name)) for name in names}) for record in records)
    )


def _without_arm(text: ComparedText) -> dict[str, Any]:
    return {name: value for name, value in asdict(text).items() if name != "arm"}


def _write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines one by one. Raises FolderError if that fails."""
    try:
        write_bytes(path, (json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines))
    except OSError as error:
        raise FolderError(f"cannot write {path}: {explain(error)}") from error


def _records(kind: type[Record], lines: Iterable[Any]) -> Iterator[Record]:
    """Yield records of JSON objects, some thousand at a time; errors are those of `as_records`."""
    rows = iter(lines)
    while part := list(islice(rows, READ_LINES)):
        yield from as_records(kind, part)
