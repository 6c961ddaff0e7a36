"""Sections on the rows of a release: emotions, splits, counterfactuals."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from personagen.builder.planning.recipe.sections.base import Name, RecipeSection, VisibleLine


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
