"""Section on real texts in the prompts, and on verbalized sampling."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from personagen.builder.planning.recipe.sections.base import RecipeSection, VisibleLine

MAX_EXAMPLES = 32
"""Upper bound on the real texts of a prompt."""

SourceName = Annotated[str, Field(min_length=1, max_length=4_096)]


class TextSource(RecipeSection):
    """Real texts with labels, of which the prompts may show a part."""

    source: SourceName = Field(
        description="goemotions, xed, brighter, a file (relative to the recipe), a folder, or a dataset on the Hub."
    )
    license: str | None = Field(
        default=None, description="Licence of the texts, as a Hub identifier. null: that which the source states."
    )
    attribution: VisibleLine | None = Field(
        default=None, description="Credit that the card gives to the source. null: that which the source states."
    )


class RealExamples(TextSource):
    """Real texts of its emotion that each prompt shows as a model for the style."""

    count: int = Field(default=4, ge=1, le=MAX_EXAMPLES, description="Texts per prompt.")
    max_uses: int | None = Field(
        default=None, ge=1, description="Maximum number of rows that see the same text. null: no limit."
    )


class GroundingSettings(RecipeSection):
    """Real texts in the prompts, and sampling by stated probabilities."""

    examples: RealExamples | None = Field(
        default=None, description="Real texts of its emotion that each prompt shows. null: none."
    )
    paraphrase: TextSource | Literal[True] | None = Field(
        default=None,
        description="Real texts, of which each row says one in other words; true: those of `examples.source`. null: "
        "new texts.",
    )
    verbalized: bool = Field(
        default=False, description="Whether each text is drawn from five texts with the probabilities that the model "
        "states (verbalized sampling)."
    )  # fmt: skip
    seed: int | None = Field(
        default=None, ge=0, lt=2**63, description="Seed of the drawn real texts. null: that of the recipe."
    )

    @model_validator(mode="after")
    def _source_of_paraphrases(self) -> Self:
        if self.paraphrase is True and self.examples is None:
            raise ValueError("paraphrase: true takes the source of examples, and there are none; name a source")
        if self == GroundingSettings.model_construct(seed=self.seed):
            raise ValueError("names nothing to do, wanted examples, paraphrase or verbalized; leave the section out")
        return self

    def paraphrased(self) -> TextSource | None:
        """Return the source of the texts to paraphrase. None: the texts are new."""
        return self.examples if self.paraphrase is True else self.paraphrase

    def sources(self) -> dict[str, TextSource]:
        """Return the sources of real texts by their key in the section."""
        settings = {"examples": self.examples, "paraphrase": self.paraphrased()}
        return {key: source for key, source in settings.items() if source is not None}
