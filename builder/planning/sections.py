"""The sections of a recipe: pydantic models with a default for every key."""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from personagen.builder.core.endpoints.addresses import parse_address, require_api_version
from personagen.builder.core.endpoints.bodies import validate_body
from personagen.builder.core.endpoints.secrets import validate_headers, validate_query
from personagen.metrics.style.profiles import MAX_COUNT
from personagen.metrics.texts.language import CHECKABLE_LANGUAGES

Depth = Literal["none", "demographic", "sociocultural", "situational"]
Intensity = Literal["low", "medium", "high"]
Share = Annotated[float, Field(ge=0, le=1)]
ProseSource = Literal["sampled", "llm"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""Name of a dataset, taxonomy or emotion. Emotion names become folder names, hence the safe alphabet."""


def _is_odd(char: str) -> bool:
    category = unicodedata.category(char)
    is_noncharacter = category == "Cn" and (ord(char) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(char) <= 0xFDEF)
    return category in ("Cc", "Cs", "Zl", "Zp") or is_noncharacter or (category == "Cf" and char not in SHAPING)


def _require_line(value: str) -> str:
    """Return a text of one line; raise ValueError for control and direction characters, which data would keep."""
    if odd := next(filter(_is_odd, value), None):
        name = "a line break" if odd in "\r\n" else f"the invisible character U+{ord(odd):04X}"
        raise ValueError(f"has {name}; write one line of visible characters")
    return value


VisibleLine = Annotated[str, AfterValidator(_require_line)]


SHAPING = "\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
"""Format characters that words and emoji need: joiners, and signs of Arabic numbers."""


def _keep_summary(schema: dict[str, Any]) -> None:
    """Shorten the description in a JSON schema to the summary line of the docstring."""
    schema["description"] = schema["description"].partition("\n")[0]


class RecipeSection(BaseModel):
    """Base of every section: unknown keys, NaN and infinity are refused; values are not coerced and cannot change."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        json_schema_extra=_keep_summary,
    )


class CustomEmotion(RecipeSection):
    """An emotion defined by the recipe."""

    name: Name = Field(description="Label of the emotion.")
    definition: str = Field(min_length=1, description="Meaning of the emotion, shown in the prompts.")
    like: str | None = Field(
        default=None, description="Emotion of the situational bank whose events can evoke this emotion."
    )
    events: tuple[VisibleLine, ...] = Field(
        default=(), strict=False, description="Events that evoke the emotion, as clauses without a subject."
    )


class CustomTaxonomy(RecipeSection):
    """A taxonomy defined by the recipe."""

    name: Name = Field(description="Name of the taxonomy.")
    emotions: tuple[CustomEmotion, ...] = Field(
        min_length=1, strict=False, description="Emotions, in the order of their class ids."
    )


class Splits(RecipeSection):
    """Fraction of the rows in each split; all rows of a persona are in the same split."""

    train: float = Field(default=0.8, ge=0, le=1, description="Fraction for training.")
    validation: float = Field(default=0.1, ge=0, le=1, description="Fraction for validation.")
    test: float = Field(default=0.1, ge=0, le=1, description="Fraction for testing.")

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"fractions sum to {total:g}, wanted 1; change one of them")
        return self


class Elaboration(RecipeSection):
    """Source of each layer's prose: "sampled" (attributes only) or "llm". null: the backend's default."""

    demographic: ProseSource | None = Field(default=None, description="Source of the portrait.")
    sociocultural: ProseSource | None = Field(default=None, description="Source of the background.")
    situational: ProseSource | None = Field(default=None, description="Source of the account of the situation.")


class TextRequirements(RecipeSection):
    """Length, language and style of every text."""

    min_words: int | None = Field(
        default=None,
        ge=1,
        le=MAX_COUNT,
        description="Minimum number of words. null: that of the style; 8 without a style.",
    )
    max_words: int | None = Field(
        default=None,
        ge=1,
        le=MAX_COUNT,
        description="Maximum number of words. null: that of the style; 120 without a style.",
    )
    style: str | Mapping[str, Share] | None = Field(
        default=None,
        description="Genre whose length and surface the texts have, or fractions of several: comments, messages, "
        "tweets, dialogue, reports, diary, mail, or the file of a profile. null: comments, for English texts that are "
        "not all `shown`.",
    )
    examples: str | None = Field(
        default=None,
        description="File of real texts with labels, of which each prompt shows up to four of its emotion as a model "
        "for the style (columns label and text, separated by tabs). null: none.",
    )
    label_words: str | None = Field(
        default=None,
        description="File of words that distinguish labels in real texts, of which each prompt names up to three of "
        "its emotion (columns label and text, separated by tabs). null: none.",
    )
    language: Annotated[str, Field(pattern="^[a-z]{2}$")] | None = Field(
        default="en", description="ISO 639-1 code of the language that every text must be in. null: no check."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_words is not None and self.max_words is not None and self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} is above max_words {self.max_words}; change one of them")
        return self

    @model_validator(mode="after")
    def _detectable_language(self) -> Self:
        if self.language is not None and self.language not in CHECKABLE_LANGUAGES:
            known = ", ".join(sorted(CHECKABLE_LANGUAGES))
            raise ValueError(f"language {self.language!r} cannot be checked; use null or one of {known}")
        return self


CHANGEABLE_ATTRIBUTES: Mapping[str, str] = {
    "age": "demographic",
    "gender": "demographic",
    "country": "sociocultural",
    "settlement": "sociocultural",
    "education": "sociocultural",
    "religion": "sociocultural",
    "household": "sociocultural",
    "means": "sociocultural",
    "register": "sociocultural",
}
"""Attributes that a counterfactual can change, with their layer; work and occupation only change together."""


class CounterfactualPairs(RecipeSection):
    """Rows that repeat another row with one attribute of the persona changed; situation and seeds stay the same."""

    attributes: Mapping[str, Annotated[tuple[str, ...], Field(strict=False)]] = Field(
        min_length=1,
        description="Attributes to change, each with the two or more values to compare. Values of age are age bands.",
    )
    pairs: int | None = Field(
        default=None, ge=1, description="Rows that get counterfactuals, per attribute. null: every eligible row."
    )


class Checks(RecipeSection):
    """Checks that a reply must pass to become a row."""

    leak: Literal["flag", "reject"] = Field(
        default="flag", description="Action on an English text that names its emotion."
    )
    expression: Literal["flag", "reject"] = Field(
        default="flag",
        description="Action on an English text whose expression is not the one that its row asks for.",
    )
    personal: Literal["flag", "reject"] = Field(
        default="flag", description="Action on a text with personal information, by rules and lists."
    )
    slurs: Literal["flag", "reject"] = Field(default="flag", description="Action on a text with a slur, by a list.")
    near_duplicate: float = Field(
        default=0.7,
        gt=0,
        le=1,
        description="Jaccard similarity of word triples from which a text counts as a duplicate.",
    )
    label: Literal["flag", "reject"] | None = Field(
        default=None,
        description="Action on a text whose emotion the emotion classifier predicts differently. null: no classifier.",
    )
    label_reference: str = Field(
        default="goemotions", description="Labelled human texts that the emotion classifier is trained on."
    )
    label_model: str | None = Field(
        default=None,
        description="Encoder to fine-tune as emotion classifier. null: logistic regression on sentence embeddings.",
    )
    attempts: int = Field(default=8, ge=1, le=1000, description="Requests per text before the run gives up the row.")


BACKENDS_WITH: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("base_url", "headers", "query", "body", "timeout"), ("openai", "batch")),
    **dict.fromkeys(("thinking_tokens", "reasoning_effort"), ("openai", "batch", "transformers")),
}
"""Kinds of backends that have a key."""


class BackendChoice(RecipeSection):
    """The language model that writes the texts, and the limits on its use."""

    kind: Literal["embedded", "openai", "batch", "transformers"] = Field(
        default="embedded",
        description="embedded: the small model of the package; openai: an endpoint with OpenAI's chat API; "
        "batch: OpenAI's Batch API; transformers: a local model.",
    )
    model: VisibleLine | None = Field(default=None, description="Model name. The embedded backend has its own model.")
    base_url: str | None = Field(
        default=None, description="OpenAI-compatible endpoint. null: OPENAI_BASE_URL, else OpenAI's own."
    )
    headers: Mapping[str, str] | None = Field(
        default=None,
        description="Headers of every call; ${NAME} stands for an environment variable. Values are written nowhere.",
    )
    query: Mapping[str, str] | None = Field(
        default=None, description="Parameters behind the path of every call, such as api-version; values as in headers."
    )
    body: Mapping[str, Any] | None = Field(
        default=None, description="Parts of every request body. A part that is null is left out of the requests."
    )
    timeout: float | None = Field(default=None, gt=0, le=86_400, description="Seconds per call. null: 600.")
    thinking_tokens: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="Tokens for thoughts, added to the limit of every request. null: learnt from the replies.",
    )
    reasoning_effort: Annotated[str, Field(pattern="^[a-z]+$", max_length=32)] | None = Field(
        default=None, description="How much a reasoning model thinks, such as low. null: the model's default."
    )
    concurrency: int | None = Field(
        default=None, ge=1, le=4096, description="Maximum number of requests in flight. null: the backend's default."
    )
    rpm: int | None = Field(default=None, ge=1, description="Maximum requests per minute. null: no limit.")
    tpm: int | None = Field(
        default=None, ge=1, description="Maximum tokens per minute, prompt and completion together. null: no limit."
    )

    @model_validator(mode="after")
    def _model_where_needed(self) -> Self:
        if self.kind != "embedded" and self.model is None:
            raise ValueError(f"backend {self.kind} needs a model; name one with --model or backend.model")
        if self.kind == "embedded" and self.model is not None:
            raise ValueError(f"backend embedded has its own model, got {self.model!r}; leave model out or change kind")
        return self

    @model_validator(mode="after")
    def _keys_of_the_kind(self) -> Self:
        for key, kinds in BACKENDS_WITH.items():
            if self.kind not in kinds and getattr(self, key) is not None:
                raise ValueError(f"backend {self.kind} has no {key}; leave it out or use kind {kinds[0]}")
        if self.base_url is not None:
            require_api_version(parse_address(self.base_url), self.query or {})
        return self

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            parse_address(value)
        return value

    @field_validator("headers")
    @classmethod
    def _sendable_headers(cls, value: Mapping[str, str] | None) -> Mapping[str, str] | None:
        validate_headers(value or {})
        return value

    @field_validator("query")
    @classmethod
    def _sendable_query(cls, value: Mapping[str, str] | None) -> Mapping[str, str] | None:
        validate_query(value or {})
        return value

    @field_validator("body")
    @classmethod
    def _body_of_a_recipe(cls, value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        validate_body(value or {})
        return value


class ModelPrice(RecipeSection):
    """Price of a model per million tokens; all prices of a recipe are in the same currency."""

    input: float = Field(ge=0, description="Price per million prompt tokens.")
    output: float = Field(ge=0, description="Price per million completion tokens.")


class Budgets(RecipeSection):
    """Limits on the total use of all runs of a folder. null: no limit."""

    max_cost: float | None = Field(default=None, gt=0, description="Maximum cost, in the currency of the prices.")
    max_tokens: int | None = Field(default=None, ge=1, description="Maximum of prompt and completion tokens together.")


class SamplingSettings(RecipeSection):
    """How the model samples a text. null: the backend's default."""

    temperature: float | None = Field(default=None, ge=0, le=2, description="Softmax temperature.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="Probability mass of nucleus sampling.")
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Maximum number of tokens per text. null: 2 * text.max_words + 64; 12 of the embedded model (16 "
        "without expressions).",
    )
    candidates: int | None = Field(
        default=None, ge=1, le=64, description="Texts sampled per request, of which the best is kept."
    )
