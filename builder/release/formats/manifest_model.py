"""The manifest as a type: what every reader may rely on. Keys that it does not name are allowed, and not read."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.records import ATTRIBUTE_PATTERN
from personagen.builder.planning.recipe.sections import Depth, Name
from personagen.builder.release.formats.plain_json import first_fault

Count = Annotated[int, Field(ge=0, lt=2**53)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, Field(max_length=2_000)]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,60}$")]
ColumnName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}(\.[a-z0-9_]{1,40})?$")]
AttributeName = Annotated[str, Field(pattern=ATTRIBUTE_PATTERN)]
Words = Annotated[str, Field(max_length=200_000)]
Split = Literal["train", "validation", "test"]
Counts = dict[Line, Count]


class ManifestPart(BaseModel):
    """A part of a manifest; values are not coerced."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class ListedFile(ManifestPart):
    """A file of a release."""

    path: Line
    bytes: Count
    sha256: Digest


class ListedShard(ListedFile):
    """A data file of a release."""

    model_config = ConfigDict(extra="forbid")

    rows: Count


class ListedConfiguration(ManifestPart):
    """A configuration of a release."""

    data_files: dict[Split, Annotated[list[Line], Field(min_length=1)]]
    rows: dict[Split, Count]
    bytes: Count
    digest: Line


class ListedView(ManifestPart):
    """A configuration that reads some columns from the files of another one."""

    of: Line
    columns: Annotated[list[ColumnName], Field(min_length=1)]


class ListedEmotion(ManifestPart):
    """A label of a release."""

    name: Name
    definition: Words


class ListedTaxonomy(ManifestPart):
    """The labels of a release."""

    name: Line
    emotions: Annotated[list[ListedEmotion], Field(min_length=1)]


class WritingModel(ManifestPart):
    """The model that wrote the texts."""

    backend: Line
    name: Line | None
    revision: Line | None
    license: Line | None = None
    licence: Line | None = None
    answered_by: Counts = {}
    left_out: Counts = {}


class PersonaSource(ManifestPart):
    """Source that the personas were chosen from."""

    name: Line
    revision: Line | None
    sha256: Digest
    rows: Count
    fitting: Count
    preset: Line | None
    columns: dict[AttributeName, Line]
    left_out: list[Line]
    license: Line | None
    license_from: Literal["recipe", "card", "manifest"] | None
    citation: Line | None


class ListedModel(WritingModel):
    """One of several models: what it wrote, and what it was used for."""

    share: Annotated[float, Field(gt=0, le=1)]
    rows: Count
    requests: Count
    prompt_tokens: Count
    completion_tokens: Count
    cost: Annotated[float, Field(ge=0)] | None
    estimated: Count = 0


class PersonaCounts(ManifestPart):
    """Personas by split, the pairs of attribute values that they have, and how the tables tie their attributes."""

    train: Count
    validation: Count
    test: Count
    pairs_met: Count
    pairs_possible: Count
    independent: list[Line] = []
    indirect: list[Line] = []
    source: PersonaSource | None = None


class RecipeText(ManifestPart):
    """Requirements of a recipe for its texts, as far as readers use them."""

    language: Line | None
    style: dict[Line, float] | None = None


class RecipeCounterfactual(ManifestPart):
    """Attributes of a recipe's counterfactuals."""

    attributes: dict[Line, list[Words]]


class RecordedChannel(ManifestPart):
    """A kind of text of a recipe."""

    text: Line
    to: Line | None = None


class RecordedRecipe(ManifestPart):
    """The recipe of a release, as far as readers use it."""

    depth: Depth
    taxonomy: Line | dict[str, Any]
    text: RecipeText
    counterfactual: RecipeCounterfactual | None = None
    channels: dict[Line, RecordedChannel] | None = None


class PromptTemplate(ManifestPart):
    """Version of a prompt."""

    version: Line
    sha256: Line = ""


class RecordedLicence(ManifestPart):
    """Licence of a release, as metadata of the Hub."""

    license: Line | None
    license_name: Line | None
    license_link: Line | None


class RecordedPrompts(ManifestPart):
    """Versions of the prompts."""

    version: Line
    templates: dict[Line, PromptTemplate]
    files: Annotated[list[ListedFile], Field(max_length=100)] = []


class RecordedUsage(ManifestPart):
    """Requests, tokens and cost of a release."""

    requests: Count
    prompt_tokens: Count
    completion_tokens: Count
    cost: Annotated[float, Field(ge=0)] | None
    estimated: Count = 0


class FrequentEvent(ManifestPart):
    """The event with the most texts."""

    event: Words
    texts: Count


class RecordedComposition(ManifestPart):
    """Texts by attribute and value, and by event."""

    attributes: dict[Line, Counts]
    events: Count
    most_frequent_event: FrequentEvent | None = None


class CardScore(ManifestPart):
    """A row of the card's table of scores."""

    metric: Line
    value: Line
    command: Words


class SampleRow(ManifestPart):
    """A row that the card shows."""

    id: Line
    emotion: Line
    text: Line
    persona: Line


class ScreeningHit(ManifestPart):
    """A text with personal information or slurs."""

    id: Line
    kinds: list[Word]


class ScreeningCounts(ManifestPart):
    """Texts with personal information or slurs by kind, of those that were checked, and the first of them."""

    checked: Count
    texts: dict[Word, Count]
    hits: list[ScreeningHit] = []


class ShownAttribute(ManifestPart):
    """Texts that show an attribute of their persona by words, and the fraction that do so by chance."""

    texts: Count
    chance: Annotated[float, Field(ge=0, le=1)] | None


class ShownPersonas(ShownAttribute):
    """Texts that show their persona by words, of those that were checked, and by attribute."""

    checked: Annotated[int, Field(ge=1, lt=2**53)]
    attributes: dict[Word, ShownAttribute]


class RecordedSource(ManifestPart):
    """A source of real texts in the prompts, with its terms."""

    source: Line
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    license: Line | None
    attribution: Words | None
    available: Count


class RecordedGrounding(ManifestPart):
    """Real texts in the prompts: their sources, and how many rows show how many distinct ones."""

    examples: RecordedSource | None = None
    paraphrase: RecordedSource | None = None
    verbalized: bool = False
    rows: Count = 0
    texts: Count = 0


class Manifest(ManifestPart):
    """A manifest of any version of the format."""

    name: Line
    version: Annotated[str, Field(pattern=r"^\d{1,4}\.\d{1,4}\.\d{1,4}$")]
    personagen: Line
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]
    recipe: RecordedRecipe
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    taxonomy: ListedTaxonomy
    model: WritingModel
    models: Annotated[list[ListedModel], Field(min_length=2, max_length=1_000)] | None = None
    prompts: RecordedPrompts
    tables: dict[Line, Line]
    personas: PersonaCounts
    license: RecordedLicence | None = None
    configs: dict[Line, ListedConfiguration]
    views: dict[Name, ListedView] = {}
    left_out: list[ColumnName] = []
    attributes: dict[AttributeName, Literal["string", "int64", "float64"]] = {}
    citation: Words = ""
    composition: RecordedComposition | None = None
    rejects: dict[Word, dict[Word, Count]]
    leaked: Count | None
    leak_unchecked: Count = 0
    expressions: dict[Line, Counts] | None = None
    samples: Annotated[list[SampleRow], Field(max_length=20)] = []
    screening: ScreeningCounts | None = None
    persona_words: ShownPersonas | None = None
    verdicts: list[Words] = []
    concerns: list[Words] = []
    grounding: RecordedGrounding | None = None
    profanity: dict[Literal["texts", "checked"], Count] | None = None
    classifier: dict[Line, Line | bool | int | float | None] | None = None
    earlier_classifier: dict[Line, Line | bool | int | float | None] | None = Field(default=None, alias="checker")
    usage: RecordedUsage
    shards: list[ListedShard]
    croissant: ListedFile | None = None
    evaluation: ListedFile | None = None
    audit: ListedFile | None = None
    scores: list[CardScore] | None = None
    scored_texts: Words | None = None
    below_floor: list[Words] | None = None
    findings: list[Words] | None = None
    counterfactuals: list[Words] | None = None
    audited_texts: Words | None = None
    audit_power: Words | None = None
    audit_predictions: Words | None = None
    audited_by: Words | None = None
    digest: Line = ""


def require_manifest(data: dict[str, Any], where: str, advice: str) -> None:
    """Raise ReleaseError unless an object is a manifest: keys, types and ranges."""
    missing = [name for name, field in Manifest.model_fields.items() if field.is_required() and name not in data]
    if missing:
        raise ReleaseError(f"{where} lacks {', '.join(missing)}; {advice}")
    try:
        Manifest.model_validate(data)
    except ValidationError as error:
        fault = first_fault(error.errors(include_url=False))
        raise ReleaseError(f"{where} is malformed at {fault}; {advice}") from None
    if "all" not in data["configs"]:
        raise ReleaseError(f"{where} has no configuration 'all'; {advice}")
