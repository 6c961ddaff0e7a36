"""Section on the personas: conditions that they meet, shares, and further attributes."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from personagen.builder.planning.personas.conditions import require_accepted
from personagen.builder.planning.personas.sources.files.locations import validate_source
from personagen.builder.planning.recipe.licences import LICENCES
from personagen.builder.planning.recipe.sections.base import Name, RecipeSection, VisibleLine
from personagen.builder.planning.suggestions import did_you_mean, require_unique

Weight = Annotated[float, Field(ge=0, le=1e9)]
"""Share of a value, relative to the others."""

_SCALAR = {"type": ["string", "integer"]}
_LIST = {"type": "array", "items": _SCALAR, "minItems": 1}
_BOUNDS = {"min": {"type": "integer"}, "max": {"type": "integer"}}
_RANGE = {"type": "object", "properties": _BOUNDS, "minProperties": 1, "additionalProperties": False}
_ACCEPTED = [_SCALAR, _LIST, _RANGE]
_NEGATION = {
    "type": "object",
    "properties": {"not": {"anyOf": _ACCEPTED}},
    "required": ["not"],
    "additionalProperties": False,
}


Accepted = Annotated[Any, BeforeValidator(require_accepted), WithJsonSchema({"anyOf": [*_ACCEPTED, _NEGATION]})]
"""Condition on one attribute: a value, a list, {min, max}, or {not: one of these}."""


def _require_weight(shares: Mapping[str, float]) -> Mapping[str, float]:
    if not sum(shares.values()):
        raise ValueError("all shares are 0; raise one of them")
    return shares


Shares = Annotated[Mapping[VisibleLine, Weight], Field(min_length=1), AfterValidator(_require_weight)]
"""Value to share, relative to the others."""


class AttributeRow(RecipeSection):
    """Shares of an attribute's values among the personas that meet a condition."""

    when: Mapping[str, Accepted] = Field(
        default={}, description="Conditions by attribute, as in `where`. Empty: every persona."
    )
    shares: Shares = Field(description="Value to share; the shares need not sum to 1 or 100.")


class OwnAttribute(RecipeSection):
    """A further attribute of every persona."""

    values: Shares | None = Field(default=None, description="Value to share. null: the shares are in `rows`.")
    rows: tuple[AttributeRow, ...] | None = Field(
        default=None,
        min_length=1,
        strict=False,
        description="Shares under conditions; the first row whose condition holds applies. null: `values`.",
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.values is None) == (self.rows is None):
            raise ValueError("wanted either values or rows; name one of them")
        if self.rows is not None and self.rows[-1].when:
            raise ValueError(
                "the last row has a condition, so some personas may have no value; add a row without `when`"
            )
        return self


class PersonaSettings(RecipeSection):
    """Who the personas are."""

    where: Mapping[str, Accepted] = Field(
        default={},
        description="Conditions that every persona meets, by attribute: a value, a list, {min, max}, or {not: ...}. "
        "`*` in a value stands for any characters.",
    )
    balance: tuple[str, ...] = Field(
        default=(), strict=False, description="Attributes whose combinations of values are to be equally frequent."
    )
    weights: Mapping[str, Shares] = Field(
        default={}, description="Shares of the values of an attribute among the personas; other values do not occur."
    )
    attributes: Mapping[Name, OwnAttribute] = Field(
        default={}, description="Further attributes of the personas, by name."
    )

    source: VisibleLine | None = Field(
        default=None,
        description="Table of personas: a CSV, TSV, JSONL or parquet file, a folder of them, a release, or "
        "hf://datasets/OWNER/NAME@REVISION. null: personas are drawn from the tables.",
    )
    columns: Mapping[str, VisibleLine | None] = Field(
        default={},
        description="Column of the source by attribute, `id`, `prose` or `background`; null: the attribute has none. "
        "Columns with the names of attributes and those of known datasets need not be named.",
    )
    source_license: str | None = Field(
        default=None, description="Licence of the source, as a Hub identifier. null: that of its README, if any."
    )
    source_citation: VisibleLine | None = Field(
        default=None, max_length=2000, description="How to cite the source. null: as its README says, if it does."
    )

    @model_validator(mode="after")
    def _of_a_source(self) -> Self:
        if self.source is None:
            for key in ("columns", "source_license", "source_citation"):
                if getattr(self, key):
                    raise ValueError(f"{key} belongs to a source; name it as personas.source, or leave {key} out")
            return self
        validate_source(self.source)
        if self.attributes:
            raise ValueError("attributes are drawn from the recipe, a source has its own; leave out one of them")
        if self.source_license is not None and self.source_license not in LICENCES:
            raise ValueError(
                f"source_license: the Hub knows no {self.source_license[:80]!r}"
                f"{did_you_mean(self.source_license[:80], LICENCES)}; name one of "
                "https://huggingface.co/docs/hub/repositories-licenses, or other"
            )
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        require_unique("balance", self.balance)
        for name in self.weights:
            if name in self.balance:
                raise ValueError(f"{name!r} is both in balance and in weights; leave it out of one of them")
        return self
