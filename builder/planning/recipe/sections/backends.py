"""Sections on the language model: backend, prices, budget."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from personagen.builder.core.endpoints.addresses import parse_address, require_api_version
from personagen.builder.core.endpoints.bodies import validate_body
from personagen.builder.core.endpoints.secrets import validate_headers, validate_query
from personagen.builder.planning.recipe.sections.base import RecipeSection, VisibleLine

BACKENDS_WITH: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("base_url", "headers", "query", "body", "timeout"), ("openai", "batch")),
    **dict.fromkeys(("thinking_tokens", "reasoning_effort"), ("openai", "batch", "transformers")),
}
"""Kinds of backends that have a key."""

MAX_SHARE = 1_000_000
"""Upper bound on a share, so that the sum of all shares is finite."""


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
    share: float | None = Field(
        default=None,
        gt=0,
        le=MAX_SHARE,
        description="In a list of models, the part of the rows of each emotion, relative to the other shares. "
        "null: equal shares.",
    )

    def variant(self) -> dict[str, Any]:
        """Return the settings of every request that change replies, as the backend of the kind states them."""
        effort = {"reasoning_effort": self.reasoning_effort} if self.reasoning_effort else {}
        return effort | dict(self.body or {})

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


def _form(value: Any) -> str:
    """Return the tag of the form of a `backend` section."""
    return "a list of models" if isinstance(value, list | tuple) else "a single model"


BackendSection = Annotated[
    Annotated[BackendChoice, Tag("a single model")]
    | Annotated[tuple[BackendChoice, ...], Field(strict=False), Tag("a list of models")],
    Discriminator(_form),
]
"""The model that writes the texts, or a list of models with shares of them."""


class ModelPrice(RecipeSection):
    """Price of a model per million tokens; all prices of a recipe are in the same currency."""

    input: float = Field(ge=0, description="Price per million prompt tokens.")
    output: float = Field(ge=0, description="Price per million completion tokens.")


class Budgets(RecipeSection):
    """Limits on the total use of all runs of a folder. null: no limit."""

    max_cost: float | None = Field(default=None, gt=0, description="Maximum cost, in the currency of the prices.")
    max_tokens: int | None = Field(default=None, ge=1, description="Maximum of prompt and completion tokens together.")
