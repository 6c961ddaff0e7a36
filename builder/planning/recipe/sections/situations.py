"""Sections on the situations of the texts: the kinds of text that people write, and the events behind them."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from personagen.builder.planning.recipe.sections.base import RecipeSection, VisibleLine
from personagen.builder.planning.recipe.sections.personas import Accepted
from personagen.metrics.style.profiles import MAX_COUNT

MAX_PHRASE_CHARS = 200
"""Characters of a phrase that stands in every prompt."""

MAX_INVENTED = 1_000_000
"""Upper bound on invented events per emotion."""

ChannelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9 _-]{0,63}$")]
Phrase = Annotated[VisibleLine, Field(min_length=1, max_length=MAX_PHRASE_CHARS)]
Fit = Mapping[str, Accepted]
"""Conditions on the persona by attribute."""


class ChannelSettings(RecipeSection):
    """A kind of text."""

    text: Phrase = Field(description='Form of the text in prompts, such as "an email to a company\'s support".')
    share: float | None = Field(
        default=None, gt=0, description="Relative frequency of the channel. null in all channels: they are equal."
    )
    min_words: int | None = Field(
        default=None, ge=1, le=MAX_COUNT, description="Minimum number of words. null: that of `text`, else 8."
    )
    max_words: int | None = Field(
        default=None, ge=1, le=MAX_COUNT, description="Maximum number of words. null: that of `text`, else 120."
    )
    to: Phrase | None = Field(default=None, description="Addressee of the text. null: the prompt names none.")
    fit: Fit = Field(
        default={},
        description="Conditions on the persona by attribute, as in `personas.where`. Empty: every persona.",
    )


def _as_settings(value: Any) -> Any:
    """Return a phrase as a channel with nothing else."""
    return {"text": value} if isinstance(value, str) else value


Channel = Annotated[ChannelSettings, BeforeValidator(_as_settings, json_schema_input_type=str | ChannelSettings)]


class EventBank(RecipeSection):
    """Which events of the situational bank are used."""

    model_config = ConfigDict(serialize_by_alias=True)

    kinds: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, description="Kinds of events to use. null: all."
    )
    excluded: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(), alias="not", description="Kinds of events to leave out."
    )


class EventInvention(RecipeSection):
    """How many events the model invents before the first text is written."""

    count: int | None = Field(
        default=None, ge=1, le=MAX_INVENTED, description="Events over all emotions, in proportion to their texts."
    )
    per_emotion: int | None = Field(default=None, ge=1, le=MAX_INVENTED, description="Events per emotion.")

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        if (self.count is None) == (self.per_emotion is None):
            given = "neither" if self.count is None else "both"
            raise ValueError(
                f"got {given} of count and per_emotion, wanted one of them; name how many events to invent"
            )
        return self


class EventSources(RecipeSection):
    """Sources of the events; an emotion has the events of all that are named."""

    file: str | None = Field(
        default=None, description="File of events (*.yaml, *.jsonl, *.csv, *.tsv), relative to the recipe. null: none."
    )
    bank: EventBank | None = Field(
        default=None, description="Events of the situational bank; {} stands for all of them. null: none."
    )
    invent: EventInvention | None = Field(
        default=None, description="Events that the model invents, at most one per text. null: none."
    )

    @model_validator(mode="after")
    def _a_source(self) -> Self:
        if self.file is None and self.bank is None and self.invent is None:
            raise ValueError("names no source, wanted file, bank or invent; leave events out for the whole bank")
        return self
