"""The results of comparisons and matches as types: what pages and tables may rely on beyond their records."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from personagen.builder.release.formats.manifest_model import Count, Counts, Line, ManifestPart, Words
from personagen.builder.release.formats.plain_json import first_fault

Number = Annotated[float, Field(gt=-1e15, lt=1e15)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Interval = Annotated[list[Number], Field(min_length=2, max_length=2)]


class WithInterval(ManifestPart):
    """A part with a 95 % interval."""

    low: Number | None = None
    high: Number | None = None

    @model_validator(mode="after")
    def _has_both_ends(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError("both ends of an interval, or none")
        return self


class ArmModel(ManifestPart):
    """The model that wrote the texts of the arms."""

    backend: Line
    name: Line | None
    revision: Line | None = None


class ComparisonReference(ManifestPart):
    """The real texts of a comparison."""

    name: Line


class MatchReference(ManifestPart):
    """The real texts of a match."""

    name: Line
    pool: Count
    test: Count
    labels: dict[Line, Count]


class TestedClassifier(ManifestPart):
    """The emotion classifier of a comparison, with its test results."""

    model: Line
    reference: Line
    version: Line
    trained_on: Count
    tested_on: Count
    accuracy: Fraction
    balanced_accuracy: Fraction
    macro_f1: Fraction
    calibration_error: Fraction
    calibrated_on: Line | None = None
    other_reference: Line | None = None
    other_tested_on: Count | None = None
    other_accuracy: Fraction | None = None
    other_balanced_accuracy: Fraction | None = None
    other_calibration_error: Fraction | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        others = (self.other_reference, self.other_tested_on, self.other_accuracy, self.other_balanced_accuracy,
                  self.other_calibration_error)  # fmt: skip
        if len({value is None for value in others}) > 1:
            raise ValueError("all results on other corpora, or none")
        return self


class ListedFigure(WithInterval):
    """A figure of an arm."""

    value: Number
    blocks: list[Number]


class ListedArm(ManifestPart):
    """An arm of a comparison."""

    texts: Count
    missing: Count
    requests: Count
    prompt_tokens: Count
    completion_tokens: Count
    tokens_per_text: Number
    cost_per_text: Number | None
    rejects_per_text: Number
    rejects: Counts
    figures: dict[Line, ListedFigure]


class ListedClaim(WithInterval):
    """A claim with its verdict."""

    statement: Line
    measure: Line
    arm: Line
    against: Line | None
    better: Literal["higher", "lower"]
    null: Number
    difference: Number
    p: Fraction | None
    p_corrected: Fraction | None
    verdict: Literal["supported", "not supported", "undecided", "void"]
    detectable: Number | None = None
    reason: Words | None = None
    void: Words | None = None


class ListedDelivery(ManifestPart):
    """Whether the texts of an arm show a treatment."""

    arm: Line
    treatment: Line
    measure: Line
    value: Number
    upper: Number | None
    least: Number
    outcome: Literal["delivered", "not delivered", "unclear"]


class ArmJudgement(ManifestPart):
    """What judges say of an arm, as far as it is shown."""

    human_likeness: Number | None = None
    human_likeness_ci: Interval | None = None
    human_likeness_real: Number | None = None
    human_likeness_gap: Number | None = None
    human_likeness_auc: Number | None = None
    judge_validated: bool = True
    judge_validation: Words | None = None
    problem: Words | None = None


class ComparisonContent(ManifestPart):
    """The content of `results.json`."""

    personagen: Line
    command: Words | None
    recipe: Line
    prompts: Line
    model: ArmModel
    reference: ComparisonReference
    embeddings: Line | None
    rows: Count
    seeds: Count
    emotions: list[Line]
    classifier: TestedClassifier
    wordings: Annotated[list[Line], Field(max_length=100)] = Field(default=[])
    arms: Annotated[dict[Line, ListedArm], Field(min_length=1)]
    claims: list[ListedClaim]
    treatments: list[ListedDelivery] | None = None
    best: Line | None = None
    human_likeness: dict[Line, ArmJudgement] | None


class MatchWorth(ManifestPart):
    """Number of real texts that the texts of the best arm are worth."""

    words: Line


class ListedMatchArm(WithInterval):
    """An arm of a match."""

    texts: Count
    missing: Count
    requests: Count
    tokens: Count
    score: Number | None
    rejects: Counts


class ListedYardstick(WithInterval):
    """A yardstick of a match."""

    rows: Count | None
    macro_f1: Number | None
    difference: Number | None = None
    difference_low: Number | None = None
    difference_high: Number | None = None

    @model_validator(mode="after")
    def _has_both_ends_of_the_difference(self) -> Self:
        if (self.difference_low is None) != (self.difference_high is None):
            raise ValueError("both ends of the interval of the difference, or none")
        return self


class MatchContent(ManifestPart):
    """The content of `match.json`."""

    personagen: Line
    command: Words | None
    model: ArmModel
    reference: MatchReference
    rows: Count
    arms: list[ListedMatchArm]
    best: Line
    yardsticks: list[ListedYardstick]
    worth: MatchWorth | None = None
    reason: Words | None = None
    conclusions: list[Words]


def require_content(kind: type[ManifestPart], content: Any) -> None:
    """Raise ValueError of one line unless a value has the form of a type."""
    try:
        kind.model_validate(content)
    except ValidationError as error:
        raise ValueError(first_fault(error.errors(include_url=False))) from None
