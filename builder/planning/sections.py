"""The sections of a recipe: each says what it holds, with a default for every part."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Depth = Literal["none", "demographic", "sociocultural", "situational"]
Intensity = Literal["low", "medium", "high"]
Elaboration = Literal["sampled", "llm"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""Emotion names become folder names, so they keep to a safe alphabet."""


class Section(BaseModel):
    """What every part of a recipe shares: unknown keys are refused, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CustomEmotion(Section):
    """An emotion that the recipe defines itself."""

    name: Name
    definition: str = Field(min_length=1, description="What the emotion means; it goes into the prompts.")
    like: str | None = Field(None, description="Emotion of the situational bank whose events can evoke this one.")
    events: tuple[str, ...] = Field((), strict=False, description="Events of your own, as clauses without a subject.")


class CustomTaxonomy(Section):
    """A taxonomy that the recipe defines itself."""

    name: Name
    emotions: tuple[CustomEmotion, ...] = Field(min_length=1, strict=False)


class Splits(Section):
    """Shares of the rows; a persona is in one split only."""

    train: float = Field(0.8, ge=0, le=1)
    validation: float = Field(0.1, ge=0, le=1)
    test: float = Field(0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"shares sum to {total:g}, wanted 1")
        return self


class Elaborate(Section):
    """Who writes the prose of each layer: nobody ("sampled") or the model ("llm"). None takes the backend's default."""

    demographic: Elaboration | None = None
    sociocultural: Elaboration | None = None
    situational: Elaboration | None = None


class Text(Section):
    """What a text must be like."""

    min_words: int = Field(8, ge=1)
    max_words: int = Field(120, ge=1)
    language: Annotated[str, Field(pattern="^[a-z]{2}$")] | None = Field(
        "en", description="ISO 639-1 code that a text is checked against; null checks nothing."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} is above max_words {self.max_words}")
        if self.language not in (None, "en"):
            from personagen.metrics.texts.language import checkable_languages

            if self.language not in checkable_languages():
                known = ", ".join(sorted(checkable_languages()))
                raise ValueError(f"language {self.language!r} cannot be checked; use null or one of {known}")
        return self


CHANGEABLE: Mapping[str, str] = {
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
"""Attributes that can be changed alone, and the layer that they are in. Work and occupation go together."""


class CounterfactualPairs(Section):
    """Texts that are asked for again with one attribute of the persona changed and all else, seeds too, as it was."""

    attributes: Mapping[str, tuple[str, ...]] = Field(
        min_length=1, description="Attributes to change, each with two or more values, of age bands."
    )
    pairs: int | None = Field(
        None, ge=1, description="Rows that are asked for again an attribute; null takes all that have such a value."
    )


class Checks(Section):
    """What happens to a reply before it becomes a row."""

    leak: Literal["flag", "reject"] = Field("flag", description="What to do with a text that names its emotion.")
    near_duplicate: float = Field(
        0.7, gt=0, le=1, description="Jaccard similarity of word triples that counts as same."
    )
    label: Literal["flag", "reject"] | None = Field(
        None, description="What to do with a text in which a emotion classifier reads another emotion; null reads none."
    )
    label_reference: str = Field("goemotions", description="Real texts with labels that the classifier is trained on.")
    label_model: str | None = Field(
        None, description="Encoder that is fine-tuned to be the classifier; null is a linear one on embeddings."
    )
    attempts: int = Field(8, ge=1, le=1000, description="Requests for one text before the row is given up.")


class BackendChoice(Section):
    """Where completions come from."""

    kind: Literal["embedded", "openai", "batch", "transformers"] = "embedded"
    model: str | None = Field(None, description="Model name; the embedded backend has one model only.")
    base_url: str | None = Field(None, description="OpenAI-compatible endpoint; null is OpenAI's own.")
    concurrency: int | None = Field(
        None, ge=1, le=4096, description="Requests in flight at most; null is the backend's default."
    )
    rpm: int | None = Field(None, ge=1, description="Requests a minute at most; null does not limit.")
    tpm: int | None = Field(None, ge=1, description="Tokens a minute at most, prompt and reply; null does not limit.")

    @model_validator(mode="after")
    def _model_where_needed(self) -> Self:
        if self.kind != "embedded" and self.model is None:
            raise ValueError(f"backend {self.kind} needs a model; name one with --model or backend.model")
        if self.kind == "embedded" and self.model is not None:
            raise ValueError(f"backend embedded has its own model, got {self.model!r}; leave model out or change kind")
        if self.kind not in ("openai", "batch") and self.base_url is not None:
            raise ValueError(f"backend {self.kind} has no base_url; leave it out or use kind openai")
        if self.base_url is not None and "@" in self.base_url:
            raise ValueError("base_url holds a user or password; leave them out and set OPENAI_API_KEY")
        return self


class ModelPrice(Section):
    """What a model costs, for a million tokens, in any one currency."""

    input: float = Field(ge=0, description="Price of a million prompt tokens.")
    output: float = Field(ge=0, description="Price of a million tokens that the model writes.")


class Budgets(Section):
    """What a run may take in all, earlier runs of the same folder included. null does not limit."""

    max_cost: float | None = Field(None, gt=0, description="Cost at most, in the currency of the prices.")
    max_tokens: int | None = Field(None, ge=1, description="Prompt tokens and written tokens at most.")


class Draw(Section):
    """How the model draws a text. null takes the backend's default."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    candidates: int | None = Field(None, ge=1, le=64, description="Texts drawn a request, of which the best is kept.")
