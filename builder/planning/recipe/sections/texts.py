"""Sections on the texts: prose of the layers, requirements, checks, sampling."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from personagen.builder.planning.recipe.sections.base import ProseSource, RecipeSection, Share
from personagen.metrics.style.profiles import MAX_COUNT
from personagen.metrics.texts.language import CHECKABLE_LANGUAGES


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
